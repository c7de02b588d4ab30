"""Large snapshots in parts: one artifact changes one part, and who serves reads what is asked for.

The document that approvers sign names every part by its digest, as a Merkle tree of two levels does. Which
part something is in follows from what it is (`part_keys`). The same artifacts and pages give the same parts,
however they came together (docs/formats/snapshot-v2.md).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar, cast, overload

import msgspec

from lockgate.core.artifact import Artifact, Digest
from lockgate.core.digests import sha256
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.part_keys import (
    KEY_PATTERN,
    MORE,
    REST,
    is_of_projects,
    key_of,
    key_of_page,
    key_of_project,
    project_of,
)
from lockgate.core.snapshot import (
    PARTED_FORMAT,
    SNAPSHOT_FORMAT,
    SPREAD_FORMAT,
    Admitted,
    Generated,
    Snapshot,
)
from lockgate.core.wire import Document, Moment, decode, digest_of, encode

PARTED_FROM = 20_000
"""How many artifacts a snapshot has, at least, that is written in parts."""

PART_FORMAT = "lockgate-snapshot-part/1"

SNAPSHOT_LIMIT = 1 << 28
"""Longest snapshot document that is read, in bytes."""

PART_LIMIT = 1 << 28
"""Longest part that is read, in bytes."""

PARTED_START = b'{"branches":'
"""How the document of a snapshot in parts begins."""

STARTS = (b'{"admitted":', PARTED_START)
"""How the documents of snapshots begin: one alone, and one in parts."""

T = TypeVar("T")


class SnapshotPartError(MalformedDocumentError):
    """A part of a snapshot is not the one that its snapshot names, or does not belong where it stands."""

    code = "LG-1010"
    advice = "Somebody exchanged parts of a snapshot. Publish again, or restore the store from a replica."


class Source(Protocol):
    """Where the blobs of snapshots are read."""

    def read(self, digest: str, *, limit: int) -> bytes:
        """Return the bytes of a blob, hashed again."""


class PartName(Document, frozen=True):
    """One part: which, its digest and what is in it, so that it has to be read for nothing else.

    Every part of Python projects holds artifacts; `REST` always has the list of all projects.
    """

    key: Annotated[str, msgspec.Meta(pattern=KEY_PATTERN)]
    sha256: Digest
    admitted: Annotated[int, msgspec.Meta(ge=0)]
    generated: Annotated[int, msgspec.Meta(ge=0)]
    projects: tuple[str, ...]


class PartedSnapshot(Document, frozen=True):
    """What approvers sign of a snapshot in parts. There are at most 8193 of them: as many as keys."""

    branches: tuple[PartName, ...]
    created: Moment
    format: str
    lane: str

    @property
    def spread(self) -> bool:
        """Tell whether what is no Python project has more than one part (version 3)."""
        return self.format == SPREAD_FORMAT

    def __post_init__(self) -> None:
        """Refuse parts that are not in the order of their keys, each once, `REST` at the end."""
        if not self.branches or not _ascending([part.key for part in self.branches]):
            raise SnapshotPartError("The parts of a snapshot are not in the order of their keys.")
        if self.branches[-1].key != REST or not all(map(_needed, self.branches[:-1])):
            raise SnapshotPartError("A snapshot in parts lacks its last part, or has one without artifacts.")
        if not self.spread and any(part.key.startswith(MORE) for part in self.branches):
            raise SnapshotPartError("A snapshot of version 2 has a part of version 3.")


def _needed(part: PartName) -> bool:
    """Tell whether a part has something in it: one of projects artifacts, another one maybe pages alone."""
    return bool(part.admitted or (part.generated and not is_of_projects(part.key)))


class SnapshotPart(Document, frozen=True):
    """One part of a snapshot, both lists in a fixed order."""

    format: str
    key: str
    admitted: tuple[Admitted, ...]
    generated: tuple[Generated, ...]

    def __post_init__(self) -> None:
        """Refuse lists in another order, and what stands there twice."""
        if not _ascending([place_of(a) for a in self.admitted]) or not _ascending(
            [page.path for page in self.generated]
        ):
            what = f"The part {self.key} of a snapshot has something twice, or not in its order."
            raise SnapshotPartError(what)


def _ascending(keys: Sequence[Any]) -> bool:
    """Tell whether each key is greater than the one before."""
    return all(one < other for one, other in pairwise(keys))


def place_of(admitted: Admitted) -> tuple[str, str, str]:
    """Return what an artifact is sorted by in its part; no two of a snapshot have the same."""
    return admitted.artifact.purl, admitted.artifact.kind, admitted.artifact.name


def path_of(page: Generated) -> str:
    """Return what a page is sorted by in its part."""
    return page.path


def page_in(part: SnapshotPart, path: str) -> Generated | None:
    """Return a page of a part; None: it has none of this path."""
    at = bisect_left(part.generated, path, key=path_of)
    return part.generated[at] if part.generated[at : at + 1] and part.generated[at].path == path else None


class Others(NamedTuple):
    """What a snapshot has beside Python projects, both in the order of a part."""

    admitted: tuple[Admitted, ...]
    generated: tuple[Generated, ...]


class Parts:
    """The parts of one snapshot, read when they are asked for; each is compared with its digest.

    Args:
        index: What was signed.
        digest: Its digest.
        source: Reads the parts.

    """

    def __init__(self, index: PartedSnapshot, digest: str, source: Source) -> None:
        """Read nothing yet."""
        self.index = index
        self.digest = digest
        self._source = source
        self._names = {part.key: part for part in index.branches}
        self._others: Others | None = None

    def name(self, key: str) -> PartName | None:
        """Return what the index says of a part."""
        return self._names.get(key)

    def part(self, key: str) -> SnapshotPart:
        """Return a part; an empty one where the snapshot has none of this key. None is kept.

        Raises:
            LockgateError: It cannot be read, or is another one.

        """
        named = self._names.get(key)
        if named is None:
            return SnapshotPart(format=PART_FORMAT, key=key, admitted=(), generated=())
        return self.read(named)

    def page(self, path: str) -> Generated | None:
        """Return a page, from the part that its path says; None: there is none.

        Raises:
            LockgateError: The part cannot be read, or is another one.

        """
        return page_in(self.part(key_of_page(path, spread=self.index.spread)), path)

    def others(self) -> Others:
        """Return everything that is no Python project and no page of one; it is kept.

        Raises:
            LockgateError: A part cannot be read, or is another one.

        """
        if self._others is None:
            read = [self.read(named) for named in self.index.branches if not is_of_projects(named.key)]
            self._others = Others(
                tuple(sorted((a for part in read for a in part.admitted), key=place_of)),
                tuple(sorted((page for part in read for page in part.generated), key=path_of)),
            )
        return self._others

    def read(self, named: PartName) -> SnapshotPart:
        """Read a part and keep nothing of it.

        Raises:
            SnapshotPartError: It is of another key than its name says, or its name counts otherwise.
            LockgateError: It cannot be read, or is another one.

        """
        data = self.bytes_of(named)
        part = decode(SnapshotPart, data, limit=PART_LIMIT, name="snapshot part")
        spread = self.index.spread
        own = all(key_of(a.artifact, spread=spread) == named.key for a in part.admitted)
        own = own and all(key_of_page(page.path, spread=spread) == named.key for page in part.generated)
        if not own or part.format != PART_FORMAT or _named(part, named.sha256) != named:
            what = f"The part {named.key} of a snapshot is not what its snapshot says."
            raise SnapshotPartError(what)
        return part

    def bytes_of(self, named: PartName) -> bytes:
        """Return the bytes of a part, compared with its digest and with nothing else.

        Raises:
            LockgateError: It cannot be read, or is another one.

        """
        return self._source.read(named.sha256, limit=PART_LIMIT)

    def hash(self, known: Iterable[str] = ()) -> frozenset[str]:
        """Read all parts but the known ones as bytes, so that one that is missing or altered is found now.

        Returns:
            The digests of all parts.

        Raises:
            LockgateError: One cannot be read, or is another one.

        """
        every = frozenset(part.sha256 for part in self.index.branches)
        for digest in every.difference(known):
            self._source.read(digest, limit=PART_LIMIT)
        return every


class _Every(Sequence[T]):
    """All artifacts, or all pages, of a snapshot in parts; each part is read when its turn comes."""

    def __init__(self, parts: Parts, what: str) -> None:
        self.parts = parts
        self._what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Every) and self._mark() == other._mark()

    def __hash__(self) -> int:
        return hash(self._mark())

    def _mark(self) -> tuple[str, str]:
        return self.parts.digest, self._what

    def __len__(self) -> int:
        return sum(getattr(part, self._what) for part in self.parts.index.branches)

    def __iter__(self) -> Iterator[T]:
        for named in self.parts.index.branches:
            yield from getattr(self.parts.read(named), self._what)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        return tuple(self)[at]


def parts_of(snapshot: Snapshot | Iterable[Any] | None) -> Parts | None:
    """Return the parts that a snapshot, or what is admitted in one, is read from; None: it is in memory."""
    if isinstance(snapshot, _Every):
        return snapshot.parts
    if not isinstance(snapshot, Snapshot):
        return None
    one, other = parts_of(snapshot.admitted), parts_of(snapshot.generated)
    return one if one is other else None


def open_snapshot(digest: str, source: Source) -> Snapshot:
    """Return the snapshot of a digest; one in parts reads them when they are wanted.

    Raises:
        LockgateError: It cannot be read, or is no snapshot.

    """
    return opened(digest, source.read(digest, limit=SNAPSHOT_LIMIT), source)


def opened(digest: str, data: bytes, source: Source) -> Snapshot:
    """Return the snapshot that a document, hashed, is.

    Raises:
        TooLargeError, MalformedDocumentError, NotCanonicalError: It is none.

    """
    if data.startswith(PARTED_START):
        index = decode(PartedSnapshot, data, limit=SNAPSHOT_LIMIT, name="snapshot")
        snapshot, known = of_parts(Parts(index, digest, source)), [SPREAD_FORMAT, PARTED_FORMAT]
    else:
        snapshot, known = decode(Snapshot, data, limit=SNAPSHOT_LIMIT, name="snapshot"), [SNAPSHOT_FORMAT]
    if snapshot.format not in known:
        what = f"A snapshot has the format {snapshot.format[:40]!r}, and is written as {known[0]!r}."
        raise MalformedDocumentError(what)
    return snapshot


def of_parts(parts: Parts) -> Snapshot:
    """Return a snapshot that is read part by part."""
    return Snapshot(
        format=parts.index.format,
        lane=parts.index.lane,
        created=parts.index.created,
        admitted=cast("tuple[Admitted, ...]", _Every[Admitted](parts, "admitted")),
        generated=cast("tuple[Generated, ...]", _Every[Generated](parts, "generated")),
    )


def made_part(
    key: str, admitted: Iterable[Admitted], generated: Iterable[Generated]
) -> tuple[PartName, bytes]:
    """Return a part's name and bytes.

    Raises:
        MalformedDocumentError: Two artifacts, or two pages, are the same.

    """
    part = SnapshotPart(
        format=PART_FORMAT,
        key=key,
        admitted=tuple(sorted(admitted, key=place_of)),
        generated=tuple(sorted(generated, key=path_of)),
    )
    data = encode(part)
    return _named(part, sha256(data)), data


def _named(part: SnapshotPart, digest: str) -> PartName:
    names = {project_of(a.artifact.name) for a in part.admitted} if is_of_projects(part.key) else ()
    return PartName(
        key=part.key,
        sha256=digest,
        admitted=len(part.admitted),
        generated=len(part.generated),
        projects=tuple(sorted(names)),
    )


def snapshot_digest(snapshot: Snapshot) -> str:
    """Return the digest that approvers sign of a snapshot."""
    parts = parts_of(snapshot)
    return digest_of(snapshot) if parts is None else parts.digest


def rest_of(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot without its Python projects, where that spares reading them; else as it is."""
    parts = parts_of(snapshot.admitted)
    if parts is None:
        return snapshot
    rest = parts.others()
    # Pages that one person signed alone were taken out of the snapshot, and stay out.
    generated = rest.generated if parts_of(snapshot.generated) is parts else snapshot.generated
    return msgspec.structs.replace(snapshot, admitted=rest.admitted, generated=generated)


