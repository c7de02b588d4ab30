"""Holds: reasons on record why nothing may be admitted. Serving goes on.

`app.admission` asks before each step. A hold stays on record until two persons sign what ends it, also
where its reason went away by itself.
"""

from datetime import datetime

from lockgate.app.settings import Side
from lockgate.app.trust import audit_log
from lockgate.core.clock import ClockState, trouble
from lockgate.core.errors import PolicyError
from lockgate.core.policy import Policy
from lockgate.core.statement import FORWARD, Statement
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.crossing.ledger import read_floor
from lockgate.store import Records, Transaction

HOLDS = "hold"
RESTORED = "restored"
CLOCK = "clock"
LOG = "log"
LAST = "last"
_ADMITTING = frozenset({"open", "receive", "inspect", "request", "execute"})

_WAY_OUT = {
    CLOCK: "Set the clock right, then have two approvers sign `lockgate clock accept`.",
    LOG: "Find out what the log lost, then have two approvers sign `lockgate audit anchor`.",
}


class AdmissionHeldError(PolicyError):
    """Nothing is admitted until two approvers have looked."""

    code = "LG-3f01"
    advice = (
        "Restore again with the last crossing that the low side knows (`--last-crossing`), signed by two."
    )


class ClockNotBelievedError(AdmissionHeldError):
    """The clock contradicts what was proved, or the last run; nothing is admitted by it."""

    code = "LG-3f02"
    advice = _WAY_OUT[CLOCK]


class Hold(Document, frozen=True):
    """Why admission is held, and since when."""

    reason: str
    since: Moment


class LastRun(Document, frozen=True):
    """What the clock said at the last run that admitted."""

    at: Moment


class Restored(Document, frozen=True):
    """The last restore that had lost something: statements from before it no longer work."""

    at: Moment
    statement_sha256: str


def put_hold(tx: Transaction, name: str, reason: str, since: datetime) -> bool:
    """Hold admission; a hold of this name that is on record stays as it is. Tell whether it is new."""
    if tx.get(HOLDS, name) is not None:
        return False
    tx.put(HOLDS, name, encode(Hold(reason=reason, since=whole_second(since))))
    return True


def clock_state(side: Side, records: Records) -> ClockState:
    """Return what the clock is judged by.

    Where the row of the last run is gone, the log says whether there were runs: a removed row holds
    admission instead of switching the check off.
    """
    with records.transaction() as tx:
        value, floor = tx.get(CLOCK, LAST), read_floor(tx)
    if value is not None:
        return ClockState(last=decode(LastRun, value).at, floor=floor, began=True)
    began = any(event.get("action") in _ADMITTING for _, event in audit_log(side).events())
    return ClockState(floor=floor, began=began)


def watch_clock(side: Side, records: Records, policy: Policy, now: datetime) -> None:
    """Hold admission by a clock that is not believed, and note what a believed one says.

    Raises:
        ClockNotBelievedError: The clock is behind the floor, or jumped since the last run.

    """
    state = clock_state(side, records)
    reason = trouble(now, state, policy)
    if reason:
        with records.transaction() as tx:
            fresh = put_hold(tx, CLOCK, reason, now)
        if fresh:
            audit_log(side).append({"kind": "hold", "hold": CLOCK, "reason": reason})
        msg = f"Admission is held: {reason}"
        raise ClockNotBelievedError(msg, hold=CLOCK)
    with records.transaction() as tx:
        free = tx.get(HOLDS, CLOCK) is None
        if free and (state.last is None or now > state.last):
            tx.put(CLOCK, LAST, encode(LastRun(at=whole_second(now))))


def demand_open(records: Records) -> None:
    """Demand that no hold is on record.

    Raises:
        AdmissionHeldError: There is one.

    """
    for name, hold in holds(records).items():
        what = f"Admission is held since {hold.since:%Y-%m-%d %H:%M} UTC: {hold.reason}"
        raise AdmissionHeldError(what, advice=_WAY_OUT.get(name), hold=name)


def holds(records: Records) -> dict[str, Hold]:
    """Return the holds on record by name."""
    with records.transaction() as tx:
        return {name: decode(Hold, value) for name, value in tx.scan(HOLDS)}


def demand_usable(records: Records, statement: Statement) -> None:
    """Demand that a statement was not asked for before a restore.

    Raises:
        AdmissionHeldError: The restore may have forgotten that it was used.

    """
    if statement.operation in FORWARD:
        demand_open(records)
    with records.transaction() as tx:
        value = tx.get(RESTORED, LAST)
    if value is not None and statement.created <= decode(Restored, value).at:
        what = "The statement is older than a restore that may have forgotten that it was used."
        raise AdmissionHeldError(what, advice="Ask for a new statement and have it signed again.")
