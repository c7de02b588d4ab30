"""What the classifier sees of a text: hashed letters, words and meanings, as arrays of buckets."""

import numpy as np
from numpy.typing import NDArray

from lockgate.scoring.concepts import words_of
from lockgate.scoring.shape import BUCKETS, FACTOR, HALF, LETTERS, MIX, meanings_in, words_in

_FACTOR, _MIX, _HALF = np.uint64(FACTOR), np.uint64(MIX), np.uint64(HALF)
_MASK = np.uint64(BUCKETS - 1)


def features(plain: str) -> list[NDArray[np.int64]]:
    """Return the buckets of a window in each group, each bucket once, sorted."""
    words = words_of(plain)
    return [_letters(plain), _sorted(words_in(words)), _sorted(meanings_in(words))]


def _letters(plain: str) -> NDArray[np.int64]:
    """Return the buckets of runs of characters; the hash is taken of all runs at once."""
    codes = np.frombuffer(f" {plain} ".encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    count = len(codes) - LETTERS + 1
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    mixed = np.full(count, LETTERS, dtype=np.uint64)
    for at in range(LETTERS):
        mixed = (mixed ^ codes[at : at + count]) * _FACTOR
        mixed ^= mixed >> _HALF
    return np.unique((mixed * _MIX >> _HALF) & _MASK).astype(np.int64)


def _sorted(buckets: set[int]) -> NDArray[np.int64]:
    return np.array(sorted(buckets), dtype=np.int64)
