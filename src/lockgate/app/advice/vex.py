"""VEX documents on a high side: two persons read every claim, and their signatures are what counts.

The document and the signed statement are kept side by side; each time they are used the signatures
are verified anew. A file that fails that is not applied, and said so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.advisories import Claim, Limits, claims_of
from lockgate.app.files import read_named, write_named
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.statement import Operation, Statement
from lockgate.trust.keys import Signer

_SIGNED = ".dsse.json"


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
    for file in sorted((side.home.advisories / "vex").glob(f"*{_SIGNED}")):
        try:
            claims += _verified(side, file)
        except LockgateError as error:
            refused.append(f"{file.name}: {error.what}")
    return Approved(tuple(claims), tuple(refused))


def _verified(side: Side, signed: Path) -> tuple[Claim, ...]:
    site = site_root(side, None)
    envelope = read_named(signed)
    made = read_statement(envelope).created
    statement, _ = judge(envelope, site, made, need=(site.policy or Policy()).approvers)
    document = _read(signed.with_name(signed.name.removesuffix(_SIGNED) + ".json"))
    _demand_same(statement, document, signed.name)
    return claims_of(document, signed.name)


def _demand_same(statement: Statement, document: bytes, name: str) -> None:
    if statement.operation is not Operation.VEX or dict(statement.facts or {}) != _facts(document, name):
        raise StatementChangedError("The document is not the one that was signed.")
