"""Fits the linear models: features of windows, and which windows of a text are learnt from.

A text that attacks does so in some of its windows only, so a first model chooses those that a second one
learns from; of a long harmless text the second one sees the windows that looked worst. Source: Andrews et
al., "Support Vector Machines for Multiple-Instance Learning", NIPS 2002.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from grammar import Text
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from lockgate.guard.features import features
from lockgate.scoring.normalise import normalise
from lockgate.scoring.shape import BUCKETS, GROUPS, weights_of, windows

HEADS = ("user", "foreign")
PENALTY = 0.3
ROUNDS = (25, 35)
"""Most steps of each round of fitting."""

WINDOWS_KEPT = 10
"""Most windows of a text whose features are kept."""

FIRST_HARMLESS, WORST_HARMLESS, FIRST_ATTACKS, BEST_ATTACKS = 4, 6, 3, 2
"""How many windows of a text the first and the second round learn from."""

HARMLESS_WEIGHT = 1.5
PEOPLE_WEIGHT, TRAP_WEIGHT = 2.0, 3.0
"""How much more texts of people, and harmless ones that look like attacks, weigh than others."""

PIECE = 30
"""An order is in a window when half of its pieces of so many characters are."""


@dataclass(slots=True)
class Data:
    """All texts, and the features of their windows."""

    texts: list[Text]
    matrix: csr_matrix
    owner: np.ndarray  # the text of each window
    place: np.ndarray  # the number of each window in a random order of its text's windows
    labels: dict[str, np.ndarray]  # of each text: 1, 0, -1 for neither
    lengths: np.ndarray  # of each text's plain form

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Return the windows of the texts that a mask chooses."""
        return np.flatnonzero(chosen[self.owner])


def prepared(texts: list[Text], seed: int) -> Data:
    """Return texts with the features of their windows."""
    rng = random.Random(seed)  # noqa: S311  # repeatable
    kept: list[str] = []
    owner: list[int] = []
    place: list[int] = []
    lengths: list[int] = []
    for at, text in enumerate(texts):
        plain = normalise(text.text).text
        lengths.append(len(plain))
        found = windows(plain)
        if text.order:
            found = [window for window in found if holds(window, normalise(text.order).text)] or found
        if len(found) > WINDOWS_KEPT:
            found = [found[index] for index in sorted(rng.sample(range(len(found)), WINDOWS_KEPT))]
        kept += found
        owner += [at] * len(found)
        place += rng.sample(range(len(found)), len(found))
    labels = {
        head: np.array([-1 if (v := getattr(text, head)) is None else v for text in texts]) for head in HEADS
    }
    return Data(texts, matrix_of(kept), np.array(owner), np.array(place), labels, np.array(lengths))


def holds(window: str, order: str) -> bool:
    """Tell whether most of an order stands in a window."""
    pieces = [order[at : at + PIECE] for at in range(0, max(1, len(order) - PIECE // 2), PIECE)]
    return sum(piece in window for piece in pieces) * 2 >= len(pieces)


def matrix_of(plain_windows: Sequence[str]) -> csr_matrix:
    """Return the features of windows as a sparse matrix; each group has the length of its share."""
    columns, values, ends = [], [], [0]
    for plain in plain_windows:
        found = features(plain)
        for number, (group, weight) in enumerate(zip(found, weights_of([*map(len, found)]), strict=True)):
            columns.append((group + number * BUCKETS).astype(np.int32))
            values.append(np.full(len(group), weight, dtype=np.float32))
        ends.append(ends[-1] + sum(map(len, columns[-len(GROUPS) :])))
    shape = (len(plain_windows), BUCKETS * len(GROUPS))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape)


def fit(data: Data, head: str, chosen: np.ndarray) -> np.ndarray:
    """Return the weights (the last one is the bias) of a logistic model over the chosen texts."""
    label = data.labels[head]
    chosen = chosen & (label >= 0)
    rows = data.rows(chosen)
    attacks = label[data.owner[rows]] == 1
    first = data.place[rows] < np.where(attacks, FIRST_ATTACKS, FIRST_HARMLESS)
    weights = _fitted(data, head, rows[first], np.zeros(data.matrix.shape[1] + 1), ROUNDS[0])
    scores = data.matrix[rows] @ weights[:-1].astype(np.float32)
    rank = _ranks(data.owner[rows], scores)
    again = np.where(attacks, rank < BEST_ATTACKS, (rank < WORST_HARMLESS) | (first & (data.place[rows] < 2)))
    return _fitted(data, head, rows[again], weights, ROUNDS[1])


def _ranks(owner: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which place each window has among those of its text, the highest score first."""
    order = np.lexsort((-scores, owner))
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    ranks = np.empty(len(owner), dtype=np.int64)
    counts = np.diff(np.append(starts, len(owner)))
    ranks[order] = np.arange(len(owner)) - np.repeat(starts, counts)
    return ranks


def _fitted(data: Data, head: str, rows: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Return weights fitted to windows, from others on."""
    owner = data.owner[rows]
    x, y = data.matrix[rows], data.labels[head][owner].astype(np.float64) * 2 - 1
    per_text = np.bincount(owner, minlength=len(data.texts))[owner]
    weight = np.array([weight_of(text) for text in data.texts])[owner] / np.sqrt(per_text)
    weight = np.where(y > 0, weight / weight[y > 0].sum(), HARMLESS_WEIGHT * weight / weight[y < 0].sum())
    weight *= len(rows)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        # Single precision for the products: the matrix has it, and would be copied for each otherwise.
        margin = y * (x @ w[:-1].astype(np.float32) + w[-1])
        slope = -weight * y * np.exp(-np.logaddexp(0, margin))
        value = float(weight @ np.logaddexp(0, -margin)) + PENALTY / 2 * float(w[:-1] @ w[:-1])
        fall = x.T @ slope.astype(np.float32)
        return value, np.append(fall + PENALTY * w[:-1], slope.sum())

    options = {"maxiter": steps, "maxcor": 8}
    return minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x


def weight_of(text: Text) -> float:
    """Return what a text counts: those of people, and harmless ones that look like attacks, count more."""
    if not text.source.startswith("grammar"):
        return PEOPLE_WEIGHT
    return 1.0 if text.user or text.foreign else TRAP_WEIGHT


def scored(data: Data, weights: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the windows of each chosen text are raised to; of the others nothing (-inf).

    That is the highest of its scores and the mean of their higher half, as the classifier counts them.
    """
    rows = data.rows(chosen)
    owner = data.owner[rows]
    scores = data.matrix[rows] @ weights[:-1].astype(np.float32) + weights[-1]
    highest = np.full(len(data.texts), -np.inf)
    np.maximum.at(highest, owner, scores)
    counts = np.bincount(owner, minlength=len(data.texts))
    upper = _ranks(owner, scores) < (counts[owner] + 1) // 2
    taken = np.bincount(owner[upper], minlength=len(data.texts))
    total = np.bincount(owner[upper], weights=scores[upper], minlength=len(data.texts))
    return highest, np.where(taken > 0, total / np.maximum(taken, 1), -np.inf)
