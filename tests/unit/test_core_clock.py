"""The clock's judgement: floor, last run, jump; and how far a signed time may raise the floor."""

from datetime import UTC, datetime, timedelta

import pytest

from lockgate.core.clock import STEP, ClockState, raised, trouble
from lockgate.core.policy import Policy

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POLICY = Policy()
SKEW, JUMP = timedelta(seconds=POLICY.skew_seconds), timedelta(seconds=POLICY.clock_jump_seconds)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (ClockState(), ""),
        (ClockState(began=True), "lost"),
        (ClockState(last=NOW, floor=NOW, began=True), ""),
        (ClockState(floor=NOW + SKEW), ""),
        (ClockState(floor=NOW + SKEW + SECOND), "proved"),
        (ClockState(last=NOW - JUMP), ""),
        (ClockState(last=NOW - JUMP - SECOND), "jumped"),
        (ClockState(last=NOW + SKEW), ""),
        (ClockState(last=NOW + SKEW + SECOND), "back"),
        (ClockState(last=NOW - timedelta(days=3653)), "jumped"),
        (ClockState(last=NOW + timedelta(days=3653)), "back"),
    ],
)
def test_a_clock_is_believed_up_to_its_bounds(state: ClockState, word: str) -> None:
    said = trouble(NOW, state, POLICY)
    assert word in said
    assert bool(said) is bool(word)


def test_without_skew_a_step_of_summer_time_is_no_trouble() -> None:
    strict = Policy(skew_seconds=0)
    assert trouble(NOW, ClockState(last=NOW + STEP), strict) == ""
    assert "back" in trouble(NOW, ClockState(last=NOW + STEP + SECOND), strict)
    assert "proved" in trouble(NOW, ClockState(floor=NOW + SECOND), strict)


def test_a_signed_time_in_the_future_does_not_raise_the_floor_beyond_the_clock() -> None:
    assert raised(None, NOW + timedelta(days=3653), NOW) == NOW
    assert raised(None, NOW - SECOND, NOW) == NOW - SECOND
    assert raised(NOW, NOW - SECOND, NOW + SECOND) == NOW
    assert raised(NOW + JUMP, NOW + SECOND, NOW) == NOW + JUMP, "it never falls by itself"
