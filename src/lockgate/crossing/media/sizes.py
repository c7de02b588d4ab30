"""What fits on which medium, and how long writing takes. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.crossing.media.errors import MediumSpaceError, MediumUnknownError

SECTOR = 2048
"""Bytes of a sector of an optical disc (ECMA-119)."""

RESERVE = 2 * 1024 * 1024
"""Bytes kept free on every medium for its own tables."""

VOLUME_MINIMUM = 2 * 1024 * 1024
"""Smallest medium that is written, in bytes."""


@dataclass(frozen=True, slots=True)
class Medium:
    """A kind of medium.

    Attributes:
        name: As it is asked for.
        volume_bytes: Largest file that it takes.
        capacity: Bytes of one piece; None where it differs from piece to piece.
        write_once: Whether what is on it stays as it was written.
        rate: Bytes in a second that a common drive writes; for estimates only.

    """

    name: str
    volume_bytes: int
    capacity: int | None
    write_once: bool
    rate: int


def _disc(name: str, sectors: int, rate: int) -> Medium:
    capacity = sectors * SECTOR
    return Medium(name, capacity - 8 * RESERVE, capacity, write_once=True, rate=rate)


MEDIA = {
    medium.name: medium
    for medium in (
        Medium("fat32", 2**32 - 1, None, write_once=False, rate=20_000_000),
        _disc("dvd", 2_295_104, 11_080_000),  # DVD-R, single layer, at 8 x 1.385 MB/s
        _disc("bd25", 12_219_392, 17_980_000),  # BD-R, one layer, at 4 x 4.495 MB/s
        _disc("bd50", 24_438_784, 17_980_000),
        _disc("bd100", 48_878_592, 17_980_000),
    )
}


def medium_named(text: str) -> Medium:
    """Return the medium of a name, or one of that many bytes.

    Raises:
        MediumUnknownError: Neither a known name nor a number of bytes from 2 MiB.

    """
    if text in MEDIA:
        return MEDIA[text]
    if text.isascii() and text.isdecimal() and int(text) >= VOLUME_MINIMUM:
        return Medium(text, int(text), int(text), write_once=False, rate=MEDIA["fat32"].rate)
    what = f"{text[:40]!r} is no medium."
    raise MediumUnknownError(what)


def file_bytes(size: int) -> int:
    """Return the bytes that a file takes on a medium: whole sectors, and its entries in the tables."""
    return -(-size // SECTOR) * SECTOR + SECTOR


def spread(sizes: Sequence[int], repeated: int, rooms: Sequence[int]) -> list[list[int]]:
    """Put files on media in their order, each on the first one from the last used that has room.

    Args:
        sizes: Lengths of the files in bytes.
        repeated: Bytes of what is on every medium: crate.json, roots/ and shards.idx.
        rooms: Free bytes of each medium.

    Returns:
        For each medium the places of its files; media after the last one used get none.

    Raises:
        MediumSpaceError: Not everything has room; names how much is missing.

    """
    placed: list[list[int]] = [[] for _ in rooms]
    left = [room - repeated - RESERVE for room in rooms]
    at = 0
    for place, size in enumerate(sizes):
        need = file_bytes(size)
        while at < len(rooms) and left[at] < need:
            at += 1
        if at == len(rooms):
            missing = sum(file_bytes(s) for s in sizes[place:])
            what = f"{len(rooms)} media do not suffice; {missing} bytes find no room."
            raise MediumSpaceError(what, missing=missing)
        placed[at].append(place)
        left[at] -= need
    return placed


def pieces(sizes: Sequence[int], repeated: int, medium: Medium) -> list[list[int]]:
    """Return how files are spread over as many pieces of a medium as they need.

    A medium whose pieces differ in size counts as one piece.

    Raises:
        MediumSpaceError: A single file has no room on an empty piece.

    """
    if medium.capacity is None:
        return [list(range(len(sizes)))]
    found = spread(sizes, repeated, [medium.capacity] * max(1, len(sizes)))
    return [places for places in found if places] or [[]]


def write_seconds(size: int, medium: Medium) -> int:
    """Return about how long writing takes, and reading back as long again."""
    return 2 * -(-size // medium.rate)
