"""Which member of the old file a member of the new one is like: by name, then by likeness. Planning only."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from lockgate.crossing.delta.spans import Span

_VERSION: Final = re.compile(r"\d+(?:[._]\d+)*[0-9a-z.+_]*")
_SKETCH: Final = 64
_SAMPLE: Final = 1 << 20
_LIKE: Final = 4
"""Shingles that two members share at least, to be taken for versions of one another."""

Sample = Callable[[Span], bytes]
"""Returns the first bytes of a member's content."""


def plain_name(name: str) -> str:
    """Return a name without what changes from version to version (versions, hashes of shared objects)."""
    parts = [_VERSION.sub("#", part) for part in PurePosixPath(name).parts]
    return re.sub(r"-[0-9a-f]{8,}", "-#", "/".join(parts))


def sketch(data: bytes) -> frozenset[int]:
    """Return the least hashes of all runs of eight bytes (after A. Broder, "On the resemblance", 1997)."""
    if len(data) < 8:  # noqa: PLR2004  # one run
        return frozenset()
    found: list[int] = []
    for offset in range(4):
        words = np.frombuffer(data, "<u4", (len(data) - offset) // 4, offset).astype(np.uint64)
        runs = words[:-1] | words[1:] << np.uint64(32)
        mixed = runs * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        unique = np.unique(mixed)
        found += unique[:_SKETCH].tolist()
    return frozenset(sorted(set(found))[:_SKETCH])


def match(
    new: Sequence[Span], old: Sequence[Span], sample_new: Sample, sample_old: Sample
) -> dict[Span, Span]:
    """Return for members of the new file those of the old file that they are like."""
    found = _by(new, old, lambda span: span.name)
    rest = [span for span in new if span not in found]
    if rest:
        spare = set(old) - set(found.values())
        found |= _by(rest, [span for span in old if span in spare], lambda span: plain_name(span.name))
    rest = [span for span in rest if span not in found]
    if rest:
        spare = set(old) - set(found.values())
        found |= _alike(rest, [span for span in old if span in spare], sample_new, sample_old)
    return found


def _by(new: Iterable[Span], old: Iterable[Span], key: Callable[[Span], str]) -> dict[Span, Span]:
    named = {key(span): span for span in old}
    return {span: named[key(span)] for span in new if key(span) in named}


def _alike(
    new: Sequence[Span], old: Sequence[Span], sample_new: Sample, sample_old: Sample
) -> dict[Span, Span]:
    sketches = {span: sketch(sample_old(span)) for span in old}
    found: dict[Span, Span] = {}
    for span in new:
        own = sketch(sample_new(span))
        best = max(sketches, key=lambda other: len(own & sketches[other]), default=None)
        if best is not None and len(own & sketches[best]) >= _LIKE:
            found[span] = best
    return found


def first_bytes(parts: Iterable[bytes]) -> bytes:
    """Return the start of a member's content, for its sketch."""
    data = b""
    for part in parts:
        data += part
        if len(data) >= _SAMPLE:
            break
    return data[:_SAMPLE]
