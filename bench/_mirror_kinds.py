"""Artifacts of each kind for the measurement of a large snapshot, with no more bytes than pages need."""

import hashlib
import json
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.deb import DEB_FORMAT, SUITE_FORMAT, AptSuite, DebPackage, PackageType, pool_folder
from lockgate.core.npm import NPM_FORMAT, NpmVersion, npm_purl, tarball_name
from lockgate.core.oci import IMAGE
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.core.wire import encode

VERSIONS = 20
"""Versions of each package, revisions of each model and images of each repository."""

FILES = 500
"""Plain files of each folder."""

Bytes = list[tuple[str, bytes]]
Made = tuple[Admitted, Bytes]


def _file(path: str, role: Role, text: str) -> ArtifactFile:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ArtifactFile(path=path, role=role, size=1000, sha256=digest)


def _held(path: str, role: Role, data: bytes) -> tuple[ArtifactFile, Bytes]:
    digest = hashlib.sha256(data).hexdigest()
    return ArtifactFile(path=path, role=role, size=len(data), sha256=digest), [(digest, data)]


def _admitted(purl: str, kind: Kind, name: str, version: str, *files: ArtifactFile) -> Admitted:
    artifact = Artifact(purl=purl, kind=kind, name=name, version=version, files=files)
    return Admitted(
        artifact=artifact, crossing=1, crate_sha256=NOTHING, verdicts_sha256=NOTHING, outcome="clean"
    )


def wheel(number: int) -> Admitted:
    """Return the admission of one wheel, without its bytes."""
    name, version = f"p{number // VERSIONS}", f"1.{number % VERSIONS}"
    file = _file(f"python/{name}/{name}-{version}-py3-none-any.whl", Role.DISTRIBUTION, str(number))
    return _admitted(f"pkg:pypi/{name}@{version}", Kind.PYTHON, name, version, file)


def _npm(number: int) -> Made:
    name, version = f"p{number // VERSIONS}", f"1.{number % VERSIONS}.0"
    path = f"npm/{name}/{tarball_name(name, version)}"
    facts = NpmVersion(
        format=NPM_FORMAT, name=name, version=version, integrity=f"sha512-{'A' * 86}==", shasum="0" * 40
    )
    known, data = _held(f"{path}.json", Role.CORE_METADATA, encode(facts))
    archive = _file(path, Role.DISTRIBUTION, str(number))
    return _admitted(npm_purl(name, version), Kind.NPM, name, version, archive, known), data


def _model(number: int) -> Made:
    name, commit = f"org/m{number // VERSIONS}", hashlib.sha256(b"%d" % number).hexdigest()[:40]
    file = _file(f"models/{name}/model.gguf", Role.WEIGHTS, str(number))
    return _admitted(f"pkg:huggingface/{name}@{commit}", Kind.MODEL, name, commit, file), []


def _image(number: int) -> Made:
    name = f"registry.test/r{number // VERSIONS}"
    config = _file("config", Role.BLOB, str(number))
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": config.size}
    described["digest"] = f"sha256:{config.sha256}"
    body = {"schemaVersion": 2, "mediaType": IMAGE, "config": described, "layers": []}
    manifest, data = _held("manifest", Role.MANIFEST, json.dumps(body).encode())
    folder = f"oci/{name}/{manifest.sha256}"
    files = [
        ArtifactFile(path=f"{folder}/{f.sha256}", role=f.role, size=f.size, sha256=f.sha256)
        for f in (manifest, config)
    ]
    purl = f"pkg:oci/r{number // VERSIONS}@sha256%3A{manifest.sha256}?repository_url={name}"
    return _admitted(purl, Kind.OCI, name, f"sha256:{manifest.sha256}", *files), data


def _plain(number: int) -> Made:
    path = f"d{number // FILES}/f{number}.bin"
    file = _file(path, Role.OTHER, str(number))
    return _admitted(f"pkg:generic/{path}@1", Kind.FILE, path, "1", file), []


def _word(number: int, each: int) -> str:
    """Return a word; texts of such compress about as those of real packages do."""
    return format((number // 3 + each * each) * 2654435761 % (1 << 32) >> 7, "x")


def _deb(number: int) -> Made:
    """Return a Debian package; the first is the suite that lists them."""
    if number == 0:
        said = AptSuite(
            format=SUITE_FORMAT,
            repository="debian",
            suite="s",
            components=("main",),
            architectures=("amd64",),
        )
        about, data = _held("apt/debian/dists/s/suite.json", Role.MANIFEST, encode(said))
        return _admitted("pkg:generic/apt/debian/s", Kind.APT, "debian/dists/s", "1", about), data
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
    known, data = _held(f"{path}.json", Role.CORE_METADATA, encode(package))
    entry = _admitted(
        f"pkg:deb/debian/{name}@{version}?arch=amd64",
        Kind.APT,
        f"debian/{name}",
        version,
        _file(path, Role.DISTRIBUTION, str(number)),
        known,
    )
    attributes = {"architecture": "amd64", "places": "debian:s:main"}
    return replace(entry, artifact=replace(entry.artifact, attributes=attributes)), data


def _mixed(number: int) -> Made:
    """Return six Python packages in ten, and one each of four other kinds."""
    ten, one = divmod(number, 10)
    return (_npm, _model, _image, _plain)[one](ten) if one < len(OTHERS) else (wheel(ten * 6 + one - 4), [])


OTHERS = ("npm", "huggingface", "oci", "files")
"""What a mixed snapshot has beside Python packages."""

KINDS: dict[str, Callable[[int], Made]] = {
    "python": lambda number: (wheel(number), []),
    "npm": _npm,
    "huggingface": _model,
    "oci": _image,
    "files": _plain,
    "apt": _deb,
    "mixed": _mixed,
}


def made(kind: str, numbers: Iterator[int] | range, keep: Callable[[Bytes], None]) -> list[Admitted]:
    """Return the admissions of artifacts of a kind, and have the bytes kept that their pages need."""
    entries: list[Admitted] = []
    needed: Bytes = []
    for number in numbers:
        entry, data = KINDS[kind](number)
        entries.append(entry)
        needed += data
    keep(needed)
    return entries
