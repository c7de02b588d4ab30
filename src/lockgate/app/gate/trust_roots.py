"""Trust roots on a high side: brought by a crossing, put in force by two persons, verified anew at each use.

Each version lies in ``trust/`` with the statement that its approvers signed, as admission rules do. A
record keeps the newest number: whoever takes files away brings no older roots back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from lockgate.app.files import read_named, write_whole
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.gate.versioned import Versioned
from lockgate.app.high.serving import CHANNEL, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LockgateError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.provenance import ROOTS_FORMAT, ROOTS_LIMIT, TrustRoots, read_roots
from lockgate.core.statement import NOTHING, Operation, Statement
from lockgate.core.wire import Document, decode, encode
from lockgate.inspect.signatures import Trust
from lockgate.store.ports import Transaction
from lockgate.trust.keys import Signer

ATTRIBUTE = "trust-roots"
"""The attribute of an artifact that is trust roots; its value is the version."""

_FLOORS, _FLOOR = "trust-roots-floor", "roots"
_VERSIONS = Versioned("trust-roots-", ".json", ".dsse.json")
VERSION, DOCUMENT, PREVIOUS = "version", "document", "previous"
"""Facts of a statement about trust roots; beside them stands each sentence of the document."""


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


class _Floor(Document, frozen=True):
    version: int
    document_sha256: str


@dataclass(frozen=True, slots=True)
class RootsInForce:
    """The trust roots in force and who signed them."""

    roots: TrustRoots
    document_sha256: str
    approvers: tuple[str, ...]


def _read_floor(tx: Transaction) -> _Floor | None:
    value = tx.get(_FLOORS, _FLOOR)
    return decode(_Floor, value) if value else None


def roots_in_force(side: Side) -> RootsInForce | None:
    """Return the trust roots in force, their signatures verified now; None where there never were any.

    Raises:
        TrustRootsWithdrawnError: A version that was in force is gone, or not what was signed.
        LockgateError: Its signatures do not verify.

    """
    records = records_of(side)
    with records.transaction() as tx:
        floor = _read_floor(tx)
    records.close()
    version = _VERSIONS.newest(side)
    if version < (floor.version if floor else 0):
        what = f"Version {floor.version if floor else 0} of the trust roots was in force and is gone."
        raise TrustRootsWithdrawnError(what)
    if version == 0:
        return None
    document, signed = _VERSIONS.files(side, version)
    site = site_root(side, None)
    envelope, data = read_named(signed), read_named(document, limit=ROOTS_LIMIT)
    made = read_statement(envelope).created
    statement, approvers = judge(envelope, site, made, need=(site.policy or Policy()).approvers)
    facts = dict(statement.facts or {})
    same = _facts(data, facts.get(PREVIOUS, "")) == facts and facts.get(VERSION) == str(version)
    kept = floor is None or floor.version != version or floor.document_sha256 == sha256(data)
    if statement.operation is not Operation.TRUST_ROOTS or not same or not kept:
        what = f"Version {version} of the trust roots is not what its approvers signed."
        raise TrustRootsWithdrawnError(what)
    return RootsInForce(read_roots(data), sha256(data), tuple(sorted(approvers)))


def _facts(data: bytes, previous: str) -> dict[str, str]:
    """Return what approvers read and sign: version, digest, and every sentence of the document."""
    roots = read_roots(data)
    numbered = {f"says {number:03d}": text for number, text in enumerate(roots.sentences(), 1)}
    return {VERSION: str(roots.version), DOCUMENT: sha256(data), PREVIOUS: previous, **numbered}


def brought(side: Side) -> Mapping[str, bytes]:
    """Return the documents of trust roots that the served snapshot holds, by digest.

    Raises:
        LockgateError: Nothing is served, or it does not verify.

    """
    snapshot = channel_reader(side, "trust-roots").current().snapshot
    digests = [
        admitted.artifact.files[0].sha256
        for admitted in snapshot.admitted
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
    version = present.roots.version if present else 0
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
    present = roots_in_force(side)
    facts = _facts(data, present.document_sha256 if present else NOTHING)
    return read_roots(data), ask(side, Operation.TRUST_ROOTS, facts, requester)


def demand_about_roots(statement: Statement, data: bytes) -> None:
    """Demand that a statement says of trust roots exactly what they say.

    Raises:
        StatementChangedError: It is about something else.

    """
    facts = dict(statement.facts or {})
    if statement.operation is not Operation.TRUST_ROOTS or _facts(data, facts.get(PREVIOUS, "")) != facts:
        raise StatementChangedError("The request is not about these trust roots.")


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
    demand_about_roots(decision.statement, data)
    roots, present = read_roots(data), roots_in_force(side)
    if present is None or present.document_sha256 != sha256(data):  # else a crash left it half done
        newer = roots.version > (present.roots.version if present else 0)
        before = present.document_sha256 if present else NOTHING
        if not newer or decision.facts[PREVIOUS] != before:
            raise StatementChangedError("Other trust roots came in force after the request.")
    log = audit_log(side)
    intent = log.intent(
        "trust-roots", version=roots.version, document=sha256(data), approvers=sorted(decision.approvers)
    )
    document, statement = _VERSIONS.files(side, roots.version)
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
        write_whole(document, data)
        write_whole(statement, decision.envelope)
        tx.put(_FLOORS, _FLOOR, encode(_Floor(version=roots.version, document_sha256=sha256(data))))
    records.close()
    log.outcome(intent, "done", version=roots.version)
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
    roots, days = present.roots, side.settings.provenance.age_days
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
    return {"trust-roots": str(present.roots.version)} if present else {}
