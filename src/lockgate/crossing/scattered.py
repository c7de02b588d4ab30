"""Stripes with more bad shards than parity: a bad shard is mostly right, and where it is not can be found.

Parity over the bytes as they arrived gives zero wherever all of them are right. Each column of bytes
(the same place in every shard) that does not is damaged, and by few shards at once when damage is
scattered. Which shards explain a column is tried among the suspects, smallest sets first; the digest of
the whole shard judges the outcome, so a wrong guess is never taken for a repair.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from lockgate.crossing.erasure import code, rows_of
from lockgate.crossing.field import Bytes, checks, product, reducing

SETS_LIMIT = 6000
"""Most sets of suspects that are tried for one column."""

TRIALS_LIMIT = 2_000_000
"""Most sets that are tried in one group; damage that somebody made could ask for more than all time."""

Places = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Trials:
    """How many sets of suspects may still be tried."""

    left: int = TRIALS_LIMIT

    def take(self, sets: Iterator[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
        """Return the next sets, no more than `most` and than are left."""
        taken = list(islice(sets, min(most, self.left)))
        self.left -= len(taken)
        return taken


@lru_cache(maxsize=2 * SETS_LIMIT)
def _reducing(data: int, parity: int, places: tuple[int, ...]) -> Bytes:
    return reducing(checks(data, parity)[:, places])


class Columns:
    """Repairs the columns of one stripe."""

    def __init__(
        self, shape: tuple[int, int], lost: Sequence[int], suspects: Sequence[int], trials: Trials
    ) -> None:
        """Know which shards are lost and which ones are suspected of errors.

        Args:
            shape: Number of volumes, and of parity volumes.
            lost: Places of shards of which nothing is there.
            suspects: Places of shards that are there and do not have their digest.
            trials: How much may be tried.

        """
        self._data, self._parity = shape
        self._lost, self._suspects = tuple(lost), tuple(suspects)
        self._trials = trials

    def within_reach(self) -> bool:
        """Tell whether a single error in a column can be found beside what is lost."""
        return len(self._lost) + 1 < self._parity

    def repair(self, rows: Bytes) -> bool:
        """Repair slices of the shards in place; tell whether every column was explained.

        Args:
            rows: The slices as they arrived, parity after data; zeros where a shard is lost.

        """
        syndromes = np.empty((self._parity, rows.shape[1]), np.uint8)
        code(self._data, self._parity).encode(rows_of(rows)[: self._data], rows_of(syndromes), rows.shape[1])
        syndromes ^= rows[self._data :]
        left = np.flatnonzero(syndromes.any(axis=0))
        left = left[np.invert(self._apply(rows, syndromes, left, ()))]
        found: tuple[int, ...] | None = ()
        while len(left):
            found = self._explain(syndromes, left, found or ())
            if found is None:
                return False
            left = left[np.invert(self._apply(rows, syndromes, left, found))]
        return True

    def _solve(self, syndromes: Bytes, extra: Iterable[int]) -> tuple[Bytes, Flags]:
        """Return the errors of the lost and the extra shards, and whether they explain each column."""
        places = (*self._lost, *extra)
        solved = product(_reducing(self._data, self._parity, places), syndromes)
        return solved[: len(places)], np.invert(np.any(solved[len(places) :], axis=0, keepdims=False))

    def _apply(self, rows: Bytes, syndromes: Bytes, left: Places, extra: tuple[int, ...]) -> Flags:
        """Correct the columns that a set explains; return which ones those were."""
        errors, right = self._solve(syndromes[:, left], extra)
        for place, error in zip((*self._lost, *extra), errors, strict=True):
            rows[place, left[right]] ^= error[right]
        return right

    def _explain(self, syndromes: Bytes, left: Places, before: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the smallest set of suspects that explains the first damaged column.

        Of several, the one that explains most other columns, and then the one that goes on with what
        was damaged `before`: damage comes in runs.
        """
        first = syndromes[:, left[:1]]
        most = SETS_LIMIT
        for size in range(1, self._parity - len(self._lost)):
            sets = self._trials.take(combinations(self._suspects, size), most)
            most -= len(sets)
            fitting = [one for one in sets if self._solve(first, one)[1][0]]
            if len(fitting) > 1:
                explained = {one: int(self._solve(syndromes[:, left], one)[1].sum()) for one in fitting}
                fitting.sort(key=lambda one: (-explained[one], -len({*one} & {*before})))
            if fitting:
                return fitting[0]
        return None
