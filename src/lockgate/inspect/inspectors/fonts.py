"""Fonts: the tables of TrueType and OpenType, WOFF and WOFF2; outlines are opaque.

Formats: OpenType 1.9 ("otff", with TrueType collections); WOFF File Format 1.0 and 2.0 (W3C).
"""

import struct
import zlib

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MOST_TABLES = 4096
_RECORD, _HEAD = 16, 12
_WOFF, _WOFF_RECORD = struct.Struct(">4sIIHHIHHIIIII"), struct.Struct(">4s4I")
_WOFF2 = struct.Struct(">4sIIHHIIHHIIIII")


class FontInspector(Inspector):
    """Walks the table directory; every table lies inside the file and between them is padding."""

    name = "font"
    version = 2
    detects = frozenset({"font", "woff", "woff2"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim directory, tables and zero padding."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("font")
        try:
            {"woff": _woff, "woff2": _woff2}.get(tally.detected, _sfnt)(data, tally)
        except struct.error as error:
            what = "The font ends inside its directory."
            raise BrokenContentError(what, at=len(data)) from error
        for start, end in tally.gaps():
            if not any(data[start:end]) and end - start < 4:  # noqa: PLR2004  # tables are aligned to four bytes
                tally.claim(start, end)
            else:
                tally.note("font-gap", Severity.LOW, f"{end - start} bytes that no table owns.", start)


def _sfnt(data: memoryview, tally: Tally) -> None:
    heads = [0]
    if bytes(data[:4]) == b"ttcf":
        (count,) = struct.unpack_from(">I", data, 8)
        heads = list(struct.unpack_from(f">{demand(count, _MOST_TABLES, 'fonts')}I", data, _HEAD))
        version = int.from_bytes(data[4:6], "big")
        tally.claim(0, _HEAD + 4 * count + (12 if version > 1 else 0))
    for head in heads:
        (count,) = struct.unpack_from(">H", data, head + 4)
        if not demand(count, _MOST_TABLES, "font tables"):
            what = "It begins as a font does, and has no table."
            raise BrokenContentError(what, at=head)
        tally.claim(head, head + _HEAD + _RECORD * count)
        for index in range(count):
            _, _, at, size = struct.unpack_from(">4s3I", data, head + _HEAD + _RECORD * index)
            _span(data, tally, at, size)


def _woff(data: memoryview, tally: Tally) -> None:
    head = _WOFF.unpack_from(data)
    length, count, meta, meta_size, private, private_size = head[2], head[3], *head[8:10], *head[11:13]
    if length != len(data):
        what = "The font is not as long as its header says."
        raise BrokenContentError(what, at=8)
    tally.claim(0, _WOFF.size + _WOFF_RECORD.size * count)
    for index in range(demand(count, _MOST_TABLES, "font tables")):
        _, at, size, full, _ = _WOFF_RECORD.unpack_from(data, _WOFF.size + _WOFF_RECORD.size * index)
        _span(data, tally, at, size)
        if size < full:
            unpacker = zlib.decompressobj()
            table = unpacker.decompress(data[at : at + size], full + 1)
            if len(table) != full or not unpacker.eof:
                what = "A table of the font does not unpack to its size."
                raise BrokenContentError(what, at=at)
    _extras(data, tally, (meta, meta_size), (private, private_size))


def _woff2(data: memoryview, tally: Tally) -> None:
    """The tables of WOFF 2 are one Brotli stream, which is not unpacked: the outlines are opaque anyway."""
    head = _WOFF2.unpack_from(data)
    if head[2] != len(data):
        what = "The font is not as long as its header says."
        raise BrokenContentError(what, at=8)
    meta, meta_size, private, private_size = head[9], head[10], head[12], head[13]
    ends = [item for item in (meta, private) if item]
    tally.claim(0, min([len(data), *ends]))
    _extras(data, tally, (meta, meta_size), (private, private_size))


def _extras(data: memoryview, tally: Tally, meta: tuple[int, int], private: tuple[int, int]) -> None:
    if meta[0]:
        _span(data, tally, *meta)
    if private[0]:
        tally.note("font-private", Severity.LOW, f"The font carries {private[1]} private bytes.", private[0])


def _span(data: memoryview, tally: Tally, at: int, size: int) -> None:
    if at + size > len(data):
        what = "A table of the font ends past the file."
        raise BrokenContentError(what, at=at)
    tally.claim(at, at + size)
