"""Finding where content lies in its base almost as it is. Planning only (low side).

Anchors are runs of bytes that occur in both; a run's distance between both places is its *shift*.
Content follows a shift until another explains clearly more bytes, then the border between both is put
where the fewest bytes differ.
"""

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
_GAIN: Final = 12
"""Bytes that a new shift must explain beyond what the present one does: what switching costs."""

_REACH: Final = 1 << 15
"""Bytes between two shifts that are looked at from either end."""

_RUNS_MOST: Final = 150_000
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
    return np.frombuffer(data, "<u4", max(0, (len(data) - offset) // 4), offset)


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


def _anchors(data: bytes, first: int, table: Array, base: Array, bits: int) -> tuple[Array, Array]:
    """Return the places of a chunk that have an anchor, in order, with their shifts."""
    chunk = data[first : first + _CHUNK + _KEY - 1]
    places, shifts = [], []
    for offset in range(_STRIDE):
        words = _words(chunk, offset)
        if len(words) < _WORDS:
            continue
        found = table[_hashes(words, bits)].astype(np.int64)
        good = found >= 0
        for word in range(_WORDS):
            good[good] = base[found[good] + word] == words[np.flatnonzero(good) + word]
        at = np.flatnonzero(good)
        places.append(at * _STRIDE + offset + first)
        shifts.append(found[at] * _STRIDE - places[-1])
    if not places:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place, shift = np.concatenate(places), np.concatenate(shifts)
    order = np.argsort(place, kind="stable")
    return place[order], shift[order]


def runs(content: bytes, base: bytes) -> list[Run]:
    """Return runs of anchors with the same shift, in order of their places."""
    if min(len(content), len(base)) < _KEY:
        return []
    table, words, bits = _table(base)
    rows: list[Array] = []
    for first in range(0, len(content), _CHUNK):
        place, shift = _anchors(content, first, table, words, bits)
        if not len(place):
            continue
        begins: Array = np.flatnonzero(np.concatenate(([True], shift[1:] != shift[:-1])))
        ends: Array = np.concatenate((begins[1:], [len(place)])) - 1
        rows.append(np.stack((place[begins], place[ends] + _KEY, shift[begins])))
    if not rows:
        return []
    # As columns of numbers until few are left: a list of all of them would take hundreds of megabytes.
    found, least = np.concatenate(rows, axis=1), _KEY
    while found.shape[1] > _RUNS_MOST:
        least += _STRIDE
        found = found[:, found[1] - found[0] >= least]
    return [(int(first), int(last), int(shift)) for first, last, shift in found.T]


def _equal(content: Array, base: Array, first: int, last: int, shift: int) -> Array:
    """Return for each place of a range whether the base has the same byte at a shift."""
    low, high = max(first, -shift), min(last, len(base) - shift)
    same = np.zeros(last - first, bool)
    if low < high:
        same[low - first : high - first] = content[low:high] == base[low + shift : high + shift]
    return same


def _chosen(found: list[Run], content: Array, base: Array) -> list[Run]:
    """Return the runs whose shifts are worth switching to."""
    kept: list[Run] = []
    for first, last, shift in found:
        begin = max(first, kept[-1][1]) if kept else first
        if begin >= last:
            continue
        if kept:
            present = kept[-1][2]
            if shift != present:
                explained = int(np.count_nonzero(_equal(content, base, begin, last, present)))
                if last - begin - explained < _GAIN:
                    continue
                kept.append((begin, last, shift))
            else:
                kept[-1] = (kept[-1][0], last, shift)
        else:
            kept.append((begin, last, shift))
    return kept


def _forward(same: Array) -> int:
    """Return how far a shift is worth following: the most of equal over differing bytes."""
    if not len(same):
        return 0
    score = np.cumsum(np.where(same, 1, -1))
    best = int(np.argmax(score))
    return best + 1 if score[best] > 0 else 0


def _border(content: Array, base: Array, before: Run, after: Run) -> tuple[int, int]:
    """Return where the run before ends and the run after begins."""
    first, last = before[1], after[0]
    near = _equal(content, base, first, min(last, first + _REACH), before[2])
    far = _equal(content, base, max(first, last - _REACH), last, after[2])
    end, begin = first + _forward(near), last - _forward(far[::-1])
    if end <= begin:
        return end, begin
    # Both reach over the same bytes: cut where the fewest differ.
    left = _equal(content, base, begin, end, before[2])
    right = _equal(content, base, begin, end, after[2])
    gain = np.concatenate(([0], np.cumsum(left.astype(np.int64) - right.astype(np.int64))))
    cut = begin + int(np.argmax(gain))
    return cut, cut


def aligned(content: bytes, base: bytes) -> tuple[list[tuple[int, int, int]], bytes, bytes]:
    """Return control triples, differences and inserted bytes; see `align`."""
    new, old = np.frombuffer(content, np.uint8), np.frombuffer(base, np.uint8)
    kept = _chosen(runs(content, base), new, old)
    if not kept:
        return [(0, len(content), 0)], b"", content
    spans = _bordered(kept, new, old)
    triples, differences, inserted = list[tuple[int, int, int]](), list[bytes](), list[bytes]()
    place = at = 0
    copied = moved = 0
    for first, last, shift in spans:
        triples.append((copied, first - at, first + shift - place))
        inserted.append(content[at:first])
        moved, copied = first + shift, last - first
        differences.append((new[first:last] - old[moved : moved + copied]).tobytes())
        place, at = moved + copied, last
    triples.append((copied, len(content) - at, 0))
    inserted.append(content[at:])
    return triples, b"".join(differences), b"".join(inserted)


def _bordered(kept: list[Run], new: Array, old: Array) -> list[Run]:
    """Return the runs grown to where the next one begins, or to where they are worth nothing."""
    spans = []
    first, last, shift = kept[0]
    first -= _forward(_equal(new, old, max(0, first - _REACH), first, shift)[::-1])
    for following in kept[1:]:
        end, begin = _border(new, old, (first, last, shift), following)
        spans.append((first, end, shift))
        first, last, shift = begin, following[1], following[2]
    last += _forward(_equal(new, old, last, min(len(new), last + _REACH), shift))
    return [*spans, (first, last, shift)]
