"""A clock that is wrong by ten years holds admission, never serving, and never for good."""

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpora.clocks import TEN_YEARS, Clock
from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app.crossing.receive import receive_crate
from lockgate.app.gate import holds as holding
from lockgate.app.gate.clock import accept, ask_to_accept, look
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.gate.holds import CLOCK, HOLDS, LAST, AdmissionHeldError, ClockNotBelievedError, clock_state
from lockgate.app.high.channel import channel_reader
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.cli.main import app
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent
from lockgate.core.roots import KeyExpiredError
from lockgate.core.statement import StatementExpiredError, TooFewApproversError
from lockgate.crossing.ledger import put_floor

BACK, FORWARD = -TEN_YEARS, TEN_YEARS


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.publish(1, "first")
    made.arrive(2, "second")
    open_gate(made.side).inspect(2, Scripted())
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, high: HighSide) -> Clock:
    del high  # its modules are imported by now
    return Clock(monkeypatch)


def accepted(high: HighSide, *people: str) -> list[Path]:
    request = ask_to_accept(high.side, high.operator)
    return high.signed(request, "clock", people or ("approver-1", "approver-2"))


def demand_held(high: HighSide, error: type[LockgateError] = ClockNotBelievedError) -> None:
    """Demand that receive, inspect, request and publish refuse, and that serving goes on."""
    gate = open_gate(high.side)
    with pytest.raises(error):
        receive_crate(high.side, high.folder / "crate", Silent())
    with pytest.raises(error):
        gate.inspect(2, Scripted())
    with pytest.raises(error):
        gate.request(2, "stable", high.operator)
    served = channel_reader(high.side, "test").current()
    assert [a.artifact.name for a in served.snapshot.admitted] == ["first"]


def publish_second(high: HighSide) -> None:
    execute(high.side, high.ask_to_publish(2))
    assert open_gate(high.side).pointer("stable").version == 2


@pytest.mark.parametrize("off", [BACK, FORWARD])
def test_a_clock_ten_years_off_is_held_and_two_release_it_once_it_is_right(
    high: HighSide, clock: Clock, off: timedelta
) -> None:
    pending = high.ask_to_publish(2)
    clock.off = off
    demand_held(high)
    with pytest.raises(LockgateError):
        execute(high.side, pending)
    clock.off = timedelta()
    demand_held(high, AdmissionHeldError)
    with pytest.raises(TooFewApproversError):
        accept(high.side, accepted(high, "approver-1"))
    signed = accepted(high)
    accept(high.side, signed)
    publish_second(high)
    with pytest.raises(ApprovalSpentError):
        accept(high.side, signed)
    events = [event for _, event in audit_log(high.side).events()]
    assert [e["hold"] for e in events if e["kind"] == "hold"] == [CLOCK]
    assert next(e["facts"]["approvers"] for e in events if e.get("action") == "clock-accept") == [
        "approver-1",
        "approver-2",
    ]


@pytest.mark.parametrize("off", [BACK, FORWARD])
def test_a_side_that_ran_on_a_wrong_clock_is_released_on_the_right_one(
    high: HighSide, clock: Clock, off: timedelta
) -> None:
    """The last run was the wrong one: what is right now looks like a jump, and two say that it is not."""
    wrong = clock() + off
    records = records_of(high.side)
    with records.transaction() as tx:
        tx.put(CLOCK, LAST, holding.encode(holding.LastRun(at=wrong)))
        put_floor(tx, wrong)
    records.close()
    demand_held(high)
    accept(high.side, accepted(high))
    view = look(high.side)
    assert (view.trouble, view.held) == ("", "")
    assert view.state.floor <= clock(), "the floor falls to the accepted clock, or a lane were locked"
    publish_second(high)


def test_a_floor_is_kept_when_the_clock_is_beyond_it(high: HighSide, clock: Clock) -> None:
    floor = holding.whole_second(clock() - timedelta(days=1))
    records = records_of(high.side)
    with records.transaction() as tx:
        put_floor(tx, floor)
        holding.put_hold(tx, CLOCK, "looked odd.", clock())
    accept(high.side, accepted(high))
    assert clock_state(high.side, records).floor == floor
    records.close()


def test_approvals_expire_by_the_clock_that_they_are_judged_by(high: HighSide, clock: Clock) -> None:
    clock.off = BACK
    demand_held(high)
    stale = accepted(high)
    clock.off = timedelta()
    with pytest.raises(StatementExpiredError) as expired:
        accept(high.side, stale)
    assert expired.value.code == "LG-3003"
    clock.off = FORWARD
    with pytest.raises(KeyExpiredError):
        ask_to_accept(high.side, high.operator)
    clock.off = timedelta()
    accept(high.side, accepted(high))
    publish_second(high)


def test_a_kept_acceptance_does_not_turn_time_back(high: HighSide, clock: Clock) -> None:
    """Signed and never used: once admission went on, it names another last run."""
    kept = accepted(high)
    clock.off = timedelta(days=2)
    publish_second(high)
    clock.off = timedelta(seconds=60)
    demand_trouble = look(high.side).trouble
    assert "went back" in demand_trouble
    with pytest.raises(StatementChangedError, match="last run"):
        accept(high.side, kept)


def test_a_lost_row_of_the_last_run_holds_and_does_not_open(high: HighSide, clock: Clock) -> None:
    records = records_of(high.side)
    with records.transaction() as tx:
        tx.delete(CLOCK, LAST)
    demand_held(high)
    with records.transaction() as tx:
        tx.delete(HOLDS, CLOCK)
    records.close()
    demand_held(high)
    accept(high.side, accepted(high))
    publish_second(high)


def test_another_decision_is_no_acceptance_and_an_acceptance_publishes_nothing(
    high: HighSide, clock: Clock
) -> None:
    pending = high.ask_to_publish(2)
    with pytest.raises(StatementChangedError, match="crossing 2"):
        accept(high.side, pending)
    with pytest.raises(StatementChangedError, match="about the clock"):
        execute(high.side, accepted(high))


def test_the_command_line_shows_asks_and_accepts(high: HighSide, clock: Clock) -> None:
    home = ["--home", str(high.lane.high)]
    run = CliRunner()
    assert "believed" in run.invoke(app, ["clock", "show", *home]).output
    clock.off = BACK
    demand_held(high)
    assert "Admission is held" in run.invoke(app, ["clock", "show", *home]).output
    clock.off = timedelta()
    file = high.folder / "clock.json"
    key = str(high.lane.people["operator"])
    asked = run.invoke(app, ["clock", "accept", "--key", key, "--out", str(file), *home])
    assert asked.exit_code == 0, asked.output
    assert "it went back" in asked.output
    signed = [str(path) for path in high.signed(file.read_bytes(), "clock")]
    done = run.invoke(app, ["clock", "accept", *signed, *home])
    assert done.exit_code == 0, done.output
    assert "approver-1, approver-2" in done.output
    status, error = Commands().refused("clock", "accept", *home)
    assert (status, error["code"]) == (2, "LG-1f21")
    assert "--key" in error["error"]
    publish_second(high)
