"""The use case: what the manifest's tables need of channels, fetched, checked, kept, and described."""

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.collect.conda.ports import CondaSolver, Wish
from lockgate.collect.conda.repodata import Listed, index_of, listed
from lockgate.collect.conda.section import CondaSection
from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
)
from lockgate.collect.fetching import fetch_checked, joined
from lockgate.collect.keeping import Foreseen, held_before, joined_with, licence_of, package_files
from lockgate.collect.room import Room
from lockgate.collect.together import groups
from lockgate.core.artifact import Artifact, Kind, Lock
from lockgate.core.conda import NOARCH, conda_path, conda_purl

FETCHERS = 4
"""How many packages are fetched at once."""

BATCH = 32
"""How many packages are fetched before they are kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package: how its index lists it, the channel's name and address, and under which label."""

    channel: str
    url: str
    listed: Listed
    label: str

    @property
    def purl(self) -> str:
        """Return its package URL."""
        return conda_purl(self.channel, self.listed.package)

    @property
    def name(self) -> str:
        """Return what the lock calls it."""
        return f"{self.channel}/{self.listed.package.name}"

    def attributes(self) -> dict[str, str]:
        """Return what an artifact says of it."""
        return {"architecture": self.listed.package.subdir, "channel": self.channel, "signed": "no"}


def conda_packages(
    room: Room,
    solver: CondaSolver,
    sections: Iterable[CondaSection],
    previous: Lock | None,
    *,
    offline: bool,
) -> list[Artifact]:
    """Return an artifact for each package that the tables need.

    Raises:
        UnresolvableError, SourceMissingError, DuplicateNameError: The tables.
        BadReleaseError, DigestMismatchError: What a channel gave.
        CollectLimitError, DiskFullError, InstallerError, UnreachableError: A bound or the machine.

    """
    wanted: dict[str, Wanted] = {}
    kept: list[Artifact] = []
    for section in sections:
        if offline and not section.url.startswith("file:"):
            kept += held_before(room, Kind.CONDA, section.name, previous)
            continue
        with TemporaryDirectory(dir=room.work, prefix="conda-") as folder:
            fresh = _gather(wanted, resolve(room, solver, section, Path(folder)))
            _fetch(room, fresh, Path(folder))
    made = [_artifact(room, one) for one in wanted.values()]
    return joined_with(made, kept)


def foreseen(room: Room, solver: CondaSolver, sections: Iterable[CondaSection]) -> list[Foreseen]:
    """Return name, version, size and attributes of what the tables need, before packages are fetched.

    Raises:
        LockgateError: As `conda_packages`, but for what only fetched bytes can show.

    """
    wanted: dict[str, Wanted] = {}
    for section in sections:
        with TemporaryDirectory(dir=room.work, prefix="conda-") as folder:
            _gather(wanted, resolve(room, solver, section, Path(folder)))
    return [
        (one.name, one.listed.package.release, one.listed.size, one.attributes()) for one in wanted.values()
    ]


def resolve(room: Room, solver: CondaSolver, section: CondaSection, work: Path) -> list[Wanted]:
    """Return what a table needs.

    Raises:
        UnresolvableError: There is no such package, or they do not fit together.
        LockgateError: As `conda_packages`.

    """
    url = section.url.rstrip("/")
    room.progress.start(f"read {section.name}", 0)
    subdirs = dict.fromkeys((*(section.subdirs or (solver.subdir(),)), NOARCH))
    indexes = {subdir: index_of(room, url, subdir, work) for subdir in subdirs}
    room.progress.finish()
    chosen: dict[str, set[str]] = {subdir: set() for subdir in indexes}
    for subdir in () if section.whole else [name for name in indexes if name != NOARCH]:
        room.progress.start(f"resolve {section.name} for {subdir}", 0)
        mine = {name: indexes[name] for name in (subdir, NOARCH)}

        def solve(specs: tuple[str, ...], subdir: str = subdir, mine: dict[str, Path] = mine) -> list[str]:
            found = solver.solve(url, mine, Wish(specs, subdir, section.virtual))
            return [f"{platform}/{name}" for platform, name in found]

        for group in groups(room, solve, f"{section.name} for {subdir}", section.specs):
            for platform, _, name in (each.partition("/") for each in group):
                chosen[platform].add(name)
        room.progress.finish()
    found = [
        Wanted(section.name, url, one, section.label)
        for subdir, index in indexes.items()
        for one in listed(index, subdir, None if section.whole else chosen[subdir])
    ]
    if len(found) > room.limits.condas:
        what = f"{section.name} needs {len(found)} packages (bound: {room.limits.condas})."
        raise CollectLimitError(what, limit="condas")
    return found


def _gather(wanted: dict[str, Wanted], mine: Iterable[Wanted]) -> list[Wanted]:
    """Add what a table needs; return it."""
    fresh = []
    for one in mine:
        before = wanted.setdefault(one.purl, one)
        if (before.label, before.listed.sha256) != (one.label, one.listed.sha256):
            what = f"Two tables want {one.purl} under two labels or digests."
            raise DuplicateNameError(what, labels=f"{before.label}, {one.label}")
        fresh.append(one)
    return fresh


def _fetch(room: Room, wanted: list[Wanted], work: Path) -> None:
    """Bring what is not held into the store, some packages at a time."""
    missing = [one for one in wanted if not room.blobs.has(one.listed.sha256)]
    total = sum(one.listed.size for one in missing)
    if total > (free := room.free()):
        what = f"Packages of {total} bytes are to be fetched and only {free} are free."
        raise DiskFullError(what, folder=room.work)
    room.progress.start(f"download {len(missing)} conda packages", total)
    with ThreadPoolExecutor(FETCHERS) as pool:
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            folder = work / f"packages-{start}"
            folder.mkdir()
            for one, place in zip(batch, pool.map(partial(_place, room, folder), batch), strict=True):
                with place.open("rb") as stream:
                    room.blobs.put_stream(stream, expected=one.listed.sha256, limit=room.limits.file_bytes)
                room.progress.advance(one.listed.size)
            shutil.rmtree(folder)
    room.progress.finish()


def _place(room: Room, folder: Path, one: Wanted) -> Path:
    place = folder / f"{one.listed.sha256}{one.listed.package.extension}"
    limit = min(one.listed.size, room.limits.file_bytes)
    url = joined(one.url, f"{one.listed.package.subdir}/{one.listed.package.filename}")
    fetch_checked(room, url, place, "sha256", one.listed.sha256, limit=limit)
    if (size := place.stat().st_size) != one.listed.size:
        what = f"{one.listed.package.filename} has {size} bytes, and its index says {one.listed.size}."
        raise DigestMismatchError(what, expected=one.listed.sha256)
    return place


def _artifact(room: Room, one: Wanted) -> Artifact:
    package = one.listed.package
    path = conda_path(one.channel, package)
    return Artifact(
        purl=one.purl,
        kind=Kind.CONDA,
        name=one.name,
        version=package.release,
        files=package_files(room, path, one.listed.sha256, one.purl, package),
        licence=licence_of(package.licence),
        label=one.label,
        attributes=one.attributes(),
    )
