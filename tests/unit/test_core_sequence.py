"""The sequence ledger's rules, in every order that crates can come in."""

import pytest

from lockgate.core.sequence import (
    FINAL,
    BrokenChainError,
    CrossingState,
    EquivocationError,
    LedgerEntry,
    ReplayedCrateError,
    SequenceGapError,
    judge,
)

ZEROS = "0" * 64


def crate(number: int, version: str = "a") -> str:
    return f"{version}{number:063x}"


def entry(number: int, state: CrossingState = CrossingState.PUBLISHED) -> LedgerEntry:
    before = crate(number - 1) if number > 1 else ZEROS
    return LedgerEntry(sequence=number, crate_sha256=crate(number), state=state, previous_sha256=before)


def ledger(*numbers: int) -> dict[int, LedgerEntry]:
    return {n: entry(n) for n in numbers}


def test_the_first_crate_follows_nothing() -> None:
    assert judge({}, 1, crate(1), ZEROS, {}) == (entry(1, CrossingState.RECORDED),)
    with pytest.raises(BrokenChainError):
        judge({}, 1, crate(1), crate(9), {})


def test_the_next_crate_follows_the_last_one() -> None:
    assert judge(ledger(1, 2), 3, crate(3), crate(2), {}) == (entry(3, CrossingState.RECORDED),)
    for before in (ZEROS, crate(1), crate(3)):
        with pytest.raises(BrokenChainError):
            judge(ledger(1, 2), 3, crate(3), before, {})


@pytest.mark.parametrize("state", CrossingState)
def test_a_crate_that_is_on_record_resumes_until_its_state_is_final(state: CrossingState) -> None:
    held = {1: entry(1), 2: entry(2, state)}
    if state in FINAL:
        with pytest.raises(ReplayedCrateError, match=f"already {state}"):
            judge(held, 2, crate(2), crate(1), {})
    else:
        assert judge(held, 2, crate(2), crate(1), {}) == ()


@pytest.mark.parametrize("state", CrossingState)
def test_another_crate_under_a_known_number_is_equivocation(state: CrossingState) -> None:
    held = {1: entry(1), 2: entry(2, state)}
    with pytest.raises(EquivocationError) as refused:
        judge(held, 2, crate(2, "b"), crate(1), {})
    assert refused.value.where == {"known": crate(2), "offered": crate(2, "b"), "field": "$.sequence"}


def test_an_older_number_that_is_not_on_record_is_a_replay() -> None:
    for number in (1, 2):
        with pytest.raises(ReplayedCrateError, match="older than 3"):
            judge(ledger(3), number, crate(number), crate(number - 1), {})


def test_missing_numbers_are_named() -> None:
    with pytest.raises(SequenceGapError, match="1, 2 did not arrive") as refused:
        judge({}, 3, crate(3), crate(2), {})
    assert refused.value.where["missing"] == 1
    with pytest.raises(SequenceGapError) as refused:
        judge(ledger(1), 5, crate(5), crate(4), {2: crate(2), 4: crate(4)})
    assert refused.value.where["missing"] == 3
    with pytest.raises(SequenceGapError, match="2, 3, 4, 5, 6, 7, 8, 9 did"):
        judge(ledger(1), 1000, crate(1000), crate(999), {})


def test_void_numbers_are_recorded_with_their_digests_and_chained() -> None:
    void = {2: crate(2), 3: crate(3)}
    added = judge(ledger(1), 4, crate(4), crate(3), void)
    assert [(e.sequence, e.crate_sha256, e.state) for e in added] == [
        (2, crate(2), CrossingState.VOID),
        (3, crate(3), CrossingState.VOID),
        (4, crate(4), CrossingState.RECORDED),
    ]
    with pytest.raises(BrokenChainError):
        judge(ledger(1), 4, crate(4), crate(1), void)


def test_a_crate_declared_void_never_comes_back() -> None:
    held = ledger(1)
    held.update({e.sequence: e for e in judge(held, 3, crate(3), crate(2), {2: crate(2)})})
    with pytest.raises(ReplayedCrateError, match="already void"):
        judge(held, 2, crate(2), crate(1), {})
    with pytest.raises(EquivocationError):
        judge(held, 2, crate(2, "b"), crate(1), {})


def test_a_crossing_that_was_given_up_and_came_late_stays_what_it_became() -> None:
    void = {2: crate(2), 3: crate(3), 4: crate(4)}
    for state in CrossingState:
        held = {1: entry(1), 2: entry(2, state)}
        added = judge(held, 5, crate(5), crate(4), void)
        assert [e.sequence for e in added] == [3, 4, 5]
    with pytest.raises(EquivocationError) as refused:
        judge(ledger(1, 2), 5, crate(5), crate(4), void | {2: crate(2, "b")})
    assert refused.value.where == {"known": crate(2), "offered": crate(2, "b"), "field": "$.void.2"}


@pytest.mark.parametrize("foreign", [0, 4, 5, -1])
def test_a_crate_may_declare_void_only_what_lies_between(foreign: int) -> None:
    void = {3: crate(3), foreign: crate(7)}
    with pytest.raises(BrokenChainError, match=f"declares crossing {foreign} void"):
        judge(ledger(1, 2), 4, crate(4), crate(3), void)


@pytest.mark.parametrize("number", [0, -1, -7])
def test_numbers_begin_at_one(number: int) -> None:
    with pytest.raises(ReplayedCrateError):
        judge({}, number, crate(1), ZEROS, {})
