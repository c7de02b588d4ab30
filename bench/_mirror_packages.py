"""Packages of distributions for the measurement of a large snapshot, each described at usual length."""

import hashlib

from msgspec.structs import replace

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.conda import CONDA_FORMAT, CondaPackage, conda_path, conda_purl
from lockgate.core.deb import DEB_FORMAT, SUITE_FORMAT, AptSuite, DebPackage, PackageType, pool_folder
from lockgate.core.rpm import (
    REPOSITORY_FORMAT,
    RPM_FORMAT,
    Capability,
    Change,
    FileEntry,
    Relation,
    RpmPackage,
    RpmRepository,
    rpm_path,
    rpm_purl,
)
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.core.wire import encode

VERSIONS = 20
"""Versions of each package, revisions of each model and images of each repository."""

Bytes = list[tuple[str, bytes]]
Made = tuple[Admitted, Bytes]


def file_of(path: str, role: Role, text: str) -> ArtifactFile:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ArtifactFile(path=path, role=role, size=1000, sha256=digest)


def held(path: str, role: Role, data: bytes) -> tuple[ArtifactFile, Bytes]:
    digest = hashlib.sha256(data).hexdigest()
    return ArtifactFile(path=path, role=role, size=len(data), sha256=digest), [(digest, data)]


def admitted(purl: str, kind: Kind, name: str, version: str, *files: ArtifactFile) -> Admitted:
    artifact = Artifact(purl=purl, kind=kind, name=name, version=version, files=files)
    return Admitted(
        artifact=artifact, crossing=1, crate_sha256=NOTHING, verdicts_sha256=NOTHING, outcome="clean"
    )


def _word(number: int, each: int) -> str:
    """Return a word; texts of such compress about as those of real packages do."""
    return format((number // 3 + each * each) * 2654435761 % (1 << 32) >> 7, "x")


def deb(number: int) -> Made:
    """Return a Debian package; the first is the suite that lists them."""
    if number == 0:
        said = AptSuite(
            format=SUITE_FORMAT,
            repository="debian",
            suite="s",
            components=("main",),
            architectures=("amd64",),
        )
        about, data = held("apt/debian/dists/s/suite.json", Role.MANIFEST, encode(said))
        return admitted("pkg:generic/apt/debian/s", Kind.APT, "debian/dists/s", "1", about), data
    name, version = f"p{number // VERSIONS}", f"1.{number % VERSIONS}"
    fields = (
        ("Architecture", "amd64"),
        ("Maintainer", f"The team of {name} <team{number // 200}@example.org>"),
        ("Installed-Size", str(number * 7919 % 90001)),
        ("Depends", ", ".join(f"lib{_word(number, each)} (>= {each}.{number % 9})" for each in range(7))),
        ("Description", f"package {number}: {' '.join(_word(number, each) for each in range(40))}"),
        ("Homepage", f"https://{name}.example.org/"),
        ("Section", "utils"),
    )
    package = DebPackage(
        format=DEB_FORMAT,
        type=PackageType.BINARY,
        name=name,
        version=version,
        architecture="amd64",
        fields=fields,
    )
    path = f"{pool_folder('debian', 'main', name)}/{name}_{version}_amd64.deb"
    known, data = held(f"{path}.json", Role.CORE_METADATA, encode(package))
    entry = admitted(
        f"pkg:deb/debian/{name}@{version}?arch=amd64",
        Kind.APT,
        f"debian/{name}",
        version,
        file_of(path, Role.DISTRIBUTION, str(number)),
        known,
    )
    attributes = {"architecture": "amd64", "places": "debian:s:main"}
    return replace(entry, artifact=replace(entry.artifact, attributes=attributes)), data


def rpm(number: int) -> Made:
    """Return an RPM package with 20 files and 5 changes; the first is the repository that lists them."""
    if number == 0:
        said = RpmRepository(REPOSITORY_FORMAT, "rocky", "9-baseos", "x86_64")
        about, data = held(f"{said.folder}/repository.json", Role.MANIFEST, encode(said))
        return admitted(
            f"pkg:generic/{said.folder}", Kind.RPM, "rocky/repodata/9-baseos/x86_64", "1", about
        ), data
    name = f"p{number // VERSIONS}"
    needs = tuple(Capability(f"lib{_word(number, each)}.so.{each}()(64bit)") for each in range(12))
    package = RpmPackage(
        format=RPM_FORMAT,
        name=name,
        epoch="0",
        version="1",
        release=f"{number % VERSIONS}.el9",
        architecture="x86_64",
        summary=f"package {number}",
        licence="MIT",
        source=f"{name}-1.src.rpm",
        description=" ".join(_word(number, each) for each in range(30)),
        relations={Relation.REQUIRES: needs, Relation.PROVIDES: (Capability(name, "EQ", "0", "1", "1"),)},
        files=tuple(FileEntry(f"/usr/share/{name}/{_word(number, each)}") for each in range(20)),
        changes=tuple(Change("A <a@example.org>", number, f"- {_word(number, each)}") for each in range(5)),
    )
    path = rpm_path("rocky", package)
    known, data = held(f"{path}.json", Role.CORE_METADATA, encode(package))
    archive = file_of(path, Role.DISTRIBUTION, str(number))
    entry = admitted(rpm_purl("rocky", package), Kind.RPM, f"rocky/{name}", package.evr, archive, known)
    attributes = {"architecture": "x86_64", "places": "rocky:9-baseos:x86_64"}
    return replace(entry, artifact=replace(entry.artifact, attributes=attributes)), data


def conda(number: int) -> Made:
    """Return a conda package."""
    name = f"p{number // VERSIONS}"
    package = CondaPackage(
        format=CONDA_FORMAT,
        name=name,
        version=f"1.{number % VERSIONS}",
        build="0",
        subdir="linux-64",
        extension=".conda",
        depends=tuple(f"lib{_word(number, each)} >={each}" for each in range(6)),
        licence="MIT",
        timestamp=number,
    )
    path = conda_path("science", package)
    known, data = held(f"{path}.json", Role.CORE_METADATA, encode(package))
    archive = file_of(path, Role.DISTRIBUTION, str(number))
    entry = admitted(
        conda_purl("science", package), Kind.CONDA, f"science/{name}", package.release, archive, known
    )
    attributes = {"architecture": "linux-64", "channel": "science"}
    return replace(entry, artifact=replace(entry.artifact, attributes=attributes)), data
