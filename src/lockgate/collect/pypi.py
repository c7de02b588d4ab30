"""Python projects: resolve, ask the index what it knows, fetch what is not held, keep metadata."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from packageurl import PackageURL

from lockgate.collect.errors import DigestMismatchError, DiskFullError, DuplicateNameError, QuarantinedError
from lockgate.collect.facts import by_version, standing
from lockgate.collect.found import Found
from lockgate.collect.manifest import PythonSection
from lockgate.collect.ports import Request, Resolution, Target, Wheel
from lockgate.collect.room import Room
from lockgate.collect.simple import (
    QUARANTINED,
    SIMPLE_JSON,
    Listed,
    PageError,
    publishers_of,
    read_page,
    read_provenance,
)
from lockgate.collect.universal.fetch import fetch_files
from lockgate.collect.universal.places import place
from lockgate.collect.universal.ports import Described, Index, Scope
from lockgate.collect.universal.sdists import read_sdist
from lockgate.collect.universal.section import projects
from lockgate.collect.universal.service import resolve_scope
from lockgate.collect.web import read_bounded, shown
from lockgate.collect.wheels import CoreMetadata, read_metadata
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.store.errors import BlobMismatchError

FREE_SHARE = 3
"""Free space wanted, as a multiple of what is fetched: temporary file, cache and store."""

TASK_LENGTH = 60
"""How much of a list of requirements a person is shown as the name of a task."""


@dataclass(slots=True)
class Pages:
    """What index pages say, read at most once each."""

    room: Room
    read: dict[str, Mapping[tuple[str, str], Listed]] = field(default_factory=dict)

    def look(self, wheel: Wheel, addresses: Iterable[str]) -> Listed | None:
        """Return what the first page that lists exactly this file says of it."""
        for address in addresses:
            if (known := self._page(address).get((wheel.filename, wheel.sha256))) is not None:
                return known
        return None

    def _page(self, address: str) -> Mapping[tuple[str, str], Listed]:
        if address not in self.read:
            self.read[address] = self._fetch(address)
        return self.read[address]

    def _fetch(self, address: str) -> Mapping[tuple[str, str], Listed]:
        try:
            kind, data = read_bounded(self.room.web, address, self.room.limits.page_bytes, SIMPLE_JSON)
            return read_page(kind, data, address)
        except (LockgateError, PageError) as error:
            self.room.note(f"{shown(address)}: no upload time or provenance: {error}")
            return {}


def section_requests(section: PythonSection, folder: Path, *, offline: bool) -> Iterator[Request]:
    """Yield one request for each environment that a section names."""
    for platform in section.platforms or ("",):
        yield Request(
            requirements=section.requirements,
            target=Target(python=section.python or "", platform=platform),
            find_links=tuple(link_of(link, folder) for link in section.find_links),
            offline=offline,
        )


def section_scope(section: PythonSection, folder: Path, *, offline: bool) -> Scope:
    """Return what a section wants for all of its environments at once."""
    pythons = section.versions or (f"{sys.version_info.major}.{sys.version_info.minor}",)
    return Scope(
        requirements=section.requirements,
        places=tuple(place(python, tag) for python in pythons for tag in section.platforms or ("",)),
        indexes=tuple(Index(i.name, projects(i.packages), i.url or "") for i in section.index),
        find_links=tuple(link_of(link, folder) for link in section.find_links),
        sources=tuple(Described(project) for project in dict.fromkeys(projects(section.sdists))),
        offline=offline,
    )


def resolve_sections(
    room: Room, sections: Iterable[PythonSection], folder: Path, *, offline: bool
) -> list[Found]:
    """Resolve the tables of a manifest, each by the client that it is for.

    Raises:
        LockgateError: See `resolve` and `resolve_scope`.

    """
    sections, requests, scopes = list(sections), [], []
    for section in sections:
        if section.several:
            scopes.append((section_scope(section, folder, offline=offline), section.label))
        else:
            requests += [(r, section.label) for r in section_requests(section, folder, offline=offline)]
    return resolve(room, requests, scopes)


def link_of(link: str, folder: Path) -> str:
    """Return a find-links entry with a relative path made absolute from the manifest's folder."""
    return link if "://" in link or link.startswith("file:") else str(folder / link)


