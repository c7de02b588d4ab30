"""The use case: what the manifest's tables need, fetched, its signatures verified, kept, and described."""

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from packageurl import PackageURL

from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
)
from lockgate.collect.fetching import fetch_checked, joined
from lockgate.collect.keeping import Foreseen, held_before, joined_with, licence_of, package_files
from lockgate.collect.room import Room
from lockgate.collect.rpm.metadata import Repository
from lockgate.collect.rpm.packages import Listed
from lockgate.collect.rpm.ports import RpmClient
from lockgate.collect.rpm.resolve import Taken, artifact_name, resolve
from lockgate.collect.rpm.section import RpmSection
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.places import Place
from lockgate.core.rpm import Relation, RpmPackage, RpmRepository, rpm_path, rpm_purl
from lockgate.core.wire import encode

BATCH = 100
"""How many packages are fetched before they are kept: what is lost of a run that ends is at most these."""

FETCHERS = 4
"""How many packages are fetched at once."""

KEYS = "keys.asc"
"""What a repository's keys are called, beside it."""

_SUMMARY = 300


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package: how its index lists it, where, and under which label.

    `sha256` is empty where the index names it by another digest, until it is fetched.
    """

    distribution: str
    listed: Listed
    repository: Repository
    places: tuple[Place, ...]
    label: str
    sha256: str = ""

    @property
    def purl(self) -> str:
        """Return its package URL."""
        return rpm_purl(self.distribution, self.listed.package)

    @property
    def name(self) -> str:
        """Return what the lock calls it."""
        return f"{self.distribution}/{self.listed.package.name}"

    def attributes(self) -> dict[str, str]:
        """Return what an artifact says of it, for people and for the comparison with the next lock."""
        package = self.listed.package
        found = {
            "architecture": package.architecture,
            "maintainers": " ".join((package.packager or package.vendor).split())[:_SUMMARY],
            "places": " ".join(map(str, self.places)),
            "scripts": "scriptlets" if _runs_scripts(package) else "none",
            "signed": "yes",
            "summary": " ".join(package.summary.split())[:_SUMMARY],
        }
        return {key: value for key, value in found.items() if value}


def _runs_scripts(package: RpmPackage) -> bool:
    """Tell whether a package needs something before its own scripts, as one with scripts does (``/bin/sh``).

    An index names no scripts. Those in RPM's own Lua need nothing and are not seen here; the gate sees them.
    """
    return any(one.pre for one in package.relations.get(Relation.REQUIRES, ()))


@dataclass(frozen=True, slots=True)
class Described:
    """One repository: what crosses of it, how it was fetched, its keys, and under which label."""

    about: RpmRepository
    fetched: Repository
    keys: bytes
    label: str


@dataclass(slots=True)
class _Gathered:
    """What all tables need together: packages by package URL, repositories by their artifact's name."""

    wanted: dict[str, Wanted] = field(default_factory=dict)
    repositories: dict[str, Described] = field(default_factory=dict)


def rpm_packages(
    room: Room,
    client: RpmClient,
    sections: Iterable[RpmSection],
    previous: Lock | None,
    *,
    offline: bool,
) -> list[Artifact]:
    """Return an artifact for each package that the tables need, and one for each repository.

    Raises:
        UnresolvableError, SourceMissingError, DuplicateNameError: The tables.
        BadReleaseError, BadPackageError, DigestMismatchError: What a repository gave.
        CollectLimitError, DiskFullError, InstallerError, UnreachableError: A bound or the machine.

    """
    gathered, kept = _Gathered(), []
    for section in sections:
        if offline and not _local(section):
            kept += held_before(room, Kind.RPM, section.name, previous)
            continue
        with TemporaryDirectory(dir=room.work, prefix="rpm-") as folder:
            fresh = _gather(room, gathered, section, resolve(room, client, section, Path(folder), previous))
            for one in _fetch(room, client, fresh, Path(folder)):
                gathered.wanted[one.purl] = replace(gathered.wanted[one.purl], sha256=one.sha256)
    made = [_artifact(room, wanted) for wanted in gathered.wanted.values()]
    made += [_repository(room, name, each) for name, each in gathered.repositories.items()]
    return joined_with(made, kept)


