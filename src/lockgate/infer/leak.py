"""What sizes and times of sealed answers tell: how well an observer tells two topics apart.

A trace is what a capture on the wire shows of one answer: when each packet came, and how long it was.
Features of traces go to a forest of randomised trees (Geurts et al., "Extremely randomized trees", 2006),
trained on four fifths and asked about the last, five times over. Its area under the curve, with DeLong's
interval, says how much is told; the mutual information of score and topic, beside that of shuffled topics,
says whether anything is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
TREES = 120
DEPTH = 6
LEAF = 3
"""Fewest traces of a leaf."""

SHUFFLES = 400
BINS = 8
_LEVEL = 1.959963984540054  # 97.5th percentile of the normal distribution

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trace:
    """What the wire showed of one answer.

    Attributes:
        seconds: When each packet came, from the request on.
        sizes: Length of each packet's payload in bytes.

    """

    seconds: tuple[float, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """How much one way of answering tells.

    Attributes:
        samples: Traces, both topics together.
        auc: Area under the curve: 0.5 tells nothing, 1.0 everything.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        bits: Mutual information of score and topic.
        null_bits: 99th percentile of the same with shuffled topics.
        wire_bytes: Mean bytes of one answer.
        seconds: Mean time of one answer.

    """

    samples: int
    auc: float
    low: float
    high: float
    bits: float
    null_bits: float
    wire_bytes: float
    seconds: float

    @property
    def told(self) -> bool:
        """Tell whether the topic shows: the interval is above one half, or the information above the null."""
        return self.low > 0.5 or self.bits > self.null_bits  # noqa: PLR2004  # chance


def features(trace: Trace) -> list[float]:
    """Return what a trace is judged by: totals, shapes of sizes and of gaps, and both over time."""
    sizes = np.asarray(trace.sizes, dtype=np.float64)
    times = np.asarray(trace.seconds, dtype=np.float64)
    if not len(sizes):
        return [0.0] * _WIDTH
    gaps = np.diff(times, prepend=0.0)
    shares = np.linspace(0.0, 1.0, 9)
    progress = np.cumsum(sizes) / max(sizes.sum(), 1.0)
    return [
        float(len(sizes)),
        float(sizes.sum()),
        float(times[-1]),
        float(times[0]),
        *np.quantile(sizes, shares).tolist(),
        float(sizes.std()),
        *np.quantile(gaps, shares).tolist(),
        float(gaps.std()),
        float(gaps.mean()),
        *np.interp(shares * float(times[-1]), times, progress).tolist(),
    ]


_WIDTH = len(features(Trace((0.0,), (1,))))


def measure(first: Sequence[Trace], second: Sequence[Trace], rng: np.random.Generator) -> Leak:
    """Return how well two topics are told apart by their traces.

    Args:
        first: Traces of one topic; at least `FOLDS` of them.
        second: Traces of the other one.
        rng: Randomness of folds, trees and shuffles.

    """
    rows = np.asarray([features(each) for each in (*first, *second)])
    topic = np.repeat([0, 1], [len(first), len(second)])
    scores = _held_out(rows, topic, rng)
    auc, error = delong(scores[topic == 1], scores[topic == 0])
    bits = information(scores, topic)
    null = [information(scores, rng.permutation(topic)) for _ in range(SHUFFLES)]
    both = (*first, *second)
    return Leak(
        samples=len(both),
        auc=auc,
        low=max(0.0, auc - _LEVEL * error),
        high=min(1.0, auc + _LEVEL * error),
        bits=bits,
        null_bits=float(np.quantile(null, 0.99)),
        wire_bytes=float(np.mean([sum(each.sizes) for each in both])),
        seconds=float(np.mean([each.seconds[-1] if each.seconds else 0.0 for each in both])),
    )


def _held_out(rows: Floats, topic: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Return a score for each trace from trees that never saw it; folds hold both topics alike."""
    fold = np.empty(len(topic), dtype=np.int64)
    for each in (0, 1):
        members = rng.permutation(np.flatnonzero(topic == each))
        fold[members] = np.arange(len(members)) % FOLDS
    scores = np.empty(len(topic))
    for number in range(FOLDS):
        seen, asked = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        votes = np.zeros(len(asked))
        for _ in range(TREES):
            votes += _grow(rows[seen], topic[seen], rows[asked], rng, DEPTH)
        scores[asked] = votes / TREES
    return scores


def _grow(
    rows: Floats, topic: NDArray[np.int64], asked: Floats, rng: np.random.Generator, depth: int
) -> Floats:
    """Grow one randomised tree and let it answer at once: it is needed for these traces alone."""
    mean = float(topic.mean())
    if depth == 0 or len(topic) < 2 * LEAF or mean in {0.0, 1.0}:
        return np.full(len(asked), mean)
    best: tuple[float, int, float] | None = None
    for column in rng.choice(rows.shape[1], size=int(sqrt(rows.shape[1])) + 1, replace=False):
        values = rows[:, column]
        low, high = float(np.min(values)), float(np.max(values))
        if low == high:
            continue
        cut = float(rng.uniform(low, high))
        left = topic[values <= cut]
        if LEAF <= len(left) <= len(topic) - LEAF:
            right = topic[values > cut]
            spread = len(left) * float(left.var()) + len(right) * float(right.var())
            if best is None or spread < best[0]:
                best = spread, int(column), cut
    if best is None:
        return np.full(len(asked), mean)
    _, column, cut = best
    seen, wanted = rows[:, column] <= cut, asked[:, column] <= cut
    answer = np.empty(len(asked))
    answer[wanted] = _grow(rows[seen], topic[seen], asked[wanted], rng, depth - 1)
    answer[~wanted] = _grow(rows[~seen], topic[~seen], asked[~wanted], rng, depth - 1)
    return answer


def delong(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return the area under the curve and its standard error (DeLong et al., 1988)."""
    above = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    of_positive, of_negative = above.mean(axis=1), above.mean(axis=0)
    variance = of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    return float(above.mean()), float(sqrt(variance))


def information(scores: Floats, topic: NDArray[np.int64]) -> float:
    """Return the mutual information in bits of a score, in bins of equal number, and the topic."""
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    bins = rank * BINS // len(rank)
    table = np.zeros((BINS, 2))
    np.add.at(table, (bins, topic), 1.0)
    joint = table / table.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / apart[there])).sum())


def chance(leak: Leak) -> float:
    """Return the probability of an area as far from one half as this one, were nothing told (two sides)."""
    error = (leak.high - leak.low) / (2 * _LEVEL)
    return 1.0 if error == 0.0 else 1.0 - erf(abs(leak.auc - 0.5) / error / sqrt(2))