def resolve(
    room: Room, requests: Iterable[tuple[Request, str]], scopes: Iterable[tuple[Scope, str]] = ()
) -> list[Found]:
    """Resolve requests and scopes, each with its label, and look their files up in the index.

    Raises:
        UnresolvableError, TargetError, NotAWheelError, UnreachableError, InstallerError: See
            `Packages.resolve`.
        QuarantinedError: An index calls a project unsafe.

    """
    pages = Pages(room)
    found: dict[tuple[str, str], Found] = {}
    answers = ((_resolved(room, request), request, label) for request, label in requests)
    locked = ((resolve_scope(room, scope), None, label) for scope, label in scopes)
    for answer, request, label in chain(answers, locked):
        for wheel in answer.wheels:
            listed = pages.look(wheel, answer.pages.get(wheel.project, ()))
            demand_no_quarantine(wheel, listed)
            one = found.setdefault((wheel.filename, wheel.sha256), Found(wheel, request, label, listed))
            _demand_one_label(wheel, {one.label, label})
    return list(found.values())


def _resolved(room: Room, request: Request) -> Resolution:
    with TemporaryDirectory(dir=room.work, prefix="resolve-") as folder:
        names = ", ".join(request.requirements)
        room.progress.start(f"resolve {names[:TASK_LENGTH]}", 0)
        answer = room.packages.resolve(request, Path(folder), room.progress.advance)
        room.progress.finish()
    return answer


def fetch(room: Room, found: Iterable[Found]) -> None:
    """Bring the wheels that the store does not hold into it, re-hashed.

    Raises:
        DigestMismatchError: Other bytes than promised.
        DiskFullError: Not enough free space.

    """
    missing = [f for f in found if not room.blobs.has(f.wheel.sha256)]
    groups: dict[Request, list[Found]] = {}
    locked = [one for one in missing if one.request is None]
    for one in missing:
        if one.request is not None:
            groups.setdefault(replace(one.request, requirements=(), dependencies=False), []).append(one)
    _demand_space(room, sum(one.size for one in missing))
    if locked:
        room.progress.start(f"download {len(locked)} files", sum(one.wheel.size for one in locked))
        fetch_files(room, [one.wheel for one in locked])
        room.progress.finish()
    for request, group in groups.items():
        total = sum(one.size for one in group)
        room.progress.start(f"download {len(group)} wheels", total)
        bounded = _Bounded(room, total)
        with TemporaryDirectory(dir=room.work, prefix="download-") as folder:
            wheels = tuple(one.wheel for one in group)
            paths = room.packages.download(request, wheels, Path(folder), bounded.advance)
            bounded.complete()
            for wheel in wheels:
                _keep(room, wheel, paths[wheel.sha256])
        room.progress.finish()


def artifacts(room: Room, found: Iterable[Found]) -> list[Artifact]:
    """Return one artifact for each project version, with core metadata and provenance files.

    Raises:
        BadWheelError, DigestMismatchError: A wheel, or its metadata, is not what was promised.
        DuplicateNameError: One project under two labels.

    """
    made = [_artifact(room, name, version, group) for (name, version), group in by_version(found).items()]
    files = [file for artifact in made for file in artifact.files]
    wheels = [file for file in files if file.role is Role.DISTRIBUTION]
    proven = sum(file.role is Role.PROVENANCE for file in files)
    if proven < len(wheels):
        room.note(f"{len(wheels) - proven} of {len(wheels)} wheels have no provenance (PEP 740) to keep.")
    return made


def purl_of(wheel: Wheel) -> PackageURL:
    """Return the package URL of a wheel's project version."""
    return PackageURL(type="pypi", name=wheel.project, version=wheel.version)


def _artifact(room: Room, name: str, version: str, group: list[Found]) -> Artifact:
    _demand_one_label(group[0].wheel, {one.label for one in group})
    if len({one.wheel.filename for one in group}) < len(group):
        what = f"Two sources give different files under the name {group[0].wheel.filename}."
        raise DigestMismatchError(what)
    read = [(one, _metadata(room, one)) for one in group]
    first = read[0][1]
    files = tuple(file for one, metadata in read for file in _files(room, one, metadata))
    proofs = [file for file in files if file.role is Role.PROVENANCE]
    attributes = {
        "summary": " ".join(first.summary.split())[:300],
        "requires-python": first.requires_python,
        "maintainers": first.people,
        "publishers": _publishers(room, proofs),
        **standing(group),
    }
    if len(proofs) < len(group):
        attributes.pop("signed", None)
    if yanked := attributes.get("yanked"):
        room.note(f"{name} {version} was withdrawn upstream (yanked): {yanked[:200]}")
    return Artifact(
        purl=purl_of(group[0].wheel).to_string(),
        kind=Kind.PYTHON,
        name=name,
        version=version,
        files=files,
        licence=first.licence,
        label=group[0].label,
        attributes={key: value for key, value in attributes.items() if value},
    )


