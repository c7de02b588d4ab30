"""Parquet: the footer in Thrift's compact protocol, and every page of every column.

Formats: Apache Parquet 2.11 (``parquet.thrift``, "File Format"), Thrift compact protocol ("Thrift Compact
protocol encoding"). Values are compressed and encoded: they are opaque.
"""

import struct
from collections.abc import Callable
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

MAGIC = b"PAR1"
_TAIL = 8
_MOST_DEPTH = 32
_ROW_GROUPS, _COLUMNS, _PAIRS = 4, 1, 5
_FILE_PATH, _COPY, _COLUMN = 1, 2, 3
_COMPRESSED, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE = 7, 9, 10, 11
_BLOOM, _BLOOM_LENGTH = 14, 15
_INDEXES = ((4, 5), (6, 7))
"""Fields of a column chunk with place and length of its offset index and its column index."""
_PAGE_SIZE = 3
_HEAD = 4096
"""Longest header of a page that is read at once; one that is longer is read again whole, in bytes."""


class Compact:
    """Reads structures of Thrift's compact protocol without knowing their names."""

    def __init__(self, data: memoryview, at: int, end: int, most: int) -> None:
        """Read from `at` on and never past `end`, no more than `most` values."""
        self.data = data
        self.at = at
        self.end = end
        self.left = most

    def byte(self) -> int:
        """Return the next byte."""
        if self.at >= self.end:
            what = "A structure of the footer ends too early."
            raise BrokenContentError(what, at=self.at)
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        """Return an unsigned number of up to 64 bits."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the last of a number
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004  # bits
                what = "A number of the footer is too long."
                raise BrokenContentError(what, at=self.at)

    def zigzag(self) -> int:
        """Return a signed number."""
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > self.end - self.at:
            what = "A text of the footer ends past it."
            raise BrokenContentError(what, at=self.at)
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def value(self, kind: int, depth: int) -> Any:
        """Return a value of a type of the protocol, as a member of a list or map has it."""
        self.left -= 1
        demand(0 if self.left > 0 else 1, 0, "parquet values")
        demand(depth, _MOST_DEPTH, "parquet depth")
        read = _PLAIN.get(kind)
        if read is not None:
            return read(self)
        if kind in {9, 10}:  # list and set
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()  # noqa: PLR2004  # 15: the count follows
            return [self.value(head & 15, depth + 1) for _ in range(count)]
        if kind == 11:  # noqa: PLR2004  # map
            count = self.varint()
            both = self.byte() if count else 0
            return [[self.value(each, depth + 1) for each in (both >> 4, both & 15)] for _ in range(count)]
        if kind == 12:  # noqa: PLR2004  # struct
            return self.struct(depth + 1)
        what = f"The footer has a value of the type {kind}, which does not exist."
        raise BrokenContentError(what, at=self.at)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a structure by their numbers; a number that stands twice is refused."""
        out: dict[int, Any] = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            kind = head & 15
            if number in out:
                what = f"The field {number} of the footer stands twice."
                raise BrokenContentError(what, at=self.at)
            out[number] = kind == 1 if kind in {1, 2} else self.value(kind, depth)
        return out


_PLAIN: dict[int, Callable[[Compact], Any]] = {
    1: lambda reader: reader.byte() == 1,
    2: lambda reader: reader.byte() == 1,
    3: Compact.byte,
    4: Compact.zigzag,
    5: Compact.zigzag,
    6: Compact.zigzag,
    7: lambda reader: reader.take(8),
    8: lambda reader: reader.take(reader.varint()),
}
"""How truth values, whole numbers, a double and bytes are read, by the protocol's numbers of types."""


