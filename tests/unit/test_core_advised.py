"""Holds for known vulnerabilities: off unless the policy names them, and closed where nothing is known."""

import msgspec
import pytest

from lockgate.core.advised import Advised, OpenAdvisory, judge_advisories
from lockgate.core.policy import Policy
from lockgate.core.verdict import Severity
from lockgate.core.wire import decode, encode

BAD = OpenAdvisory(id="A-1", severity=Severity.HIGH, exploited=True, fixed="2")
RULES = [{"maximum_advisory": Severity.CRITICAL}, {"hold_exploited": True}, {"advisory_age_seconds": 3600}]


def reasons(advised: Advised, **rules: object) -> list[str]:
    return [held.reason for held in judge_advisories(Policy(**rules), "pkg:pypi/a@1", advised)]


def test_a_policy_without_the_rules_holds_nothing_and_is_encoded_as_before() -> None:
    assert reasons(Advised(unasked="gone", open=(BAD,))) == []
    assert b"advisor" not in encode(Policy())
    assert b"exploited" not in encode(Policy())
    ruled = Policy(maximum_advisory=Severity.LOW, hold_exploited=True, advisory_age_seconds=3600)
    assert decode(Policy, encode(ruled)) == ruled


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_holds_what_cannot_be_asked_about(rule: dict[str, object]) -> None:
    assert "gone" in reasons(Advised(unasked="gone"), **rule)[0]
    assert reasons(Advised(applies=False, unasked="gone"), **rule) == []


@pytest.mark.parametrize("severity", [None, *Severity])
@pytest.mark.parametrize("bound", Severity)
def test_only_what_is_worse_than_the_bound_or_unrated_is_held(
    severity: Severity | None, bound: Severity
) -> None:
    ranks = list(Severity)
    worse = severity is None or ranks.index(severity) > ranks.index(bound)
    found = msgspec.structs.replace(BAD, severity=severity)
    assert bool(reasons(Advised(open=(found,)), maximum_advisory=bound)) == worse


def test_what_is_exploited_is_held_and_so_is_everything_without_a_catalogue() -> None:
    quiet = msgspec.structs.replace(BAD, exploited=False)
    assert reasons(Advised(catalogue=True, open=(quiet,)), hold_exploited=True) == []
    (held,) = judge_advisories(
        Policy(hold_exploited=True), "pkg:pypi/a@1", Advised(catalogue=True, open=(BAD,))
    )
    assert (held.reason, held.resolve.startswith("Bring 2,")) == ("A-1 is known to be exploited.", True)
    assert "No catalogue" in reasons(Advised(), hold_exploited=True)[0]


@pytest.mark.parametrize(("age", "holds"), [(-1, True), (0, False), (3600, False), (3601, True)])
def test_old_and_undated_data_holds(age: int, holds: bool) -> None:  # noqa: FBT001  # a parameter
    assert bool(reasons(Advised(age_seconds=age), advisory_age_seconds=3600)) == holds
