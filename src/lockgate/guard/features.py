"""What the classifier sees of a text: hashed letters, words and meanings, as numbers of buckets.

Letters are runs of 3 to 5 characters, words runs of 1 to 3; both survive misspelling and inflection.
All of it is hashed into a fixed number of buckets, so that there is no vocabulary to ship and no word
that was never seen. Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
ICML 2009.
"""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lockgate.guard.concepts import patterns, words_of

BUCKETS = 1 << 17
"""How many buckets there are; a power of two."""

GROUPS = ("letters", "words", "meanings")
"""The groups of features; each weighs the same whatever a text's length."""

LETTERS = (3, 4, 5)
WORDS = (1, 2, 3)

WINDOW = 1000
"""Most characters that are looked at together."""

STEP = 750
"""From the start of one window to the next, in characters."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HIGH = np.uint64(32)
_MASK = np.uint64(BUCKETS - 1)


def windows(plain: str) -> list[str]:
    """Return the parts of a plain text that are looked at, which overlap."""
    if len(plain) <= WINDOW:
        return [plain]
    return [plain[at : at + WINDOW] for at in range(0, len(plain) - WINDOW + STEP, STEP)]


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
