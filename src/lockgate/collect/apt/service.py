"""Debian packages: resolved by apt, fetched and compared, and kept as the signed index describes them."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from packageurl import PackageURL

from lockgate.collect.apt.indexes import Listed, files_of
from lockgate.collect.apt.ports import AptClient, Download, Setup
from lockgate.collect.apt.release import fields_of
from lockgate.collect.apt.resolve import Resolved, places_in, resolve
from lockgate.collect.apt.scripts import maintainer_scripts
from lockgate.collect.apt.section import AptSection
from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
)
from lockgate.collect.keeping import Foreseen, held_before, joined_with
from lockgate.collect.room import Room
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.deb import (
    SUITE_FORMAT,
    AptSuite,
    DebPackage,
    deb_filename,
    deb_purl,
    pool_folder,
    source_of,
)
from lockgate.core.digests import sha256
from lockgate.core.places import Place
from lockgate.core.wire import encode
from lockgate.store.errors import BlobMismatchError

BATCH = 100
"""How many files are fetched before they are kept: what is lost of a run that ends is at most these."""

PARTIAL = "apt-fetch"
"""Folder below the work folder where files lie in part, so that the next run goes on with them."""

_VENDOR = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}", re.ASCII)
_SUMMARY = 300
_LINE = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package: what is known of it, its files by name, where indexes list it, and under which label."""

    vendor: str
    package: DebPackage
    folder: str
    files: Mapping[str, Download]
    places: tuple[Place, ...]
    label: str

    @property
    def purl(self) -> str:
        """Return its package URL."""
        return deb_purl(self.vendor, self.package.name, self.package.version, self.package.architecture)

    @property
    def size(self) -> int:
        """Return the length of its files, in bytes."""
        return sum(file.size for file in self.files.values())

    def attributes(self) -> dict[str, str]:
        """Return what an artifact says of it, for people and for the comparison with the next lock."""
        found = {
            "architecture": self.package.architecture,
            "maintainers": self.package.field("Maintainer")[:_LINE],
            "places": " ".join(map(str, self.places)),
            "signed": "yes",
            "summary": self.package.field("Description").partition("\n")[0][:_SUMMARY],
        }
        return {key: value for key, value in found.items() if value}


@dataclass(slots=True)
class _Gathered:
    """What all tables need together: packages by package URL, suites by repository and name."""

    wanted: dict[str, Wanted] = field(default_factory=dict)
    suites: dict[tuple[str, str], tuple[AptSuite, bytes, str]] = field(default_factory=dict)


def apt_packages(
    room: Room,
    client: AptClient,
    sections: Iterable[AptSection],
    previous: Lock | None,
    *,
    offline: bool,
) -> list[Artifact]:
    """Return an artifact for each package that the tables need, and one for each suite.

    Raises:
        UnresolvableError, SourceMissingError, DuplicateNameError: The tables.
        BadReleaseError, DigestMismatchError: What a repository gave.
        CollectLimitError, DiskFullError, InstallerError, UnreachableError: A bound or the machine.

    """
    gathered, kept = _Gathered(), []
    for section in sections:
        if offline and not _local(section):
            kept += held_before(room, Kind.APT, section.name, previous)
            continue
        with TemporaryDirectory(dir=room.work, prefix="apt-") as folder:
            found = resolve(room, client, section, Path(folder))
            fresh = _gather(gathered, section, found)
            _fetch(room, client, found.setup, fresh)
    shutil.rmtree(room.work / PARTIAL, ignore_errors=True)
    made = [_artifact(room, wanted) for wanted in gathered.wanted.values()]
    made += [_suite(room, *each) for each in gathered.suites.values()]
    return joined_with(made, kept)


def foreseen(room: Room, client: AptClient, sections: Iterable[AptSection]) -> list[Foreseen]:
    """Return name, version, size and attributes of what the tables need, before anything is fetched.

    Raises:
        LockgateError: As `apt_packages`, but for what only fetched bytes can show.

    """
    gathered = _Gathered()
    for section in sections:
        with TemporaryDirectory(dir=room.work, prefix="apt-") as folder:
            _gather(gathered, section, resolve(room, client, section, Path(folder)))
    found: list[Foreseen] = [
        (_name(one), one.package.version, one.size, one.attributes()) for one in gathered.wanted.values()
    ]
    return found + [
        (_suite_name(about), about.released or "unknown", 0, {}) for about, _, _ in gathered.suites.values()
    ]


