"""What is seen of a text: which parts of it together, and words and meanings as numbers of buckets.

Letters are runs of 4 characters, words runs of 1 to 3; both survive misspelling and inflection.
All of it is hashed into a fixed number of buckets, so that there is no vocabulary to ship and no word
that was never seen. Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
ICML 2009.
"""

import bisect
import math
import zlib
from collections.abc import Iterable, Sequence

from lockgate.scoring.concepts import patterns

BUCKETS = 1 << 18
"""How many buckets there are; a power of two."""

GROUPS = ("letters", "words", "meanings")
"""The groups of features."""

SHARES = (0.7, 1.0, 1.0)
"""How much each group weighs at most: letters say which language it is, above all."""

FEWEST = (24, 8, 4)
"""How many features a group is taken to have at least: a text of one word says little."""

LETTERS = 4
"""How many characters a run of letters has."""

WORDS = (1, 2, 3)
"""How many words a run of words has."""

WINDOWS = ((1000, 750), (300, 200))
"""How many characters are looked at together, and from the start of one such window to the next.

The wide ones see what a long text is about, the narrow ones an order of one sentence in it.
"""

LENGTHS = (300, 1000, 4000)
"""Where the classes of length end, in characters: the more windows, the higher the highest score."""

FACTOR, MIX, HALF = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 32
"""What runs of letters are hashed with, in 64 bits: each character is mixed in by `FACTOR` and a shift by
`HALF`, and the whole by `MIX`."""


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


def weights_of(counts: Sequence[int]) -> list[float]:
    """Return what each feature of a group weighs: together as much in long texts as in short ones.

    Args:
        counts: How many features each group has.

    """
    return [
        share / math.sqrt(max(few, count)) for count, share, few in zip(counts, SHARES, FEWEST, strict=True)
    ]


def words_in(words: list[str]) -> set[int]:
    """Return the buckets of runs of words."""
    return _hashed(
        " ".join(words[at : at + length]) for length in WORDS for at in range(len(words) - length + 1)
    )


def meanings_in(words: list[str]) -> set[int]:
    """Return the buckets of meanings that follow one another."""
    return _hashed(f"m {each}" for each in patterns(words))


def _hashed(parts: Iterable[str]) -> set[int]:
    return {zlib.crc32(part.encode("utf-8", "surrogatepass")) & (BUCKETS - 1) for part in parts}
