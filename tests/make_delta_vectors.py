"""Writes `docs/formats/vectors/delta/`: two crates, the second against the first, and what has to come out.

Run it when the format changes, from the repository's root: `python tests/make_delta_vectors.py`.
The keys are made for the vectors and protect nothing.
"""

import io
import json
import lzma
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crossing_lane import NOW, Lane, chance_bytes
from delta_files import code, text
from lockgate.core.wire import encode, stamp
from lockgate.crossing import Received

TARGET = Path(__file__).resolve().parents[1] / "docs" / "formats" / "vectors" / "delta"


def small_wheel(version: str, changes: int) -> bytes:
    """A wheel of two members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (
            ("p/a.py", text(version, 40)),
            ("p/n.so", code(1, 6000, changes)),
            ("p/b.py", b"1"),
        ):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def small_model(step: int) -> bytes:
    """A safetensors file of one tensor."""
    values = b"".join(((n * 37) % 1024 + 0x3000 + step).to_bytes(2, "little") for n in range(1500))
    head = b'{"t":{"dtype":"F16","shape":[1500],"data_offsets":[0,3000]}}'
    return len(head).to_bytes(8, "little") + head + values


FIRST = {
    "python/p-1.0.whl": small_wheel("1.0", 0),
    "models/m/t.safetensors": small_model(0),
    "files/text-1.0.xz": lzma.compress(text("1.0", 60)),
    "documents/same.md": b"# same\n",
}
SECOND = {
    "python/p-1.1.whl": small_wheel("1.1", 9),
    "models/m/t.safetensors": small_model(1),
    "files/text-1.1.xz": lzma.compress(text("1.1", 60)),
    "documents/same.md": b"# same\n",
    "documents/new.md": b"# new\n" * 30,
    "files/whole": chance_bytes(1, 500),
}


def main() -> int:
    """Write the folder anew."""
    lane = Lane(name="vectors")
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        outbox, opener = Path(folder) / "outbox", lane.opener(Path(folder) / "staging")
        crates = [lane.sealer(outbox).seal(lane.request(files, delta=True)) for files in (FIRST, SECOND)]
        received = [opener.receive(crate.path) for crate in crates]
        for crate in crates:
            shutil.copytree(crate.path, TARGET / crate.path.name)
    last = received[-1]
    if not isinstance(last, Received) or last.manifest.kind != "delta":
        return 1
    pem = lane.gate.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (TARGET / "recipient.pem").write_bytes(pem)
    (TARGET / "1.root.json").write_bytes(lane.supply)
    (TARGET / "site.json").write_bytes(encode(lane.site))
    expected = {
        "lane": lane.name,
        "now": stamp(NOW),
        "supply_pin": lane.pin,
        "crate_sha256": crates[-1].crate_sha256,
        "manifest": json.loads(encode(last.manifest)),
        "targets": {path: target.sha256 for path, target in sorted(last.targets.items())},
    }
    (TARGET / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
