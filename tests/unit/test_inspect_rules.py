"""The pure rules: what a verdict follows from, what is believed, what the policy makes of it."""

from pathlib import Path

import msgspec
import pytest

from corpora.inspection_corpus import inspected
from lockgate.core.policy import OpaqueRule, Policy, judge
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.inspect.decide import believable, decide, unread
from lockgate.inspect.detect import detect, extension, mismatch, zip_tail
from lockgate.inspect.errors import OverLimitError
from lockgate.inspect.limits import Budget, Limits
from lockgate.inspect.ports import InspectItem, Part
from lockgate.inspect.tally import LABEL_LENGTH, Tally, printable

ITEM = InspectItem(path="a", kind="file", file="a", sha256="0" * 64, size=10)
LOW = Finding(code="x", severity=Severity.LOW, where="", why="because")
INFO = Finding(code="x", severity=Severity.INFO, where="", why="because")


def _part(**changes) -> Part:
    part = Part(
        detected="text", size=10, covered=10, complete=True, opaque=(), findings=(), inspectors=("text/1",)
    )
    return msgspec.structs.replace(part, **changes)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.CLEAN),
        ({"findings": (INFO,)}, Outcome.CLEAN),
        ({"opaque": ("elf",)}, Outcome.OPAQUE),
        ({"covered": 9}, Outcome.INCOMPLETE),
        ({"complete": False}, Outcome.INCOMPLETE),
        ({"complete": False, "opaque": ("elf",)}, Outcome.INCOMPLETE),
        ({"findings": (LOW,)}, Outcome.FINDINGS),
        ({"findings": (LOW,), "covered": 3}, Outcome.FINDINGS),
        ({"findings": (LOW,), "opaque": ("elf",)}, Outcome.FINDINGS),
    ],
)
def test_the_outcome_follows_from_coverage_findings_and_opacity(changes, outcome) -> None:
    verdict = decide(ITEM, _part(**changes))
    assert verdict.outcome is outcome
    assert (verdict.covered == 10) == (changes.get("complete", True) and changes.get("covered", 10) == 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 11},
        {"covered": 11},
        {"findings": (LOW,) * 3},
        {"findings": (msgspec.structs.replace(LOW, why="x" * (LABEL_LENGTH + 1)),)},
        {"findings": (msgspec.structs.replace(LOW, where="\x1b[2J"),)},
        {"findings": (msgspec.structs.replace(LOW, code=""),)},
    ],
)
def test_an_answer_that_cannot_be_true_is_not_believed(changes) -> None:
    assert believable(_part(), ITEM, 2)
    assert not believable(_part(**changes), ITEM, 2)


def _held(verdict: Verdict) -> list[str]:
    policy = Policy(opaque=(OpaqueRule(detected="elf"),))
    return [held.reason for held in judge(policy, "pkg:generic/a@1", "internal", [verdict])]


def test_a_low_finding_hides_neither_gaps_nor_opaque_content_from_the_policy() -> None:
    assert _held(decide(ITEM, _part(findings=(LOW,)))) == []
    assert _held(decide(ITEM, _part(findings=(LOW,), opaque=("elf",)))) == []
    assert "gguf" in _held(decide(ITEM, _part(findings=(LOW,), opaque=("elf", "gguf"))))[0]
    assert "incomplete" in _held(decide(ITEM, _part(findings=(LOW,), complete=False)))[0]
    assert "incomplete" in _held(unread(ITEM, "x", "why"))[0]


def test_a_file_without_an_answer_is_never_clean() -> None:
    assert unread(ITEM, "x", "why").outcome is Outcome.INCOMPLETE
    assert unread(ITEM, "x", "why", Severity.HIGH).outcome is Outcome.FINDINGS


