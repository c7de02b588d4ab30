"""The side's clock: what it is judged by, and two persons who say that it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.gate.holds import CLOCK, HOLDS, LAST, LastRun, clock_state, holds
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve.errors import StatementChangedError
from lockgate.core.clock import ClockState, trouble
from lockgate.core.policy import Policy
from lockgate.core.statement import Operation
from lockgate.core.wire import encode, stamp, whole_second
from lockgate.crossing.ledger import put_floor
from lockgate.trust.keys import Signer


@dataclass(frozen=True, slots=True)
class ClockView:
    """What the clock says, what it is judged by, and why it is not believed (empty: it is)."""

    now: datetime
    state: ClockState
    trouble: str
    held: str


def look(side: Side) -> ClockView:
    """Return how the clock stands; nothing is changed by looking."""
    records, now = records_of(side), whole_second(utc_now())
    state = clock_state(side, records)
    hold = holds(records).get(CLOCK)
    records.close()
    policy = site_root(side, None).policy or Policy()
    return ClockView(now, state, trouble(now, state, policy), hold.reason if hold else "")


def _facts(view: ClockView) -> dict[str, str]:
    last, floor = view.state.last, view.state.floor
    return {
        "clock": stamp(view.now),
        "last_run": stamp(last) if last else "lost" if view.state.began else "none",
        "floor": stamp(floor) if floor else "none",
        "reason": view.held or view.trouble or "none",
    }


def ask_to_accept(side: Side, requester: Signer) -> bytes:
    """Return the request to believe the clock as it is now.

    It names the clock, and the floor and last run that it contradicts: the approvers compare the
    first with their own watches.
    """
    return ask(side, Operation.CLOCK, _facts(look(side)), requester)


def accept(side: Side, signed: Sequence[Path]) -> Decision:
    """Believe the clock, as enough approvers signed: the hold ends, floor and last run are now.

    The floor is only ever lowered here, and no further than to the clock that was accepted.

    Raises:
        StatementChangedError: Floor or last run are others than those that were signed.
        ApprovalSpentError: Used before.
        LockgateError: Too few approvers, expired by this clock, or see `approve.judge`.

    """
    decision = decided(side, Operation.CLOCK, signed)
    view = look(side)
    log = audit_log(side)
    intent = log.intent("clock-accept", approvers=sorted(decision.approvers), **decision.facts)
    mine = _facts(view)
    if any(decision.facts.get(name) != mine[name] for name in ("floor", "last_run")):
        log.outcome(intent, "refused", code=StatementChangedError.code)
        raise StatementChangedError("Floor or last run changed after the request.")
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
        if view.state.floor is not None and view.state.floor > view.now:
            put_floor(tx, view.now)
        tx.put(CLOCK, LAST, encode(LastRun(at=view.now)))
        tx.delete(HOLDS, CLOCK)
    records.close()
    log.outcome(intent, "done", clock=stamp(view.now))
    return decision
