"""Picks from a lock for many environments (PEP 751) the files that the wished ones need.

The best wheel of each environment is taken; a source archive only where none fits and the project may come as
one.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockValidationError
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from lockgate.collect.errors import (
    IndexPinError,
    InstallerError,
    NoFileError,
    NotAWheelError,
    UnresolvableError,
)
from lockgate.collect.ports import Resolution, Wheel
from lockgate.collect.universal.places import Place
from lockgate.collect.universal.ports import Index, Scope
from lockgate.collect.web import shown

SDIST_SUFFIX = ".tar.gz"
"""The one form of source archives that is taken (PEP 625)."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Offer:
    """A wheel of a package with what its name says."""

    file: PackageWheel
    filename: str
    tags: frozenset[Tag]
    build: tuple[int, str] | tuple[()]


def read_lock(data: str, scope: Scope) -> Resolution:
    """Return the files of a lock that the places of a scope need, and the index page of each project.

    That files are called after their package is checked by the reader of the format.

    Raises:
        InstallerError: It is no such lock.
        NoFileError: Nothing of a project fits a place.
        IndexPinError: A project is not from the index that it is pinned to.
        NotAWheelError: A project is neither a wheel nor a source archive.
        UnresolvableError: A file without SHA-256.

    """
    try:
        lock = Pylock.from_dict(tomllib.loads(data))
    except (
        ValueError,
        PylockValidationError,
        RecursionError,
    ) as error:  # also a number of thousands of digits
        what = f"uv's lock cannot be read: {error}."
        raise InstallerError(what) from error
    pinned, allowed = scope.pinned(), {source.project for source in scope.sources}
    files: dict[str, Wheel] = {}
    pages: dict[str, tuple[str, ...]] = {}
    for package in lock.packages:
        places = [p for p in scope.places if package.marker is None or p.meets(package.marker)]
        if not places:
            continue
        demand_pin(package, pinned)
        for file in _chosen(package, places, allowed):
            files[file.sha256 + file.filename] = file
        if package.index and urlsplit(package.index).scheme in {"http", "https"}:
            pages.setdefault(package.name, ())
            pages[package.name] += (f"{package.index.rstrip('/')}/{package.name}/",)
    return Resolution(tuple(sorted(files.values(), key=lambda f: f.filename)), pages)


def demand_pin(package: Package, pinned: Mapping[str, Index]) -> None:
    """Demand that a pinned project comes from its index, whatever the client made of its settings.

    Raises:
        IndexPinError: It comes from elsewhere.

    """
    index = pinned.get(canonicalize_name(package.name))
    if index is not None and (package.index or "").rstrip("/") != index.url.rstrip("/"):
        what = f"{package.name} is pinned to the index {index.name!r} and was found elsewhere."
        raise IndexPinError(what, found=shown(package.index or "") or None, index=shown(index.url))


def _chosen(package: Package, places: Sequence[Place], allowed: Collection[str]) -> Iterator[Wheel]:
    if package.version is None or not (package.wheels or package.sdist):
        what = f"{package.name} is neither a wheel nor a source archive of an index."
        raise NotAWheelError(what, advice="Depend on a version that an index or a folder offers.")
    offers = [_offer(wheel) for wheel in package.wheels or ()]
    for place in places:
        if (best := _best(offers, place)) is not None:
            yield _file(package, best.filename, best.file)
        elif package.sdist is not None and package.name in allowed:
            yield _file(package, _source_name(package.sdist), package.sdist)
        else:
            what = f"{package.name} {package.version} has no wheel for {place.name}."
            raise NoFileError(what, project=package.name, source_archive="yes" if package.sdist else "no")


def _offer(wheel: PackageWheel) -> _Offer:
    _, _, build, tags = parse_wheel_filename(wheel.filename)
    return _Offer(wheel, wheel.filename, tags, build)


def _best(offers: Sequence[_Offer], place: Place) -> _Offer | None:
    """Return the wheel that an installer would choose: the best tag, then the highest build number."""
    rank = {tag: number for number, tag in enumerate(place.tags())}
    fitting = [
        (min(rank[t] for t in o.tags if t in rank), o) for o in offers if not rank.keys().isdisjoint(o.tags)
    ]
    if not fitting:
        return None
    first = min(number for number, _ in fitting)
    return max((o for number, o in fitting if number == first), key=lambda o: (o.build, o.filename))


def _source_name(source: PackageSdist) -> str:
    if not source.filename.endswith(SDIST_SUFFIX):
        what = f"{source.filename[:200]!r} is a source archive of another form."
        raise NotAWheelError(what, advice=f"Source archives are taken as {SDIST_SUFFIX} (PEP 625).")
    return source.filename


def _file(package: Package, filename: str, file: PackageWheel | PackageSdist) -> Wheel:
    url, digest = file.url or "", file.hashes.get("sha256", "")
    if not _SHA256.fullmatch(digest) or not url:
        what = f"The source of {filename[:200]} gives no SHA-256."
        raise UnresolvableError(what, advice="Use an index that lists SHA-256 hashes.", url=shown(url))
    return Wheel(
        project=canonicalize_name(package.name),
        version=str(package.version),
        filename=filename,
        url=url,
        sha256=digest,
        size=file.size or 0,
    )
