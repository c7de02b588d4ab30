"""Types of content without a magic at its beginning, told by lengths and tables that must add up.

The formats are those of `desktop` and `grids`; nothing of an inspector is needed to tell them.
"""

import re
import struct

ICC_HEAD = 128
_ICC_SIGN = slice(36, 40)
_TERM = struct.Struct("<6h")
_TERM_WIDTHS = {0o432: 2, 0o1036: 4}
"""Bytes of a number by the magic: the old form, and that of 32-bit numbers."""
_TERM_NAMES, _TERM_LENGTH = 512, 32768
EOT = struct.Struct("<4L10s2BLHH")
EOT_FIXED = 82
EOT_VERSIONS = {0x00010000: 1, 0x00020001: 2, 0x00020002: 3}
_EOT_SIGN = 0x504C
SHAPE_MAGIC = b"\x00\x00\x27\x0a" + bytes(20)
DBF = struct.Struct("<4BIHH20x")
_DBF_FIELD = 32
_DBF_NAME = re.compile(rb"[A-Za-z_][\w ]{0,10}\x00*[\x00-\xff]*", re.ASCII)
_DBF_KINDS = frozenset(b"CNLDFMBGPYTI@O+V0")
_DBF_VERSIONS = frozenset({0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x43, 0x63, 0x83, 0x8B, 0xF5})
_DBF_END = b"\x1a"


def looks_like_icc(data: memoryview) -> bool:
    """Return whether the data is a colour profile by its signature and length."""
    whole = len(data) > ICC_HEAD + 4 and int.from_bytes(data[:4], "big") == len(data)
    return whole and bytes(data[_ICC_SIGN]) == b"acsp"


def looks_like_eot(data: memoryview) -> bool:
    """Return whether the data is an embedded font by its magic number and length."""
    if len(data) < EOT_FIXED:
        return False
    size, _, version, *_, sign = EOT.unpack_from(data)
    return bool(size == len(data) and version in EOT_VERSIONS and sign == _EOT_SIGN)


def terminal_end(data: memoryview) -> int:
    """Return where a terminal's description ends, 0 where the data is none."""
    if len(data) < _TERM.size or len(data) > _TERM_LENGTH:
        return 0
    magic, names, flags, numbers, texts, table = _TERM.unpack_from(data)
    width = _TERM_WIDTHS.get(magic)
    if width is None or not 0 < names <= _TERM_NAMES or min(flags, numbers, texts, table) < 0:
        return 0
    at = _TERM.size + names
    named = bytes(data[_TERM.size : at])
    if named[-1:] != b"\x00" or not named[:-1].isascii() or not named[:-1].decode("ascii").isprintable():
        return 0
    end: int = _even(at + flags) + width * numbers + 2 * texts + table
    if end > len(data):
        return 0
    return end if end == len(data) else _extended(data, _even(end), width)


def _extended(data: memoryview, at: int, width: int) -> int:
    """Return where the part with names of their own ends (user-defined capabilities)."""
    if at + 10 > len(data):
        return at if at == len(data) else 0
    flags, numbers, texts, _, table = struct.unpack_from("<5h", data, at)
    if min(flags, numbers, texts, table) < 0:
        return 0
    offsets = 2 * (texts + flags + numbers + texts)
    end: int = _even(at + 10 + flags) + width * numbers + offsets + table
    return end if end <= len(data) <= _even(end) else 0


def _even(at: int) -> int:
    return at + (at & 1)


def looks_like_dbf(data: memoryview) -> bool:
    """Return whether the data is a table of dBase, by its header and its length."""
    if len(data) < DBF.size + 1 or data[0] not in _DBF_VERSIONS:
        return False
    _, _, month, day, rows, head, row = DBF.unpack_from(data)
    fields, rest = divmod(head - DBF.size - 1, _DBF_FIELD)
    end = head + rows * row
    whole = len(data) == end or bytes(data[end:]) in {_DBF_END, b"\x00", b"\x1a\x00"}
    if not whole or rest or not 1 <= fields <= 255 or month > 12 or day > 31:  # noqa: PLR2004  # a date
        return False
    return bool(_fields(data, fields) == row)


def _fields(data: memoryview, fields: int) -> int:
    """Return how long a row is by the fields, nothing where one of them is not as it must be."""
    total = 1
    for at in range(DBF.size, DBF.size + fields * _DBF_FIELD, _DBF_FIELD):
        field = bytes(data[at : at + _DBF_FIELD])
        if not _DBF_NAME.fullmatch(field[:11]) or field[11] not in _DBF_KINDS:
            return 0
        total += field[16] + (field[17] << 8 if field[11] == ord("C") else 0)
    return total if data[DBF.size + fields * _DBF_FIELD] == 0x0D else 0  # noqa: PLR2004  # ends the fields