def _gather(gathered: _Gathered, section: AptSection, found: Resolved) -> list[Wanted]:
    """Add what a table needs; return it."""
    mine = [*_binaries(section, found), *_sources(section, found)]
    for one in mine:
        before = gathered.wanted.get(one.purl, one)
        same = {f.sha256 for f in before.files.values()} == {f.sha256 for f in one.files.values()}
        if before.label != one.label or not same or before.folder.split("/")[1] != section.name:
            what = f"Two tables want {one.purl} under two labels, names or digests."
            raise DuplicateNameError(what, labels=f"{before.label}, {one.label}")
        gathered.wanted[one.purl] = replace(before, places=tuple(sorted({*before.places, *one.places})))
    for suite, (verified, data, components) in found.releases.items():
        about = _about(section, suite, fields_of(verified.text), found, components)
        about = _changed(about, signed_by=verified.signed_by, release_sha256=sha256(data))
        key = (section.name, suite)
        earlier, _, label = gathered.suites.get(key, (about, data, section.label))
        if label != section.label:
            what = f"Two tables want the suite {suite!r} under two labels."
            raise DuplicateNameError(what, labels=f"{label}, {section.label}")
        merged = _changed(
            about,
            components=tuple(sorted({*about.components, *earlier.components})),
            architectures=tuple(sorted({*about.architectures, *earlier.architectures})),
            sources=about.sources or earlier.sources,
        )
        gathered.suites[key] = (merged, data, section.label)
    return mine


def _binaries(section: AptSection, found: Resolved) -> Iterator[Wanted]:
    for digest, paragraphs in found.binaries.items():
        package, fields = paragraphs[0].package(), paragraphs[0].fields()
        places = places_in(section, paragraphs)
        name = deb_filename(package.name, package.version, package.architecture)
        size = fields.get("Size", "")
        if not size.isdecimal() or not fields.get("Filename"):
            what = f"The index says neither where {package.name} lies nor how long it is."
            raise BadReleaseError(what)
        url = _joined(paragraphs[0], fields["Filename"])
        yield Wanted(
            vendor=_vendor(section, found, paragraphs[0]),
            package=package,
            folder=pool_folder(section.name, places[0].component, source_of(package)[0]),
            files={name: Download(url, digest, int(size))},
            places=places,
            label=section.label,
        )


def _sources(section: AptSection, found: Resolved) -> Iterator[Wanted]:
    for (name, version), paragraphs in found.sources.items():
        package, fields = paragraphs[0].package(), paragraphs[0].fields()
        places = places_in(section, paragraphs)
        # Versions share their upstream's archive: each lies in a folder of its own.
        folder = (
            f"{pool_folder(section.name, places[0].component, name)}/{version.partition(':')[2] or version}"
        )
        where = fields.get("Directory", "")
        yield Wanted(
            vendor=_vendor(section, found, paragraphs[0]),
            package=package,
            folder=folder,
            files={n: Download(_joined(paragraphs[0], f"{where}/{n}"), d, s) for n, d, s in files_of(fields)},
            places=places,
            label=section.label,
        )


def _joined(listed: Listed, path: str) -> str:
    """Return the address of a file of a repository.

    Raises:
        BadReleaseError: The index leads out of its own repository.

    """
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable() or " " in path:
        what = f"An index of {listed.index.suite} names a file outside of its repository."
        raise BadReleaseError(what)
    return f"{listed.index.url.rstrip('/')}/{path}"


def _vendor(section: AptSection, found: Resolved, listed: Listed) -> str:
    """Return a package URL's name space: who publishes the suite."""
    origin = fields_of(found.releases[listed.index.suite][0].text).get("origin", "").lower()
    return origin if _VENDOR.fullmatch(origin) else section.name


def _about(
    section: AptSection, suite: str, fields: Mapping[str, str], found: Resolved, components: set[str]
) -> AptSuite:
    def line(name: str) -> str:
        return "".join(c for c in fields.get(name, "") if c.isprintable())[:_LINE]

    return AptSuite(
        format=SUITE_FORMAT,
        repository=section.name,
        suite=suite,
        components=tuple(sorted(components)),
        architectures=tuple(sorted(found.setup.architectures)),
        origin=line("origin"),
        label=line("label"),
        name=line("suite"),
        codename=line("codename"),
        version=line("version"),
        description=line("description"),
        not_automatic=line("notautomatic") == "yes",
        but_automatic_upgrades=line("butautomaticupgrades") == "yes",
        sources=section.sources,
        released=line("date"),
    )


