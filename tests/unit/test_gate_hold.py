"""Holding a crossing that waits: one operator stops it, two persons let it go on, nobody else does."""

from pathlib import Path

import msgspec
import pytest

from corpora.commands import Commands
from corpora.gates import Scripted, World
from corpora.homes import HighSide
from lockgate.admit.errors import CrossingHeldError, NoSuchCrossingError, WrongStateError
from lockgate.admit.hold import REASON_LIMIT
from lockgate.app.high.channel import channel_reader
from lockgate.approve import read_statement
from lockgate.approve.errors import ApprovalSpentError, NothingPublishedError, StatementChangedError
from lockgate.core.emergency import NoEmergencyRightError
from lockgate.core.errors import LockgateError
from lockgate.core.policy import EmergencyRule, Right
from lockgate.core.roots import KeyPurposeError, Purpose
from lockgate.core.statement import STATEMENT_TYPE, OwnRequestError, TooFewApproversError
from lockgate.core.wire import encode
from lockgate.trust.dsse import sign

RULE = EmergencyRule(rights=tuple(Right))


@pytest.fixture
def world() -> World:
    made = World()
    made.with_policy(emergency=RULE)
    made.arrive(1, "a")
    return made


def hold(world: World, reason: str = "asked the supplier") -> None:
    world.gate.holds.put(world.gate.crossing(1), reason, world.operator)


def to_publish(world: World) -> bytes:
    world.gate.inspect(1, Scripted())
    return world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2")


def released(world: World, *people: str) -> bytes:
    return world.signed(world.gate.request_release(1, world.operator), *people)


def test_what_two_approved_is_not_published_while_one_holds_it_and_is_once_two_release_it(
    world: World,
) -> None:
    approved = to_publish(world)
    hold(world)
    with pytest.raises(CrossingHeldError, match=r"held by operator since .* asked the supplier"):
        world.gate.execute(approved)
    with pytest.raises(CrossingHeldError):
        world.gate.request(1, "stable", world.operator)
    assert world.gate.pointer("stable") is None
    world.gate.inspect(1, Scripted())
    release = released(world, "ap-1", "ap-2")
    statement = world.gate.execute(release)
    assert statement.facts == {
        "held_by": "operator", "reason": "asked the supplier", "since": "2026-05-01T12:00:00Z",
    }  # fmt: skip
    assert world.gate.execute(release) == statement, "again changes nothing"
    world.gate.execute(to_publish(world))
    assert world.gate.pointer("stable") is not None


def test_a_crossing_is_held_before_it_is_inspected_and_may_be_rejected_while_it_is_held(world: World) -> None:
    hold(world)
    world.gate.inspect(1, Scripted())
    world.gate.execute(world.signed(world.gate.request_reject(1, world.operator), "ap-1", "ap-2"))
    assert world.gate.crossing(1).state == "rejected"


def test_one_person_releases_nothing(world: World) -> None:
    hold(world)
    request = world.gate.request_release(1, world.operator)
    for envelope in (request, world.signed(request, "ap-1")):
        with pytest.raises(TooFewApproversError):
            world.gate.execute(envelope)
    with pytest.raises(OwnRequestError):
        world.gate.execute(world.signed(request, "operator", "ap-1"))
    assert list(world.gate.holds.current()) == [1]


def test_a_release_is_for_the_hold_that_it_names_and_works_once(world: World) -> None:
    hold(world)
    first = released(world, "ap-1", "ap-2")
    other = released(world, "ap-1", "ap-3")
    forged = msgspec.structs.replace(read_statement(first), facts={"reason": "nothing"})
    with pytest.raises(LockgateError):
        world.gate.execute(sign(STATEMENT_TYPE, encode(forged), [world.operator, world.key("ap-1")]))
    world.gate.execute(first)
    with pytest.raises(StatementChangedError):
        world.gate.execute(other)
    hold(world, "once more")
    with pytest.raises((ApprovalSpentError, StatementChangedError)):
        world.gate.execute(other)
    world.gate.execute(first)
    assert list(world.gate.holds.current()) == [1], "a used release is no release"


def test_only_an_operator_to_whom_the_policy_gives_it_holds(world: World) -> None:
    with pytest.raises(KeyPurposeError):
        world.gate.holds.put(world.gate.crossing(1), "x", world.key("ap-1", Purpose.APPROVER))
    world.with_policy(emergency=msgspec.UNSET)
    with pytest.raises(NoEmergencyRightError):
        hold(world)
    assert world.gate.holds.current() == {}


def test_the_first_hold_stays_its_reason_is_bounded_and_what_is_final_is_not_held(world: World) -> None:
    hold(world, "first " + "x" * (2 * REASON_LIMIT))
    hold(world, "second")
    (held,) = world.gate.holds.current().values()
    assert held.reason.startswith("first")
    assert len(held.reason) == REASON_LIMIT
    world.gate.execute(released(world, "ap-1", "ap-2"))
    with pytest.raises(WrongStateError):
        world.gate.request_release(1, world.operator)
    world.gate.execute(to_publish(world))
    with pytest.raises(WrongStateError, match="already published"):
        hold(world)


def test_a_hold_that_comes_while_a_publication_is_carried_out_stops_it(world: World) -> None:
    """The last look is in the transaction that moves the channel."""
    approved = to_publish(world)

    gate = world.gate
    done = gate._publisher.admit_bytes

    def admit_and_hold(snapshot, known):
        picked = done(snapshot, known)
        hold(world)
        return picked

    gate._publisher.admit_bytes = admit_and_hold
    with pytest.raises(CrossingHeldError):
        gate.execute(approved)
    assert world.gate.pointer("stable") is None


def test_hold_and_release_by_commands(tmp_path: Path) -> None:
    high, run = HighSide.new(tmp_path), Commands()
    home, key = ("--home", high.lane.high), ("--key", high.lane.people["operator"])
    high.arrive(1, "one")
    approved = high.ask_to_publish(1)
    held = run.json("gate", "hold", "crossing:1", *key, "--reason", "look again", *home)
    assert (held["crossing"], held["held_by"], held["reason"]) == (1, "operator", "look again")
    assert run.json("gate", "list", *home)["held"]["1"]["reason"] == "look again"
    status, error = run.refused("gate", "publish", *approved, *home)
    assert (status, error["code"]) == (CrossingHeldError.exit_status, "LG-3805")
    with pytest.raises(NothingPublishedError):
        channel_reader(high.side, "test").current()
    status, error = run.refused("gate", "hold", "crossing:9", *key, "--reason", "x", *home)
    assert error["code"] == NoSuchCrossingError.code
    asked = Path(run.json("gate", "release", 1, *key, *home)["request"])
    run.json("gate", "publish", *high.signed(asked.read_bytes(), "release"), *home)
    assert run.json("gate", "list", *home)["held"] == {}
    run.json("gate", "publish", *approved, *home)
    assert channel_reader(high.side, "test").current().statement.crossing == 1
    events = [event.get("action") for event in run.json("audit", "show", *home, "--last", 60)]
    assert {"hold-crossing", "request-release"} <= set(events)
