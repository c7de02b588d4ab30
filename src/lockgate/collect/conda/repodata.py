"""A channel's index: ``repodata.json`` for each platform, and what it says of packages."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import zstandard

from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    SourceMissingError,
    UnreachableError,
)
from lockgate.collect.fetching import fetch
from lockgate.collect.room import Room
from lockgate.core.artifact import Digest
from lockgate.core.conda import CONDA_FORMAT, ENDINGS, NOARCH, CondaPackage
from lockgate.core.errors import LockgateError
from lockgate.core.wire import checked

_CHUNK = 1 << 18
_KEPT = ("name", "version", "build", "build_number", "depends", "constrains", "features", "timestamp")


class _Record(msgspec.Struct, frozen=True):
    """What an index says of one package beside what is kept of it."""

    name: str
    version: str
    build: str
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    sha256: Digest | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One package as an index lists it: its file's length and digest."""

    package: CondaPackage
    size: int
    sha256: str


def index_of(room: Room, url: str, subdir: str, folder: Path) -> Path:
    """Fetch a platform's ``repodata.json``, compressed where the channel has it so, and return its file.

    Raises:
        UnreachableError, SourceMissingError: The channel has none for this platform.
        CollectLimitError, BadReleaseError: It is too long, or damaged.

    """
    place, packed = folder / f"{subdir}.json", folder / f"{subdir}.json.zst"
    limit = room.limits.index_bytes
    try:
        fetch(room, f"{url}/{subdir}/repodata.json.zst", packed, limit)
    except (UnreachableError, SourceMissingError):
        fetch(room, f"{url}/{subdir}/repodata.json", place, limit)
        return place
    try:
        with packed.open("rb") as raw, place.open("wb") as out:
            reader = zstandard.ZstdDecompressor().stream_reader(raw)
            size = 0
            while piece := reader.read(_CHUNK):
                size += len(piece)
                if size > limit:
                    what = f"The index of {subdir} is longer than {limit} bytes."
                    raise CollectLimitError(what, limit="index_bytes")
                out.write(piece)
    except zstandard.ZstdError as error:
        what = f"The index of {subdir} is damaged: {error}."
        raise BadReleaseError(what) from error
    return place


def listed(index: Path, subdir: str, chosen: Collection[str] | None = None) -> Iterator[Listed]:
    """Yield the packages of an index; with `chosen` only those of these file names.

    Of a package in both forms, an index that is taken whole brings the newer one (``.conda``).

    Raises:
        BadReleaseError: It is none, or a package is not described as packages are, or without its SHA-256.

    """
    try:
        data: dict[str, Any] = msgspec.json.decode(index.read_bytes())
        tables: list[Mapping[str, Any]] = [data.get(name) or {} for name in ("packages.conda", "packages")]
        entries = [(name, record) for table in tables for name, record in table.items()]
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, RecursionError) as error:
        what = f"The index of {subdir} is no repodata.json: {error}."
        raise BadReleaseError(what) from error
    seen: set[str] = set()
    for name, record in entries:
        stem = next((name.removesuffix(e) for e in ENDINGS if name.endswith(e)), "")
        if (chosen is None and stem in seen) or (chosen is not None and name not in chosen):
            continue
        seen.add(stem)
        yield _listed(name, record, subdir)


def _listed(name: str, record: Any, subdir: str) -> Listed:
    try:
        told = msgspec.convert(record, _Record)
        package = checked(CondaPackage, _facts(name, record, subdir))
    except (msgspec.ValidationError, LockgateError) as error:
        what = f"The index of {subdir} has a package {name[:80]!r} that cannot cross: {error}"
        raise BadReleaseError(what) from error
    if told.sha256 is None or package.filename != name:
        what = f"The index of {subdir} names {name[:80]!r} without its SHA-256, or by another name."
        raise BadReleaseError(what)
    return Listed(package, told.size, told.sha256)


def _facts(name: str, record: Mapping[str, Any], subdir: str) -> dict[str, object]:
    """Return what is kept of a record: what solvers and installers read."""
    facts = {key: record[key] for key in _KEPT if record.get(key) is not None}
    noarch, tracked = record.get("noarch"), record.get("track_features") or ""
    if isinstance(noarch, bool):  # as old builders wrote it
        noarch = "generic" if noarch else ""
    return {
        **facts,
        "format": CONDA_FORMAT,
        "subdir": subdir if subdir == NOARCH else record.get("subdir") or subdir,
        "extension": next((e for e in ENDINGS if name.endswith(e)), ""),
        "licence": record.get("license") or "",
        "licence_family": record.get("license_family") or "",
        "noarch": noarch or "",
        "track_features": " ".join(tracked) if isinstance(tracked, list) else tracked,
        "site_packages": record.get("python_site_packages_path") or "",
    }
