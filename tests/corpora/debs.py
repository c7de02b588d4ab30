"""Debian packages and a signed upstream repository, made by the tests themselves."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from lockgate.core.deb import (
    DEB_FORMAT,
    SUITE_FORMAT,
    AptSuite,
    DebPackage,
    PackageType,
    deb_filename,
    pool_folder,
    source_of,
)
from lockgate.core.roots import Purpose
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.openpgp import Kind, OpenPgpKey, clearsigned

SIGNED = datetime(2026, 5, 1, 12, tzinfo=UTC)


def pack_tar(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"./{name}")
            if data is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0)


def pack_ar(members):
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) & 1)
    return out


@dataclass(frozen=True)
class DebFile:
    """One binary package: `fields` are its control fields besides name, version and architecture.

    `scripts` are files beside its control file (``postinst``).
    """

    name: str
    version: str
    architecture: str = "amd64"
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)

    @property
    def control(self) -> dict[str, str]:
        own = {
            "Architecture": self.architecture,
            "Maintainer": "Ann <ann@example.org>",
            "Description": f"the {self.name}\n It says so.\n .\n At length.",
            **self.fields,
        }
        return {"Package": self.name, "Version": self.version, **own}

    @cached_property
    def data(self) -> bytes:
        lines = "".join(f"{key}: {value}\n" for key, value in self.control.items())
        contents = {f"usr/share/{self.name}/says": f"{self.name} {self.version}\n".encode(), **self.files}
        folders = {str(p): None for name in contents for p in reversed(Path(name).parents) if p.name}
        return pack_ar(
            {
                "debian-binary": b"2.0\n",
                "control.tar.gz": pack_tar({"control": lines.encode(), **self.scripts}),
                "data.tar.gz": pack_tar({**folders, **contents}),
            }
        )

    @property
    def filename(self) -> str:
        return deb_filename(self.name, self.version, self.architecture)

    @property
    def known(self) -> DebPackage:
        fields = {k: v for k, v in self.control.items() if k not in {"Package", "Version"}}
        return DebPackage(
            format=DEB_FORMAT,
            type=PackageType.BINARY,
            name=self.name,
            version=self.version,
            architecture=self.architecture,
            fields=tuple(fields.items()),
        )

    def path(self, repository="debian", component="main"):
        return f"{pool_folder(repository, component, source_of(self.known)[0])}/{self.filename}"


@dataclass(frozen=True)
class SourceFiles:
    """A source package of format 1.0 without upstream: a .dsc and one archive."""

    name: str
    version: str
    binary: str = ""

    @property
    def archive(self) -> bytes:
        return pack_tar(
            {
                f"{self.name}": None,
                f"{self.name}/debian": None,
                f"{self.name}/debian/control": f"Source: {self.name}\n\nPackage: {self.name}\n".encode(),
                f"{self.name}/debian/changelog": f"{self.name} ({self.version}) stable\n".encode(),
            }
        )

    @property
    def filename(self) -> str:
        return f"{self.name}_{self.version}.tar.gz"

    @property
    def fields(self) -> dict[str, str]:
        return {
            "Format": "1.0",
            "Binary": self.binary or self.name,
            "Architecture": "all",
            "Maintainer": "Ann <ann@example.org>",
        }

    @property
    def dsc(self) -> bytes:
        named = f"{len(self.archive)} {self.filename}"
        lines = [
            f"{k}: {v}" for k, v in {"Source": self.name, "Version": self.version, **self.fields}.items()
        ]
        lines += ["Checksums-Sha256:", f" {hashlib.sha256(self.archive).hexdigest()} {named}"]
        lines += ["Files:", f" {hashlib.md5(self.archive, usedforsecurity=False).hexdigest()} {named}"]
        return "\n".join(lines).encode() + b"\n"

    @property
    def files(self) -> dict[str, bytes]:
        return {f"{self.name}_{self.version}.dsc": self.dsc, self.filename: self.archive}

    @property
    def known(self) -> DebPackage:
        return DebPackage(
            format=DEB_FORMAT,
            type=PackageType.SOURCE,
            name=self.name,
            version=self.version,
            architecture="source",
            fields=tuple(self.fields.items()),
        )


def suite(suite="bookworm", repository="debian", **facts):
    """Return a suite as the mirror is told of it."""
    given = {
        "components": ("main",),
        "architectures": ("amd64",),
        "origin": "Debian",
        "label": "Debian",
        "name": "oldstable",
        "codename": suite,
        "version": "12.12",
        "description": "Debian 12.12 Released",
        **facts,
    }
    return AptSuite(format=SUITE_FORMAT, repository=repository, suite=suite, **given)


@dataclass
class Upstream:
    """A repository of a distribution, in a folder, signed by a key of its own."""

    root: Path
    suite: str = "bookworm"
    debs: list[DebFile] = field(default_factory=list)
    sources: list[SourceFiles] = field(default_factory=list)
    component: str = "main"
    architectures: tuple[str, ...] = ("amd64",)
    extra: dict[str, str] = field(default_factory=dict)
    date: str = "Fri, 01 May 2026 12:00:00 UTC"

    signer: Signer = field(default_factory=lambda: new_signer(Purpose.REPOSITORY, "upstream"))

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.key = OpenPgpKey(self.signer.public, "Upstream")
        self.keyring.write_bytes(self.key.certificate(self.key.certify(self.signer)))

    @property
    def keyring(self) -> Path:
        return self.root.parent / "upstream.gpg"

    def publish(self) -> None:
        """Write pool and indexes, and sign the Release file."""
        folder = self.root / "dists" / self.suite
        listed = {}
        for architecture in self.architectures:
            text = "\n".join(self._stanza(d) for d in self.debs if d.architecture in {architecture, "all"})
            listed[f"{self.component}/binary-{architecture}/Packages"] = text.encode()
        listed[f"{self.component}/source/Sources"] = "\n".join(map(self._source, self.sources)).encode()
        sums = []
        for path, plain in listed.items():
            for ending, data in (("", plain), (".gz", gzip.compress(plain, mtime=0))):
                file = folder / f"{path}{ending}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
                sums.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}{ending}")
        facts = {
            "Origin": "Debian",
            "Label": "Debian",
            "Suite": "oldstable",
            "Codename": self.suite,
            "Date": self.date,
            "Architectures": " ".join(self.architectures),
            "Components": self.component,
            "Description": "Debian as a test makes it",
            **self.extra,
        }
        head = [f"{key}: {value}" for key, value in facts.items()]
        text = ("\n".join([*head, "SHA256:", *sums]) + "\n").encode()
        raw = self.key.sign(self.signer, Kind.TEXT, text, SIGNED)
        signature = self.key.signature(Kind.TEXT, text, SIGNED, raw)
        (folder / "InRelease").write_bytes(clearsigned(self.key, text, signature))

    def _stanza(self, deb: DebFile) -> str:
        path = self._keep(f"pool/{deb.name[0]}/{deb.name}/{deb.filename}", deb.data)
        lines = [f"{key}: {value}" for key, value in deb.control.items()]
        digest = hashlib.sha256(deb.data).hexdigest()
        return "\n".join([*lines, f"Filename: {path}", f"Size: {len(deb.data)}", f"SHA256: {digest}"]) + "\n"

    def _source(self, source: SourceFiles) -> str:
        folder = f"pool/{source.name[0]}/{source.name}"
        lines = [f"{k}: {v}" for k, v in {"Package": source.name, "Version": source.version}.items()]
        lines += [f"{key}: {value}" for key, value in source.fields.items()]
        lines += [f"Directory: {folder}", "Checksums-Sha256:"]
        for name, data in source.files.items():
            self._keep(f"{folder}/{name}", data)
            lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
        return "\n".join(lines) + "\n"

    def _keep(self, path: str, data: bytes) -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return path
