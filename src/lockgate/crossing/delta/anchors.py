"""Anchors: runs of bytes that occur both in content and in its base. Planning only (low side)."""

from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_STRIDE: Final = 4
_WORDS: Final = 3
_KEY: Final = _STRIDE * _WORDS
"""Bytes of an anchor; every common run of this length and a stride less one is found."""

_CHUNK: Final = 1 << 20
_TABLE_MOST: Final = 23
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))

Run = tuple[int, int, int]
"""Begin and end in the content, and the shift to the base."""


def _hashes(words: Array, bits: int) -> Array:
    """Return the table places of every run of three words."""
    count = len(words) - _WORDS + 1
    mixed = np.zeros(count, np.uint64)
    for place, factor in enumerate(_FACTORS):
        mixed ^= words[place : place + count].astype(np.uint64) * factor
        mixed ^= mixed >> np.uint64(29)
    return (mixed * _FACTORS[0]) >> np.uint64(64 - bits)


def _words(data: bytes, offset: int) -> Array:
    count = (len(data) - offset) // 4
    return np.frombuffer(data, "<u4", count, offset) if count > 0 else np.zeros(0, np.uint32)


def _table(base: bytes) -> tuple[Array, Array, int]:
    words = _words(base, 0)
    bits = max(10, min(_TABLE_MOST, len(words).bit_length() + 1))
    table = np.full(1 << bits, -1, np.int32)
    for first in reversed(range(0, max(1, len(words) - _WORDS + 1), _CHUNK // 4)):
        part = words[first : first + _CHUNK // 4 + _WORDS - 1]
        if len(part) >= _WORDS:
            places = _hashes(part, bits)[::-1]  # where several fall together, the first one stays
            table[places] = np.arange(first + len(places) - 1, first - 1, -1, dtype=np.int32)
    return table, words, bits


def _anchors(chunk: bytes, table: Array, base: Array, bits: int) -> tuple[Array, Array]:
    """Return the places of a chunk that have an anchor, in order, with those of the base."""
    places, found_at = [], []
    for offset in range(_STRIDE):
        words = _words(chunk, offset)
        if len(words) < _WORDS:
            continue
        found = table[_hashes(words, bits)]
        at = np.flatnonzero(found >= 0)
        found = found[at]
        for word in range(_WORDS):
            good = base[found + word] == words[at + word]
            at, found = at[good], found[good]
        places.append(at * _STRIDE + offset)
        found_at.append(found.astype(np.int64) * _STRIDE)
    if not places:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place, other = np.concatenate(places), np.concatenate(found_at)
    order = np.argsort(place, kind="stable")
    return place[order], other[order]


class Sought:
    """A base in which content is sought. Its table is made when first needed, once for all threads."""

    def __init__(self, base: bytes) -> None:
        """Use a base."""
        self.base = base
        self.array: Array = np.frombuffer(base, np.uint8)
        self._lock = Lock()
        self._table: tuple[Array, Array, int] | None = None

    def runs(self, content: bytes, first: int, last: int) -> list[Run]:
        """Return the runs of anchors with the same shift that begin in a range of content, in order."""
        if min(len(content), len(self.base)) < _KEY:
            return []
        with self._lock:
            table = self._table = self._table or _table(self.base)
        rows = [_rows(content, at, min(last, at + _CHUNK), table) for at in range(first, last, _CHUNK)]
        found = np.concatenate(rows, axis=1)
        return list(zip(*found.tolist(), strict=True))

    def forget(self) -> None:
        """Give the table's memory back; it is made again when it is needed again."""
        self._table = None


def _rows(content: bytes, first: int, last: int, table: tuple[Array, Array, int]) -> Array:
    """Return the runs of a range as columns: begin, end, shift."""
    place, other = _anchors(content[first : last + _KEY - 1], *table)
    if not len(place):
        return np.zeros((3, 0), np.int64)
    place += first
    shift = other - place
    begins: Array = np.flatnonzero(np.concatenate(([True], shift[1:] != shift[:-1])))
    ends: Array = np.concatenate((begins[1:], [len(place)])) - 1
    return np.stack((place[begins], place[ends] + _KEY, shift[begins]))
