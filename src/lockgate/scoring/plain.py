"""The score of a line of unseen text in plain Python, for where NumPy is not: the sandbox of inspection.

It sees of a text what the guards' classifier sees, with weights of its own (``training/guard/asides.py``):
where nobody reads, an ordinary request is an order to whatever does. The bound is the caller's.
"""

import functools
import hashlib
import io
import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from lockgate.scoring.concepts import words_of
from lockgate.scoring.normalise import normalise
from lockgate.scoring.shape import (
    BUCKETS,
    FACTOR,
    HALF,
    LETTERS,
    MIX,
    meanings_in,
    weights_of,
    windows,
    words_in,
)

WEIGHTS = "asides.npz"
"""The file of the weights, beside this module."""

_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Model:
    """The weights, a byte for each bucket of each group, what a byte is worth, and the bias."""

    values: memoryview
    scale: float
    bias: float


def load() -> None:
    """Read the weights, so that who forks afterwards need not."""
    _shipped()


@functools.cache
def weights_digest() -> str:
    """Return what names the weights: with others, texts have other scores."""
    return hashlib.sha256(_file()).hexdigest()


def likeness(text: str) -> float:
    """Return how much a text looks like an order to a model: the highest raw score of its windows.

    Raw scores have no bounds; harmless ones are mostly far below zero.
    """
    plain = normalise(text).text
    return max(map(_raw, windows(plain)))


def _raw(window: str) -> float:
    model, words = _shipped(), words_of(window)
    found = [set(_letters(window)), words_in(words), meanings_in(words)]
    total = model.bias
    for number, (group, weight) in enumerate(zip(found, weights_of([*map(len, found)]), strict=True)):
        start = number * BUCKETS
        total += weight * model.scale * sum(model.values[start + bucket] for bucket in group)
    return total


def _letters(plain: str) -> Iterator[int]:
    """Yield the buckets of runs of characters, as `lockgate.guard.features` finds them."""
    said = f" {plain} "
    for at in range(len(said) - LETTERS + 1):
        yield _bucket(said[at : at + LETTERS])


@functools.lru_cache(maxsize=16_384)
def _bucket(run: str) -> int:
    mixed = LETTERS
    for char in run:
        mixed = (mixed ^ ord(char)) * FACTOR & _BITS
        mixed ^= mixed >> HALF
    return (mixed * MIX & _BITS) >> HALF & (BUCKETS - 1)


@functools.cache
def _shipped() -> _Model:
    with zipfile.ZipFile(io.BytesIO(_file())) as archive:
        values = _values(archive.read("values.npy")).cast("b")
        scale, bias = array("d", _values(archive.read("numbers.npy")).tobytes())
    return _Model(values, scale, bias)


def _file() -> bytes:
    return (resources.files("lockgate.scoring") / WEIGHTS).read_bytes()


def _values(data: bytes) -> memoryview:
    """Return the bytes of an array after its head (NumPy's format 1.0), which is our own and known."""
    return memoryview(data)[10 + int.from_bytes(data[8:10], "little") :]
