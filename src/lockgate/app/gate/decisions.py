"""Decisions of two persons that are about no crossing: asked for, signed apart, carried out once."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lockgate.admit.model import SPENT
from lockgate.app.gate.holds import demand_usable
from lockgate.app.lane.qr_parts import read_documents
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import combine, demand_counting, judge, request
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.core.policy import Policy
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import digest_of, whole_second
from lockgate.store import Transaction
from lockgate.trust.keys import Signer


@dataclass(frozen=True, slots=True)
class Decision:
    """A statement that enough approvers signed: what, by whom, and the signed bytes."""

    statement: Statement
    approvers: frozenset[str]
    envelope: bytes

    @property
    def facts(self) -> Mapping[str, str]:
        """Return what was agreed to."""
        return self.statement.facts or {}


def ask(side: Side, operation: Operation, facts: Mapping[str, str], requester: Signer) -> bytes:
    """Return a request, signed by who asks, as it travels to the approvers.

    Raises:
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    site = site_root(side, None)
    policy = site.policy or Policy()
    log = audit_log(side)
    log.intent(f"request-{operation}", requester=requester.person, **facts)
    at, now = log.checkpoint(), whole_second(utc_now())
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane=side.lane,
        operation=operation,
        crossing=0,
        crate_sha256=NOTHING,
        snapshot_sha256=NOTHING,
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=digest_of(policy),
        custody_sha256=NOTHING,
        channel="",
        channel_version=1,
        previous_sha256=NOTHING,
        requester=requester.person,
        log_checkpoint=f"{at.size} {at.root.hex()}",
        nonce=secrets.token_hex(16),
        created=now,
        expires=now + timedelta(seconds=policy.approval_seconds),
        facts=dict(facts),
    )
    return request(statement, requester, site, now)


def decided(side: Side, operation: Operation, signed: Sequence[Path]) -> Decision:
    """Return what enough approvers signed; nothing is carried out yet.

    Raises:
        StatementChangedError: About something else, or under another policy.
        ApprovalSpentError: Used before.
        StatementExpiredError, TooFewApproversError, OwnRequestError: See `core.statement`.
        LockgateError: A signature that does not verify, or a key that may not approve.

    """
    site = site_root(side, None)
    policy = site.policy or Policy()
    envelope = combine(read_documents(signed))
    statement, approvers = judge(envelope, site, utc_now(), need=policy.approvers)
    if statement.operation is not operation:
        what = f"The statement is {statement.subject}, not about the {operation}."
        raise StatementChangedError(what)
    if statement.policy_sha256 != digest_of(policy):
        raise StatementChangedError("The policy changed after the request.")
    records = records_of(side)
    demand_usable(records, statement)
    with records.transaction() as tx:
        _demand_fresh(tx, statement)
    demand_counting(records, envelope, site)
    records.close()
    return Decision(statement, approvers, envelope)


def spend(tx: Transaction, statement: Statement) -> None:
    """Use a statement up, in the transaction of its effect.

    Raises:
        ApprovalSpentError: It was used before.

    """
    _demand_fresh(tx, statement)
    tx.insert(SPENT, statement.nonce, digest_of(statement).encode())


def _demand_fresh(tx: Transaction, statement: Statement) -> None:
    if tx.get(SPENT, statement.nonce) is not None:
        raise ApprovalSpentError("The approval was used before.")
