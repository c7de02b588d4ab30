"""The measure of leaks: it finds what is there, and nothing where nothing is."""

import numpy as np
import pytest

from lockgate.infer.leak import Trace, chance, delong, features, information, measure

RNG = np.random.default_rng


def answers(rng: np.random.Generator, words: float, count: int, pause: float = 0.05) -> list[Trace]:
    """Make traces of answers of so many words, each a packet as long as its word."""
    made = []
    for _ in range(count):
        number = max(2, int(rng.normal(words, words / 6)))
        times = np.cumsum(rng.exponential(pause, number))
        made.append(Trace(tuple(times.tolist()), tuple((60 + rng.integers(1, 12, number)).tolist())))
    return made


def test_topics_of_other_lengths_are_told_apart() -> None:
    rng = RNG(1)
    leak = measure(answers(rng, 20, 100), answers(rng, 40, 100), rng)
    assert leak.low > 0.9
    assert leak.bits > leak.null_bits
    assert leak.told
    assert chance(leak) < 0.001


def test_times_alone_tell_too() -> None:
    rng = RNG(2)
    leak = measure(answers(rng, 30, 100, 0.05), answers(rng, 30, 100, 0.08), rng)
    assert leak.low > 0.8


def test_one_topic_against_itself_tells_nothing() -> None:
    rng = RNG(3)
    leak = measure(answers(rng, 30, 300), answers(rng, 30, 300), rng)
    assert leak.low < 0.5 < leak.high
    assert leak.bits <= leak.null_bits
    assert not leak.told


def test_identical_traces_have_no_score_to_differ_by() -> None:
    same = [Trace((0.1, 0.2), (1024, 1024))] * 20
    leak = measure(same, same, RNG(4))
    assert (leak.auc, leak.low, leak.high) == (0.5, 0.5, 0.5)
    assert chance(leak) == 1.0
    assert leak.wire_bytes == 2048


def test_delong_on_numbers_worked_by_hand() -> None:
    """Two of three positives are above both negatives, one is above one and equal to none: (2+2+1)/6."""
    auc, error = delong(np.array([3.0, 4.0, 1.5]), np.array([1.0, 2.0]))
    assert auc == pytest.approx(5 / 6)
    # of each positive: 1, 1, 1/2 (variance 1/12); of each negative: 1, 2/3 (variance 1/18)
    assert error == pytest.approx((1 / 12 / 3 + 1 / 18 / 2) ** 0.5)


def test_information_of_a_score_that_is_the_topic() -> None:
    topic = np.repeat([0, 1], 40)
    assert information(topic.astype(float), topic) == pytest.approx(1.0)
    assert information(np.arange(80.0) % 40, topic) < 0.2


def test_an_empty_trace_has_features_too() -> None:
    assert len(features(Trace((), ()))) == len(features(Trace((0.1, 0.3), (5, 6))))
