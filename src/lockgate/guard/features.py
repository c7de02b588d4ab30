"""What the classifier sees of a text: hashed letters, words and meanings, as numbers of buckets.

Letters are runs of 4 characters, words runs of 1 to 3; both survive misspelling and inflection.
All of it is hashed into a fixed number of buckets, so that there is no vocabulary to ship and no word
that was never seen. Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
ICML 2009.
"""

import bisect
import math
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lockgate.guard.concepts import patterns, words_of

BUCKETS = 1 << 18
"""How many buckets there are; a power of two."""

GROUPS = ("letters", "words", "meanings")
"""The groups of features."""

SHARES = (0.7, 1.0, 1.0)
"""How much each group weighs at most: letters say which language it is, above all."""

FEWEST = (24, 8, 4)
"""How many features a group is taken to have at least: a text of one word says little."""

LETTERS = (4,)
WORDS = (1, 2, 3)

WINDOWS = ((1000, 750), (300, 200))
"""How many characters are looked at together, and from the start of one such window to the next.

The wide ones see what a long text is about, the narrow ones an order of one sentence in it.
"""

LENGTHS = (300, 1000, 4000)
"""Where the classes of length end, in characters: the more windows, the higher the highest score."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HIGH = np.uint64(32)
_MASK = np.uint64(BUCKETS - 1)


def windows(plain: str) -> list[str]:
    """Return the parts of a plain text that are looked at, which overlap."""
    found = [plain] if len(plain) <= WINDOWS[0][0] else []
    for size, step in WINDOWS:
        if len(plain) > size:
            found += [plain[at : at + size] for at in range(0, len(plain) - size + step, step)]
    return found


def length_class(plain: str) -> int:
    """Return the class of a plain text's length, from 0 to as many as there are `LENGTHS`."""
    return bisect.bisect_left(LENGTHS, len(plain))


def weights_of(found: list[NDArray[np.int64]]) -> list[float]:
    """Return what each feature of a group weighs: together as much in long texts as in short ones."""
    return [
        share / math.sqrt(max(few, len(group)))
        for group, share, few in zip(found, SHARES, FEWEST, strict=True)
    ]


def features(plain: str) -> list[NDArray[np.int64]]:
    """Return the buckets of a window in each group, each bucket once, sorted."""
    words = words_of(plain)
    return [_letters(plain), _hashed(_runs(words)), _hashed(f"m {each}" for each in patterns(words))]


def _letters(plain: str) -> NDArray[np.int64]:
    """Return the buckets of runs of characters; the hash is taken of all runs of a length at once."""
    codes = np.frombuffer(f" {plain} ".encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    found = [np.empty(0, dtype=np.uint64)]
    for length in LETTERS:
        count = len(codes) - length + 1
        if count <= 0:
            continue
        mixed = np.full(count, length, dtype=np.uint64)
        for at in range(length):
            mixed = (mixed ^ codes[at : at + count]) * _FACTOR
            mixed ^= mixed >> _HIGH
        found.append((mixed * _MIX >> _HIGH) & _MASK)
    return np.unique(np.concatenate(found)).astype(np.int64)


def _runs(words: list[str]) -> Iterable[str]:
    for length in WORDS:
        for at in range(len(words) - length + 1):
            yield " ".join(words[at : at + length])


def _hashed(parts: Iterable[str]) -> NDArray[np.int64]:
    hashed = {zlib.crc32(part.encode("utf-8", "surrogatepass")) & (BUCKETS - 1) for part in parts}
    return np.array(sorted(hashed), dtype=np.int64)
