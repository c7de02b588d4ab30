"""Types of content without a magic at its beginning, told by lengths and tables that must add up.

The formats are those of `desktop` and `grids`; nothing of an inspector is needed to tell them.
"""

import re
import struct

ICC_HEAD = 128
DICOM_PREAMBLE = 128
_DICOM_META = re.compile(rb"DICM\x02\x00[\x00-\xff]\x00(?:UL|OB|UI)")
_TFLITE = slice(4, 8)
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


def looks_like_dicom(data: memoryview) -> bool:
    """Return whether the data has DICOM's signature where it belongs, and the first element behind it."""
    return bool(_DICOM_META.match(bytes(data[DICOM_PREAMBLE : DICOM_PREAMBLE + 10])))


def looks_like_tflite(data: memoryview) -> bool:
    """Return whether the data is a FlatBuffer that names itself a network of TensorFlow Lite."""
    return bytes(data[_TFLITE]) == b"TFL3" and 8 <= int.from_bytes(data[:4], "little") < len(data)  # noqa: PLR2004  # behind the name


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


_PYC_NEW, _PYC_SIZED, _PYC_OLD = (3390, 3700), (3190, 3390), (3000, 3190)
_PYC_PYTHON2 = (62_000, 62_300)
_PYC_FLAGS = 3
_PYC_HEAD = 16


def pyc_magic(data: memoryview) -> tuple[int, int]:
    """Return the magic number of a compiled Python module and where its code begins; zeros where it is none.

    The head has 16 bytes since Python 3.7 (PEP 552), 12 since 3.3, and 8 before.
    """
    if len(data) <= _PYC_HEAD or bytes(data[2:4]) != b"\r\n":
        return 0, 0
    magic = int.from_bytes(data[:2], "little")
    for (first, end), head in ((_PYC_NEW, _PYC_HEAD), (_PYC_SIZED, 12), (_PYC_OLD, 8), (_PYC_PYTHON2, 8)):
        if first <= magic < end:
            plain = head < _PYC_HEAD or int.from_bytes(data[4:8], "little") <= _PYC_FLAGS
            return (magic, head) if plain and data[head] & 0x7F == ord("c") else (0, 0)
    return 0, 0


_MPEG_SYNC = 0x7FF
_MPEG_RATES = (44100, 48000, 32000)
_MPEG_1 = (
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MPEG_2 = (
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Kilobits a second by index, for layers I, II and III; of the lower rates for layer I and the others."""


def frame_bytes(data: memoryview, at: int) -> int:
    """Return how long a frame of MPEG audio is by its head; nothing where there is none."""
    head = int.from_bytes(data[at : at + 4], "big")
    version, layer, index, rate = head >> 19 & 3, head >> 17 & 3, head >> 12 & 15, head >> 10 & 3
    if (
        at + 4 > len(data)
        or head >> 21 != _MPEG_SYNC
        or version == 1
        or not layer
        or index in {0, 15}
        or rate == len(_MPEG_RATES)
    ):
        return 0
    layer = 4 - layer
    full = version == 3  # noqa: PLR2004  # MPEG 1
    kilobits = (_MPEG_1[layer - 1] if full else _MPEG_2[layer > 1])[index - 1]
    hertz = _MPEG_RATES[rate] >> (3 - version if version else 2)
    padding = head >> 9 & 1
    if layer == 1:
        return (12_000 * kilobits // hertz + padding) * 4
    samples = 144_000 if full or layer == 2 else 72_000  # noqa: PLR2004  # halved in layer III of the lower rates
    return samples * kilobits // hertz + padding


def looks_like_mp3(data: memoryview) -> bool:
    """Return whether the data begins with three frames of MPEG audio."""
    at = 0
    for _ in range(3):
        size = frame_bytes(data, at)
        if not size:
            return False
        at += size
    return at <= len(data)


def looks_like_bmff(data: memoryview) -> bool:
    """Return whether the data begins with the box that says what boxes follow (ISO/IEC 14496-12, 4.3)."""
    size = int.from_bytes(data[:4], "big")
    return bytes(data[4:8]) in {b"ftyp", b"styp"} and 16 <= size <= len(data)  # noqa: PLR2004  # brand and version
