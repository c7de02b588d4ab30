"""conda packages and a channel, in a folder, made by the tests themselves and indexed by rattler."""

import asyncio
import bz2
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import zstandard

BORN = 1_777_636_800


def _tar(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, BORN
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@dataclass(frozen=True)
class CondaFile:
    """One package with one file that says what it is; `extension` is ``.conda`` or ``.tar.bz2``."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    build: str = "0"
    build_number: int = 0
    subdir: str = "linux-64"
    extension: str = ".conda"
    constrains: tuple[str, ...] = ()
    content: bytes = b""

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.build}{self.extension}"

    @property
    def sha256(self) -> str:
        return sha256(self.data).hexdigest()

    @cached_property
    def data(self) -> bytes:
        files = {f"share/{self.name}/says": f"{self.name} {self.version}\n".encode()}
        if self.content:
            files[f"share/{self.name}/content"] = self.content
        index = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": self.build_number,
            "depends": list(self.depends),
            "constrains": list(self.constrains),
            "license": "MIT",
            "subdir": self.subdir,
            "timestamp": BORN * 1000,
            **({"noarch": "generic"} if self.subdir == "noarch" else {}),
        }
        paths = [
            {"_path": n, "path_type": "hardlink", "sha256": sha256(d).hexdigest(), "size_in_bytes": len(d)}
            for n, d in files.items()
        ]
        about = {
            "info/index.json": json.dumps(index).encode(),
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
            "info/files": "\n".join(files).encode(),
            "info/about.json": b"{}",
        }
        if self.extension == ".tar.bz2":
            return bz2.compress(_tar({**about, **files}))
        stem, packed = self.filename.removesuffix(".conda"), zstandard.ZstdCompressor()
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, data in (
                ("metadata.json", b'{"conda_pkg_format_version": 2}'),
                (f"pkg-{stem}.tar.zst", packed.compress(_tar(files))),
                (f"info-{stem}.tar.zst", packed.compress(_tar(about))),
            ):
                archive.writestr(zipfile.ZipInfo(name, (2026, 5, 1, 12, 0, 0)), data)
        return stream.getvalue()


@dataclass
class CondaUpstream:
    """A channel in a folder."""

    root: Path
    packages: list[CondaFile] = field(default_factory=list)

    def publish(self, *, compressed: bool = True) -> None:
        """Write the packages, and have rattler make the indexes."""
        from rattler.index import index_fs

        for subdir in ("noarch", "linux-64"):
            (self.root / subdir).mkdir(parents=True, exist_ok=True)
        for package in self.packages:
            (self.root / package.subdir / package.filename).write_bytes(package.data)
        asyncio.run(index_fs(str(self.root), write_zst=compressed, write_shards=False))

    def index(self, subdir="linux-64"):
        return json.loads((self.root / subdir / "repodata.json").read_text())

    def rewrite(self, change, subdir="linux-64"):
        """Change an index, and leave it in its plain form alone."""
        index = self.index(subdir)
        change(index)
        (self.root / subdir / "repodata.json").write_text(json.dumps(index))
        (self.root / subdir / "repodata.json.zst").unlink(missing_ok=True)
