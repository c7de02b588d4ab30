"""RPM packages and a signed upstream repository, made with rpmbuild and createrepo_c."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from lockgate.core.roots import Purpose
from lockgate.trust.keys import Signer, load_signer, new_signer, save_signer
from lockgate.trust.openpgp import Kind, OpenPgpKey, armor

SIGNED = datetime(2026, 5, 1, 12, tzinfo=UTC)
EPOCH = int(SIGNED.timestamp())
_SOURCES = os.pathsep.join(str(Path(__file__).parents[n] / d) for n, d in ((1, ""), (2, "src")))


@dataclass(frozen=True)
class RpmFile:
    """One package; `lines` stand in the head of its spec file, `script` runs after its installation."""

    name: str
    version: str
    release: str = "1"
    epoch: int = 0
    architecture: str = "noarch"
    lines: tuple[str, ...] = ()
    script: str = ""
    content: bytes = b""

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.release}.{self.architecture}.rpm"

    @property
    def evr(self) -> str:
        return f"{self.epoch}:{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.architecture}"

    def build(self, work: Path) -> Path:
        """Build it below a folder, the same bytes every time, and return its file."""
        folder = work / self.filename
        share = f"/usr/share/{self.name}"
        root = folder / "payload"
        root.mkdir(parents=True)
        (root / "says").write_text(f"{self.name} {self.version}\n")
        if self.content:
            (root / "content").write_bytes(self.content)
        spec = folder / "package.spec"
        head = [
            f"Name: {self.name}",
            f"Version: {self.version}",
            f"Release: {self.release}",
            f"Epoch: {self.epoch}" if self.epoch else "",
            f"Summary: the {self.name} & <its> kin",
            "License: MIT",
            "Vendor: Upstream",
            "Packager: Ann <ann@example.org>",
            "BuildArch: noarch" if self.architecture == "noarch" else "",
            *self.lines,
        ]
        body = [
            "%description",
            f"It is {self.name}.",
            "%install",
            f"mkdir -p %{{buildroot}}{share} %{{buildroot}}/etc",
            f"cp {root}/* %{{buildroot}}{share}/",
            f"echo x > %{{buildroot}}/etc/{self.name}.conf",
            *(["%post", self.script] if self.script else []),
            "%files",
            share,
            f"/etc/{self.name}.conf",
            "%changelog",
            f"* Fri May 01 2026 Ann <ann@example.org> - {self.version}-{self.release}",
            "- Begin",
            "",
        ]
        spec.write_text("\n".join([*(line for line in head if line), *body]))
        defines = {
            "_topdir": str(folder / "top"),
            "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "_buildhost": "builder",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
            "debug_package": "%{nil}",
            "__os_install_post": "%{nil}",
        }
        words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
        target = "x86_64" if self.architecture == "noarch" else self.architecture
        command = ["rpmbuild", "-bb", "--quiet", "--target", target, *words, str(spec)]
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "HOME": str(folder)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / "top/RPMS" / self.filename


@dataclass(frozen=True)
class VendorKey:
    """A distribution's key in a file, so that rpmsign's child process has it too."""

    file: Path

    def __post_init__(self) -> None:
        if not self.file.is_file():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            save_signer(new_signer(Purpose.REPOSITORY, "vendor"), self.file, b"test")
        self.keyring.write_text(self.certificate)

    @property
    def signer(self) -> Signer:
        return load_signer(self.file, b"test", Purpose.REPOSITORY, "vendor")

    @property
    def key(self) -> OpenPgpKey:
        return OpenPgpKey(self.signer.public, "Vendor")

    @property
    def certificate(self) -> str:
        return armor(self.key.certificate(self.key.certify(self.signer)), "PUBLIC KEY BLOCK")

    @property
    def keyring(self) -> Path:
        return self.file.with_suffix(".asc")

    def signature(self, data: bytes) -> bytes:
        raw = self.key.sign(self.signer, Kind.BINARY, data, SIGNED)
        return self.key.signature(Kind.BINARY, data, SIGNED, raw)

    def sign_packages(self, *files: Path) -> None:
        """Sign with rpmsign, for which this module stands in gpg's place."""
        program = f"{sys.executable} {sys.executable} -m corpora.rpms {self.file}"
        given = "%{__plaintext_filename} %{__signature_filename}"
        command = ["rpmsign", "--define", f"__gpg_sign_cmd {program} {given}"]
        command += ["--define", "_gpg_name Vendor", "--addsign", *map(str, files)]
        environ = {**os.environ, "PYTHONPATH": _SOURCES, "HOME": str(self.file.parent)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@dataclass
class RpmUpstream:
    """A repository of a distribution, in a folder, whose index and packages one key signs."""

    root: Path
    packages: list[RpmFile] = field(default_factory=list)
    unsigned: list[RpmFile] = field(default_factory=list)
    updateinfo: str = ""
    modules: str = ""
    key: VendorKey | None = None
    compress: str = "gz"

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.key = self.key or VendorKey(self.root.parent / "vendor.key")

    def publish(self, revision: int = EPOCH) -> None:
        """Build and sign what is not there yet, make the index with createrepo_c, and sign it."""
        folder = self.root / "Packages"
        folder.mkdir(exist_ok=True)
        work = self.root.parent / f"build-{self.root.name}"
        fresh = [p for p in (*self.packages, *self.unsigned) if not (folder / p.filename).is_file()]
        for package in fresh:
            package.build(work).rename(folder / package.filename)
        if signing := [folder / p.filename for p in fresh if p in self.packages]:
            self.key.sign_packages(*signing)
        for package in fresh:
            os.utime(folder / package.filename, (EPOCH, EPOCH))
        command = ["createrepo_c", "--quiet", "--no-database", f"--general-compress-type={self.compress}"]
        command += ["--revision", str(revision), "--set-timestamp-to-revision", str(self.root)]
        self._run(command)
        for kind, text in (("updateinfo", self.updateinfo), ("modules", self.modules)):
            if text:
                file = work / (f"{kind}.xml" if kind == "updateinfo" else f"{kind}.yaml")
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
                self._run(["modifyrepo_c", f"--mdtype={kind}", str(file), str(self.root / "repodata")])
        self.sign_index()

    def sign_index(self) -> None:
        index = self.root / "repodata/repomd.xml"
        text = armor(self.key.signature(index.read_bytes()), "SIGNATURE")
        index.with_name("repomd.xml.asc").write_text(text)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def erratum(name: str, *packages: RpmFile, kind: str = "security", severity: str = "Important") -> str:
    """Return one erratum, as ``updateinfo.xml`` has it."""
    listed = "".join(
        f'<package name="{p.name}" epoch="{p.epoch}" version="{p.version}" release="{p.release}"'
        f' arch="{p.architecture}" src="{p.name}.src.rpm"><filename>{p.filename}</filename>'
        f"<reboot_suggested>True</reboot_suggested></package>"
        for p in packages
    )
    return (
        f'<update from="up@example.org" status="final" type="{kind}" version="1"><id>{name}</id>'
        f'<title>{escape(name)} &amp; more</title><issued date="2026-05-01 12:00:00"/>'
        f"<severity>{severity}</severity><description>It mends.</description><references>"
        f'<reference href={quoteattr("urn:" + name)} id="CVE-2026-0001" type="cve" title="t"/></references>'
        f'<pkglist><collection short="c"><name>c</name>{listed}</collection></pkglist></update>'
    )


def updateinfo(*errata: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><updates>{"".join(errata)}</updates>'


def module(name: str, stream: str, *packages: RpmFile, platform: str = "el9") -> str:
    """Return a stream of a module, as ``modules.yaml`` has it."""
    rpms = "".join(f"    - {p.nevra}\n" for p in packages)
    return (
        "---\ndocument: modulemd\nversion: 2\ndata:\n"
        f'  name: {name}\n  stream: "{stream}"\n  version: 1\n  context: c0ffee00\n  arch: x86_64\n'
        "  summary: a module\n  description: >-\n    It says so.\n  license:\n    module:\n    - MIT\n"
        f"  dependencies:\n  - requires:\n      platform: [{platform}]\n"
        f"  artifacts:\n    rpms:\n{rpms}...\n"
    )


def main(key: str, plain: str, signature: str) -> None:
    """Sign a file as gpg would: what rpmsign runs."""
    data = sys.stdin.buffer.read() if plain == "-" else Path(plain).read_bytes()
    Path(signature).write_bytes(VendorKey(Path(key)).signature(data))


if __name__ == "__main__":
    main(*sys.argv[-3:])
