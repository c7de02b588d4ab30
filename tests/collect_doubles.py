"""What the tests of the collection room share: small wheels, locks, and a room on doubles."""

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.ports import Limits
from lockgate.collect.room import Room
from lockgate.collect.service import Collected, collect
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.ports import Silent
from lockgate.store import MemoryBlobs

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    members: Mapping[str, bytes] | None = None,
    metadata: str | None = None,
    licence: str = "License-Expression: MIT",
) -> tuple[str, bytes]:
    """Return file name and bytes of a pure wheel with a RECORD, the same bytes every time."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    text = metadata or "\n".join(
        [
            "Metadata-Version: 2.4",
            f"Name: {name}",
            f"Version: {version}",
            "Summary: For tests",
            licence,
            "Requires-Python: >=3.9",
            *(f"Requires-Dist: {r}" for r in requires),
            "",
        ]
    )
    entries = {
        f"{name.replace('-', '_')}/__init__.py": b"",
        **(members or {}),
        f"{folder}/METADATA": text.encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    for path, data in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(data)}\n")
    record.append(f"{folder}/RECORD,,\n")
    entries[f"{folder}/RECORD"] = "".join(record).encode()
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl", make_zip(entries)


def make_zip(entries: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path, data in entries.items():
            info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return sink.getvalue()


def pip_environment(**more: str) -> dict[str, str]:
    """Return an environment in which pip knows no source and reads no configuration."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("PIP_", "UV_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **more}


def make_room(tmp_path: Path, packages: MemoryPackages | None = None, web: MemoryWeb | None = None) -> Room:
    return Room(
        folder=tmp_path,
        work=tmp_path,
        blobs=MemoryBlobs(),
        packages=packages or MemoryPackages({}),
        web=web or MemoryWeb(),
        progress=Silent(),
        limits=Limits(),
        free=lambda: 1 << 40,
    )


def run(
    manifest: Path,
    packages: MemoryPackages,
    *,
    blobs: MemoryBlobs | None = None,
    web: MemoryWeb | None = None,
    previous: Lock | None = None,
    limits: Limits | None = None,
    free: int = 1 << 40,
) -> tuple[Collected, MemoryBlobs]:
    """Collect over doubles."""
    held = blobs or MemoryBlobs()
    found = collect(
        manifest,
        blobs=held,
        work=manifest.parent / "work",
        lane="test",
        clock=lambda: NOW,
        progress=Silent(),
        packages=packages,
        web=web or MemoryWeb(),
        previous=previous,
        limits=limits,
        free=lambda: free,
    )
    return found, held


def make_artifact(
    name: str, version: str, *data: bytes, kind: Kind = Kind.PYTHON, **more: object
) -> Artifact:
    files = tuple(
        ArtifactFile(path=f"{kind}/{name}/{version}-{n}", role=Role.DISTRIBUTION, size=len(d), sha256=sha(d))
        for n, d in enumerate(data)
    )
    return Artifact(
        purl=f"pkg:generic/{name}@{version}", kind=kind, name=name, version=version, files=files, **more
    )  # type: ignore[arg-type]


def make_lock(*artifacts: Artifact) -> Lock:
    return Lock(format=LOCK_FORMAT, lane="test", created=NOW, manifest_sha256="0" * 64, artifacts=artifacts)
