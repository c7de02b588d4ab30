"""The largest singular values of a tensor by a randomised sketch, in two passes over its rows.

After Halko, Martinsson and Tropp, "Finding structure with randomness" (SIAM Review 53(2), 2011), algorithm
4.1 with oversampling: the range is caught by `A @ omega`, then the values are those of `q.T @ A`. The random
matrix is seeded, so that two runs over the same bytes give the same facts.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from lockgate.inspect.weights.values import Reals

SEED = 20260
RANK = 8
"""How many singular values are told."""

EXTRA = 8
SHORTEST = 16
"""Fewest rows and columns of a tensor that is sketched."""

MOST_ROWS = 300_000
MOST_COLUMNS = 300_000
"""Longest sides of a tensor that is sketched: what is kept is 16 numbers for each row and column."""


def sketched(rows: int, columns: int) -> bool:
    """Tell whether a tensor of this shape is sketched."""
    return SHORTEST <= rows <= MOST_ROWS and SHORTEST <= columns <= MOST_COLUMNS


def directions(name: str, columns: int) -> Reals:
    """Return the random directions for a tensor, the same at every run."""
    own = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big")
    return np.random.default_rng([SEED, own]).standard_normal((columns, RANK + EXTRA), dtype=np.float32)


class Sketch:
    """One matrix, given to it twice, window by window."""

    def __init__(self, rows: int, omega: Reals) -> None:
        """Begin the first pass."""
        self._omega = omega
        self._range = np.zeros((rows, omega.shape[1]), dtype=np.float32)
        self._held = np.zeros((omega.shape[1], omega.shape[0]), dtype=np.float32)

    def first(self, row: int, window: Reals) -> None:
        """Take rows in the first pass."""
        self._range[row : row + len(window)] = window @ self._omega

    def turn(self) -> None:
        """End the first pass."""
        self._range = np.linalg.qr(self._range)[0]

    def second(self, row: int, window: Reals) -> None:
        """Take rows in the second pass."""
        self._held += self._range[row : row + len(window)].T @ window

    def values(self) -> npt.NDArray[np.floating]:
        """Return the largest singular values, the largest first."""
        return np.linalg.svd(self._held, compute_uv=False)[:RANK]


def random_share(rows: int, columns: int) -> float:
    """Return what `RANK` directions hold of a random matrix of independent entries, at the most.

    The largest singular value is about √rows + √columns (Bai and Yin, 1988).
    """
    return float(min(1.0, RANK * (rows**0.5 + columns**0.5) ** 2 / (rows * columns)))
