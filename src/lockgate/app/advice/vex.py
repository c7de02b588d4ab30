"""VEX documents on a high side: two persons read every claim, and their signatures are what counts.

The document and the signed statement are kept side by side; each time they are used the signatures
are verified anew. A file that fails that is not applied, and said so. One operator may withdraw a document:
that only opens findings again. What was approved before counts no longer then, whoever puts its files back.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate.advisories import Claim, Limits, claims_of
from lockgate.app.files import read_named, write_named
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.artifact import Digest
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.trust.dsse import open_envelope, sign
from lockgate.trust.keys import Signer

_SIGNED = ".dsse.json"
_WITHDRAWN = ".withdrawn.json"
WITHDRAWALS = "vex-withdrawn"
"""Digest of a document → when an operator withdrew it, and why."""

WITHDRAWAL_TYPE = "application/vnd.lockgate.vex-withdrawal+json"
"""DSSE payload type of a withdrawal."""


class NotAppliedError(InputError):
    """No VEX document with this digest is applied."""

    code = "LG-1f95"
    advice = "`lockgate advisories vex-withdraw` without a digest lists those that are."


class Withdrawal(Document, frozen=True):
    """What an operator signs: which document counts no longer, since when, and why."""

    document: Digest
    at: Moment
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A document that holds: its digest, who signed it, and what it claims."""

    document: str
    approvers: tuple[str, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Approved:
    """The claims that two persons approved, and why some documents do not count."""

    claims: tuple[Claim, ...]
    refused: tuple[str, ...]


def _facts(document: bytes, name: str) -> dict[str, str]:
    """Return what approvers read and sign: the digest, and every claim."""
    claims = claims_of(document, name, Limits())
    numbered = {f"claim {number:03d}": claim.sentence for number, claim in enumerate(claims, 1)}
    return {"document": sha256(document), **numbered}


def _read(file: Path) -> bytes:
    return read_named(file, limit=Limits().bill_bytes)


def ask_to_apply(side: Side, file: Path, requester: Signer) -> bytes:
    """Return the request to apply a VEX document; it names each claim in full.

    Raises:
        BadVexError: Not a VEX document, or a claim without a reason.

    """
    return ask(side, Operation.VEX, _facts(_read(file), file.name), requester)


def apply(side: Side, file: Path, signed: Sequence[Path]) -> Decision:
    """Apply a VEX document that enough approvers signed.

    Raises:
        StatementChangedError: The document is not the one that was signed.
        ApprovalSpentError: Used before.
        LockgateError: Too few approvers, expired, or see `approve.judge`.

    """
    decision = decided(side, Operation.VEX, signed)
    document = _read(file)
    digest = sha256(document)
    log = audit_log(side)
    intent = log.intent("vex", document=digest, approvers=sorted(decision.approvers))
    if dict(decision.facts) != _facts(document, file.name):
        log.outcome(intent, "refused", code=StatementChangedError.code)
        raise StatementChangedError("The document is not the one that was signed.")
    folder = side.home.advisories / "vex"
    write_named(folder / f"{digest}.json", document)
    write_named(folder / f"{digest}{_SIGNED}", decision.envelope)
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
    records.close()
    log.outcome(intent, "done", document=digest)
    return decision


def approved(side: Side) -> Approved:
    """Return the claims whose documents and signatures verify now."""
    claims: list[Claim] = []
    refused: list[str] = []
    for file in _signed(side):
        try:
            claims += _verified(side, file).claims
        except LockgateError as error:
            refused.append(f"{file.name}: {error.what}")
    return Approved(tuple(claims), tuple(refused))


def applied(side: Side) -> tuple[Applied, ...]:
    """Return the documents that hold, each verified now."""
    found = []
    for file in _signed(side):
        with suppress(LockgateError):
            found.append(_verified(side, file))
    return tuple(found)


def withdraw(side: Side, document: str, reason: str, operator: Signer) -> Withdrawal:
    """Withdraw a document at once: what it closed is open again, and held where the policy says so.

    Raises:
        NotAppliedError: No such document holds.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    now = whole_second(utc_now())
    person = site_root(side, now).held(operator.keyid, Purpose.OPERATOR, now).person
    if document not in {each.document for each in applied(side)}:
        what = f"No VEX document {document[:80]!r} holds."
        raise NotAppliedError(what)
    made = Withdrawal(document=document, at=now, operator=person, reason=" ".join(reason.split())[:500])
    log = audit_log(side)
    intent = log.intent("vex-withdraw", document=document, operator=person, reason=made.reason)
    envelope = sign(WITHDRAWAL_TYPE, encode(made), [operator])
    write_named(side.home.advisories / "vex" / f"{document}{_WITHDRAWN}", envelope)
    records = records_of(side)
    with records.transaction() as tx:
        tx.put(WITHDRAWALS, document, encode(made))
    records.close()
    log.outcome(intent, "done")
    return made


def _signed(side: Side) -> list[Path]:
    return sorted((side.home.advisories / "vex").glob(f"*{_SIGNED}"))


def _verified(side: Side, signed: Path) -> Applied:
    site = site_root(side, None)
    envelope = read_named(signed)
    made = read_statement(envelope).created
    statement, people = judge(envelope, site, made, need=(site.policy or Policy()).approvers)
    document = _read(signed.with_name(signed.name.removesuffix(_SIGNED) + ".json"))
    _demand_same(statement, document, signed.name)
    digest = sha256(document)
    _demand_standing(side, digest, made)
    return Applied(digest, tuple(sorted(people)), claims_of(document, signed.name))


def _demand_standing(side: Side, digest: str, made: datetime) -> None:
    """Demand that a document was not withdrawn after it was asked for; the row and the file both count.

    A file that nobody can read counts as a withdrawal: it only opens findings.
    """
    records = records_of(side)
    with records.transaction() as tx:
        value = tx.get(WITHDRAWALS, digest)
    records.close()
    at = decode(Withdrawal, value).at if value else None
    file = side.home.advisories / "vex" / f"{digest}{_WITHDRAWN}"
    if file.is_file():
        signed = decode(Withdrawal, open_envelope(read_named(file)).payload)
        at = max(signed.at, at) if at else signed.at
    if at is not None and made <= at:
        what = f"An operator withdrew it on {at:%Y-%m-%d %H:%M} UTC."
        raise StatementChangedError(what, advice="Two persons may approve it anew.")


def _demand_same(statement: Statement, document: bytes, name: str) -> None:
    if statement.operation is not Operation.VEX or dict(statement.facts or {}) != _facts(document, name):
        raise StatementChangedError("The document is not the one that was signed.")