def test_claims_are_joined_and_gaps_found() -> None:
    tally = Tally(10, "", 5)
    for start, end in ((6, 20), (0, 2), (1, 4), (7, 8)):
        tally.claim(start, end)
    assert tally.merged() == [(0, 4), (6, 10)]
    assert tally.gaps() == [(4, 6)]
    assert tally.covered == 8
    assert not tally.whole


def test_a_member_that_was_not_understood_spoils_its_container() -> None:
    outer, inner = Tally(10, "", 5), Tally(4, "a", 5)
    inner.claim(0, 3)
    inner.opaque.add("elf")
    outer.claim_all()
    assert not outer.absorb(inner)
    assert not outer.whole
    assert outer.opaque == {"elf"}


def test_findings_past_the_limit_make_a_file_unfinished() -> None:
    tally = Tally(0, "", 2)
    for number in range(3):
        tally.note(f"n{number}", Severity.LOW, "why")
    assert len(tally.findings) == 2
    assert not tally.complete
    part = inspected(b"\xe2\x80\xae" * 9, "a.txt", limits=Limits(findings=2))
    assert len(part.findings) == 2
    assert not part.complete


def test_labels_are_printable_and_short() -> None:
    assert printable("a\x1b[2J\u202eb") == "a\\x1b[2J\\u202eb"
    assert len(printable("x" * 9999)) == LABEL_LENGTH
    assert printable("\udc80").isprintable()


def test_the_budget_counts_members_and_bytes() -> None:
    budget = Budget(Limits(members=2, unpacked_bytes=10, member_bytes=8))
    budget.member(8)
    with pytest.raises(OverLimitError, match="unpacked_bytes"):
        budget.member(3)
    with pytest.raises(OverLimitError, match="member_bytes"):
        budget.member(9)
    with pytest.raises(OverLimitError, match="members"):
        budget.member(0)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"MZ stands for Mark", "a.txt", "text"),
        (b"BZh is a magic", "a.txt", "text"),
        (b"copyright (c) somebody\nAll rights\nReserved.", "a.txt", "text"),
        (b"(I think so.", "a.txt", "text"),
        (b"GIF89a" + bytes(9), "a.gif", "gif"),
        (b"\x00\x01\x02", "a", "unknown"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.doc", "ole2"),
        (b"<?xml version='1.0'?><a/>", "a", "xml"),
        (b"<!DOCTYPE html><p>", "a", "html"),
        ("Ωμέγα".encode("iso-8859-7"), "a.txt", "text-latin1"),
        ("Ωμέγα".encode("iso-8859-7") + b"\x01", "a.txt", "unknown"),
    ],
)
def test_types_are_told_by_content(data, name, kind) -> None:
    assert detect(memoryview(data), name, 1000) == kind


def test_a_text_over_the_limit_is_not_read() -> None:
    assert detect(memoryview(b"a" * 11), "a.txt", 10) == "unknown"


def test_names_are_claims() -> None:
    assert extension("a/B.TAR.GZ") == "gz"
    assert mismatch("elf", "a.py")
    assert not mismatch("elf", "a.so.1")
    assert not mismatch("empty", "a.so")


def test_the_tail_of_a_zip_is_found_only_where_it_closes() -> None:
    end = b"PK\x05\x06" + bytes(16)
    assert zip_tail(memoryview(b"ab" + end + b"\x00\x00")) == 2
    assert zip_tail(memoryview(b"ab" + end + b"\x03\x00abc")) == 2
    assert zip_tail(memoryview(b"ab" + end + b"\x04\x00abc")) is None
    assert zip_tail(memoryview(b"")) is None


SOURCES = Path(__file__).parents[2] / "src" / "lockgate"


def test_no_sign_finds_the_source_that_looks_for_it() -> None:
    found = [
        (file.name, finding.code, finding.why)
        for file in sorted(SOURCES.rglob("*.py"))
        for finding in inspected(file.read_bytes(), f"lockgate/{file.name}").findings
        if finding.severity not in {Severity.INFO, Severity.LOW}
    ]
    assert found == []
