"""Scores a text: how much it looks like an order to a model, in the place where it stands.

Two linear models over hashed features, one for users' turns and one for what was looked up or answered
by a tool, since an ordinary request becomes an attack by where it stands. Weights are bytes with one
scale for each model. They are trained by ``training/guard``; docs/model-cards/guard.md says how good
they are. A score is between 0 and 1: at 0.5 a text is flagged; it is no probability.
"""

import functools
import hashlib
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lockgate.core.zips import ZIP_ERRORS
from lockgate.guard.errors import GuardWeightsError
from lockgate.guard.features import features
from lockgate.guard.ports import Scorer
from lockgate.guard.rules import Channel
from lockgate.scoring.shape import BUCKETS, GROUPS, LENGTHS, length_class, weights_of, windows

WEIGHTS_LIMIT = 32 << 20
"""Largest file of weights that is read, in bytes."""

_SIZE = BUCKETS * len(GROUPS)
_STEPS = 127
_CLASSES = len(LENGTHS) + 1
_ROWS = 3 + 2 * _CLASSES
_HEADS = {Channel.USER: 0, Channel.RETRIEVED: 1, Channel.TOOL: 1}


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of both models.

    Attributes:
        values: One byte for each bucket of each group; a row for each model.
        scales: What a byte is worth, for each model.
        biases: For each model.
        margins: How far over the bound of a flag the one of a block lies, for each model.
        flags: The raw score from which on a text is flagged, for each model and class of length.
        evens: The same for the mean of the higher half of its windows.
        sha256: Digest of all of it.

    """

    values: NDArray[np.int8]
    scales: tuple[float, float]
    biases: tuple[float, float]
    margins: tuple[float, float]
    flags: tuple[tuple[float, ...], tuple[float, ...]]
    evens: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Return all but the values, a column for each model."""
        bounds = (*zip(*self.flags, strict=True), *zip(*self.evens, strict=True))
        rows = [self.scales, self.biases, self.margins, *bounds]
        return np.array(rows, dtype="<f8")

    @property
    def sha256(self) -> str:
        """Return the digest of the weights."""
        return hashlib.sha256(self.values.tobytes() + self.numbers.tobytes()).hexdigest()

    @classmethod
    def of(
        cls,
        user: NDArray[np.float64],
        foreign: NDArray[np.float64],
        flags: tuple[tuple[float, ...], tuple[float, ...]],
        evens: tuple[tuple[float, ...], tuple[float, ...]],
        margins: tuple[float, float],
    ) -> Self:
        """Return weights in bytes, from those that were trained (each with its bias at the end)."""
        scales = (float(np.abs(user[:-1]).max()) / _STEPS, float(np.abs(foreign[:-1]).max()) / _STEPS)
        rows = [
            np.rint(w[:-1] / scale).astype(np.int8) for w, scale in zip((user, foreign), scales, strict=True)
        ]
        return cls(np.stack(rows), scales, (float(user[-1]), float(foreign[-1])), margins, flags, evens)


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights."""
    save_arrays(path, {"values": weights.values, "numbers": weights.numbers})


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays: NumPy's .npz without pickled objects, the same bytes each time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue(), compresslevel=9)


def load_weights(data: bytes) -> Weights:
    """Read weights.

    Raises:
        GuardWeightsError: They are too large, damaged, or of another shape.

    """
    if len(data) > WEIGHTS_LIMIT:
        what = f"The classifier's weights have {len(data)} bytes."
        raise GuardWeightsError(what, limit="guard.weights_bytes")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            values, numbers = arrays["values"], arrays["numbers"]
    except (OSError, KeyError, *ZIP_ERRORS) as error:
        what = f"The classifier's weights cannot be read: {error}."
        raise GuardWeightsError(what) from error
    if values.shape != (2, _SIZE) or values.dtype != np.int8 or numbers.shape != (_ROWS, 2):
        raise GuardWeightsError("The classifier's weights are of another shape.")
    if not np.isfinite(numbers).all() or (numbers[2] < 0).any():
        raise GuardWeightsError("The classifier's bounds make no sense.")
    scales, biases, margins = ((float(a), float(b)) for a, b in numbers[:3])
    user, foreign = (tuple(float(bound) for bound in column) for column in numbers[3:].T)
    flags = user[:_CLASSES], foreign[:_CLASSES]
    return Weights(values, scales, biases, margins, flags, (user[_CLASSES:], foreign[_CLASSES:]))


@functools.cache
def shipped() -> "Classifier":
    """Return the classifier that ships."""
    return Classifier(load_weights((resources.files("lockgate.scoring") / "weights.npz").read_bytes()))


class Classifier(Scorer):
    """The two linear models.

    Args:
        weights: Theirs.

    """

    def __init__(self, weights: Weights) -> None:
        """Keep the weights, each row with its groups apart."""
        self._weights = weights
        self._groups = [[row[at : at + BUCKETS] for at in range(0, _SIZE, BUCKETS)] for row in weights.values]
        self._version = f"linear-{weights.sha256[:12]}"

    @property
    def version(self) -> str:
        """Return the name with the beginning of the weights' digest."""
        return self._version

    def score(self, plain: str, channel: Channel) -> float:
        """Return how far a text's windows are over the bounds for its length.

        The highest one counts, which an order in one place raises, or the mean of the higher half, which a
        text that goes on like that raises.
        """
        head, length = _HEADS[channel], length_class(plain)
        highest, even = raised([self._raw(window, head) for window in windows(plain)])
        return _shown(
            max(highest - self._weights.flags[head][length], even - self._weights.evens[head][length])
        )

    def block_at(self, channel: Channel) -> float:
        """Return the score from which a text may be blocked."""
        return _shown(self._weights.margins[_HEADS[channel]])

    def _raw(self, window: str, head: int) -> float:
        total, scale = self._weights.biases[head], self._weights.scales[head]
        found = features(window)
        for values, group, weight in zip(
            self._groups[head], found, weights_of([*map(len, found)]), strict=True
        ):
            total += weight * scale * int(values[group].sum(dtype=np.int64))
        return total


def raised(scores: Sequence[float]) -> tuple[float, float]:
    """Return the highest of the scores of a text's windows, and the mean of their higher half."""
    ranked = sorted(scores, reverse=True)
    half = ranked[: (len(ranked) + 1) // 2]
    return ranked[0], sum(half) / len(half)


def _shown(distance: float) -> float:
    """Return a score between 0 and 1, at one half where the model flags."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, distance))))
