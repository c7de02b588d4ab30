"""Holding a crossing that waits: one operator stops it at once, two persons let it go on.

A hold only stops. It ends by approvals alone, so it needs no second signature and owes none.
"""

from typing import TYPE_CHECKING

import msgspec

from lockgate.admit.errors import CrossingHeldError, WrongStateError
from lockgate.admit.model import Crossing, crossing_key
from lockgate.approve.errors import StatementChangedError
from lockgate.core.artifact import Digest
from lockgate.core.emergency import demand_right
from lockgate.core.roots import Purpose
from lockgate.core.sequence import FINAL
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import Document, Moment, decode, encode, whole_second

if TYPE_CHECKING:
    from lockgate.admit.parts import GateParts
    from lockgate.store.ports import Transaction
    from lockgate.trust.keys import Signer

CROSSING_HOLDS = "crossing-hold"
REASON_LIMIT = 500
"""Longest reason of a hold, in characters."""


class CrossingHold(Document, frozen=True):
    """Why a crossing may not be published, who stopped it, and since when."""

    crate_sha256: Digest
    operator: str
    reason: str
    since: Moment

    @property
    def facts(self) -> dict[str, str]:
        """Return what approvers sign who let the crossing go on."""
        return {"held_by": self.operator, "reason": self.reason, "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}"}


def hold_of(tx: "Transaction", sequence: int) -> CrossingHold | None:
    """Return the hold of a crossing, or None."""
    value = tx.get(CROSSING_HOLDS, crossing_key(sequence))
    return None if value is None else decode(CrossingHold, value, name="hold")


def demand_free(tx: "Transaction", sequence: int) -> None:
    """Demand that nobody holds a crossing.

    Raises:
        CrossingHeldError: Somebody does.

    """
    if (held := hold_of(tx, sequence)) is not None:
        what = f"Crossing {sequence} is held by {held.operator} since {held.since:%Y-%m-%d %H:%M} UTC: "
        raise CrossingHeldError(what + held.reason, held_by=held.operator)


class CrossingHolds:
    """Puts holds on crossings that wait and lifts them."""

    def __init__(self, parts: "GateParts") -> None:
        """Use the gate's parts."""
        self._p = parts

    def current(self) -> dict[int, CrossingHold]:
        """Return every hold by the crossing's number."""
        with self._p.records.transaction() as tx:
            rows = tx.scan(CROSSING_HOLDS)
            return {int(key): decode(CrossingHold, value, name="hold") for key, value in rows}

    def put(self, crossing: Crossing, reason: str, operator: "Signer") -> CrossingHold:
        """Hold a crossing at once.

        Args:
            crossing: The crossing.
            reason: Why, in the operator's words.
            operator: Who does it; the key must be an operator's.

        Raises:
            NoEmergencyRightError: The policy gives one operator no right to hold.
            UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.
            WrongStateError: It is published or refused already, or held already.

        """
        now = whole_second(self._p.clock())
        demand_right(self._p.policy, Operation.HOLD)
        person = self._p.site.held(operator.keyid, Purpose.OPERATOR, now).person
        said = " ".join(reason.split())[:REASON_LIMIT]
        made = CrossingHold(crate_sha256=crossing.crate_sha256, operator=person, reason=said, since=now)
        if crossing.state in FINAL:
            what = f"Crossing {crossing.sequence} is already {crossing.state}."
            raise WrongStateError(what, advice="What is served is held by its package URLs.")
        facts = {"crossing": crossing.sequence, "operator": person, "reason": said}
        intent = self._p.audit.intent("hold-crossing", **facts)
        with self._p.records.transaction() as tx:
            known = hold_of(tx, crossing.sequence)
            if known is None:
                tx.put(CROSSING_HOLDS, crossing_key(crossing.sequence), encode(made))
        self._p.audit.outcome(intent, "done" if known is None else "held already")
        return known or made

    def about(self, crossing: Crossing, statement: Statement) -> Statement:
        """Return a statement that releases a crossing, with what holds it.

        Raises:
            WrongStateError: Nobody holds it.

        """
        with self._p.records.transaction() as tx:
            held = hold_of(tx, crossing.sequence)
        if held is None:
            what = f"Nobody holds crossing {crossing.sequence}."
            raise WrongStateError(what, advice="`lockgate gate list` shows what is held.")
        return msgspec.structs.replace(statement, facts=held.facts)

    @staticmethod
    def lift(tx: "Transaction", statement: Statement) -> None:
        """Lift the very hold that a statement names.

        Raises:
            StatementChangedError: There is none, or another one.

        """
        held = hold_of(tx, statement.crossing)
        same = held is not None and held.facts == dict(statement.facts or {})
        if held is None or not same or held.crate_sha256 != statement.crate_sha256:
            raise StatementChangedError("The crossing is held for another reason than the statement names.")
        tx.delete(CROSSING_HOLDS, crossing_key(statement.crossing))
