"""Candidate and stable: what soaks, what canary hosts say, and what may be promoted."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from corpora.gates import Scripted, World
from corpora.rulebook import rules_text
from lockgate.admit import ToInspect
from lockgate.admit.errors import (
    BadReportError,
    BehindStableError,
    PredecessorError,
    PromotionChangedError,
    SnapshotDerivationError,
    SoakUnmetError,
    TakenAwayError,
    WrongStateError,
)
from lockgate.approve import read_statement, request, verify_channel
from lockgate.core.errors import LockgateError
from lockgate.core.policy import EmergencyRule, OpaqueRule, Right
from lockgate.core.roots import KeyPurposeError, Purpose
from lockgate.core.rules import RoleMissingError, active_rules
from lockgate.core.soak import CANDIDATE, HEALTH_FORMAT, HEALTH_TYPE, STABLE, HealthReport
from lockgate.core.statement import Operation, TooFewApproversError
from lockgate.core.verdict import Outcome, Verdict
from lockgate.core.wire import encode
from lockgate.trust.dsse import sign
from lockgate.trust.keys import new_signer

HOUR = 3600
SOAK = f'[soak]\nminimum_seconds = {HOUR}\ncanaries = 2\nchecks = ["golden-prompts"]\n'


@pytest.fixture
def world() -> World:
    world = World()
    for host in ("canary-1", "canary-2"):
        signer = new_signer(Purpose.CANARY, host)
        world.people[host] = {Purpose.CANARY: signer}
        keys = {**world.site.keys, signer.keyid: signer.held(world.site.expires)}
        world.site = msgspec.structs.replace(world.site, keys=keys)
    rule = EmergencyRule(rights=tuple(Right), owed_seconds=HOUR, withdraw_limit=4)
    world.with_policy(emergency=rule)
    return world


def with_rules(world: World, body: str) -> None:
    world.rules = active_rules(rules_text(body).encode())


def put(world: World, sequence: int, *names: str, channel: str = CANDIDATE, **outcomes: Outcome) -> None:
    world.arrive(sequence, *names)
    world.gate.inspect(sequence, Scripted(**outcomes))
    world.gate.execute(world.signed(world.gate.request(sequence, channel, world.operator), "ap-1", "ap-2"))


def report(world: World, host: str = "canary-1", **changes: object) -> bytes:
    pointer = world.gate.pointer(CANDIDATE)
    seen = HealthReport(
        format=HEALTH_FORMAT,
        lane="test",
        host=host,
        channel=CANDIDATE,
        channel_version=pointer.version,
        snapshot_sha256=pointer.snapshot_sha256,
        made=world.now,
        checks={"install": True, "golden-prompts": True},
    )
    return sign(
        HEALTH_TYPE,
        encode(msgspec.structs.replace(seen, **changes)),
        [world.key(host if Purpose.CANARY in world.people.get(host, {}) else "canary-1", Purpose.CANARY)],
    )


def promote(world: World, *people: str) -> None:
    asked = world.gate.request_promote(world.operator)
    world.gate.execute(world.signed(asked, *(people or ("ap-1", "ap-2"))))


def served(world: World, channel: str = STABLE) -> set[str]:
    snapshot = world.gate.served(channel)
    return {a.artifact.name for a in snapshot.admitted} if snapshot else set()


def test_a_snapshot_soaks_and_the_very_same_one_becomes_stable(world: World) -> None:
    with_rules(world, SOAK)
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    with pytest.raises(SoakUnmetError, match="did not soak"):
        world.gate.request(1, STABLE, world.operator)
    world.gate.execute(world.signed(world.gate.request(1, CANDIDATE, world.operator), "ap-1", "ap-2"))
    assert served(world) == set()
    with pytest.raises(SoakUnmetError) as lacking:
        world.gate.request_promote(world.operator)
    assert "soaks until" in lacking.value.what
    assert "0 of 2 canary hosts" in lacking.value.what
    assert "passed golden-prompts" in lacking.value.what
    world.now += timedelta(seconds=HOUR)
    world.gate.promoter.keep(report(world))
    with pytest.raises(SoakUnmetError, match="1 of 2"):
        world.gate.request_promote(world.operator)
    world.gate.promoter.keep(report(world, "canary-2", checks={"install": True}))
    promote(world)
    pointer, candidate = world.gate.pointer(STABLE), world.gate.pointer(CANDIDATE)
    assert pointer.snapshot_sha256 == candidate.snapshot_sha256
    standing = verify_channel(world.files[STABLE], world.site, world.blobs)
    assert standing.statement.operation is Operation.PROMOTE
    assert standing.approvers == {"ap-1", "ap-2"}
    assert standing.statement.facts["soaked"] == "canary-1 healthy, canary-2 healthy"
    with pytest.raises(WrongStateError, match="Both channels"):
        world.gate.request_promote(world.operator)


def test_one_host_that_objects_stops_it_also_without_a_rule_and_after_the_request(world: World) -> None:
    put(world, 1, "a")
    asked = world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2")
    world.gate.promoter.keep(report(world, checks={"install": False}))
    with pytest.raises(SoakUnmetError, match="canary-1 found it unhealthy"):
        world.gate.execute(asked)
    assert world.gate.pointer(STABLE) is None
    world.now += timedelta(seconds=1)
    world.gate.promoter.keep(report(world))
    world.gate.execute(asked)
    assert served(world) == {"a"}


def test_a_report_without_a_check_is_not_health(world: World) -> None:
    put(world, 1, "a")
    world.gate.promoter.keep(report(world, checks={}))
    with pytest.raises(SoakUnmetError, match="checked nothing"):
        world.gate.request_promote(world.operator)


@pytest.mark.parametrize(
    "changes",
    [
        {"lane": "other"},
        {"channel": STABLE},
        {"format": "lockgate-health/2"},
        {"channel_version": 2},
        {"snapshot_sha256": "f" * 64},
        {"host": "canary-9"},
        {"host": "ap-1"},
    ],
)
def test_a_report_about_something_else_is_refused(world: World, changes: dict[str, object]) -> None:
    put(world, 1, "a")
    with pytest.raises(BadReportError):
        world.gate.promoter.keep(report(world, **changes))
    assert world.gate.promoter.soak().reports == ()


def test_reports_are_no_older_than_the_snapshot_nor_ahead_of_the_clock_nor_replaced_by_older(
    world: World,
) -> None:
    put(world, 1, "a")
    for shift in (timedelta(seconds=-1), timedelta(days=2)):
        with pytest.raises(BadReportError):
            world.gate.promoter.keep(report(world, made=world.now + shift))
    world.now += timedelta(seconds=10)
    bad = report(world, checks={"install": False})
    world.gate.promoter.keep(bad)
    world.gate.promoter.keep(bad)
    with pytest.raises(BadReportError, match="not older"):
        world.gate.promoter.keep(report(world, made=world.now - timedelta(seconds=5)))


def test_a_row_that_no_canary_signed_is_not_believed(world: World) -> None:
    put(world, 1, "a")
    pointer = world.gate.pointer(CANDIDATE)
    forged = sign(HEALTH_TYPE, b"{}", [world.key("ap-1")])
    with world.records.transaction() as tx:
        tx.put("soak-report", f"{pointer.version:09d}:canary-1", forged)
    with pytest.raises(KeyPurposeError):
        world.gate.request_promote(world.operator)
    with world.records.transaction() as tx:
        tx.put("soak-report", f"{pointer.version:09d}:canary-1", report(world, lane="other"))
    with pytest.raises(BadReportError):
        world.gate.promoter.soak()


def test_a_promotion_names_the_candidate_and_moves_only_to_that(world: World) -> None:
    put(world, 1, "a")
    asked = world.gate.request_promote(world.operator)
    put(world, 2, "b")
    with pytest.raises(PromotionChangedError):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    elsewhere = msgspec.structs.replace(
        read_statement(world.gate.request_promote(world.operator)), channel="other"
    )
    forged = request(elsewhere, world.operator, world.site, world.now)
    with pytest.raises(LockgateError):
        world.gate.execute(world.signed(forged, "ap-1", "ap-2"))
    with pytest.raises(TooFewApproversError):
        promote(world, "ap-1")
    promote(world)
    assert served(world) == {"a", "b"}


def test_two_promotions_at_once_move_it_once(world: World) -> None:
    put(world, 1, "a")
    first, second = (world.gate.request_promote(world.operator) for _ in range(2))
    world.gate.execute(world.signed(first, "ap-1", "ap-2"))
    with pytest.raises(PredecessorError):
        world.gate.execute(world.signed(second, "ap-1", "ap-2"))


def test_candidate_takes_over_what_stable_serves_and_rollback_is_one_step(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    put(world, 2, "b")
    assert served(world, CANDIDATE) == {"a", "b"}
    promote(world)
    world.gate.execute(world.signed(world.gate.request_rollback(STABLE, world.operator), "ap-1", "ap-2"))
    assert served(world) == {"a"}
    assert served(world, CANDIDATE) == {"a", "b"}
    promote(world)
    assert served(world) == {"a", "b"}


def test_nothing_that_stable_serves_is_lost_by_a_promotion(world: World) -> None:
    put(world, 1, "a")
    put(world, 2, "b", channel=STABLE)
    with pytest.raises(BehindStableError, match="pkg:generic/b@1"):
        world.gate.request_promote(world.operator)
    put(world, 3, "c")
    promote(world)
    assert served(world) == {"a", "b", "c"}


def test_nothing_that_was_taken_away_comes_back_by_a_promotion(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    put(world, 2, "b")
    world.gate.emergencies.act(Operation.WITHDRAW, STABLE, ["pkg:generic/a@1"], "bad", world.operator)
    with pytest.raises(TakenAwayError, match="pkg:generic/a@1"):
        world.gate.request_promote(world.operator)
    world.gate.emergencies.act(Operation.WITHDRAW, CANDIDATE, ["pkg:generic/a@1"], "bad", world.operator)
    promote(world)
    assert served(world) == {"b"}


def test_pages_that_one_operator_left_on_candidate_are_made_anew(world: World) -> None:
    put(world, 1, "a", "b")
    world.gate.emergencies.act(Operation.WITHDRAW, CANDIDATE, ["pkg:generic/a@1"], "bad", world.operator)
    asked = world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2")
    gate = world.gate
    gate._publisher._promoter._maker._pages = type("Empty", (), {"pages": lambda *_: iter(())})()
    with pytest.raises(SnapshotDerivationError):
        gate.execute(asked)
    world.gate.execute(asked)
    assert served(world) == {"b"}


def test_a_promotion_needs_whom_the_rules_name_for_what_is_new(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    world.with_policy(opaque=(OpaqueRule(detected="elf", approvers=2),))
    put(world, 2, "b", b=Outcome.OPAQUE)
    with_rules(world, '[roles]\nsafety = ["ap-3"]\n[[rule]]\nname = "all"\nroles = ["safety"]\n')
    asked = world.gate.request_promote(world.operator)
    with pytest.raises(RoleMissingError):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    world.with_policy(opaque=(OpaqueRule(detected="elf", approvers=3),))
    asked = world.gate.request_promote(world.operator)
    with pytest.raises(TooFewApproversError, match="what is new demand 3"):
        world.gate.execute(world.signed(asked, "ap-1", "ap-3"))
    world.gate.execute(world.signed(asked, "ap-1", "ap-2", "ap-3"))


class Newer(Scripted):
    """Rests on newer rules than what crossed was inspected by."""

    def basis(self) -> dict[str, str]:
        return {"rules": "2"}

    def inspect(self, items: Sequence[ToInspect]) -> list[Verdict]:
        return [msgspec.structs.replace(verdict, basis=self.basis()) for verdict in super().inspect(items)]


def test_what_newer_rules_call_opaque_needs_as_many_to_promote_as_if_it_came_so(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    world.with_policy(opaque=(OpaqueRule(detected="elf", approvers=3),))
    put(world, 2, "b")
    assert world.gate.reinspector.run(Newer(b=Outcome.OPAQUE)).done == 2
    asked = world.gate.request_promote(world.operator)
    with pytest.raises(TooFewApproversError, match="what is new demand 3"):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    world.gate.execute(world.signed(asked, "ap-1", "ap-2", "ap-3"))
    assert served(world) == {"a", "b"}


def test_one_operator_may_undo_a_promotion_at_once(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    put(world, 2, "b")
    promote(world)
    world.gate.emergencies.act(Operation.EMERGENCY_ROLLBACK, STABLE, [], "bad", world.operator)
    assert served(world) == {"a"}


def test_nothing_to_promote_is_said(world: World) -> None:
    with pytest.raises(WrongStateError, match="no snapshot"):
        world.gate.request_promote(world.operator)
    with pytest.raises(WrongStateError):
        world.gate.promoter.soak()


def test_a_promotion_that_an_operator_made_by_hand_brings_nothing_back(world: World) -> None:
    put(world, 1, "a", channel=STABLE)
    put(world, 2, "b")
    before = read_statement(world.gate.request_promote(world.operator))
    world.gate.emergencies.act(Operation.WITHDRAW, STABLE, ["pkg:generic/a@1"], "bad", world.operator)
    pointer = world.gate.pointer(STABLE)
    by_hand = msgspec.structs.replace(
        before, channel_version=pointer.version + 1, previous_sha256=pointer.snapshot_sha256
    )
    asked = request(by_hand, world.operator, world.site, world.now)
    with pytest.raises(TakenAwayError):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert served(world) == set()
