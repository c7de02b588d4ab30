"""What the present lock can show of rehearsals: the newest one, judged, and demanded by some policies."""

from datetime import datetime

import msgspec

import lockgate
from lockgate.app.crossing.collect import current_lock
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import site_root, supply_root, utc_now
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError, MalformedDocumentError, TooLargeError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.rehearsal import (
    REHEARSAL_LIMIT,
    Rehearsal,
    RehearsalDemandedError,
    Rehearsed,
    Standing,
    judge_rehearsal,
)
from lockgate.core.roots import Purpose
from lockgate.trust.attest import check

RECORDS = "rehearsal"
"""Records of the low side: the newest signed rehearsal, and the newest profile of the host."""

NEWEST, HOST = "newest", "host"

PREDICATE = "urn:lockgate:rehearsal:v1"
LOCK_SUBJECT, HOST_SUBJECT = "lock.json", "host.profile.json"


class RehearsalForgedError(TrustError):
    """An attestation of a rehearsal speaks of something else than it is kept or named for."""

    code = "LG-2fc1"
    advice = "Rehearse anew with `lockgate rehearse`; find out who wrote into this side's records."


def read_rehearsal(side: Side, data: bytes, at: datetime) -> Rehearsal:
    """Return a rehearsal that the collector signed.

    Raises:
        TooLargeError: Longer than `REHEARSAL_LIMIT`.
        LockgateError: It does not verify.
        RehearsalForgedError: Its subjects are not those that it speaks of.

    """
    if len(data) > REHEARSAL_LIMIT:
        what = f"The attestation of a rehearsal has {len(data)} bytes; at most {REHEARSAL_LIMIT} are read."
        raise TooLargeError(what, limit="REHEARSAL_LIMIT")
    statement = check(data, supply_root(side)[1], Purpose.COLLECTOR, PREDICATE, at)
    try:
        found = msgspec.convert(statement.predicate, Rehearsal)
    except msgspec.ValidationError as error:
        what = f"The rehearsal is malformed: {error}."
        raise MalformedDocumentError(what) from error
    named = {subject.name: subject.digest.get("sha256", "") for subject in statement.subject}
    if named != {LOCK_SUBJECT: found.lock_sha256, HOST_SUBJECT: found.host_sha256}:
        raise RehearsalForgedError("The attestation is about other files than the rehearsal in it.")
    return found


def rehearsed(side: Side) -> Rehearsed:
    """Return what the present lock can show of rehearsals; what does not verify counts as none.

    Raises:
        NotCollectedError: There is no lock.

    """
    lock = sha256(current_lock(side).lock_bytes)
    data, host = kept(side, NEWEST), kept(side, HOST)
    if data is None or host is None:
        return judge_rehearsal(None, lock, "", lockgate.__version__, side.lane)
    try:
        found = read_rehearsal(side, data, utc_now())
    except LockgateError as error:
        return Rehearsed(
            Standing.NONE, f"The rehearsal on record does not count ({error.code}): {error.what}"
        )
    return judge_rehearsal(found, lock, sha256(host), lockgate.__version__, side.lane)


def demand_rehearsal(side: Side) -> Rehearsed:
    """Return what the present lock can show, and refuse one without where the policy demands it.

    Raises:
        RehearsalDemandedError: The site's policy demands a rehearsal that passed.

    """
    found = rehearsed(side)
    policy = site_root(side, None).policy or Policy()
    if policy.demands_rehearsal and not found.passed:
        what = f"The site's policy demands a rehearsal that passed. {found.why}"
        raise RehearsalDemandedError(what)
    return found


def kept(side: Side, name: str) -> bytes | None:
    """Return the newest rehearsal or profile on record; None where there is none."""
    records = records_of(side)
    try:
        with records.transaction() as tx:
            return tx.get(RECORDS, name)
    finally:
        records.close()


def keep(side: Side, values: dict[str, bytes]) -> None:
    """Put a rehearsal and its profile on record, together."""
    records = records_of(side)
    try:
        with records.transaction() as tx:
            for name, value in values.items():
                tx.put(RECORDS, name, value)
    finally:
        records.close()
