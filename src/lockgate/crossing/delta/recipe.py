r"""A patch: which files it builds on, what is taken from them, and how the file is put together again.

``LGDLT1\r\n``, u32 length of the control block, the control block (packed), then the data of all
segments in order. See docs/formats/crate-v1.md, "Patches". The rebuilding side parses no container:
where something is found in a base, and how it is compressed, stands in the patch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from lockgate.crossing.delta.bounds import (
    BASES_LIMIT,
    CONTROL_LIMIT,
    ITEMS_LIMIT,
    SEGMENT_LIMIT,
    WINDOW_LIMIT,
    Readable,
    demand,
)
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.packing import packed, unpacked
from lockgate.crossing.delta.varints import MOST, Numbers, pack, unzigzag, zigzag

E = TypeVar("E", bound=IntEnum)

MAGIC = b"LGDLT1\r\n"
PREFIX = len(MAGIC) + 4
STREAMS = 2
"""Streams of content that pieces take from: 0 for what is around members, 1 for members."""


class Codec(IntEnum):
    """How bytes lie in a file."""

    RAW = 0
    DEFLATE = 1
    LZMA2 = 2
    ZSTD = 3
    TOKENS = 4


class SegmentKind(IntEnum):
    """How a segment's content is written down."""

    LITERAL = 0
    ZSTD = 1
    ALIGNED = 2
    PLANES = 3


class PieceKind(IntEnum):
    """Where the next bytes of the file come from."""

    COPY = 0
    RAW = 1
    CODED = 2
    DIRECTORY = 3


@dataclass(frozen=True, slots=True)
class Base:
    """A file that the patch builds on."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A range of a base; decoded, it is `size` bytes of a stream's reference."""

    base: int
    offset: int
    length: int
    codec: Codec
    parameter: int
    size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The next `size` bytes of a stream, written with the reference's bytes from `low` to `high`."""

    kind: SegmentKind
    size: int
    low: int
    high: int
    length: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Content that pieces take from, one byte after the other."""

    sources: tuple[Source, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bytes of the file.

    Attributes:
        kind: See `PieceKind`.
        place: The base (copy) or the stream.
        length: Bytes taken: of the file (copy), of the stream (else).
        offset: Where in the base (copy), else 0.
        codec: How a coded piece is compressed.
        parameter: The codec's setting.
        coded: Length of a coded piece in the file.

    """

    kind: PieceKind
    place: int
    length: int
    offset: int = 0
    codec: Codec = Codec.RAW
    parameter: int = 0
    coded: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything of a patch but its segments' data."""

    size: int
    bases: tuple[Base, ...]
    streams: tuple[Stream, ...]
    pieces: tuple[Piece, ...]


def _columns(rows: Sequence[object], names: Iterable[str]) -> bytes:
    return pack([len(rows)]) + b"".join(pack(int(getattr(row, name)) for row in rows) for name in names)


_SOURCE = ("base", "length", "codec", "parameter", "size")
_SEGMENT = ("kind", "size", "length", "low", "high")
_PIECE = ("kind", "place", "length", "codec", "parameter", "coded")


def control(recipe: Recipe) -> bytes:
    """Return a recipe as bytes, column by column."""
    out = [pack([recipe.size, len(recipe.bases)])]
    out += [bytes.fromhex(base.sha256) + pack([base.size]) for base in recipe.bases]
    for stream in recipe.streams:
        out.append(_columns(stream.sources, _SOURCE))
        # Sources mostly follow one another: what lies between the end of one and the next is written.
        ends = (s.offset - e for s, e in zip(stream.sources, _ends(stream.sources), strict=True))
        out.append(pack(map(zigzag, ends)))
        out.append(_columns(stream.segments, _SEGMENT))
    out.append(_columns(recipe.pieces, _PIECE))
    copies = [p for p in recipe.pieces if p.kind is PieceKind.COPY]
    out.append(pack(zigzag(p.offset - e) for p, e in zip(copies, _piece_ends(copies), strict=True)))
    return b"".join(out)


def _ends(sources: Sequence[Source]) -> list[int]:
    return [0, *(s.offset + s.length for s in sources[:-1])][: len(sources)]


def _piece_ends(copies: Sequence[Piece]) -> list[int]:
    return [0, *(p.offset + p.length for p in copies[:-1])][: len(copies)]


def head(recipe: Recipe) -> bytes:
    """Return what a patch begins with; the data of all segments follow, in order."""
    block = packed(control(recipe))
    return MAGIC + len(block).to_bytes(4, "big") + block