class ParquetInspector(Inspector):
    """A table by columns: every page lies where the footer says, one behind the other."""

    name = "parquet"
    version = 1
    detects = frozenset({"parquet"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim footer, pages, indexes and filters; what else there is stays unclaimed."""
        end = len(data) - _TAIL
        if end < len(MAGIC) or bytes(data[-len(MAGIC) :]) != MAGIC:
            raise _broken("The table has no footer.", len(data))
        (size,) = struct.unpack_from("<I", data, end)
        start = end - size
        if start < len(MAGIC):
            raise _broken("The footer is longer than the file.", end)
        demand(size, context.limits.header_bytes, "header_bytes")
        reader = Compact(data, start, end, context.limits.entries)
        footer = reader.struct()
        if reader.at != end:
            raise _broken("Something stands behind the footer.", reader.at)
        tally.opaque.add("parquet")
        tally.claim(0, len(MAGIC))
        tally.claim(start, len(data))
        _pairs(tally, footer.get(_PAIRS, ()))
        pages = 0
        for group in _listed(footer, _ROW_GROUPS):
            for chunk in _listed(group, _COLUMNS):
                pages += _chunk(data, tally, chunk, start)
                demand(pages, context.limits.entries, "entries")


def _listed(owner: Any, field: int) -> list[dict[int, Any]]:
    found = owner.get(field, []) if isinstance(owner, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _broken("The footer has another shape than the format says.", 0)
    return found


def _pairs(tally: Tally, pairs: Any) -> None:
    """Look at the texts that writers leave in the footer."""
    for pair in pairs if isinstance(pairs, list) else ():
        for text in pair.values() if isinstance(pair, dict) else ():
            if isinstance(text, bytes):
                scan(tally, text.decode("utf-8", "replace"), lenient=True)


def _chunk(data: memoryview, tally: Tally, chunk: dict[int, Any], end: int) -> int:
    """Claim what belongs to a column of a row group; return how many pages it has."""
    if chunk.get(_FILE_PATH):
        tally.note("parquet-external", Severity.HIGH, "A column lies in another file that the footer names.")
        tally.complete = False
        return 0
    column = chunk.get(_COLUMN)
    if not isinstance(column, dict):
        raise _broken("A column has no description, as where it is encrypted.", 0)
    places = [column[field] for field in (_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE) if column.get(field)]
    start, size = min(places, default=0), column.get(_COMPRESSED)
    for at, length in ((start, size), *((chunk.get(a), chunk.get(b)) for a, b in _INDEXES)):
        if at is not None and length is not None:
            _span(at, length, end)
    for place, length in _INDEXES:
        if chunk.get(place) and chunk.get(length):
            tally.claim(chunk[place], chunk[place] + chunk[length])
    if column.get(_BLOOM) and column.get(_BLOOM_LENGTH):
        _span(column[_BLOOM], column[_BLOOM_LENGTH], end)
        tally.claim(column[_BLOOM], column[_BLOOM] + column[_BLOOM_LENGTH])
    count, at, stop = 0, start, start + (size or 0)
    while at < stop:
        body, length = _page(data, at, stop)
        if not isinstance(length, int) or not 0 <= length <= stop - body:
            raise _broken("A page ends past its column.", at)
        tally.claim(at, body + length)
        at = body + length
        count += 1
    _copy(data, tally, chunk, end)
    return count


def _copy(data: memoryview, tally: Tally, chunk: dict[int, Any], end: int) -> None:
    """Claim what older writers left behind a column: the same description once more."""
    at = chunk.get(_COPY)
    if not isinstance(at, int) or not len(MAGIC) <= at < end:
        return
    reader = Compact(data, at, end, 4096)
    try:
        same = reader.struct() in (chunk, chunk[_COLUMN])
    except BrokenContentError:
        return  # it points at the pages, as newer writers have it
    if same:
        tally.claim(at, reader.at)


def _page(data: memoryview, at: int, stop: int) -> tuple[int, Any]:
    """Return where the content of a page begins, and how long it says it is."""
    for bound in (min(stop, at + _HEAD), stop):
        reader = Compact(data, at, bound, 4096)
        try:
            header = reader.struct()
        except BrokenContentError:
            if bound == stop:
                raise
        else:
            return reader.at, header.get(_PAGE_SIZE)
    raise _broken("A page has no header.", at)


def _span(at: Any, size: Any, end: int) -> None:
    if not isinstance(at, int) or not isinstance(size, int) or at < 0 or size < 0 or at + size > end:
        raise _broken("A part of the table lies outside of the file.", 0)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
