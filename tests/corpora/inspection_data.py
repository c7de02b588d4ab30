"""Tables, grids and small files of desktops, each honest and each with something behind or untrue."""

import struct
import zlib

from corpora.inspection_case import bad, good
from corpora.inspection_small import font
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(value: int) -> bytes:
    return _varint(value << 1)


def _binary(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _struct(fields: dict[int, tuple[int, bytes]]) -> bytes:
    """A structure of Thrift's compact protocol: number → type and value."""
    out, last = bytearray(), 0
    for number, (kind, value) in fields.items():
        out += bytes([(number - last) << 4 | kind]) + value
        last = number
    return bytes(out) + b"\x00"


def parquet(
    *, length: int | None = None, between: bytes = b"", elsewhere: bool = False, twice: bool = False
) -> bytes:
    """A table of one column and one page of three bytes."""
    page = (
        _struct({1: (5, _number(0)), 2: (5, _number(3)), 3: (5, _number(3 if length is None else length))})
        + b"abc"
    )
    start = 4 + len(between)
    column = {
        1: (5, _number(6)),
        3: (9, b"\x18" + _binary(b"c")),
        5: (6, _number(1)),
        7: (6, _number(len(page))),
        9: (6, _number(start)),
    }
    chunk = {2: (6, _number(start)), 3: (12, _struct(column))}
    chunk = {1: (8, _binary(b"other.parquet"))} | chunk if elsewhere else chunk
    group = _struct({1: (9, b"\x1c" + _struct(chunk)), 3: (6, _number(1))})
    fields = {1: (5, _number(2)), 3: (6, _number(1)), 4: (9, b"\x1c" + group)}
    footer = _struct(fields)
    if twice:
        footer = footer[:-1] + b"\x06" + _number(4) + b"\x00"
    return b"PAR1" + between + page + footer + struct.pack("<I", len(footer)) + b"PAR1"


def netcdf(
    *, tail: bytes = b"", name: bytes = b"time\x00", dimension: int = 0, begin: int | None = None
) -> bytes:
    """Two values along one dimension, and an attribute."""
    head = b"CDF\x01" + struct.pack(">I", 0)
    head += struct.pack(">3I", 10, 1, 4) + name[:4] + struct.pack(">I", 2)
    head += struct.pack(">3I", 12, 1, 5) + b"title" + bytes(3) + struct.pack(">2I", 2, 4) + b"tide"
    head += struct.pack(">3I", 11, 1, 1) + b"v" + name[4:] * 3 + struct.pack(">2I", 1, dimension)
    head += struct.pack(">2I", 0, 0) + struct.pack(">2I", 4, 8)
    place = len(head) + 4
    return head + struct.pack(">I", place if begin is None else begin) + struct.pack(">2i", 1, 2) + tail


def shapes(*, number: int = 1, tail: bytes = b"", index: bool = False) -> bytes:
    """A point, or the index of a file with a point."""
    body = (
        struct.pack(">2I", 50, 10)
        if index
        else struct.pack(">2I", number, 10) + struct.pack("<I2d", 1, 0.5, 0.5)
    )
    size = (100 + len(body) + len(tail)) // 2
    head = struct.pack(">7I", 9994, 0, 0, 0, 0, 0, size) + struct.pack("<2I", 1000, 1) + bytes(64)
    return head + body + tail


def dbf(*, mark: bytes = b" ", tail: bytes = b"\x1a", kind: bytes = b"C") -> bytes:
    """A table of one text of four letters and one row."""
    field = b"NAME".ljust(11, b"\x00") + kind + bytes(4) + bytes([4, 0]) + bytes(14)
    return struct.pack("<4BIHH20x", 3, 96, 1, 31, 1, 65, 5) + field + b"\r" + mark + b"lake" + tail


def icc(*, tail: bytes = b"", at: int = 144) -> bytes:
    """A profile with one text."""
    text = b"text" + bytes(4) + b"None\x00"
    size = 144 + len(text) + len(tail)
    head = struct.pack(">I", size).ljust(36, b"\x00") + b"acsp"
    return head.ljust(128, b"\x00") + struct.pack(">I4s2I", 1, b"cprt", at, len(text)) + text + tail


def cursor(*, tail: bytes = b"", kind: int = 0xFFFD0002, width: int = 1) -> bytes:
    """One pixel."""
    table = struct.pack("<4s3I", b"Xcur", 16, 0x10000, 1) + struct.pack("<3I", kind, 24, 28)
    return table + struct.pack("<9I", 36, kind, 24, 1, width, 1, 0, 0, 0) + bytes(4) + tail


def terminal(*, tail: bytes = b"", table: int = 4, magic: int = 0o432) -> bytes:
    """A terminal with one flag, one number and one text."""
    names = b"dumb|a screen of ours\x00"
    body = names + b"\x01" + bytes((len(names) + 1) & 1) + struct.pack("<h", 80) + struct.pack("<h", 0)
    return struct.pack("<6h", magic, len(names), 1, 1, 1, table) + body + b"\x1b[H\x00" + tail


def embedded(*, flags: int = 0, tail: bytes = b"", inner: bytes | None = None) -> bytes:
    """A font for old browsers, of version 2.1 and without names."""
    inner = font() if inner is None else inner
    names = bytes(2) + bytes(4) * 4
    size = 82 + len(names) + len(inner) + len(tail)
    head = struct.pack("<4L10s2BLHH", size, len(inner), 0x00020001, flags, bytes(10), 1, 0, 400, 0, 0x504C)
    return head.ljust(82, b"\x00") + names + inner + tail


def _honest(title: str, name: str, data: bytes, detected: str):
    return good(title, name, data, outcome=_OPAQUE, detected=detected)


def java_class(*, tag=7, major=61, length=2) -> bytes:
    """A class with a name, a wide number, a method and an attribute of each table."""
    name = b"\x01\x00\x01A"
    constants = name + bytes([tag]) + b"\x00\x01" + b"\x05" + bytes(8)
    attribute = struct.pack(">HL", 1, length) + b"ab"
    method = struct.pack(">4H", 1, 1, 1, 1) + attribute
    tables = struct.pack(">3H", 0, 0, 1) + method + struct.pack(">H", 1) + attribute
    return (
        b"\xca\xfe\xba\xbe"
        + struct.pack(">3H", 0, major, 5)
        + constants
        + struct.pack(">3H", 33, 2, 2)
        + tables
    )


def inventory(
    lines="lock gate std:label -1 gate.html#$ The gate\nlock.open py:function 1 api.html#$ -\n",
) -> bytes:
    head = "# Sphinx inventory version 2\n# Project: Lock\n# Version: 1.0\n"
    rest = "# The remainder of this file is compressed using zlib.\n"
    return (head + rest).encode() + zlib.compress(lines.encode())


DATA_GOOD = [
    good("a class of Java", "A.class", java_class(), outcome=_OPAQUE, detected="java-class"),
    good("an inventory of a manual", "objects.inv", inventory(), detected="sphinx-inventory"),
    _honest("a table by columns", "a.parquet", parquet(), "parquet"),
    _honest("arrays of measurements", "a.nc", netcdf(), "netcdf"),
    _honest("a shape", "a.shp", shapes(), "shapefile"),
    _honest("the index of shapes", "a.shx", shapes(index=True), "shapefile"),
    _honest("what is known of shapes", "a.dbf", dbf(), "dbf"),
    _honest("a colour profile", "a.icc", icc(), "icc"),
    _honest("a colour profile that an editor ended with a line", "a.icc", icc(tail=b"\n"), "icc"),
    _honest("a cursor", "left_ptr", cursor(), "xcursor"),
    _honest("a terminal", "dumb", terminal(), "terminfo"),
    _honest(
        "a terminal with long numbers",
        "dumb",
        terminal(magic=0o1036)[:-8] + bytes(2) + terminal()[-8:],
        "terminfo",
    ),
    _honest("a font for old browsers", "a.eot", embedded(), "eot"),
    _honest("a font for old browsers that is packed", "a.eot", embedded(flags=4, inner=b"packed" * 9), "eot"),
]

DATA_BAD = [
    bad("a column in another file", "a.parquet", parquet(elsewhere=True), "parquet-external"),
    bad("a table by columns with another name", "a.png", parquet(), "type-mismatch"),
]

DATA_UNREAD = [
    ("a class with bytes behind", "A.class", java_class() + b"hidden words"),
    ("a class with a constant that is not known", "A.class", java_class(tag=13)),
    ("a class of another version", "A.class", java_class(major=9)),
    ("a class with an attribute past its end", "A.class", java_class(length=1 << 20)),
    ("a class that is cut", "A.class", java_class()[:-3]),
    ("an inventory with bytes behind", "objects.inv", inventory() + b"hidden words"),
    ("an inventory with words that are no entry", "objects.inv", inventory("hidden words\n")),
    ("an inventory that is cut", "objects.inv", inventory()[:-5]),
    ("an inventory without a project", "objects.inv", inventory().replace(b"Project", b"Projekt")),
    ("a table by columns with bytes between", "a.parquet", parquet(between=b"hidden words")),
    ("a page that ends past its column", "a.parquet", parquet(length=1 << 20)),
    ("a page that is shorter than its column", "a.parquet", parquet(length=1)),
    ("a footer with a field twice", "a.parquet", parquet(twice=True)),
    ("a footer longer than its file", "a.parquet", parquet()[:-8] + b"\xff\xff\x00\x00PAR1"),
    ("a table by columns that is cut", "a.parquet", parquet()[:-1]),
    ("arrays with bytes behind", "a.nc", netcdf(tail=b"hidden words")),
    ("arrays with words in their padding", "a.nc", netcdf(name=b"timex")),
    ("an array of a dimension that is not there", "a.nc", netcdf(dimension=7)),
    ("an array past the end", "a.nc", netcdf(begin=1 << 20)),
    ("arrays with more names than fit", "a.nc", netcdf()[:12] + b"\xff" * 4 + netcdf()[16:]),
    ("shapes with bytes behind", "a.shp", shapes(tail=b"hidden words")),
    ("a shape of another number", "a.shp", shapes(number=9)),
    ("shapes of another length", "a.shp", shapes() + b"hidden"),
    ("a table with bytes behind", "a.dbf", dbf(tail=b"\x1ahidden\x00words")),
    ("a row that is neither there nor deleted", "a.dbf", dbf(mark=b"\x00")),
    ("a field of a kind that is not known", "a.dbf", dbf(kind=b"\x01")),
    ("a profile with bytes behind", "a.icc", icc(tail=b"hidden words")),
    ("a tag past its profile", "a.icc", icc(at=1 << 20)),
    ("a tag inside the table of its profile", "a.icc", icc(at=130)),
    ("a cursor with bytes behind", "left_ptr", cursor(tail=b"hidden words")),
    ("a cursor with a chunk that is not known", "left_ptr", cursor(kind=0xFFFD0009)),
    ("a cursor past its end", "left_ptr", cursor(width=9)),
    ("a cursor that is too wide", "left_ptr", cursor(width=1 << 30)),
    ("a terminal with bytes behind", "dumb", terminal(tail=b"hidden words\x00")),
    ("a terminal past its end", "dumb", terminal(table=999)),
    ("a font for old browsers with bytes behind", "a.eot", embedded(tail=b"hidden words")),
    ("a font for old browsers around something else", "a.eot", embedded(inner=b"\x00\x01\x02\x03" * 9)),
]