def foreseen(
    room: Room, client: RpmClient, sections: Iterable[RpmSection], previous: Lock | None
) -> list[Foreseen]:
    """Return name, version, size and attributes of what the tables need, before packages are fetched.

    Raises:
        LockgateError: As `rpm_packages`, but for what only fetched bytes can show.

    """
    gathered = _Gathered()
    for section in sections:
        with TemporaryDirectory(dir=room.work, prefix="rpm-") as folder:
            _gather(room, gathered, section, resolve(room, client, section, Path(folder), previous))
    found: list[Foreseen] = [
        (one.name, one.listed.package.evr, one.listed.size, one.attributes())
        for one in gathered.wanted.values()
    ]
    return found + [(name, str(one.fetched.released), 0, {}) for name, one in gathered.repositories.items()]


def _gather(room: Room, gathered: _Gathered, section: RpmSection, found: Iterable[Taken]) -> list[Wanted]:
    """Add what a table needs; return its packages."""
    mine: dict[str, Wanted] = {}
    for taken in found:
        about = taken.about(section.name)
        place = Place(section.name, about.channel, about.architecture)
        for one in taken.packages.values():
            wanted = Wanted(section.name, one, taken.repository, (place,), section.label)
            before = gathered.wanted.get(wanted.purl, wanted)
            if before.label != section.label or before.listed.digest != one.digest:
                what = f"Two tables or repositories have {wanted.purl} under two labels or digests."
                raise DuplicateNameError(what, labels=f"{before.label}, {section.label}")
            places = tuple(sorted({*before.places, place}))
            gathered.wanted[wanted.purl] = replace(before, places=places)
            mine.setdefault(wanted.purl, wanted)
        name = artifact_name(section.name, taken.repository)
        mine_now = Described(about, taken.repository, taken.repository.keyring.read_bytes(), section.label)
        earlier = gathered.repositories.get(name, mine_now)
        if (earlier.label, earlier.keys) != (mine_now.label, mine_now.keys):
            what = f"Two tables want the repository {name} under two labels or keyrings."
            raise DuplicateNameError(what, labels=f"{earlier.label}, {section.label}")
        gathered.repositories[name] = replace(mine_now, about=_merged(earlier.about, about))
    room.note(f"{section.name} needs {len(mine)} RPM packages.")
    return list(mine.values())


def _merged(one: RpmRepository, other: RpmRepository) -> RpmRepository:
    """Return a repository with the errata and modules of both."""
    known = {name: getattr(other, name) for name in other.__struct_fields__}
    errata = {erratum.id: erratum for erratum in (*one.errata, *other.errata)}
    modules = tuple(dict.fromkeys((*one.modules, *other.modules)))
    return RpmRepository(
        **{**known, "errata": tuple(errata[name] for name in sorted(errata)), "modules": modules}
    )


def _fetch(room: Room, client: RpmClient, wanted: list[Wanted], work: Path) -> list[Wanted]:
    """Bring packages into the store, some at a time, each once digest and signature are verified."""
    missing = [one for one in wanted if not _held(room, one)]
    total = sum(one.listed.size for one in missing)
    if total > (free := room.free()):
        what = f"Packages of {total} bytes are to be fetched and only {free} are free."
        raise DiskFullError(what, folder=room.work)
    room.progress.start(f"download {len(missing)} RPM packages", total)
    done = []
    with ThreadPoolExecutor(FETCHERS) as pool:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            folder = work / f"packages-{start}"
            folder.mkdir()
            places = []
            for one, place in zip(batch, pool.map(partial(_place, room, folder), batch), strict=True):
                places.append(place)
                room.progress.advance(0 if _held(room, one) else one.listed.size)
            _check(client, batch, places, work)
            done += [_keep(room, one, place) for one, place in zip(batch, places, strict=True)]
            shutil.rmtree(folder)
    room.progress.finish()
    return done


