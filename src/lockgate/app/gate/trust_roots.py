"""Trust roots on a high side: brought by a crossing, put in force by two persons, verified anew at each use.

How versions are kept and verified: `app.gate.versioned`. Whoever takes files away brings no older roots
back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lockgate.app.gate.decisions import Decision, decided
from lockgate.app.gate.versioned import DOCUMENT, InForce, Versioned
from lockgate.app.high.channel import CHANNEL, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import utc_now
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LockgateError, TrustError
from lockgate.core.parts import rest_of
from lockgate.core.provenance import ROOTS_FORMAT, ROOTS_LIMIT, TrustRoots, read_roots
from lockgate.core.statement import Operation
from lockgate.inspect.signatures import Trust
from lockgate.trust.keys import Signer

ATTRIBUTE = "trust-roots"
"""The attribute of an artifact that is trust roots; its value is the version."""


class NoTrustRootsError(InputError):
    """No admitted artifact is trust roots that could be put in force."""

    code = "LG-1f90"
    advice = (
        "Make them with `lockgate provenance make`, bring them as [[trust_roots]], and publish the crossing."
    )


class TrustRootsWithdrawnError(TrustError):
    """Trust roots that were in force are gone, or are not what was signed."""

    code = "LG-2f90"
    advice = (
        "No signature is judged until they are back: put the two files of the newest version into trust/ "
        "again, or restore a backup."
    )


ROOTS: Versioned[TrustRoots] = Versioned(
    name="trust roots",
    operation=Operation.TRUST_ROOTS,
    prefix="trust-roots-",
    ending=".json",
    limit=ROOTS_LIMIT,
    read=read_roots,
    withdrawn=TrustRootsWithdrawnError,
    floor=("trust-roots-floor", "roots"),
)


def roots_in_force(side: Side) -> InForce[TrustRoots] | None:
    """Return the trust roots in force, their signatures verified now; None where there never were any.

    Raises:
        TrustRootsWithdrawnError: A version that was in force is gone, or not what was signed.
        LockgateError: Its signatures do not verify.

    """
    return ROOTS.in_force(side)


def brought(side: Side) -> Mapping[str, bytes]:
    """Return the documents of trust roots that the served snapshot holds, by digest.

    Raises:
        LockgateError: Nothing is served, or it does not verify.

    """
    snapshot = channel_reader(side, "trust-roots").current().snapshot
    digests = [
        admitted.artifact.files[0].sha256
        for admitted in rest_of(snapshot).admitted
        if ATTRIBUTE in admitted.artifact.attributes and len(admitted.artifact.files) == 1
    ]
    blobs = blobs_of(side)
    return {digest: blobs.read(digest, limit=ROOTS_LIMIT) for digest in digests}


def next_roots(side: Side) -> bytes:
    """Return the document that can be put in force now: the newest that a crossing brought.

    Raises:
        NoTrustRootsError: The served snapshot holds none that is newer, or the newest is over already.

    """
    present = roots_in_force(side)
    version = present.document.version if present else 0
    found = {
        roots.version: data
        for data in brought(side).values()
        if (roots := read_roots(data)).version > version
    }
    if not found:
        what = f"The channel {CHANNEL!r} serves no trust roots that are newer than version {version}."
        raise NoTrustRootsError(what)
    newest = found[max(found)]
    roots = read_roots(newest)
    if roots.format != ROOTS_FORMAT or roots.expires <= utc_now():
        when = f"{roots.expires:%Y-%m-%d}"
        what = f"Version {roots.version} of the trust roots expired on {when}, or has another format."
        raise NoTrustRootsError(what)
    return newest


def propose_roots(side: Side, requester: Signer) -> tuple[TrustRoots, bytes]:
    """Return the next trust roots, and the request to put them in force with every sentence of them.

    Raises:
        NoTrustRootsError: See `next_roots`.

    """
    data = next_roots(side)
    return read_roots(data), ROOTS.propose(side, data, requester)


def activate_roots(side: Side, signed: Sequence[Path]) -> Decision:
    """Put trust roots in force that enough approvers signed.

    Raises:
        NoTrustRootsError: The served snapshot does not hold them.
        StatementChangedError: Others came in force after the request.
        LockgateError: Too few approvers, expired, used before, or see `approve.judge`.

    """
    decision = decided(side, Operation.TRUST_ROOTS, signed)
    data = brought(side).get(decision.facts.get(DOCUMENT, ""))
    if data is None:
        raise NoTrustRootsError("The trust roots that were signed are not in the served snapshot.")
    ROOTS.demand_about(decision.statement, data)
    roots, present = read_roots(data), roots_in_force(side)
    if present is None or present.document_sha256 != sha256(data):  # else a crash left it half done
        newer = roots.version > (present.document.version if present else 0)
        if not newer:
            raise StatementChangedError("Newer trust roots came in force after the request.")
        ROOTS.demand_follows(decision, present)
    ROOTS.put(side, data, decision)
    return decision


def trust_now(side: Side, now: datetime) -> Trust:
    """Return what signatures are judged by now; why, where nothing may be judged.

    Trust roots past their expiry, or older than ``provenance.age_days`` of the configuration, judge nothing:
    keys may have been withdrawn that they still believe.
    """
    try:
        present = roots_in_force(side)
    except LockgateError as error:
        return Trust(now, why=f"The trust roots cannot be used: {error.what} ({error.code})"[:300])
    if present is None:
        return Trust(now)
    roots, days = present.document, side.settings.provenance.age_days
    if now >= roots.expires:
        return Trust(now, why=f"The trust roots expired on {roots.expires:%Y-%m-%d}.")
    if now - roots.made > timedelta(days=days):
        return Trust(now, why=f"The trust roots are older than {days} days, of {roots.made:%Y-%m-%d}.")
    return Trust(now, roots)


def trust_basis(side: Side) -> dict[str, str]:
    """Return what verdicts rest on of trust roots: the version in force, expired or not."""
    try:
        present = roots_in_force(side)
    except LockgateError:
        return {}
    return {"trust-roots": str(present.document.version)} if present else {}