def _changed(about: AptSuite, **facts: object) -> AptSuite:
    known = {name: getattr(about, name) for name in about.__struct_fields__}
    return AptSuite(**{**known, **facts})


def _fetch(room: Room, client: AptClient, setup: Setup, wanted: Iterable[Wanted]) -> None:
    """Bring what is not held into the store, some files at a time."""
    missing = {
        file.sha256: file for one in wanted for file in one.files.values() if not room.blobs.has(file.sha256)
    }
    total = sum(file.size for file in missing.values())
    if total > (free := room.free()):
        what = f"Packages of {total} bytes are to be fetched and only {free} are free."
        raise DiskFullError(what, folder=room.work)
    folder = room.work / PARTIAL
    if missing:
        room.progress.start(f"download {len(missing)} Debian files", total)
    todo = list(missing.values())
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        for digest, path in client.fetch(setup, batch, folder, room.progress.advance).items():
            _keep(room, missing[digest], path)
    if missing:
        room.progress.finish()


def _keep(room: Room, file: Download, path: Path) -> None:
    limit = room.limits.file_bytes
    try:
        with path.open("rb") as stream:
            _, size = room.blobs.put_stream(stream, expected=file.sha256, limit=limit)
    except BlobMismatchError as error:
        what = f"{file.url.rpartition('/')[2]} does not hash to what the signed index says."
        raise DigestMismatchError(what, expected=file.sha256) from error
    path.unlink()
    if size != file.size:
        what = f"{file.url.rpartition('/')[2]} has {size} bytes, and its index says {file.size}."
        raise DigestMismatchError(what, expected=file.sha256)


def _artifact(room: Room, one: Wanted) -> Artifact:
    package = one.package
    files = [
        ArtifactFile(
            path=f"{one.folder}/{name}",
            role=Role.DISTRIBUTION,
            size=room.blobs.size(file.sha256),
            sha256=file.sha256,
            source=one.purl,
        )
        for name, file in sorted(one.files.items())
    ]
    known = encode(package)
    name = next(iter(one.files)) if len(one.files) == 1 else f"{package.name}.source"
    files.append(
        ArtifactFile(
            path=f"{one.folder}/{name}.json",
            role=Role.CORE_METADATA,
            size=len(known),
            sha256=room.keep(known),
        )
    )
    return Artifact(
        purl=one.purl,
        kind=Kind.APT,
        name=_name(one),
        version=package.version,
        files=tuple(files),
        label=one.label,
        attributes={**one.attributes(), **_scripts(room, files)},
    )


def _scripts(room: Room, files: Iterable[ArtifactFile]) -> dict[str, str]:
    """Return which scripts run when a binary package is installed or removed; sources have none."""
    packages = [file for file in files if file.path.endswith(".deb")]
    if not packages:
        return {}
    with room.blobs.open(packages[0].sha256) as stream:
        return {"scripts": maintainer_scripts(stream)}


def _name(one: Wanted) -> str:
    return f"{one.places[0].repository}/{one.package.name}"


def _suite_name(about: AptSuite) -> str:
    return f"{about.repository}/dists/{about.suite}"


def _suite(room: Room, about: AptSuite, release: bytes, label: str) -> Artifact:
    """Return a suite: what its Release file says, and that file as its distribution signed it."""
    if len(release) > room.limits.provenance_bytes:
        what = f"The Release file of {about.suite} is longer than {room.limits.provenance_bytes} bytes."
        raise CollectLimitError(what, limit="provenance_bytes")
    folder, known = f"apt/{_suite_name(about)}", encode(about)
    # Its package URL has no version: the newest crossing's takes the place of the one before.
    purl = PackageURL(type="generic", namespace=f"apt/{about.repository}", name=about.suite).to_string()
    return Artifact(
        purl=purl,
        kind=Kind.APT,
        name=_suite_name(about),
        version=about.released or "unknown",
        files=(
            ArtifactFile(
                path=f"{folder}/suite.json", role=Role.MANIFEST, size=len(known), sha256=room.keep(known)
            ),
            ArtifactFile(
                path=f"{folder}/InRelease",
                role=Role.PROVENANCE,
                size=len(release),
                sha256=room.keep(release),
            ),
        ),
        label=label,
        attributes={"signed": "yes"},
    )


def _local(section: AptSection) -> bool:
    return bool(section.upstream) and all(u.url.startswith("file:") for u in section.upstream)
