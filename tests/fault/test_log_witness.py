"""A log behind its witness holds admission, never serving, until two approvers anchor it anew."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from corpora.clocks import Clock
from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app import trust
from lockgate.app.crossing.receive import receive_crate
from lockgate.app.gate.approve import Device, evidence_beside, sign_as_approver
from lockgate.app.gate.clock import ask_to_accept
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.gate.holds import HOLDS, LOG, AdmissionHeldError
from lockgate.app.high.channel import channel_reader
from lockgate.app.record import witness as app_witness
from lockgate.app.record.anchor import anchor_again, ask_to_anchor
from lockgate.app.record.audit import bring_back, witness_request
from lockgate.app.record.logwatch import ANCHORS, LAST, Anchored, LogBehindError, LogUnwitnessedError
from lockgate.app.record.witness import cosign_text, open_witness
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.audit.errors import TruncatedLogError
from lockgate.cli.main import app
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent
from lockgate.core.statement import TooFewApproversError
from lockgate.core.wire import encode


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.publish(1, "first")
    made.arrive(2, "second")
    open_gate(made.side).inspect(2, Scripted())
    return made


def witness(high: HighSide, memory: str = "witness"):
    root = (high.side.home.trust / "site.dsse.json").read_bytes()
    pin = high.side.settings.trust.site_pin
    return open_witness(high.lane.people["witness"], (root,), pin, high.folder / memory)


def cosigned(high: HighSide, *, first: bool = True) -> str:
    return cosign_text(witness(high), witness_request(high.side).text, first=first)[1]


def save(high: HighSide) -> None:
    """Copy the log as an image of the disk would hold it."""
    for file in high.lane.high.glob("audit.sqlite*"):
        shutil.copy(file, high.folder / file.name)


def turn_back(high: HighSide) -> None:
    for file in high.lane.high.glob("audit.sqlite*"):
        file.unlink()
    for file in high.folder.glob("audit.sqlite*"):
        shutil.copy(file, high.lane.high / file.name)


def demand_held(high: HighSide, error: type[LockgateError]) -> None:
    gate = open_gate(high.side)
    with pytest.raises(error):
        receive_crate(high.side, high.folder / "crate", Silent())
    with pytest.raises(error):
        gate.inspect(2, Scripted())
    with pytest.raises(error):
        gate.request(2, "stable", high.operator)
    assert [a.artifact.name for a in channel_reader(high.side, "test").current().snapshot.admitted] == [
        "first"
    ]


def publish_second(high: HighSide) -> None:
    execute(high.side, high.ask_to_publish(2))
    assert open_gate(high.side).pointer("stable").version == 2


def anchored(high: HighSide, *people: str) -> list[Path]:
    return high.signed(
        ask_to_anchor(high.side, high.operator), "anchor", people or ("approver-1", "approver-2")
    )


def test_a_log_that_its_witness_saw_admits(high: HighSide) -> None:
    bring_back(high.side, cosigned(high))
    publish_second(high)


def test_a_log_below_what_a_witness_saw_is_held_until_two_anchor_it(high: HighSide) -> None:
    pending = high.ask_to_publish(2)
    save(high)
    for _ in range(3):
        audit_log(high.side).append({"kind": "seen"})
    note = cosigned(high)
    turn_back(high)
    bring_back(high.side, note)
    demand_held(high, LogBehindError)
    with pytest.raises(AdmissionHeldError, match="not what a witness saw"):
        execute(high.side, pending)
    with pytest.raises(TooFewApproversError):
        anchor_again(high.side, anchored(high, "approver-1"))
    signed = anchored(high)
    anchor_again(high.side, signed)
    publish_second(high)
    with pytest.raises(ApprovalSpentError):
        anchor_again(high.side, signed)
    with pytest.raises(LockgateError):
        witness(high).cosign(witness_request(high.side, 0))
    bring_back(
        high.side, cosign_text(witness(high, "new"), witness_request(high.side, 0).text, first=True)[1]
    )
    high.arrive(3, "third")


def test_a_witness_that_says_it_saw_more_holds_admission(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP the witness tells a number and no note: that alone holds."""
    monkeypatch.setattr(app_witness, "_ask", lambda address, text: (409, "4711\n"))
    with pytest.raises(TruncatedLogError):
        app_witness.submit(high.side, "http://127.0.0.1:9")
    demand_held(high, AdmissionHeldError)
    anchor_again(high.side, anchored(high))
    publish_second(high)


