"""Small npm packages as registries hold them: a tarball, and what is known of the version."""

import gzip
import hashlib
import io
import json
import tarfile
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lockgate.core.npm import NPM_FORMAT, NpmVersion, tarball_name

PUBLISHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_tarball(members, folder="package"):
    """Return a gzipped tar of members below a folder, the same bytes every time."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path, data in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(f"{folder}/{path}")
            info.size, info.mode, info.mtime = len(data), 0o644, 499162500
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(sink.getvalue(), mtime=0)


def integrity_of(data):
    return f"sha512-{b64encode(hashlib.sha512(data).digest()).decode()}"


@dataclass
class NpmPackage:
    """One version, with the package.json that its tarball holds."""

    name: str
    version: str
    package: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)

    def __post_init__(self):
        manifest = {"name": self.name, "version": self.version, "license": "MIT", **self.package}
        source = f"module.exports = {json.dumps(f'{self.name} {self.version}')};\n".encode()
        members = {"package.json": json.dumps(manifest).encode(), "index.js": source, **self.files}
        self.data = make_tarball(members)
        self.count, self.unpacked = len(members), sum(map(len, members.values()))
        self.filename = tarball_name(self.name, self.version)
        self.integrity = integrity_of(self.data)

    @property
    def known(self):
        return NpmVersion(
            **{
                "format": NPM_FORMAT,
                "name": self.name,
                "version": self.version,
                "integrity": self.integrity,
                "shasum": hashlib.sha1(self.data, usedforsecurity=False).hexdigest(),
                "published": PUBLISHED,
                "dependencies": self.package.get("dependencies", {}),
                "optional": self.package.get("optionalDependencies", {}),
                "peers": self.package.get("peerDependencies", {}),
                "bin": self.package.get("bin", {}),
                "licence": "MIT",
                "files": self.count,
                "unpacked": self.unpacked,
                "scripts": self.package.get("scripts", {}),
                "install_script": "scripts" in self.package,
                **self.facts,
            }
        )
