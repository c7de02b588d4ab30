"""Content whose own lengths tell what it is: OpenPGP, DER, MessagePack, Protocol Buffers, glibc's locales.

What has no magic is taken for one of these only where its parts lie inside one another up to the last byte,
or where the first of them are as they must be; the inspectors read the rest.
"""

import struct
import zlib

_PGP_TAGS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21})
_PGP_FIRST = frozenset({2, 5, 6})
"""A file of keys or signatures begins with one; messages are told by nothing else than their names."""
_PGP_VERSIONS = frozenset({2, 3, 4, 5, 6})


def openpgp_packet(data: memoryview, at: int) -> tuple[int, int, int]:
    """Return a packet's tag and where its body begins and ends; zeros where there is none (RFC 9580, 4.2)."""
    head = data[at] if at < len(data) else 0
    if head & 0xC0 == 0xC0:  # noqa: PLR2004  # the present form
        tag, first = head & 0x3F, data[at + 1] if at + 1 < len(data) else 0xFF
        if first < 192:  # noqa: PLR2004  # one byte
            start, size = at + 2, first
        elif first < 224:  # noqa: PLR2004  # two bytes
            start, size = at + 3, (first - 192 << 8) + int.from_bytes(data[at + 2 : at + 3], "big") + 192
        elif first == 255:  # noqa: PLR2004  # four more bytes
            start, size = at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
        else:
            return 0, 0, 0
    elif head & 0x80 and head & 3 != 3:  # noqa: PLR2004  # the old form, of a known length
        width = 1 << (head & 3)
        tag, start = head >> 2 & 0xF, at + 1 + width
        size = int.from_bytes(data[at + 1 : start], "big")
    else:
        return 0, 0, 0
    if tag not in _PGP_TAGS or start + size > len(data):
        return 0, 0, 0
    return tag, start, start + size


def looks_like_openpgp(data: memoryview) -> bool:
    """Return whether the data is packets of OpenPGP from a key or signature on, up to its last byte."""
    at, first = 0, True
    while at < len(data):
        tag, start, at = openpgp_packet(data, at)
        if not at or (first and (tag not in _PGP_FIRST or start == at or data[start] not in _PGP_VERSIONS)):
            return False
        first = False
    return not first


_PROTO_SIZES = {1: 8, 5: 4}
_PROTO_DELIMITED = 2


def proto_field(data: memoryview, at: int, end: int) -> tuple[int, int, int, int]:
    """Return number, wire type, begin and end of a field of Protocol Buffers; zeros where there is none."""
    key, at = _proto_number(data, at, end)
    number, wire = key >> 3, key & 7
    if not at or not number:
        return 0, 0, 0, 0
    start = at
    if wire == 0:
        _, stop = _proto_number(data, at, end)
    elif wire == _PROTO_DELIMITED:
        size, start = _proto_number(data, at, end)
        stop = start + size if start else 0
    else:
        stop = at + _PROTO_SIZES[wire] if wire in _PROTO_SIZES else 0
    return (number, wire, start, stop) if 0 < stop <= end else (0, 0, 0, 0)


