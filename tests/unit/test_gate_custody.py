"""The gate binds a crate's way in the statement, and demands a chain where the policy does."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from corpora.gates import START, Scripted, World
from lockgate.admit import Gate
from lockgate.admit.errors import CustodyBrokenError
from lockgate.admit.ports import CustodyReader
from lockgate.approve import read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.custody import REPORT_FORMAT, CustodyReport, Finding, FindingKind
from lockgate.core.policy import CustodyRule
from lockgate.core.sequence import CrossingState
from lockgate.core.statement import NOTHING
from lockgate.core.wire import digest_of


@dataclass
class Told(CustodyReader):
    """Says what a test wants it to say."""

    kinds: tuple[FindingKind, ...] | None = ()

    def report(self, crossing):
        if self.kinds is None:
            return None
        return CustodyReport(
            format=REPORT_FORMAT,
            lane="test",
            crossing=crossing.sequence,
            crate_sha256=crossing.crate_sha256,
            received=crossing.received,
            chain=(),
            findings=tuple(Finding(kind=k, step=0, what="as a test says") for k in self.kinds),
        )


class Guarded(World):
    """A gate whose custody reading is a double."""

    told: Told

    @property
    def gate(self) -> Gate:
        return Gate(replace(super().gate._p, custody=self.told))


@pytest.fixture
def world() -> Guarded:
    made = Guarded()
    made.told = Told()
    made.arrive(1, "a")
    made.gate.inspect(1, Scripted())
    return made


def test_the_statement_binds_what_approvers_are_shown(world: Guarded) -> None:
    world.told.kinds = (FindingKind.DELAY,)
    asked = world.gate.request(1, "stable", world.operator)
    assert read_statement(asked).custody_sha256 == digest_of(world.gate.custody(1))
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert world.gate.crossing(1).state is CrossingState.PUBLISHED
    world.told.kinds = None
    world.arrive(2, "b")
    world.gate.inspect(2, Scripted())
    assert read_statement(world.gate.request(2, "stable", world.operator)).custody_sha256 == NOTHING


def test_what_becomes_known_after_the_request_voids_the_approvals(world: Guarded) -> None:
    signed = world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2")
    for kinds in ((FindingKind.DELAY,), (FindingKind.SEAL,), None):
        world.told.kinds = kinds
        with pytest.raises(StatementChangedError, match="way"):
            world.gate.execute(signed)
    world.told.kinds = ()
    world.gate.execute(signed)


@pytest.mark.parametrize("kind", list(FindingKind))
def test_where_a_chain_is_demanded_only_notes_let_a_crossing_through(
    world: Guarded, kind: FindingKind
) -> None:
    world.with_policy(custody=CustodyRule())
    world.told.kinds = (kind,)
    notes = {FindingKind.DELAY, FindingKind.CLOCK, FindingKind.PACKED_AGAIN, FindingKind.PAPER}
    if kind in notes:
        world.gate.execute(world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2"))
        return
    with pytest.raises(CustodyBrokenError, match=kind):
        world.gate.request(1, "stable", world.operator)
    # It can still be rejected, and those who reject it see why.
    asked = world.gate.request_reject(1, world.operator)
    assert read_statement(asked).custody_sha256 == digest_of(world.gate.custody(1))
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert world.gate.crossing(1).state is CrossingState.REJECTED


def test_a_gate_that_knows_nothing_of_custody_admits_nothing_where_it_is_demanded(world: Guarded) -> None:
    world.with_policy(custody=CustodyRule())
    world.told.kinds = None
    with pytest.raises(CustodyBrokenError, match="no chain"):
        world.gate.request(1, "stable", world.operator)
    world.told = None
    with pytest.raises(CustodyBrokenError, match="no chain"):
        world.gate.request(1, "stable", world.operator)


def test_a_rule_that_demands_nothing_stops_nothing(world: Guarded) -> None:
    world.with_policy(custody=CustodyRule(required=False))
    world.told.kinds = (FindingKind.MISSING, FindingKind.FORK)
    world.now = START + timedelta(hours=1)
    world.gate.execute(world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2"))


def test_rolling_back_asks_for_no_way(world: Guarded) -> None:
    world.gate.execute(world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2"))
    world.publish(2, "b")
    world.told.kinds = (FindingKind.GAP,)
    asked = world.gate.request_rollback("stable", world.operator)
    assert read_statement(asked).custody_sha256 == NOTHING
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