def read_recipe(patch: Readable) -> tuple[Recipe, int]:
    """Read a patch's control block; return it and where the data begin.

    Raises:
        PatchError: It is not what the format says.
        PatchLimitError: A number in it is over its bound.

    """
    head = patch.at(0, PREFIX)
    length = int.from_bytes(head[len(MAGIC) :], "big")
    if len(head) < PREFIX or not head.startswith(MAGIC) or not 2 <= length <= CONTROL_LIMIT:  # noqa: PLR2004
        raise PatchError("A patch does not begin as the format says.")
    block = patch.at(PREFIX, length)
    if len(block) != length:
        raise PatchError("A patch ends before its control block does.")
    recipe = _read(Numbers(unpacked(block, CONTROL_LIMIT)))
    data = sum(s.length for stream in recipe.streams for s in stream.segments)
    if PREFIX + length + data != patch.size:
        raise PatchError("A patch has another length than its control block says.")
    return recipe, PREFIX + length


def _read(numbers: Numbers) -> Recipe:
    size = numbers.next(MOST, "patch_output_bytes")
    count = numbers.next(BASES_LIMIT, "bases")
    bases = tuple(Base(numbers.bytes(32).hex(), numbers.next()) for _ in range(count))
    streams = tuple(_read_stream(numbers) for _ in range(STREAMS))
    pieces = _read_pieces(numbers)
    numbers.end()
    recipe = Recipe(size, bases, streams, pieces)
    _demand_places(recipe)
    return recipe


def _rows(numbers: Numbers, width: int) -> list[tuple[int, ...]]:
    count = numbers.next(ITEMS_LIMIT, "patch_items")
    columns = [numbers.column(count) for _ in range(width)]
    return list(zip(*columns, strict=True))


def _enum(kind: Callable[[int], E], value: int) -> E:
    try:
        return kind(value)
    except ValueError as error:
        raise PatchError("A patch names a method that this version does not know.") from error


def _read_stream(numbers: Numbers) -> Stream:
    rows = _rows(numbers, len(_SOURCE))
    sources, end = [], 0
    for (base, length, codec, parameter, size), gap in zip(rows, numbers.column(len(rows)), strict=True):
        offset = end + unzigzag(gap)
        sources.append(Source(base, offset, length, _enum(Codec, codec), parameter, size))
        end = offset + length
    segments = [
        Segment(_enum(SegmentKind, kind), size, low, high, length)
        for kind, size, length, low, high in _rows(numbers, len(_SEGMENT))
    ]
    return Stream(tuple(sources), tuple(segments))


def _read_pieces(numbers: Numbers) -> tuple[Piece, ...]:
    rows = _rows(numbers, len(_PIECE))
    kinds = [_enum(PieceKind, row[0]) for row in rows]
    gaps = iter(numbers.column(kinds.count(PieceKind.COPY)))
    pieces, end = [], 0
    for kind, (_, place, length, codec, parameter, coded) in zip(kinds, rows, strict=True):
        offset = end + unzigzag(next(gaps)) if kind is PieceKind.COPY else 0
        pieces.append(Piece(kind, place, length, offset, _enum(Codec, codec), parameter, coded))
        end = offset + length if kind is PieceKind.COPY else end
    return tuple(pieces)


def _demand_places(recipe: Recipe) -> None:
    """Demand that everything lies inside its base, stream, window and file."""
    inside = all(_lies(recipe, s.base, s.offset, s.length) for t in recipe.streams for s in t.sources)
    inside = inside and all(
        _lies(recipe, p.place, p.offset, p.length) if p.kind is PieceKind.COPY else p.place < STREAMS
        for p in recipe.pieces
    )
    if not inside:
        raise PatchError("A patch takes bytes from outside of what it builds on.")
    for number, stream in enumerate(recipe.streams):
        _demand_windows(stream)
        taken = sum(p.length for p in recipe.pieces if p.kind is not PieceKind.COPY and p.place == number)
        if taken != sum(segment.size for segment in stream.segments):
            raise PatchError("A patch's segments give other bytes than its pieces take.")
    coded = sum(p.coded if p.kind is PieceKind.CODED else p.length for p in recipe.pieces)
    if coded != recipe.size:
        raise PatchError("A patch's pieces give another length than its file has.")


def _lies(recipe: Recipe, base: int, offset: int, length: int) -> bool:
    return base < len(recipe.bases) and 0 <= offset <= offset + length <= recipe.bases[base].size


def _demand_windows(stream: Stream) -> None:
    total, floor = sum(source.size for source in stream.sources), 0
    for segment in stream.segments:
        demand(segment.size, SEGMENT_LIMIT, "segment_bytes")
        demand(segment.length, SEGMENT_LIMIT + SEGMENT_LIMIT // 8, "segment_data_bytes")
        if not floor <= segment.low <= segment.high <= total:
            raise PatchError("A patch's segment refers to bytes that its reference does not have.")
        demand(segment.high - segment.low, WINDOW_LIMIT, "window_bytes")
        floor = segment.low