def test_an_approvers_machine_signs_a_break_only_when_told_and_only_that(high: HighSide) -> None:
    """It saw more of the log than is left: nothing but a re-anchoring is signed, and that on demand."""
    side, person = high.side, high.lane.people["approver-1"]
    root = (side.home.trust / "site.dsse.json").read_bytes()
    save(high)
    for _ in range(9):
        audit_log(side).append({"kind": "lost"})
    device = Device((root,), side.settings.trust.site_pin, high.folder / "device")
    shown = write_request(side, "x", ask_to_anchor(side, high.operator), None)
    sign_as_approver(shown.read_bytes(), evidence_beside(shown), person, device, high.folder / "a.json")
    turn_back(high)
    known, out = replace(device, broken=True), high.folder / "b.json"
    for decision, given in (
        (ask_to_anchor(side, high.operator), device),
        (ask_to_accept(side, high.operator), known),
    ):
        file = write_request(side, "y", decision, None)
        with pytest.raises(TruncatedLogError):
            sign_as_approver(decision, evidence_beside(file), person, given, out)
        assert not out.exists()
    file = write_request(side, "z", ask_to_anchor(side, high.operator), None)
    sign_as_approver(file.read_bytes(), evidence_beside(file), person, known, out)
    file = write_request(side, "w", ask_to_accept(side, high.operator), None)
    sign_as_approver(file.read_bytes(), evidence_beside(file), person, device, out)


def test_removing_the_note_does_not_end_the_hold(high: HighSide) -> None:
    save(high)
    audit_log(high.side).append({"kind": "seen"})
    note = cosigned(high)
    turn_back(high)
    bring_back(high.side, note)
    demand_held(high, LogBehindError)
    audit_log(high.side).forget_witnessed("witness")
    demand_held(high, AdmissionHeldError)


def test_an_anchor_names_the_log_that_it_was_signed_for(high: HighSide) -> None:
    save(high)
    audit_log(high.side).append({"kind": "lost"})
    signed = anchored(high)
    turn_back(high)
    for _ in range(4):
        audit_log(high.side).append({"kind": "other"})
    with pytest.raises(StatementChangedError, match="does not continue"):
        anchor_again(high.side, signed)


# --- where the policy demands a witness --------------------------------------------------------


@pytest.fixture
def demanding(high: HighSide, monkeypatch: pytest.MonkeyPatch) -> HighSide:
    """Give the site a policy that demands a cosignature of the last hour."""
    import sys

    real = trust.site_root

    def strict(side, at):
        root = real(side, at)
        policy = msgspec.structs.replace(root.policy, witness_seconds=3600)
        return msgspec.structs.replace(root, policy=policy)

    for name, module in list(sys.modules.items()):
        if name.startswith("lockgate.app.") and hasattr(module, "site_root"):
            monkeypatch.setattr(module, "site_root", strict)
    return high


def test_without_a_cosignature_nothing_is_admitted(demanding: HighSide) -> None:
    demand_held(demanding, LogUnwitnessedError)
    bring_back(demanding.side, cosigned(demanding))
    publish_second(demanding)


def test_a_cosignature_that_is_too_old_is_none(demanding: HighSide, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_back(demanding.side, cosigned(demanding))
    clock = Clock(monkeypatch)
    clock.off = timedelta(seconds=3700)
    demand_held(demanding, LogUnwitnessedError)
    bring_back(demanding.side, cosigned(demanding, first=False))
    publish_second(demanding)


def test_two_may_go_on_without_a_witness_for_as_long_as_a_cosignature_holds(
    demanding: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand_held(demanding, LogUnwitnessedError)
    anchor_again(demanding.side, anchored(demanding))
    publish_second(demanding)
    demanding.arrive(3, "third")
    clock = Clock(monkeypatch)
    clock.off = timedelta(seconds=3700)
    with pytest.raises(LogUnwitnessedError, match="too long ago"):
        open_gate(demanding.side).inspect(3, Scripted())


def test_an_anchor_that_nobody_signed_counts_for_nothing(demanding: HighSide) -> None:
    asked = ask_to_anchor(demanding.side, demanding.operator)
    records = records_of(demanding.side)
    for statement in (asked.decode(), "{}"):
        with records.transaction() as tx:
            tx.put(ANCHORS, LAST, encode(Anchored(statement=statement)))
        demand_held(demanding, LogUnwitnessedError)
    with records.transaction() as tx:
        assert tx.get(HOLDS, LOG) is None
    records.close()
    assert utc_now()


def test_the_command_line_asks_and_anchors(high: HighSide) -> None:
    save(high)
    audit_log(high.side).append({"kind": "seen"})
    note = cosigned(high)
    turn_back(high)
    bring_back(high.side, note)
    demand_held(high, LogBehindError)
    home, run, file = ["--home", str(high.lane.high)], CliRunner(), high.folder / "anchor.json"
    key = str(high.lane.people["operator"])
    asked = run.invoke(app, ["audit", "anchor", "--key", key, "--out", str(file), *home])
    assert asked.exit_code == 0, asked.output
    assert "witness:" in asked.output
    signed = [str(path) for path in high.signed(file.read_bytes(), "anchor")]
    done = run.invoke(app, ["audit", "anchor", *signed, *home])
    assert done.exit_code == 0, done.output
    status, error = Commands().refused("audit", "anchor", *home)
    assert (status, error["code"]) == (2, "LG-1f21")
    assert "--key" in error["error"]
    publish_second(high)
