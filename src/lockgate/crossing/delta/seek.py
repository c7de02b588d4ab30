"""Finding where content lies in its base almost as it is. Planning only (low side).

A run's distance between its places in content and base is its *shift*. Content follows a shift as long
as most bytes are the same, without any search; only where it does not, anchors are sought (`anchors`).
Then another shift is taken where it explains clearly more bytes, and the border between both is put
where the fewest bytes differ.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from lockgate.crossing.delta.anchors import Array, Run, Sought

_BLOCK: Final = 256
_MOSTLY: Final = _BLOCK * 7 // 8
"""Bytes of a block that are the same where its shift is followed without looking for a better one."""

_NEAR: Final = 4096
"""Bytes in which anchors are sought at first; twice as many each time that there are none."""

_TRIED: Final = 6
"""Shifts that are tried where several are found."""

_FAR: Final = 1 << 20
_GAIN: Final = 12
"""Bytes that a new shift must explain beyond what the present one does: what switching costs."""

_REACH: Final = 1 << 20
"""Bytes between two shifts that are looked at from either end."""

_RUNS_MOST: Final = 150_000

Start = tuple[int, int]
"""A place in content, and the place in the base that it most likely is a version of."""


def runs(content: bytes, base: Sought, starts: Sequence[Start] = ()) -> list[Run]:
    """Return runs of content with the same shift, in order of their places."""
    array: Array = np.frombuffer(content, np.uint8)
    begins = [(at, other - at) for at, other in starts if at < len(content)] or [(0, 0)]
    if begins[0][0]:
        begins.insert(0, (0, 0))
    found, ends = list[Run](), [at for at, _ in begins[1:]]
    for (first, shift), last in zip(begins, [*ends, len(content)], strict=True):
        _follow(found, content, array, base, (first, last, shift))
    least = 0
    while len(found) > _RUNS_MOST:
        least += 4
        found = [run for run in found if run[1] - run[0] >= least]
    return found


def _follow(found: list[Run], content: bytes, array: Array, base: Sought, run: Run) -> None:
    """Append the runs of a range, beginning with a shift that is expected."""
    place, last, shift = run
    steady, step = shift, _NEAR
    while place < last:
        for likely in {shift: 0, steady: 0}:
            end = _explained(array, base.array, place, last, likely)
            if end > place:
                found.append((place, end, likely))
                place, shift, steady, step = end, likely, likely, _NEAR
                break
        else:
            end = min(last, place + step)
            some = base.runs(content, place, end)
            if not some:
                place, step = end, min(_FAR, 2 * step)
                continue
            best = _best(some, array, base.array, last)
            found += [run for run in some if run[0] < best[0]]
            found.append(best)
            place, shift, step = min(last, best[1]), best[2], _NEAR


def _best(some: Sequence[Run], content: Array, base: Array, last: int) -> Run:
    """Return the run to go on from: of the commonest shifts the one that reaches farthest.

    Where the base has the same content several times, anchors are found in one copy and in another by
    turns; only following tells which of them is the one.
    """
    lengths, firsts = Counter[int](), dict[int, int]()
    for first, end, shift in some:
        lengths[shift] += end - first
        firsts.setdefault(shift, first)
    best = some[-1]
    for shift, _ in lengths.most_common(_TRIED):
        reached = _explained(content, base, firsts[shift], last, shift)
        if reached > best[1]:
            best = (firsts[shift], reached, shift)
    return best


def _explained(content: Array, base: Array, first: int, last: int, shift: int) -> int:
    """Return how far, block after block, most bytes are the same at a shift."""
    if first + shift < 0:
        return first
    at, end, count = first, min(last, len(base) - shift), 16 * _BLOCK
    while at < end:
        same = content[at : min(end, at + count)] == base[at + shift : min(end, at + count) + shift]
        whole = len(same) // _BLOCK
        counts = np.count_nonzero(same[: whole * _BLOCK].reshape(whole, _BLOCK), axis=1)
        worse = np.flatnonzero(counts < _MOSTLY)
        if len(worse):
            return at + int(worse[0]) * _BLOCK
        rest = same[whole * _BLOCK :]
        if np.count_nonzero(rest) * _BLOCK < len(rest) * _MOSTLY:
            return at + whole * _BLOCK
        at, count = at + len(same), min(_FAR, 4 * count)
    return at


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
                continue
            gap = _equal(content, base, kept[-1][1], begin, shift)
            if 3 * np.count_nonzero(gap) >= len(gap):
                kept[-1] = (kept[-1][0], last, shift)
                continue
        kept.append((begin, last, shift))
    return kept


def _forward(same: Array) -> int:
    """Return how far a shift is worth following: as long as a third of the bytes are equal."""
    if not len(same):
        return 0
    score = np.cumsum(np.where(same, np.int32(2), np.int32(-1)))
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


def aligned(
    content: bytes, base: Sought, starts: Sequence[Start] = ()
) -> tuple[list[tuple[int, int, int]], bytes, bytes]:
    """Return control triples, differences and inserted bytes; see `align`.

    Args:
        content: What is to be written down.
        base: What it is sought in.
        starts: Places in content where something new begins, with those of its likeness in the base.

    """
    new, old = np.frombuffer(content, np.uint8), base.array
    kept = _chosen(runs(content, base, starts), new, old)
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
