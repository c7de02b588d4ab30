"""Every bound of patches, with its default, and the files that they read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from lockgate.crossing.delta.errors import PatchLimitError

MIB = 1 << 20

BLOCK = MIB
"""Bytes that are read or handed on at once."""

WINDOW_LIMIT = 96 * MIB
"""Most bytes of the base that one segment may refer to: they are in memory while it is rebuilt."""

SEGMENT_LIMIT = 32 * MIB
"""Most bytes that one segment gives."""

SMALL = 8 * MIB
"""Content up to this length is recompressed in one call; longer content in pieces."""

CONTROL_LIMIT = 64 * MIB
"""Longest control block, unpacked."""

ITEMS_LIMIT = 2_000_000
"""Most sources, segments or pieces of one patch."""

BASES_LIMIT = 64
"""Most files that one patch may build on."""

TOKENS_LIMIT = 40 * MIB
"""Longest compressed member whose tokens are carried, in bytes."""

TOKENS_CONTENT_LIMIT = 96 * MIB
"""Longest run of tokens, in bytes: they are put together in one piece."""


def demand(value: int, bound: int, name: str) -> int:
    """Return the value when it is within its bound.

    Raises:
        PatchLimitError: It is not.

    """
    if not 0 <= value <= bound:
        what = f"{value} is over the limit {name} of {bound}."
        raise PatchLimitError(what, limit=name)
    return value


class Readable(Protocol):
    """A file that is read at any place."""

    @property
    def size(self) -> int:
        """Return its length in bytes."""

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return len(self.data)

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file that is mapped into memory."""

    view: memoryview

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return len(self.view)

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        return bytes(self.view[offset : offset + length])


@dataclass(frozen=True, slots=True)
class DescriptorFile:
    """An open file, read without moving its position and without mapping it into memory."""

    descriptor: int

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return os.fstat(self.descriptor).st_size

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        parts = []
        while length and (part := os.pread(self.descriptor, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Joined:
    """Files one after the other as one file."""

    def __init__(self, *files: Readable) -> None:
        """Join files."""
        self._starts: list[tuple[int, Readable]] = []
        self.size = 0
        for file in files:
            self._starts.append((self.size, file))
            self.size += file.size

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        found = []
        for start, file in self._starts:
            first, last = max(offset, start), min(offset + length, start + file.size)
            if first < last:
                found.append(file.at(first - start, last - first))
        return found[0] if len(found) == 1 else b"".join(found)


class Spool:
    """A file without a name that patches are written to, so that they are on disk and not in memory."""

    def __init__(self, descriptor: int) -> None:
        """Use a descriptor that is open for reading and writing; what it holds is written over."""
        self._descriptor = descriptor
        self.end = 0

    def append(self, data: bytes) -> None:
        """Write bytes at the end."""
        view = memoryview(data)
        while view:
            count = os.pwrite(self._descriptor, view, self.end)
            self.end += count
            view = view[count:]

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes that were written; fewer only at the end."""
        return DescriptorFile(self._descriptor).at(offset, min(length, self.end - offset))

    def forget(self, start: int) -> None:
        """Go back to a place: what was written from there on is written over."""
        self.end = start

    def since(self, start: int) -> "SpoolRange":
        """Return what was written from a place on, up to the present end."""
        return SpoolRange(self._descriptor, start, self.end - start)


@dataclass(frozen=True, slots=True)
class SpoolRange:
    """A range of a spool."""

    descriptor: int
    start: int
    size: int

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        wanted = max(0, min(length, self.size - offset))
        return DescriptorFile(self.descriptor).at(self.start + offset, wanted)


def blocks(file: Readable, offset: int, length: int) -> Iterator[bytes]:
    """Yield a range of a file in blocks; it ends early where the file does."""
    end = offset + length
    while offset < end and (data := file.at(offset, min(BLOCK, end - offset))):
        offset += len(data)
        yield data
