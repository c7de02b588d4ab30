"""The policy's decision: every outcome, severity and opaque rule; what is odd is held."""

from itertools import product

import msgspec
import pytest

from lockgate.core.errors import MalformedDocumentError
from lockgate.core.policy import OpaqueRule, Policy, judge
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict, worst
from lockgate.core.wire import decode, encode

PURL = "pkg:generic/a@1"


def finding(severity: Severity) -> Finding:
    return Finding(code="X-1", severity=severity, where="byte 7", why="a reason")


def verdict(outcome: Outcome, *severities: Severity, **facts: object) -> Verdict:
    given = {
        "path": "a",
        "sha256": "a" * 64,
        "size": 10,
        "detected": "elf",
        "outcome": outcome,
        "covered": 10,
        "findings": tuple(finding(s) for s in severities),
        "inspectors": ("one 1",),
    }
    return Verdict(**{**given, **facts})


def reasons(policy: Policy, *verdicts: Verdict) -> list[str]:
    return [held.reason for held in judge(policy, PURL, "internal", verdicts)]


ELF = (OpaqueRule(detected="elf"),)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_combination_is_decided_by_the_same_four_questions(outcome: Outcome) -> None:
    ranks = list(Severity)
    for severity, maximum, rules, covered in product([None, *Severity], Severity, [(), ELF], [9, 10]):
        given = verdict(outcome, *([severity] if severity else []), covered=covered)
        said = reasons(Policy(maximum_severity=maximum, opaque=rules), given)
        too_bad = severity is not None and ranks.index(severity) > ranks.index(maximum)
        unread = outcome is Outcome.INCOMPLETE or covered < 10
        unfounded = outcome is Outcome.FINDINGS and severity is None
        unruled = outcome is Outcome.OPAQUE and not rules
        assert len(said) == (too_bad or unread or unfounded or unruled), (severity, maximum, rules, covered)


def test_a_low_finding_hides_neither_opaque_nor_incomplete_content() -> None:
    policy = Policy(maximum_severity=Severity.LOW)
    opaque = verdict(Outcome.FINDINGS, Severity.LOW, opaque=("elf",))
    assert "Opaque content (elf)" in reasons(policy, opaque)[0]
    unread = verdict(Outcome.FINDINGS, Severity.LOW, covered=9)
    assert "9 of 10 bytes" in reasons(policy, unread)[0]
    assert reasons(Policy(opaque=ELF), opaque) == []


def test_each_opaque_kind_needs_a_rule_of_its_own() -> None:
    mixed = verdict(Outcome.OPAQUE, opaque=("wheel", "elf"))
    assert "(wheel)" in reasons(Policy(opaque=ELF), mixed)[0]
    assert "(elf, wheel)" in reasons(Policy(), mixed)[0]
    assert reasons(Policy(opaque=(*ELF, OpaqueRule(detected="wheel"))), mixed) == []
    unnamed = verdict(Outcome.OPAQUE, detected="gguf")
    assert "(gguf)" in reasons(Policy(opaque=ELF), unnamed)[0]


def test_more_bytes_than_there_are_is_no_full_coverage() -> None:
    assert "11 of 10 bytes" in reasons(Policy(), verdict(Outcome.CLEAN, covered=11))[0]


def test_an_empty_file_may_be_clean() -> None:
    assert reasons(Policy(), verdict(Outcome.CLEAN, size=0, covered=0)) == []


def test_the_worst_finding_is_found_wherever_it_stands() -> None:
    given = verdict(Outcome.FINDINGS, Severity.LOW, Severity.INFO, Severity.CRITICAL)
    assert reasons(Policy(), given) == ["X-1 (critical) at byte 7: a reason"]
    assert reasons(Policy(), verdict(Outcome.FINDINGS, Severity.LOW, Severity.INFO)) == []
    both = verdict(Outcome.FINDINGS, Severity.HIGH, Severity.CRITICAL)
    assert reasons(Policy(), both) == ["X-1 (critical) at byte 7: a reason"]


def test_a_finding_of_the_whole_file_names_no_place() -> None:
    whole = Finding(code="X-1", severity=Severity.HIGH, where="", why="a reason")
    given = msgspec.structs.replace(verdict(Outcome.FINDINGS), findings=(whole,))
    assert reasons(Policy(), given) == ["X-1 (high): a reason"]


def test_every_file_and_the_label_give_a_reason_of_their_own() -> None:
    bad = [
        verdict(Outcome.INCOMPLETE, path="one"),
        verdict(Outcome.CLEAN, path="two"),
        verdict(Outcome.OPAQUE, path="three"),
    ]
    held = judge(Policy(), PURL, "secret", bad)
    assert [h.path for h in held] == ["", "one", "three"]
    assert all(h.purl == PURL and h.resolve for h in held)
    assert judge(Policy(labels=("secret",)), PURL, "secret", [bad[1]]) == ()
    assert judge(Policy(), PURL, "Internal", [bad[1]]) != ()


def test_the_worst_outcome_wins() -> None:
    order = [Outcome.CLEAN, Outcome.OPAQUE, Outcome.INCOMPLETE, Outcome.FINDINGS]
    assert worst([]) is Outcome.CLEAN
    for i, a in enumerate(order):
        for j, b in enumerate(order):
            assert worst([a, b]) is order[max(i, j)]


def test_a_policy_cannot_ask_for_less_than_two_persons() -> None:
    for field, value in (("approvers", 0), ("approval_seconds", 59), ("version", 0), ("approvers", 17)):
        changed = encode({**msgspec.to_builtins(Policy()), field: value})
        with pytest.raises(MalformedDocumentError):
            decode(Policy, changed)
