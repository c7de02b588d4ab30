"""How large the pictures of a JBIG2 stream claim to be, as PDF embeds them (ITU-T T.88, 7.2 and 7.4)."""

import struct
from collections.abc import Iterator

_HEAD = struct.Struct(">IB")
_SIZES = struct.Struct(">II")
_PAGE = 48
_REGIONS = frozenset({4, 6, 7, 20, 22, 23, 36, 38, 39, 40, 42, 43})
_FOLLOWED = 0x40
_UNKNOWN = 0xFFFFFFFF
_LONG_FORM, _LONG_COUNT = 7, 0x1FFFFFFF
_BYTE, _SHORT = 256, 65_536
_MOST = 10_000
"""Segments of one stream that are looked at."""


def sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height, in points, of each page and region; a page of unknown height has none (0).

    Args:
        data: The stream, without the head that a file of its own would have.

    """
    at = 0
    for _ in range(_MOST):
        head = _segment(data, at)
        if head is None:
            return
        kind, at, length = head
        if (kind == _PAGE or kind in _REGIONS) and at + _SIZES.size <= len(data):
            width, height = _SIZES.unpack_from(data, at)
            yield width, 0 if height == _UNKNOWN else height
        if length == _UNKNOWN:
            return
        at += length


def _segment(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return type, place of the data and its length of the segment at a place; None where none is whole."""
    if at + _HEAD.size + 1 > len(data):
        return None
    number, flags = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    count = data[at] >> 5
    if count == _LONG_FORM:
        if at + 4 > len(data):
            return None
        count = int.from_bytes(data[at : at + 4], "big") & _LONG_COUNT
        at += 4 + (count + 8) // 8
    else:
        at += 1
    at += count * (1 if number <= _BYTE else 2 if number <= _SHORT else 4)
    at += 4 if flags & _FOLLOWED else 1
    if at + 4 > len(data):
        return None
    return flags & 0x3F, at + 4, int.from_bytes(data[at : at + 4], "big")
