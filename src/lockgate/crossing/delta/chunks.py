"""Chunks that the other side holds already, in any file (FastCDC; W. Xia et al., 2016). Planning only."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from pyfastcdc import FastCDC

from lockgate.crossing.delta.bounds import BASES_LIMIT, Joined, MemoryFile, Readable, Spool
from lockgate.crossing.delta.plan import OldFile, Patch
from lockgate.crossing.delta.recipe import Base, Piece, PieceKind, Recipe, Stream, head, read_recipe
from lockgate.crossing.delta.segments import Part, StreamWriter

AVERAGE: Final = 16 * 1024
"""Average length of a chunk in bytes; a quarter is the least, four times as much the most."""


class _Reader:
    """A file as a stream."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._at = 0

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        data = self._file.at(self._at, count)
        self._at += len(data)
        return data


_COUNTED: Final = 200_000
"""Most chunks of a file, about, when it is only estimated how much of it is new."""

_LEAST: Final = 1024
_ALONE: Final = 48
"""Bytes that a new chunk between old ones counts: mostly a few bytes of it are new."""


def unlike(new: Readable, old: Readable) -> int:
    """Return about how many bytes of a file the other does not have: a guess at a patch of plain bytes.

    Members that are taken apart give shorter patches nearly always. Where they do not (old members whose
    compressor cannot be run again, members that only moved), this tells without much work.
    """
    average = max(_LEAST, max(new.size, old.size) // _COUNTED)
    held = {hash(bytes(chunk.data)) for chunk in FastCDC(average).cut_stream(_Reader(old))}
    total = run = 0
    for chunk in FastCDC(average).cut_stream(_Reader(new)):
        if hash(bytes(chunk.data)) not in held:
            run += chunk.length
        elif run:
            total, run = total + max(_ALONE, run - 2 * average), 0
    return total + run


def cut(file: Readable) -> Iterator[tuple[bytes, int, int]]:
    """Yield digest, place and length of a file's chunks."""
    for chunk in FastCDC(AVERAGE).cut_stream(_Reader(file)):
        yield hashlib.blake2b(chunk.data, digest_size=16).digest(), chunk.offset, chunk.length


@dataclass(frozen=True, slots=True)
class _Place:
    file: int
    offset: int


class ChunkIndex:
    """The chunks of everything that the other side holds."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._files: list[OldFile] = []
        self._places: dict[bytes, _Place] = {}

    def add(self, old: OldFile) -> None:
        """Add a file."""
        number = len(self._files)
        self._files.append(old)
        for digest, offset, _ in cut(old.file):
            self._places.setdefault(digest, _Place(number, offset))

    def patch(self, new: Readable, pool: Executor, spool: Spool) -> Patch | None:
        """Return a patch that takes what it can from these files, or None where that is nothing."""
        found = [(self._places.get(digest), offset, length) for digest, offset, length in cut(new)]
        held = Counter[int]()
        for place, _, length in found:
            if place:
                held[place.file] += length
        if not held:
            return None
        used = {file: number for number, (file, _) in enumerate(held.most_common(BASES_LIMIT))}
        pieces, parts = list[Piece](), list[Part]()
        for place, offset, length in found:
            if place and place.file in used:
                _copy(pieces, Piece(PieceKind.COPY, used[place.file], length, place.offset))
            else:
                pieces.append(Piece(PieceKind.RAW, 1, length))
                parts.append(_part(new, offset, length))
        files = [self._files[file] for file in used]
        start = spool.end
        stream = StreamWriter(parts).write([f.file for f in files], pool=pool, spool=spool)
        bases = tuple(Base(f.sha256, f.file.size) for f in files)
        recipe = Recipe(new.size, bases, (Stream(), stream), tuple(pieces))
        return Patch(Joined(MemoryFile(head(recipe)), spool.since(start)), "chunks")

    def used(self, patch: Patch) -> list[OldFile]:
        """Return the files that a patch of this index builds on."""
        recipe, _ = read_recipe(patch.file)
        named = {old.sha256: old for old in self._files}
        return [named[base.sha256] for base in recipe.bases]


def _copy(pieces: list[Piece], piece: Piece) -> None:
    """Append a copy, joined with the one before where they lie side by side."""
    last = pieces[-1] if pieces else None
    joins = last is not None and last.kind is PieceKind.COPY and last.place == piece.place
    if last is not None and joins and last.offset + last.length == piece.offset:
        pieces[-1] = Piece(PieceKind.COPY, last.place, last.length + piece.length, last.offset)
    else:
        pieces.append(piece)


def _part(new: Readable, offset: int, length: int) -> Part:
    return Part(length, lambda: iter([new.at(offset, length)]))
