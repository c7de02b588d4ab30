"""Holds: reasons on record why nothing may be admitted. Serving goes on."""

from lockgate.core.errors import PolicyError
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import Document, Moment, decode
from lockgate.store import Records

HOLDS = "hold"
RESTORED = "restored"
LAST = "last"


class AdmissionHeldError(PolicyError):
    """Nothing is admitted until two approvers have looked."""

    code = "LG-3f01"
    advice = (
        "Restore again with the last crossing that the low side knows (`--last-crossing`), signed by two."
    )


class Hold(Document, frozen=True):
    """Why admission is held, and since when."""

    reason: str
    since: Moment


class Restored(Document, frozen=True):
    """The last restore that had lost something: statements from before it no longer work."""

    at: Moment
    statement_sha256: str


def demand_open(records: Records) -> None:
    """Demand that admission is not held.

    Raises:
        AdmissionHeldError: It is.

    """
    with records.transaction() as tx:
        held = [(name, decode(Hold, value)) for name, value in tx.scan(HOLDS)]
    for name, hold in held:
        what = f"Admission is held since {hold.since:%Y-%m-%d %H:%M} UTC: {hold.reason}"
        raise AdmissionHeldError(what, hold=name)


def demand_usable(records: Records, statement: Statement) -> None:
    """Demand that a statement may take effect as far as holds and restores go.

    Raises:
        AdmissionHeldError: It publishes while admission is held, or was asked for before a restore
            that may have forgotten that it was used.

    """
    if statement.operation is Operation.PUBLISH:
        demand_open(records)
    with records.transaction() as tx:
        value = tx.get(RESTORED, LAST)
    if value is not None and statement.created <= decode(Restored, value).at:
        what = "The statement is older than a restore that may have forgotten that it was used."
        raise AdmissionHeldError(what, advice="Ask for a new statement and have it signed again.")