def of_project(snapshot: Snapshot, project: str) -> Sequence[Admitted]:
    """Return what a snapshot may have of a Python project, by its normalised name; others stand there too."""
    parts = parts_of(snapshot.admitted)
    return snapshot.admitted if parts is None else parts.part(key_of_project(project)).admitted


def beside(admitted: Iterable[Admitted], artifacts: Iterable[Artifact]) -> Iterable[Admitted]:
    """Return what some artifacts may have to do with: they themselves, and what is called alike.

    Of a snapshot in parts these are the parts of their Python projects, and everything that is no project
    where one of them is none: what counts as the same name differs, and a model may be made of another one.
    """
    parts = parts_of(admitted)
    if parts is None:
        return admitted
    keys = {key_of(artifact, spread=False) for artifact in artifacts}
    projects = (each for key in sorted(keys - {REST}) for each in parts.part(key).admitted)
    return chain(projects, parts.others().admitted) if REST in keys else projects


def namesakes(admitted: Iterable[Admitted], artifact: Artifact) -> Iterable[Admitted]:
    """Return at least what is of an artifact's kind and has exactly its name."""
    parts = parts_of(admitted)
    if parts is None:
        return admitted
    key = key_of(artifact, spread=parts.index.spread)
    return parts.others().admitted if key == REST else parts.part(key).admitted


def part_digests(snapshot: Snapshot) -> frozenset[str]:
    """Return the digests of the documents that a snapshot is read from beside its own."""
    parts = parts_of(snapshot.admitted)
    return frozenset(part.sha256 for part in parts.index.branches) if parts else frozenset()


def other_parts(snapshot: Snapshot) -> frozenset[str]:
    """Return the digests of those parts that hold no Python projects."""
    parts = parts_of(snapshot.admitted)
    names = parts.index.branches if parts else ()
    return frozenset(part.sha256 for part in names if not is_of_projects(part.key))


def named_by(snapshot: Snapshot) -> set[str]:
    """Return the digests of all bytes that a snapshot needs: files, pages, verdicts, parts."""
    wanted: set[str] = set()
    for entry in snapshot.admitted:
        wanted.update(file.sha256 for file in entry.artifact.files)
        wanted.add(entry.verdicts_sha256)
    wanted.update(page.sha256 for page in snapshot.generated)
    return wanted | part_digests(snapshot)
