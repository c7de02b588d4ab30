"""Data of measurements and maps: netCDF in its classic forms, shapefiles with their indexes and dBase tables.

Formats: netCDF classic, 64-bit offset and 64-bit data (Unidata, "NetCDF Classic Format Specification"); ESRI
Shapefile Technical Description (1998); dBase III and later, as the description of shapefiles uses it. Numbers
are opaque, texts are looked at.
"""

import struct
from math import prod

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.shapes import DBF
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value of each type (``NC_BYTE`` to ``NC_UINT64``)."""
_CHAR = 2
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_STREAMING = {4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}
_SHAPE_HEAD, _SHAPE_INDEX = 100, 8
_SHAPE_VERSION = 1000
_DBF_DELETED = frozenset(b" *")


class _Header:
    """Reads a header of netCDF; counts have 4 bytes, in the newest form 8."""

    def __init__(self, data: memoryview, wide: int) -> None:
        self.data = data
        self.wide = wide
        self.at = 4

    def number(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise _broken("The header ends too early.", self.at)
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "big")

    def count(self) -> int:
        return self.number(self.wide)

    def padded(self, size: int) -> bytes:
        """Return bytes whose padding to a multiple of four holds nothing."""
        end = self.at + size
        stop = end + -size % 4
        if stop > len(self.data) or any(self.data[end:stop]):
            raise _broken("A part of the header ends past it, or its padding holds something.", self.at)
        raw = bytes(self.data[self.at : end])
        self.at = stop
        return raw

    def listed(self, tag: int, most: int) -> range:
        """Return the numbers of a list, which is empty or has its tag."""
        found, count = self.number(4), self.count()
        if found != tag and (found or count):
            raise _broken("The header has another list than the format says.", self.at)
        return range(demand(count, most, "entries"))


class NetcdfInspector(Inspector):
    """Arrays with names: each variable lies where the header says."""

    name = "netcdf"
    version = 1
    detects = frozenset({"netcdf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the header, the variables and their records."""
        form = data[3]
        head = _Header(data, 8 if form == 5 else 4)  # noqa: PLR2004  # 64-bit data
        most = context.limits.entries
        records = head.count()
        lengths = [self._dimension(head) for _ in head.listed(_DIMENSIONS, most)]
        _attributes(head, tally, most)
        fixed: list[tuple[int, int]] = []
        moving: list[tuple[int, int]] = []
        for _ in head.listed(_VARIABLES, most):
            head.padded(head.count())
            shape = [head.count() for _ in range(demand(head.count(), len(lengths), "entries"))]
            if any(number >= len(lengths) for number in shape):
                raise _broken("A variable has a dimension that does not exist.", head.at)
            _attributes(head, tally, most)
            kind, _, begin = head.number(4), head.count(), head.number(4 if form == 1 else 8)
            size = _SIZES.get(kind, 0)
            sizes = [lengths[number] for number in shape]
            if not size or 0 in sizes[1:]:
                raise _broken("A variable has a type or shape that does not exist.", head.at)
            recorded = bool(sizes) and sizes[0] == 0
            (moving if recorded else fixed).append((begin, size * prod(sizes[recorded:])))
        tally.opaque.add("netcdf")
        tally.claim(0, head.at)
        for begin, size in fixed:
            _claim(data, tally, begin, size)
        _records(data, tally, moving, 0 if records == _STREAMING[head.wide] else records)

    def _dimension(self, head: _Header) -> int:
        head.padded(head.count())
        return head.count()


def _attributes(head: _Header, tally: Tally, most: int) -> None:
    for _ in head.listed(_ATTRIBUTES, most):
        head.padded(head.count())
        kind = head.number(4)
        size = _SIZES.get(kind, 0)
        if not size:
            raise _broken("An attribute has a type that does not exist.", head.at)
        raw = head.padded(size * head.count())
        if kind == _CHAR:
            scan(tally, raw.decode("utf-8", "replace"), lenient=True)


def _records(data: memoryview, tally: Tally, moving: list[tuple[int, int]], records: int) -> None:
    """Claim the records, in each of which every variable has its part."""
    if not moving or not records:
        return
    begin = min(start for start, _ in moving)
    step = moving[0][1] if len(moving) == 1 else sum(size + -size % 4 for _, size in moving)
    if any(not begin <= start <= begin + step - size for start, size in moving):
        raise _broken("A variable lies outside of its record.", begin)
    _claim(data, tally, begin, step * records)


def _claim(data: memoryview, tally: Tally, begin: int, size: int) -> None:
    """Claim a span and what fills it up to a multiple of four: zeros, or a part of a fill value."""
    end = begin + size
    if end > len(data):
        raise _broken("A variable ends past the file.", begin)
    stop = min(len(data), end + -size % 4)
    tally.claim(begin, stop)


class ShapeInspector(Inspector):
    """Shapes one behind the other, each with number and length, or the index of such a file."""

    name = "shapefile"
    version = 1
    detects = frozenset({"shapefile"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the header and every record."""
        del context
        if len(data) < _SHAPE_HEAD:
            raise _broken("The header ends too early.", len(data))
        words, version = *struct.unpack_from(">I", data, 24), *struct.unpack_from("<I", data, 28)
        if words * 2 != len(data) or version != _SHAPE_VERSION:
            raise _broken("The file is not as long as its header says, or of another version.", 24)
        at, number = _SHAPE_HEAD, 1
        while at + _SHAPE_INDEX <= len(data):
            said, size = struct.unpack_from(">2I", data, at)
            if said != number or size < 2:  # noqa: PLR2004  # words: the type of a shape
                break
            at, number = at + _SHAPE_INDEX + 2 * size, number + 1
        if at != len(data) and not _indexes(data):
            raise _broken("A shape has another number than its place, or ends past the file.", at)
        tally.opaque.add("shapefile")
        tally.claim_all()


def _indexes(data: memoryview) -> bool:
    """Return whether a file holds places and lengths of the shapes of another one, in order."""
    if (len(data) - _SHAPE_HEAD) % _SHAPE_INDEX:
        return False
    next_place = _SHAPE_HEAD // 2
    for at in range(_SHAPE_HEAD, len(data), _SHAPE_INDEX):
        place, size = struct.unpack_from(">2I", data, at)
        if place < next_place:
            return False
        next_place = place + 4 + size
    return True


class DbfInspector(Inspector):
    """A table of dBase: fields, and rows of one length, each marked as there or deleted."""

    name = "dbf"
    version = 1
    detects = frozenset({"dbf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the table and look at its texts."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        _, _, _, _, rows, head, row = DBF.unpack_from(data)
        demand(rows, context.limits.entries, "entries")
        marks = set(data[head : head + rows * row : row]) if row else set()
        if not marks <= _DBF_DELETED:
            raise _broken("A row is neither there nor deleted.", head)
        scan(tally, bytes(data[head:]).decode("utf-8", "replace"), lenient=True)
        tally.opaque.add("dbf")
        tally.claim_all()


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
