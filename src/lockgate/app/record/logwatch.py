"""Whether the log is where its witnesses saw it: what admission asks before each step.

Rolling back the log, or a whole disk with it, is what a witness outside notices. Below what one of
them cosigned, or without a cosignature that is as fresh as the policy demands, nothing is admitted;
two approvers may re-anchor. Serving reads no log.
"""

from datetime import datetime, timedelta

from lockgate.app.gate.holds import LOG, AdmissionHeldError, put_hold
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, site_root
from lockgate.approve import judge, read_statement
from lockgate.audit import standing
from lockgate.audit.standing import Seal
from lockgate.core.errors import InputError, LockgateError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose, Root
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import Document, decode
from lockgate.store import Records

ANCHORS = "anchor"
LAST = "last"


class LogBehindError(AdmissionHeldError):
    """The log is not what a witness cosigned, or was altered."""

    code = "LG-3f03"
    advice = "Run `lockgate audit verify`, find out what was lost, and have two sign `lockgate audit anchor`."


class LogUnwitnessedError(AdmissionHeldError):
    """No witness cosigned the log lately, which the policy demands."""

    code = "LG-3f04"
    advice = (
        "Have the witness cosign: `lockgate audit submit`, or `checkpoint` and `witnessed` by file. Where "
        "none can be reached, two may sign `lockgate audit anchor`."
    )


class Anchored(Document, frozen=True):
    """The statement by which two approvers anchored the log anew, as they signed it."""

    statement: str


def anchor(site: Root, records: Records) -> Statement | None:
    """Return the newest re-anchoring, judged again from its signatures; None where there is none.

    Raises:
        LockgateError: The row holds something that approvers did not sign.

    """
    with records.transaction() as tx:
        value = tx.get(ANCHORS, LAST)
    if value is None:
        return None
    envelope = decode(Anchored, value).statement.encode()
    created = read_statement(envelope).created
    statement, _ = judge(envelope, site, created, need=(site.policy or Policy()).approvers)
    return statement if statement.operation is Operation.ANCHOR else None


def freshest(seals: tuple[Seal, ...], need: int, anchored: datetime | None) -> datetime | None:
    """Return since when enough witnesses have been silent, or two approvers; None: they never spoke."""
    moments = sorted((seal.moment for seal in seals), reverse=True)
    witnessed = moments[need - 1] if len(moments) >= need else None
    return max((each for each in (witnessed, anchored) if each is not None), default=None)


def watch_log(side: Side, records: Records, now: datetime) -> None:
    """Demand that the log continues what witnesses cosigned, lately enough where the policy says so.

    The whole log is hashed again, where there is something to compare it with.

    Raises:
        LogBehindError: It does not; admission is held from here on.
        LogUnwitnessedError: No cosignature, or none that is fresh enough.

    """
    site = site_root(side, None)
    age = (site.policy or Policy()).witness_age
    log = audit_log(side)
    if age is None and not log.witnessed():
        return
    try:
        seals = standing(log, site).seals
    except (TrustError, InputError) as error:
        reason = f"the log is not what a witness saw: {error.what}"
        with records.transaction() as tx:
            fresh = put_hold(tx, LOG, reason, now)
        if fresh:
            log.append({"kind": "hold", "hold": LOG, "reason": reason})
        what = f"Admission is held: {reason}"
        raise LogBehindError(what, hold=LOG) from error
    if age is not None:
        _demand_fresh(seals, site, _anchored(site, records), now - timedelta(seconds=age))


def _anchored(site: Root, records: Records) -> datetime | None:
    try:
        statement = anchor(site, records)
    except LockgateError:  # a row that nobody signed counts for nothing
        return None
    return None if statement is None else statement.created


def _demand_fresh(seals: tuple[Seal, ...], site: Root, anchored: datetime | None, since: datetime) -> None:
    newest = freshest(seals, site.threshold(Purpose.WITNESS), anchored)
    if newest is None:
        raise LogUnwitnessedError("No witness cosigned the log, and the policy demands one.")
    if newest < since:
        what = f"The log was cosigned last on {newest:%Y-%m-%d %H:%M} UTC, which is too long ago."
        raise LogUnwitnessedError(what)
