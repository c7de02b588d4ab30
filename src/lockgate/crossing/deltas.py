"""Planning the contents of a delta crate: for every file the way that takes the fewest bytes. Low side."""

import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from lockgate.core.ports import Progress
from lockgate.crossing.bases import HeldFiles, PathFile
from lockgate.crossing.delta.bounds import Readable, Spool, blocks
from lockgate.crossing.delta.choose import Choice, Chooser
from lockgate.crossing.delta.chunks import ChunkIndex
from lockgate.crossing.delta.plan import OldFile
from lockgate.crossing.payload import META, TUF, Content, Entry
from lockgate.store import BlobStore

_THREADS = 2
_INDEX_BYTES = 16 << 30
"""Bytes of held files that are cut into chunks at most, for what is like no file by its name."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """How one file crosses: kind, its own and the carried length in bytes, and why."""

    path: str
    kind: str
    size: int
    carried: int
    why: str = ""
    kept: tuple[str, ...] = ()


@dataclass(slots=True)
class Planned:
    """What planning found: contents in order, the report, and the crossings that are built on."""

    contents: list[Content] = field(default_factory=list)
    files: list[PlannedFile] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)


@contextmanager
def spooled(folder: Path) -> Iterator[Spool]:
    """Give a spool on the disk of a folder; it has no name and is gone when this process ends."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    with tempfile.TemporaryFile(dir=there, buffering=0) as file:
        yield Spool(file.fileno())


class _Stream(io.RawIOBase):
    """A readable as a stream."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class DeltaPlanner:
    """Plans one crate's contents against the files that the other side holds."""

    def __init__(self, held: HeldFiles, blobs: BlobStore, spool: Spool, progress: Progress) -> None:
        """Use the held files; patches go to the spool."""
        self._held = held
        self._blobs = blobs
        self._spool = spool
        self._progress = progress
        self._chunks: ChunkIndex | None = None

    def plan(self, targets: Sequence[Content]) -> Planned:
        """Return how everything crosses: documents whole, files by whatever takes the fewest bytes."""
        planned = Planned()
        self._progress.start("plan", sum(content.entry.size for content in targets))
        with ThreadPoolExecutor(_THREADS, "delta") as pool:
            chooser = Chooser(pool, self._spool, self._index)
            for content in targets:
                self._one(chooser, content, planned)
                self._progress.advance(content.entry.size)
        self._progress.finish()
        return planned

    def _one(self, chooser: Chooser, content: Content, planned: Planned) -> None:
        entry = content.entry
        number = self._held.crossing(entry.sha256)
        if entry.path.startswith((META, TUF)) or not entry.size:
            _whole(planned, content, "a document of the crossing" if entry.size else "empty")
        elif number is not None:
            same = Entry(path=entry.path, kind="same", size=entry.size, sha256=entry.sha256)
            planned.contents.append(Content(same, io.BytesIO))
            planned.files.append(PlannedFile(entry.path, "same", entry.size, 0, f"crossing {number} has it"))
            planned.numbers.add(number)
        else:
            choice = self._choose(chooser, entry)
            if choice.patch is None:
                _whole(planned, content, choice.why, choice.kept)
            else:
                self._patch(planned, entry, choice, choice.patch)

    def _choose(self, chooser: Chooser, entry: Entry) -> Choice:
        path = self._blobs.path(entry.sha256)
        old = self._held.version_of(entry.path)
        return chooser.choose(
            entry.path, entry.sha256, PathFile(path, path.stat().st_size), (old and self._old(old)) or None
        )

    def _old(self, digest: str) -> OldFile | None:
        file = self._held.file(digest)
        return None if file is None else OldFile(self._held.name(digest), digest, file)

    def _index(self) -> ChunkIndex:
        if self._chunks is None:
            self._chunks, left = ChunkIndex(), _INDEX_BYTES
            for digest in self._held:
                old = self._old(digest)
                if old is not None and old.file.size <= left:
                    self._chunks.add(old)
                    left -= old.file.size
        return self._chunks

    def _patch(self, planned: Planned, entry: Entry, choice: Choice, patch: Readable) -> None:
        state = hashlib.sha256()
        for block in blocks(patch, 0, patch.size):
            state.update(block)
        carried = Entry(
            path=entry.path,
            kind="patch",
            size=entry.size,
            sha256=entry.sha256,
            carried=patch.size,
            carried_sha256=state.hexdigest(),
            bases=choice.bases,
        )
        planned.contents.append(Content(carried, partial(_opened, patch)))
        planned.files.append(
            PlannedFile(entry.path, choice.kind, entry.size, patch.size, choice.why, choice.kept)
        )
        planned.numbers.update(n for n in map(self._held.crossing, choice.bases) if n is not None)


def _opened(patch: Readable) -> BinaryIO:
    return cast("BinaryIO", _Stream(patch))


def _whole(planned: Planned, content: Content, why: str, kept: tuple[str, ...] = ()) -> None:
    entry = content.entry
    planned.contents.append(content)
    planned.files.append(PlannedFile(entry.path, "whole", entry.size, entry.size, why, kept))


def whole_plan(targets: Sequence[Content], why: str) -> Planned:
    """Return the plan by which everything crosses as it is."""
    planned = Planned()
    for content in targets:
        _whole(planned, content, why)
    return planned


def by_kind(files: Sequence[PlannedFile]) -> dict[str, int]:
    """Return how many files cross in each way."""
    return dict(Counter(file.kind for file in files))
