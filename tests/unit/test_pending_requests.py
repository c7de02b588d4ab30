"""Requests that wait: approvers sign them in any order."""

from pathlib import Path

import pytest
import structlog

from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app.gate import pending
from lockgate.app.gate.approve import Device, evidence_beside, sign_as_approver
from lockgate.app.gate.gate import open_gate, write_request
from lockgate.app.gate.pending import renew_evidence
from lockgate.app.trust import audit_log, utc_now
from lockgate.approve import read_statement
from lockgate.audit.errors import TruncatedLogError


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    for number, text in ((1, "first"), (2, "second")):
        made.arrive(number, text)
        open_gate(made.side).inspect(number, Scripted())
    return made


def ask(high: HighSide, number: int) -> Path:
    envelope = open_gate(high.side).request(number, "stable", high.operator)
    return write_request(high.side, f"publish-{number:06d}", envelope, None)


def sign(high: HighSide, request: Path, name: str) -> None:
    site = (high.side.home.trust / "site.dsse.json").read_bytes()
    device = Device((site,), high.side.settings.trust.site_pin, high.folder / f"{name}-seen")
    target = high.folder / f"{request.name}.{name}"
    sign_as_approver(request.read_bytes(), evidence_beside(request), high.lane.people[name], device, target)
    assert target.exists()


def test_the_later_request_may_be_signed_first(high: HighSide) -> None:
    early, late = ask(high, 1), ask(high, 2)
    for name in ("approver-1", "approver-2"):
        sign(high, late, name)
        sign(high, early, name)


def test_a_request_that_was_carried_away_before_is_refused_with_what_to_do(high: HighSide) -> None:
    early = ask(high, 1)
    shown = evidence_beside(early).read_bytes()
    sign(high, ask(high, 2), "approver-1")
    evidence_beside(early).write_bytes(shown)
    with pytest.raises(TruncatedLogError) as caught:
        sign(high, early, "approver-1")
    assert f"audit evidence --since {caught.value.where['seen']}" in caught.value.what_to_do


def test_what_has_expired_or_is_no_request_is_passed_over(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = ask(high, 1)
    folder = early.parent
    (folder / "odd.log.json").write_text("{}")
    (folder / "odd.json").write_text("{}")
    (folder / "alone.log.json").write_text("{}")
    audit_log(high.side).append({"n": 1})
    with structlog.testing.capture_logs() as logs:
        assert renew_evidence(high.side) == [early.name]
    assert {each["request"] for each in logs} == {"odd.json", "alone.json"}
    assert (folder / "odd.log.json").read_text() == "{}"
    renewed = evidence_beside(early).read_bytes()
    audit_log(high.side).append({"n": 2})
    end = read_statement(early.read_bytes()).expires
    monkeypatch.setattr(pending, "utc_now", lambda: end)
    assert renew_evidence(high.side) == []
    assert evidence_beside(early).read_bytes() == renewed
    monkeypatch.setattr(pending, "utc_now", utc_now)
    assert renew_evidence(high.side) == [early.name]
