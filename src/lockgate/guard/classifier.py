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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lockgate.guard.errors import GuardWeightsError
from lockgate.guard.features import BUCKETS, GROUPS, features, windows
from lockgate.guard.ports import Scorer
from lockgate.guard.rules import Channel

WEIGHTS_LIMIT = 32 << 20
"""Largest file of weights that is read, in bytes."""

_SIZE = BUCKETS * len(GROUPS)
_STEPS = 127
_HEADS = {Channel.USER: 0, Channel.RETRIEVED: 1, Channel.TOOL: 1}


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of both models.

    Attributes:
        values: One byte for each bucket of each group; a row for each model.
        scales: What a byte is worth, for each model.
        biases: For each model.
        flags: The raw score from which each model flags.
        blocks: The raw score from which each model may block.
        sha256: Digest of all of it.

    """

    values: NDArray[np.int8]
    scales: tuple[float, float]
    biases: tuple[float, float]
    flags: tuple[float, float]
    blocks: tuple[float, float]

    @property
    def sha256(self) -> str:
        """Return the digest of the weights."""
        numbers = np.array([self.scales, self.biases, self.flags, self.blocks], dtype="<f8")
        return hashlib.sha256(self.values.tobytes() + numbers.tobytes()).hexdigest()

    @classmethod
    def of(
        cls,
        user: NDArray[np.float64],
        foreign: NDArray[np.float64],
        user_bounds: dict[str, float],
        foreign_bounds: dict[str, float],
    ) -> Self:
        """Return weights in bytes, from those that were trained (each with its bias at the end)."""
        scales = (float(np.abs(user[:-1]).max()) / _STEPS, float(np.abs(foreign[:-1]).max()) / _STEPS)
        rows = [
            np.rint(w[:-1] / scale).astype(np.int8) for w, scale in zip((user, foreign), scales, strict=True)
        ]
        return cls(
            values=np.stack(rows),
            scales=scales,
            biases=(float(user[-1]), float(foreign[-1])),
            flags=(user_bounds["flag"], foreign_bounds["flag"]),
            blocks=(user_bounds["block"], foreign_bounds["block"]),
        )


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights: NumPy's .npz without pickled objects, the same bytes each time."""
    numbers = np.array([weights.scales, weights.biases, weights.flags, weights.blocks], dtype="<f8")
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (("values", weights.values), ("numbers", numbers)):
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
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        what = f"The classifier's weights cannot be read: {error}."
        raise GuardWeightsError(what) from error
    if values.shape != (2, _SIZE) or values.dtype != np.int8 or numbers.shape != (4, 2):
        raise GuardWeightsError("The classifier's weights are of another shape.")
    if not np.isfinite(numbers).all() or (numbers[3] < numbers[2]).any():
        raise GuardWeightsError("The classifier's bounds make no sense.")
    scales, biases, flags, blocks = ((float(a), float(b)) for a, b in numbers)
    return Weights(values, scales, biases, flags, blocks)


@functools.cache
def shipped() -> "Classifier":
    """Return the classifier that ships."""
    return Classifier(load_weights((resources.files("lockgate.guard") / "weights.npz").read_bytes()))


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
        """Return the highest score of a text's windows."""
        head = _HEADS[channel]
        return self._shown(max(self._raw(window, head) for window in windows(plain)), head)

    def block_at(self, channel: Channel) -> float:
        """Return the score from which a text may be blocked."""
        head = _HEADS[channel]
        return self._shown(self._weights.blocks[head], head)

    def _raw(self, window: str, head: int) -> float:
        total, scale = self._weights.biases[head], self._weights.scales[head]
        for values, found in zip(self._groups[head], features(window), strict=True):
            if len(found):
                total += scale * int(values[found].sum(dtype=np.int64)) / math.sqrt(len(found))
        return total

    def _shown(self, raw: float, head: int) -> float:
        """Return a score between 0 and 1, at one half where the model flags."""
        distance = max(-30.0, min(30.0, raw - self._weights.flags[head]))
        return 1 / (1 + math.exp(-distance))