def _publishers(room: Room, proofs: Iterable[ArtifactFile]) -> str:
    """Return who published files, by provenance that was kept; the gate verifies it."""
    names: set[str] = set()
    for file in proofs:
        with suppress(PageError):  # kept as evidence whatever is in it
            names.update(publishers_of(room.blobs.read(file.sha256)))
    return ", ".join(sorted(names))


def demand_no_quarantine(wheel: Wheel, listed: Listed | None) -> None:
    """Refuse a project that its index calls unsafe.

    Raises:
        QuarantinedError: It does.

    """
    if listed and listed.project.status == QUARANTINED:
        what = f"The index has put {wheel.project} into quarantine."
        raise QuarantinedError(what, reason=listed.project.reason or None)


def _demand_one_label(wheel: Wheel, labels: set[str]) -> None:
    if len(labels) > 1:
        what = f"{wheel.project} {wheel.version} comes from two sections with different labels."
        raise DuplicateNameError(what, labels=", ".join(sorted(labels)))


def _metadata(room: Room, one: Found) -> CoreMetadata:
    wheel = one.wheel
    path = room.blobs.path(wheel.sha256)
    if one.is_source:
        return read_sdist(path, wheel.filename, room.limits).metadata
    metadata = read_metadata(path, wheel.filename, room.limits)
    digest = room.keep(metadata.raw)
    promised = one.listed.metadata_sha256 if one.listed else None
    if promised is not None and promised != digest:
        what = f"The index promises other core metadata for {wheel.filename} than the wheel holds."
        raise DigestMismatchError(what, promised=promised, found=digest)
    return metadata


def _files(room: Room, one: Found, metadata: CoreMetadata) -> Iterator[ArtifactFile]:
    wheel = one.wheel
    path = f"python/{wheel.project}/{wheel.filename}"
    source = shown(wheel.url)
    uploaded = one.listed.uploaded if one.listed else None
    yield ArtifactFile(
        path=path,
        role=Role.DISTRIBUTION,
        size=room.blobs.size(wheel.sha256),
        sha256=wheel.sha256,
        source=source,
        uploaded=uploaded,
    )
    if not one.is_source:  # what a build makes may say something else than its archive (PEP 658)
        yield ArtifactFile(
            path=f"{path}.metadata",
            role=Role.CORE_METADATA,
            size=len(metadata.raw),
            sha256=room.keep(metadata.raw),
            source=source,
            uploaded=uploaded,
        )
    if one.listed and one.listed.provenance:
        yield from _provenance(room, path, one.listed.provenance)


def _provenance(room: Room, path: str, address: str) -> Iterator[ArtifactFile]:
    """Yield the provenance file when the index gives one; its absence is noted, never fatal."""
    try:
        _, data = read_bounded(room.web, address, room.limits.provenance_bytes, "application/json")
        read_provenance(data)
    except (LockgateError, PageError) as error:
        room.note(f"{path}: provenance is listed but was not kept: {error}")
        return
    yield ArtifactFile(
        path=f"{path}.provenance",
        role=Role.PROVENANCE,
        size=len(data),
        sha256=room.keep(data),
        source=shown(address),
    )


def _keep(room: Room, wheel: Wheel, path: Path) -> None:
    with path.open("rb") as stream:
        try:
            room.blobs.put_stream(stream, expected=wheel.sha256, limit=room.limits.file_bytes)
        except BlobMismatchError as error:
            what = f"{wheel.filename} does not hash to what the index says."
            raise DigestMismatchError(what, expected=wheel.sha256, url=shown(wheel.url)) from error
    path.unlink()


def _demand_space(room: Room, size: int) -> None:
    free = room.free()
    if size * FREE_SHARE > free:
        what = f"{size} bytes are to be fetched and only {free} are free."
        raise DiskFullError(what, folder=room.work)


@dataclass(slots=True)
class _Bounded:
    """Never reports more progress than the total; completes it at the end."""

    room: Room
    total: int
    done: int = 0

    def advance(self, count: int) -> None:
        step = min(count, self.total - self.done)
        if step > 0:
            self.done += step
            self.room.progress.advance(step)

    def complete(self) -> None:
        self.advance(self.total)
