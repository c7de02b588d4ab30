"""Admission rules on a high side: proposed as TOML, signed by two persons, kept as files and verified anew.

Each version lies in ``trust/`` with the statement that its approvers signed. The newest one counts, and
a record keeps its number: whoever takes files away stops admission and lifts no rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.files import read_named, write_whole
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.gate.versioned import Versioned
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import TrustError
from lockgate.core.policy import Policy
from lockgate.core.rules import (
    RULES_LIMIT,
    ActiveRules,
    BadRulesError,
    Rules,
    active_rules,
    faults_at,
    read_rules,
)
from lockgate.core.statement import NOTHING, Operation, Statement
from lockgate.core.wire import Document, decode, encode
from lockgate.store.ports import Transaction
from lockgate.trust.keys import Signer

_FLOORS, _FLOOR = "policy-floor", "rules"
_VERSIONS = Versioned("policy-", ".toml", ".dsse.json")
VERSION, DOCUMENT, PREVIOUS = "version", "document", "previous"
"""Facts of a statement about rules; beside them stands each sentence of the document."""


class RulesWithdrawnError(TrustError):
    """Admission rules that were in force are gone, or are not what was signed."""

    code = "LG-2f16"
    advice = (
        "Nothing is admitted until they are back: put the two files of the newest version into trust/ "
        "again, or restore a backup. Serving goes on."
    )


class RulesFloor(Document, frozen=True):
    """The newest version of the admission rules that was ever in force on this side."""

    version: int
    document_sha256: str


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules in force and who signed them."""

    active: ActiveRules
    approvers: tuple[str, ...]
    requester: str


def _read_floor(tx: Transaction) -> RulesFloor | None:
    value = tx.get(_FLOORS, _FLOOR)
    return decode(RulesFloor, value) if value else None


def in_force(side: Side) -> InForce | None:
    """Return the rules in force, their signatures verified now; None where there never were any.

    Raises:
        RulesWithdrawnError: A version that was in force is gone, or not what was signed.
        LockgateError: Its signatures do not verify.

    """
    records = records_of(side)
    with records.transaction() as tx:
        floor = _read_floor(tx)
    records.close()
    version = _VERSIONS.newest(side)
    if version < (floor.version if floor else 0):
        what = f"Version {floor.version if floor else 0} of the admission rules was in force and is gone."
        raise RulesWithdrawnError(what)
    if version == 0:
        return None
    found = _verified(side, version)
    if floor and floor.version == version and found.active.document_sha256 != floor.document_sha256:
        what = f"Version {version} of the admission rules is not the one that was in force."
        raise RulesWithdrawnError(what)
    return found


def _verified(side: Side, version: int) -> InForce:
    document, signed = _VERSIONS.files(side, version)
    site = site_root(side, None)
    envelope = read_named(signed)
    made = read_statement(envelope).created
    statement, approvers = judge(envelope, site, made, need=(site.policy or Policy()).approvers)
    data = read_named(document, limit=RULES_LIMIT)
    facts = dict(statement.facts or {})
    before = (
        sha256(read_named(_VERSIONS.files(side, version - 1)[0], limit=RULES_LIMIT))
        if version > 1
        else NOTHING
    )
    same = _facts(data, before) == facts
    if statement.operation is not Operation.POLICY or not same or facts[VERSION] != str(version):
        what = f"Version {version} of the admission rules is not what its approvers signed."
        raise RulesWithdrawnError(what)
    return InForce(active_rules(data), tuple(sorted(approvers)), statement.requester)


def _facts(data: bytes, previous: str) -> dict[str, str]:
    """Return what approvers read and sign: version, digest, and every sentence of the document."""
    rules = read_rules(data)
    numbered = {f"says {number:03d}": text for number, text in enumerate(rules.sentences(), 1)}
    return {VERSION: str(rules.version), DOCUMENT: sha256(data), PREVIOUS: previous, **numbered}


def checked(side: Side, file: Path) -> Rules:
    """Return the rules in a file when they could be signed now.

    Raises:
        BadRulesError: Malformed, contradicting itself or this site's policy, or not the next version.

    """
    data = read_named(file, limit=RULES_LIMIT)
    rules = read_rules(data)
    policy = site_root(side, None).policy or Policy()
    for fault in faults_at(rules, policy, utc_now()):
        raise BadRulesError(fault)
    present = in_force(side)
    follows = (present.active.rules.version if present else 0) + 1
    if rules.version != follows:
        what = f"The rules have the version {rules.version}; the next one on this side is {follows}."
        raise BadRulesError(what)
    return rules


def propose(side: Side, file: Path, requester: Signer) -> bytes:
    """Return the request to put rules in force; it holds every sentence of them.

    Raises:
        BadRulesError: See `checked`.

    """
    checked(side, file)
    present = in_force(side)
    previous = present.active.document_sha256 if present else NOTHING
    facts = _facts(read_named(file, limit=RULES_LIMIT), previous)
    return ask(side, Operation.POLICY, facts, requester)


def demand_about(statement: Statement, file: Path) -> None:
    """Demand that a statement says of a document exactly what the document says.

    Raises:
        StatementChangedError: It is about something else.

    """
    facts = dict(statement.facts or {})
    data = read_named(file, limit=RULES_LIMIT)
    if statement.operation is not Operation.POLICY or _facts(data, facts.get(PREVIOUS, "")) != facts:
        raise StatementChangedError("The request is not about this document.")


def activate(side: Side, file: Path, signed: Sequence[Path]) -> Decision:
    """Put rules in force that enough approvers signed.

    Raises:
        StatementChangedError: The document is not the one that was signed, or other rules came meanwhile.
        BadRulesError: They could not be signed any more.
        ApprovalSpentError: Used before.
        LockgateError: Too few approvers, expired, or see `approve.judge`.

    """
    decision = decided(side, Operation.POLICY, signed)
    demand_about(decision.statement, file)
    data = read_named(file, limit=RULES_LIMIT)
    rules, present = read_rules(data), in_force(side)
    if present is None or present.active.document_sha256 != sha256(data):  # else a crash left it half done
        checked(side, file)
        if decision.facts[PREVIOUS] != (present.active.document_sha256 if present else NOTHING):
            raise StatementChangedError("Other rules came in force after the request.")
    log = audit_log(side)
    intent = log.intent(
        "policy", version=rules.version, document=sha256(data), approvers=sorted(decision.approvers)
    )
    document, statement = _VERSIONS.files(side, rules.version)
    floor = RulesFloor(version=rules.version, document_sha256=sha256(data))
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
        write_whole(document, data)
        write_whole(statement, decision.envelope)
        tx.put(_FLOORS, _FLOOR, encode(floor))
    records.close()
    log.outcome(intent, "done", version=rules.version)
    return decision
