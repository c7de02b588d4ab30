"""Artifacts of each kind for the measurement of a large snapshot, with no more bytes than pages need."""

import hashlib
import json
from collections.abc import Callable, Iterator

from _mirror_packages import VERSIONS, Bytes, Made, admitted, conda, deb, file_of, held, rpm

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.npm import NPM_FORMAT, NpmVersion, npm_purl, tarball_name
from lockgate.core.oci import IMAGE
from lockgate.core.snapshot import Admitted
from lockgate.core.wire import encode

FILES = 500
"""Plain files of each folder."""


def wheel(number: int) -> Admitted:
    """Return the admission of one wheel, without its bytes."""
    name, version = f"p{number // VERSIONS}", f"1.{number % VERSIONS}"
    file = file_of(f"python/{name}/{name}-{version}-py3-none-any.whl", Role.DISTRIBUTION, str(number))
    return admitted(f"pkg:pypi/{name}@{version}", Kind.PYTHON, name, version, file)


def _npm(number: int) -> Made:
    name, version = f"p{number // VERSIONS}", f"1.{number % VERSIONS}.0"
    path = f"npm/{name}/{tarball_name(name, version)}"
    facts = NpmVersion(
        format=NPM_FORMAT, name=name, version=version, integrity=f"sha512-{'A' * 86}==", shasum="0" * 40
    )
    known, data = held(f"{path}.json", Role.CORE_METADATA, encode(facts))
    archive = file_of(path, Role.DISTRIBUTION, str(number))
    return admitted(npm_purl(name, version), Kind.NPM, name, version, archive, known), data


def _model(number: int) -> Made:
    name, commit = f"org/m{number // VERSIONS}", hashlib.sha256(b"%d" % number).hexdigest()[:40]
    file = file_of(f"models/{name}/model.gguf", Role.WEIGHTS, str(number))
    return admitted(f"pkg:huggingface/{name}@{commit}", Kind.MODEL, name, commit, file), []


def _image(number: int) -> Made:
    name = f"registry.test/r{number // VERSIONS}"
    config = file_of("config", Role.BLOB, str(number))
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": config.size}
    described["digest"] = f"sha256:{config.sha256}"
    body = {"schemaVersion": 2, "mediaType": IMAGE, "config": described, "layers": []}
    manifest, data = held("manifest", Role.MANIFEST, json.dumps(body).encode())
    folder = f"oci/{name}/{manifest.sha256}"
    files = [
        ArtifactFile(path=f"{folder}/{f.sha256}", role=f.role, size=f.size, sha256=f.sha256)
        for f in (manifest, config)
    ]
    purl = f"pkg:oci/r{number // VERSIONS}@sha256%3A{manifest.sha256}?repository_url={name}"
    return admitted(purl, Kind.OCI, name, f"sha256:{manifest.sha256}", *files), data


def _plain(number: int) -> Made:
    path = f"d{number // FILES}/f{number}.bin"
    file = file_of(path, Role.OTHER, str(number))
    return admitted(f"pkg:generic/{path}@1", Kind.FILE, path, "1", file), []


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
    "apt": deb,
    "rpm": rpm,
    "conda": conda,
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
