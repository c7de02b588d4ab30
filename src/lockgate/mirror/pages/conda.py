"""The conda mirror's pages: ``repodata.json`` of every platform of every channel, plain and compressed.

Sources: CEP 15 and 16, conda's schema of ``repodata.json``. A channel's index bears no signature that
clients verify; each package is named by its SHA-256. ``current_repodata.json`` is the whole index: what was
admitted is what is current.
"""

from collections.abc import Iterator, Sequence

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.conda import CONDA_LIMIT, NOARCH, CondaPackage, conda_path, is_channel
from lockgate.core.snapshot import Admitted
from lockgate.core.wire import encode
from lockgate.mirror.errors import LayoutError
from lockgate.mirror.pages.base import (
    BINARY_TYPE,
    JSON_TYPE,
    Page,
    ReadBlob,
    decoded,
    newest_by_path,
    of_kind,
    only_file,
)
from lockgate.mirror.pages.packing import zst

FOLDER = "conda/"
INDEXES = ("repodata.json", "current_repodata.json")
COMPRESSED = ".zst"

_Channels = dict[tuple[str, str], dict[str, tuple[CondaPackage, ArtifactFile]]]


def pool(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return packages by path below ``/conda/``; the newest crossing's of one path.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.
        LayoutError: A package lies outside of the channels.

    """
    found = {}
    for path, file in newest_by_path(of_kind(admitted, Kind.CONDA)).items():
        if file.role is Role.DISTRIBUTION:
            if not path.startswith(FOLDER):
                what = f"{path!r} lies outside of the channels."
                raise LayoutError(what)
            found[path.removeprefix(FOLDER)] = file
    return found


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield the indexes of every channel; each has one for ``noarch``, which clients demand.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads what is known of packages.

    Raises:
        LayoutError: An artifact does not say what it is, or says it of another one.

    """
    channels: _Channels = {}
    served = {f"{FOLDER}{path}": file.sha256 for path, file in pool(admitted).items()}
    for entry in of_kind(admitted, Kind.CONDA):
        _list(entry.artifact, channels, served, read)
    for (channel, subdir), packages in sorted(channels.items()):
        body = encode(_index(subdir, packages))
        packed = zst(body)
        for name in INDEXES:
            path = f"{FOLDER}{channel}/{subdir}/{name}"
            yield Page(path, JSON_TYPE, body)
            yield Page(f"{path}{COMPRESSED}", BINARY_TYPE, packed)


def _list(artifact: Artifact, channels: _Channels, served: dict[str, str], read: ReadBlob) -> None:
    """Add a package to its channel, unless a newer crossing's stands at its path."""
    file = only_file(artifact, Role.DISTRIBUTION)
    known = only_file(artifact, Role.CORE_METADATA)
    package = decoded(CondaPackage, artifact, known, read, CONDA_LIMIT)
    channel = artifact.attributes.get("channel", "")
    if not is_channel(channel) or file.path != conda_path(channel, package):
        what = f"What is known of {artifact.purl} is about {package.filename} for {package.subdir}."
        raise LayoutError(what)
    channels.setdefault((channel, NOARCH), {})
    if served[file.path] == file.sha256:
        channels.setdefault((channel, package.subdir), {})[package.filename] = (package, file)


def _index(subdir: str, packages: dict[str, tuple[CondaPackage, ArtifactFile]]) -> dict[str, object]:
    tables: dict[str, dict[str, object]] = {".conda": {}, ".tar.bz2": {}}
    for name, (package, file) in packages.items():
        tables[package.extension][name] = _record(package, file)
    return {
        "info": {"subdir": subdir},
        "packages": tables[".tar.bz2"],
        "packages.conda": tables[".conda"],
        "removed": [],
        "repodata_version": 1,
    }


def _record(package: CondaPackage, file: ArtifactFile) -> dict[str, object]:
    given: dict[str, object] = {
        "constrains": list(package.constrains),
        "features": package.features,
        "license": package.licence,
        "license_family": package.licence_family,
        "noarch": package.noarch,
        "python_site_packages_path": package.site_packages,
        "timestamp": package.timestamp,
        "track_features": package.track_features,
    }
    return {
        **{key: value for key, value in given.items() if value},
        "build": package.build,
        "build_number": package.build_number,
        "depends": list(package.depends),
        "name": package.name,
        "sha256": file.sha256,
        "size": file.size,
        "subdir": package.subdir,
        "version": package.version,
    }