def _proto_number(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return a number of variable length and where it ends, which is nowhere where it is none."""
    value = 0
    for index in range(10):
        if at + index >= end:
            return 0, 0
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004  # the last byte of the number
            return value, at + index + 1
    return 0, 0


def looks_like_sentencepiece(data: memoryview) -> bool:
    """Return whether the data begins with pieces of a vocabulary: a text, and a number of four bytes."""
    at = 0
    for _ in range(3):
        number, wire, start, stop = proto_field(data, at, len(data))
        if number != 1 or wire != _PROTO_DELIMITED or not start < stop:
            return False
        part, form, text, end = proto_field(data, start, stop)
        score, width, *_ = proto_field(data, end, stop)
        if (part, form, score, width) != (1, _PROTO_DELIMITED, 2, 5) or text == end:
            return False
        at = stop
    return True


_PACK_FIXED = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
    0xD4: 2,
    0xD5: 3,
    0xD6: 5,
    0xD7: 9,
    0xD8: 17,
}
"""First byte → bytes behind it, for what has a length of its own."""
_PACK_BYTES = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
}
_PACK_TEXTS = frozenset({0xD9, 0xDA, 0xDB})
_PACK_LISTS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
_PACK_PROBED = 200_000
_PACK_DEPTH = 100
_PACK_LEAST = 16


def msgpack_end(data: memoryview, most: int, texts: list[str] | None = None) -> int:
    """Return where one value of MessagePack ends, 0 where it is none or has more parts than `most`."""
    at, wanted, count = 0, [1], 0
    while wanted:
        if not wanted[-1]:
            wanted.pop()
            continue
        wanted[-1] -= 1
        count += 1
        if at >= len(data) or count > most or len(wanted) > _PACK_DEPTH:
            return 0
        first = data[at]
        at, inner, text = _pack_head(data, at + 1, first)
        if not at or at > len(data) or inner > len(data):
            return 0
        if text and texts is not None:
            texts.append(bytes(data[at - text : at]).decode("utf-8", "replace"))
        if inner:
            wanted.append(inner)
    return at


def _pack_head(data: memoryview, at: int, first: int) -> tuple[int, int, int]:
    """Return where a value's own bytes end, how many values are inside, and how long a text it is."""
    if first < 0x80 or first >= 0xE0:  # noqa: PLR2004  # small numbers
        return at, 0, 0
    if first < 0xA0:  # noqa: PLR2004  # short maps and arrays
        return at, (first & 0xF) * (2 if first < 0x90 else 1), 0  # noqa: PLR2004  # as above
    if first < 0xC0:  # noqa: PLR2004  # short texts
        return at + (first & 0x1F), 0, first & 0x1F
    if first in _PACK_BYTES:
        width, more = _PACK_BYTES[first]
        size = int.from_bytes(data[at : at + width], "big")
        return at + width + size + more, 0, size if first in _PACK_TEXTS else 0
    if first in _PACK_LISTS:
        width, times = _PACK_LISTS[first]
        return at + width, int.from_bytes(data[at : at + width], "big") * times, 0
    return (at + _PACK_FIXED[first] if first in _PACK_FIXED else 0), 0, 0


def looks_like_msgpack(data: memoryview) -> bool:
    """Return whether the data is a map of MessagePack whose first key is a text, up to the last byte."""
    if len(data) < _PACK_LEAST or not (0x81 <= data[0] <= 0x8F or data[0] in {0xDE, 0xDF}):  # noqa: PLR2004  # maps
        return False
    key = data[{0xDE: 3, 0xDF: 5}.get(data[0], 1)]
    named = 0xA1 <= key <= 0xBF or key in _PACK_TEXTS  # noqa: PLR2004  # texts
    return named and msgpack_end(data, _PACK_PROBED) == len(data)


def cut_msgpack(data: memoryview) -> bool:
    """Return whether the data begins as a map or list of MessagePack that says it holds more than there is.

    Whoever makes room for what it says runs out of memory. Letters with marks begin so as well.
    """
    if not len(data) or not (0x81 <= data[0] <= 0x9F or data[0] in _PACK_LISTS):  # noqa: PLR2004  # maps, lists
        return False
    at = 0
    for _ in range(_PACK_PROBED):
        if at >= len(data):
            return False
        first = data[at]
        at, inner, _ = _pack_head(data, at + 1, first)
        if not at:
            return False
        if inner > len(data) - at or at > len(data):
            return True
        if not inner and first < 0x80:  # noqa: PLR2004  # a small number, as all of ASCII is
            return False
    return True


_DER_LEAST = 64
_DER_LONG = 0x1F
"""Tags of more than one byte, which no certificate has."""


def der_value(data: memoryview, at: int, end: int) -> tuple[int, int, int]:
    """Return a value's tag and where its content begins and ends; zeros where it is none (X.690, 10.1)."""
    if at + 2 > end or data[at] & _DER_LONG == _DER_LONG or not data[at]:
        return 0, 0, 0
    size, start = data[at + 1], at + 2
    if size & 0x80:
        width = size & 0x7F
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
        if not 0 < width <= 4 or size < 0x80 or size < 1 << 8 * (width - 1):  # noqa: PLR2004  # the shortest form
            return 0, 0, 0
    return (data[at], start, start + size) if start + size <= end else (0, 0, 0)


def looks_like_der(data: memoryview) -> bool:
    """Return whether the data is one sequence as long as it says, of values that lie inside it."""
    if len(data) < _DER_LEAST or data[0] != 0x30:  # noqa: PLR2004  # a sequence
        return False
    _, at, stop = der_value(data, 0, len(data))
    if stop != len(data):
        return False
    while at < stop:
        _, _, at = der_value(data, at, stop)
        if not at:
            return False
    return True


_LOCALE = struct.Struct("<2I")
_LOCALE_MAGICS = {0x20090720: 0, 0x20051014 ^ 3: 3} | {
    0x20031115 ^ kind: kind for kind in range(13) if kind not in {0, 3}
}
_LOCALE_FIELDS = 1000


def locale_fields(data: memoryview) -> bool:
    """Return whether the data is a category of a locale: a magic with its number, and fields in order."""
    if len(data) < _LOCALE.size:
        return False
    magic, count = _LOCALE.unpack_from(data)
    head = _LOCALE.size + 4 * count
    if magic not in _LOCALE_MAGICS or not 0 < count <= _LOCALE_FIELDS or head > len(data):
        return False
    places = struct.unpack_from(f"<{count}I", data, _LOCALE.size)
    return places[0] == head and list(places) == sorted(places) and places[-1] <= len(data)


R_RECORD = 4
"""Bytes of a record's length, before what is packed."""
_R_HEAD = 14


def looks_like_r_database(data: memoryview) -> bool:
    """Return whether the data begins with a packed object of R."""
    if len(data) <= R_RECORD + 2 or data[R_RECORD] != 0x78:  # noqa: PLR2004  # zlib
        return False
    try:
        head = zlib.decompressobj().decompress(data[R_RECORD : R_RECORD + 4096], _R_HEAD)
    except zlib.error:
        return False
    return head[:5] == b"X\n\x00\x00\x00" and head[5:6] in {b"\x02", b"\x03"}


_WIDE_MARKS = frozenset({b"\xff\xfe", b"\xfe\xff"})
_WIDE_CONTROLS = frozenset(map(chr, (*range(9), 11, *range(14, 32), 127)))


def looks_like_utf16(data: memoryview, most: int) -> bool:
    """Return whether the data is a text in UTF-16 that says so at its beginning, without controls."""
    if bytes(data[:2]) not in _WIDE_MARKS or len(data) % 2 or len(data) > most:
        return False
    try:
        return _WIDE_CONTROLS.isdisjoint(bytes(data).decode("utf-16"))
    except UnicodeDecodeError:
        return False


_TRAINED_PARTS = range(17, 41)
"""How many kinds of parts the versions of Tesseract know."""


def tesseract_parts(data: memoryview) -> list[int]:
    """Return where the parts of trained data begin, which follow the list of them without a gap."""
    count = int.from_bytes(data[:4], "little")
    head = 4 + 8 * count
    if count not in _TRAINED_PARTS or head >= len(data):
        return []
    places = [place for place in struct.unpack_from(f"<{count}q", data, 4) if place != -1]
    whole = (
        bool(places) and min(places) == head and max(places) < len(data) and len(set(places)) == len(places)
    )
    return sorted(places) if whole else []
