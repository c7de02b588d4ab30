"""Patches that lie: lengths, places, bombs, endless streams. None gives more than it declared."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lockgate.crossing.delta import MemoryFile, PatchError, PatchLimitError
from lockgate.crossing.delta.align import write_aligned
from lockgate.crossing.delta.bounds import ITEMS_LIMIT, SEGMENT_LIMIT, WINDOW_LIMIT
from lockgate.crossing.delta.packing import packed, squeeze
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.delta.recipe import (
    MAGIC,
    Base,
    Codec,
    Piece,
    PieceKind,
    Recipe,
    Segment,
    SegmentKind,
    Source,
    Stream,
    head,
)
from lockgate.crossing.delta.varints import pack

BASE = bytes(range(256)) * 16
BOMB = zlib.compress(b"\0" * (64 << 20), 9)[2:-4]


def patch(recipe: Recipe, *data: bytes) -> MemoryFile:
    return MemoryFile(head(recipe) + b"".join(data))


def run(file: MemoryFile, base: bytes = BASE) -> int:
    return sum(len(part) for part in rebuild(file, [MemoryFile(base)]))


def recipe(
    size: int, pieces: Sequence[Piece] = (), stream: Stream | None = None, base: int = len(BASE)
) -> Recipe:
    return Recipe(size, (Base("0" * 64, base),), (Stream(), stream or Stream()), tuple(pieces))


def literal(data: bytes, kind: SegmentKind = SegmentKind.LITERAL, size: int | None = None) -> Stream:
    return Stream((), (Segment(kind, len(data) if size is None else size, 0, 0, len(data)),))


def referring(  # noqa: PLR0917  # a segment has that many numbers
    kind: SegmentKind, size: int, low: int, high: int, data: bytes, source: int = 100
) -> Stream:
    sources = (Source(0, 0, source, Codec.RAW, 0, source),)
    return Stream(sources, (Segment(kind, size, low, high, len(data)),))


RAW = Piece(PieceKind.RAW, 1, 10)


def lying(kind: SegmentKind, high: int, body: bytes) -> MemoryFile:
    return patch(recipe(10, [RAW], referring(kind, 10, 0, high, body)), body)


def grouped(
    settings: bytes, heads: bytes, lows: bytes = b"", escapes: bytes = b"", shift: int = 7
) -> MemoryFile:
    """Return a patch of five 16-bit numbers; shifted by 7 they are one group."""
    parts = [packed(part) for part in (settings, heads, lows, escapes)]
    body = bytes([1, 2, shift]) + pack(len(part) for part in parts[:3]) + b"".join(parts)
    return lying(SegmentKind.PLANES, 10, body)


REFUSED: dict[str, MemoryFile] = {
    "a copy beyond the base": patch(recipe(10, [Piece(PieceKind.COPY, 0, 10, len(BASE) - 5)])),
    "a copy before the base": patch(recipe(10, [Piece(PieceKind.COPY, 0, 10, -1)])),
    "a copy of a base that is not there": patch(recipe(10, [Piece(PieceKind.COPY, 1, 10, 0)])),
    "pieces that give less than the file": patch(recipe(11, [Piece(PieceKind.COPY, 0, 10, 0)])),
    "pieces that take more than segments give": patch(recipe(10, [RAW], literal(b"123456789"))),
    "segments that are longer than they say": patch(
        recipe(10, [RAW], literal(b"1" * 20, size=10)), b"1" * 20
    ),
    "a frame that is longer than it says": patch(
        recipe(10, [RAW], literal(squeeze(b"1" * 5000), SegmentKind.ZSTD, 10)), squeeze(b"1" * 5000)
    ),
    "a window beyond the reference": patch(
        recipe(10, [RAW], referring(SegmentKind.LITERAL, 10, 50, 101, b"1" * 10)), b"1" * 10
    ),
    "a window that moves back": patch(
        recipe(
            2,
            [replace(RAW, length=2)],
            Stream(
                (Source(0, 0, 100, Codec.RAW, 0, 100),),
                (Segment(SegmentKind.LITERAL, 1, 50, 60, 1), Segment(SegmentKind.LITERAL, 1, 40, 60, 1)),
            ),
        ),
        b"1",
        b"2",
    ),
    "a source that decodes to more than it says": patch(
        recipe(
            10,
            [RAW],
            Stream(
                (Source(0, 0, len(BASE), Codec.RAW, 0, 100),), (Segment(SegmentKind.ZSTD, 10, 0, 100, 5),)
            ),
        ),
        b"11111",
    ),
    "a source that decodes to less than it says": patch(
        recipe(
            10,
            [RAW],
            Stream((Source(0, 0, 50, Codec.RAW, 0, 100),), (Segment(SegmentKind.ZSTD, 10, 0, 100, 5),)),
        ),
        b"11111",
    ),
    "a preset that does not exist": patch(
        recipe(30, [Piece(PieceKind.CODED, 1, 10, 0, Codec.LZMA2, 15, 30)], literal(b"1" * 10)), b"1" * 10
    ),
    "a level that does not exist": patch(
        recipe(30, [Piece(PieceKind.CODED, 1, 10, 0, Codec.ZSTD, 0, 30)], literal(b"1" * 10)), b"1" * 10
    ),
    "a deflate setting that does not exist": patch(
        recipe(30, [Piece(PieceKind.CODED, 1, 10, 0, Codec.DEFLATE, 0xFFF, 30)], literal(b"1" * 10)),
        b"1" * 10,
    ),
    "a recompressed member of another length": patch(
        recipe(11, [Piece(PieceKind.CODED, 1, 10, 0, Codec.DEFLATE, 0x086, 11)], literal(b"1" * 10)),
        b"1" * 10,
    ),
    "a recompressed member longer than it says": patch(
        recipe(3, [Piece(PieceKind.CODED, 1, 10, 0, Codec.DEFLATE, 0x086, 3)], literal(b"1" * 10)), b"1" * 10
    ),
    "a directory that is none": patch(
        recipe(10, [Piece(PieceKind.DIRECTORY, 1, 10)], literal(b"1" * 10)), b"1" * 10
    ),
    "tokens that are none": patch(
        recipe(10, [Piece(PieceKind.CODED, 1, 10, 0, Codec.TOKENS, 0, 10)], literal(b"1" * 10)), b"1" * 10
    ),
    "an aligned copy from outside": lying(
        SegmentKind.ALIGNED, 100, write_aligned([(0, 0, 95), (10, 0, 0)], b"\0" * 10, b"")
    ),
    "an aligned segment of another length": lying(
        SegmentKind.ALIGNED, 100, write_aligned([(9, 0, 0)], b"\0" * 9, b"")
    ),
    "planes of another length": lying(SegmentKind.PLANES, 10, bytes([1, 0]) + packed(b"\0" * 8)),
    "planes in an order that their width has not": lying(
        SegmentKind.PLANES, 10, bytes([4, 2]) + packed(b"\0" * 10)
    ),
    "groups of other bits than there are": grouped(b"\x09\xff", b"\0" * 5),
    "groups of an unknown kind": grouped(b"\0\x07", b"\0" * 5),
    "more groups than the base has": grouped(b"\0\xff" * 2, b"\0" * 5),
    "groups with too few heads": grouped(b"\0\xff", b"\0" * 4),
    "groups with too many heads": grouped(b"\0\xff", b"\0" * 6),
    "groups with too few low bits": grouped(b"\1\xff", b"\0" * 5),
    "groups with too many low bits": grouped(b"\0\xff", b"\0" * 5, b"\0"),
    "groups with too few escapes": grouped(b"\0\xff", b"\xff" * 5, b"", b"\0\2" * 4),
    "groups with too many escapes": grouped(b"\0\xff", b"\xff\0\0\0\0", b"", b"\0\2" * 2),
    "groups with half an escape": grouped(b"\0\xff", b"\xff\0\0\0\0", b"", b"\0\2\0"),
    "groups with an escape that is too large": grouped(b"\2\xff", b"\xff\0\0\0\0", b"\0\0", b"\0\x40"),
    "groups shifted too far": grouped(b"\0\xff", b"\0" * 5, shift=8),
    "planes of an unknown operation": lying(SegmentKind.PLANES, 10, bytes([1, 7]) + packed(b"\0" * 10)),
    "a base of another length": patch(recipe(10, [Piece(PieceKind.COPY, 0, 10, 0)], base=10)),
    "another format": MemoryFile(b"LGDLT2\r\n" + b"\0" * 20),
    "nothing": MemoryFile(b""),
    "no control block": MemoryFile(MAGIC + (99).to_bytes(4, "big") + b"\0" * 5),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_lying_patch_is_refused(case: str) -> None:
    with pytest.raises(PatchError):
        run(REFUSED[case])


def test_bytes_after_the_patch_are_refused() -> None:
    good = patch(recipe(10, [Piece(PieceKind.COPY, 0, 10, 0)]))
    assert run(good) == 10
    with pytest.raises(PatchError):
        run(MemoryFile(good.data + b"x"))


def test_a_bomb_in_a_base_stops_at_the_length_that_was_declared() -> None:
    stream = Stream(
        (Source(0, 0, len(BOMB), Codec.DEFLATE, 0, 1000),), (Segment(SegmentKind.ZSTD, 10, 0, 1000, 5),)
    )
    with pytest.raises(PatchError):
        run(patch(recipe(10, [RAW], stream, len(BOMB)), b"11111"), BOMB)


@pytest.mark.parametrize(
    ("limit", "made"),
    [
        ("window_bytes", referring(SegmentKind.LITERAL, 1, 0, WINDOW_LIMIT + 1, b"1", WINDOW_LIMIT + 1)),
        ("segment_bytes", literal(b"1", SegmentKind.ZSTD, SEGMENT_LIMIT + 1)),
    ],
)
def test_what_is_over_a_bound_names_it(limit: str, made: Stream) -> None:
    size = made.segments[0].size
    base = WINDOW_LIMIT + 1
    with pytest.raises(PatchLimitError) as caught:
        run(patch(recipe(size, [replace(RAW, length=size)], made, base), b"1"), BASE)
    assert caught.value.where["limit"] == limit


def test_more_items_than_a_patch_may_have_are_refused_before_they_are_read() -> None:
    block = packed(pack([10, 0, ITEMS_LIMIT + 1]))
    with pytest.raises(PatchLimitError) as caught:
        run(MemoryFile(MAGIC + len(block).to_bytes(4, "big") + block))
    assert caught.value.where["limit"] == "patch_items"


def test_a_control_block_that_unpacks_without_end_is_refused() -> None:
    block = b"\x01" + pack([1 << 40]) + squeeze(b"\0" * 100)
    with pytest.raises(PatchLimitError) as caught:
        run(MemoryFile(MAGIC + len(block).to_bytes(4, "big") + block))
    assert caught.value.where["limit"] == "packed_bytes"