def _held(room: Room, one: Wanted) -> bool:
    return one.listed.algorithm == "sha256" and room.blobs.has(one.listed.digest)


def _place(room: Room, folder: Path, one: Wanted) -> Path:
    """Return where a package lies under a name of its own: a link to the store, or what was fetched."""
    place = folder / f"{one.listed.digest}.rpm"
    if _held(room, one):
        place.symlink_to(room.blobs.path(one.listed.digest))
        return place
    if one.listed.base:
        what = f"The index says that {one.listed.package.name} lies at another address."
        raise BadReleaseError(what)
    limit = min(one.listed.size, room.limits.file_bytes)
    url = joined(one.repository.url, one.listed.path)
    fetch_checked(room, url, place, one.listed.algorithm, one.listed.digest, limit=limit)
    return place


def _check(client: RpmClient, batch: list[Wanted], places: list[Path], work: Path) -> None:
    """Verify what each package is signed with, by the keys of its own repository."""
    by_keyring: dict[Path, list[Path]] = {}
    for one, place in zip(batch, places, strict=True):
        by_keyring.setdefault(one.repository.keyring, []).append(place)
    for keyring, files in by_keyring.items():
        client.check(files, keyring, work)


def _keep(room: Room, one: Wanted, place: Path) -> Wanted:
    if _held(room, one):
        return replace(one, sha256=one.listed.digest)
    with place.open("rb") as stream:
        digest, size = room.blobs.put_stream(stream, limit=room.limits.file_bytes)
    if size != one.listed.size:
        what = f"{one.listed.package.name} has {size} bytes, and its index says {one.listed.size}."
        raise DigestMismatchError(what, expected=one.listed.digest)
    return replace(one, sha256=digest)


def _artifact(room: Room, one: Wanted) -> Artifact:
    package = one.listed.package
    path = rpm_path(one.distribution, package)
    return Artifact(
        purl=one.purl,
        kind=Kind.RPM,
        name=one.name,
        version=package.evr,
        files=package_files(room, path, one.sha256, one.purl, package),
        licence=licence_of(package.licence),
        label=one.label,
        attributes=one.attributes(),
    )


def _repository(room: Room, name: str, one: Described) -> Artifact:
    """Return a repository: what its index says, that index as its distribution signed it, and the keys."""
    about, repository = one.about, one.fetched
    contents = [
        ("repository.json", Role.MANIFEST, encode(about)),
        (KEYS, Role.OTHER, one.keys),
        ("repomd.xml", Role.PROVENANCE, repository.index),
    ]
    if repository.signature:
        contents.append(("repomd.xml.asc", Role.PROVENANCE, repository.signature))
    for file, _, data in contents:
        if len(data) > room.limits.provenance_bytes and file != "repository.json":
            what = f"{file} of {name} is longer than {room.limits.provenance_bytes} bytes."
            raise CollectLimitError(what, limit="provenance_bytes")
    # Its package URL has no version: the newest crossing's takes the place of the one before.
    purl = PackageURL(
        type="generic", namespace=f"rpm/{about.repository}/{about.channel}", name=about.architecture
    )
    return Artifact(
        purl=purl.to_string(),
        kind=Kind.RPM,
        name=name,
        version=str(repository.released),
        files=tuple(
            ArtifactFile(path=f"{about.folder}/{file}", role=role, size=len(data), sha256=room.keep(data))
            for file, role, data in contents
        ),
        label=one.label,
        attributes={"signed": "yes" if about.signed_by else "no", "released": str(repository.released)},
    )


def _local(section: RpmSection) -> bool:
    return all((u.url or u.mirrorlist).startswith("file:") for u in section.upstream)
