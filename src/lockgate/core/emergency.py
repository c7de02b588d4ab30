"""What one operator may do to a channel in an emergency. Pure decisions.

An emergency only takes away: it moves the channel to a subset of what two persons had signed, or to
the snapshot before. Whoever serves decides this anew from the signed documents; the gate decides the
same before it writes anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from lockgate.core.errors import PolicyError
from lockgate.core.policy import EmergencyRule, Policy, Right
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import FORWARD, NOTHING, Operation, Statement
from lockgate.core.wire import encode

CHAIN_LIMIT = 16
"""Most emergencies on end; after them two persons have to look."""

BASE, ARTIFACTS, REASON = "base", "artifacts", "reason"
"""Facts of an emergency: digest of the envelope that it follows, package URLs, why."""

_RIGHTS = {
    Operation.HOLD: Right.HOLD,
    Operation.WITHDRAW: Right.WITHDRAW,
    Operation.EMERGENCY_ROLLBACK: Right.ROLLBACK,
}


class NoEmergencyRightError(PolicyError):
    """The policy gives one operator no such right."""

    code = "LG-3004"
    advice = "Ask for it with two approvals, or have the holders of the site root change the policy."


class EmergencyBoundError(PolicyError):
    """One operator would change more than an emergency may."""

    code = "LG-3005"
    advice = "An emergency only takes away, up to the policy's limit. Ask for a rollback or a new snapshot."


class Debt(IntEnum):
    """How urgent a second signature is: the alert rises from one to the next."""

    NONE = 0
    DUE = 1
    OVERDUE = 2


def judge_debt(owed: Iterable[Statement], now: datetime) -> Debt:
    """Return how urgent the second signature under some emergencies is."""
    due = min((statement.expires for statement in owed), default=None)
    if due is None:
        return Debt.NONE
    return Debt.OVERDUE if now >= due else Debt.DUE


@dataclass(frozen=True, slots=True)
class Standing:
    """What a channel serves, and since when only one person stands for it.

    Attributes:
        statement: The channel's statement.
        snapshot: What may be newly loaded.
        base: The snapshot that withdrawals are counted from.
        signed: The statement that two persons signed last.
        signed_snapshot: The snapshot that it names.
        held: What may not be newly loaded, and may go on where it is loaded.
        chain: The emergencies since two persons signed, oldest first.
        approvers: Who approved the newest statement.

    """

    statement: Statement
    snapshot: Snapshot
    base: Snapshot
    signed: Statement
    signed_snapshot: Snapshot
    approvers: frozenset[str]
    held: tuple[Admitted, ...] = ()
    chain: tuple[Statement, ...] = ()

    @property
    def owed(self) -> tuple[Statement, ...]:
        """Return the emergencies that no second person signed; one signature on the newest pays all."""
        return () if self.approvers else self.chain


def demand_right(policy: Policy, operation: Operation) -> EmergencyRule:
    """Return the policy's rule when it gives one operator this right.

    Raises:
        NoEmergencyRightError: It does not.

    """
    rule = policy.emergency_rule
    if rule is None or _RIGHTS.get(operation) not in rule.rights:
        what = f"The policy gives one operator no right to {operation}."
        raise NoEmergencyRightError(what)
    return rule


def follow(before: Standing, statement: Statement, after: Snapshot, policy: Policy) -> Standing:
    """Return how a channel stands after an emergency, which may only take away.

    Args:
        before: How it stood, verified.
        statement: The emergency's statement; its signature was verified.
        after: The snapshot that it names, hashed.
        policy: Names rights and limits.

    Raises:
        NoEmergencyRightError, EmergencyBoundError: It may not do this.

    """
    rule = demand_right(policy, statement.operation)
    old = before.statement
    if statement.channel != old.channel or statement.channel_version != old.channel_version + 1:
        raise _beyond("it does not follow the channel's last statement")
    if len(before.chain) >= CHAIN_LIMIT:
        msg = f"it would be one of more than {CHAIN_LIMIT} on end (bound: chain_limit)"
        raise _beyond(msg)
    if statement.operation is Operation.EMERGENCY_ROLLBACK:
        held: tuple[Admitted, ...] = ()
        _demand_previous(before, statement)
        base = after
    else:
        held, base = _taken(before, statement, after, rule), before.base
    chain = (*before.chain, statement)
    return Standing(statement, after, base, before.signed, before.signed_snapshot, frozenset(), held, chain)


def _demand_previous(before: Standing, statement: Statement) -> None:
    """Only what two persons published is undone by one, and only to what they had before it."""
    old = before.statement
    if old.operation not in FORWARD or old.previous_sha256 == NOTHING:
        raise _beyond("only a publication by two persons is rolled back, and only to the snapshot before")
    if statement.snapshot_sha256 != old.previous_sha256:
        raise _beyond("it names another snapshot than the one before")


def _taken(
    before: Standing, statement: Statement, after: Snapshot, rule: EmergencyRule
) -> tuple[Admitted, ...]:
    """Return what is held afterwards; demand that nothing came and not too much went."""
    present = {encode(a): a for a in before.snapshot.admitted}
    left = {encode(a) for a in after.admitted}
    if not left <= present.keys() or after.created != before.snapshot.created:
        raise _beyond("its snapshot holds something that was not served")
    removed = tuple(a for key, a in present.items() if key not in left)
    named = frozenset((statement.facts or {}).get(ARTIFACTS, "").split())
    if not named or not _purls(removed) <= named <= _purls((*removed, *before.held)):
        raise _beyond("it names other artifacts than it takes away")
    if statement.operation is Operation.HOLD:
        return (*before.held, *removed)
    held = tuple(a for a in before.held if a.artifact.purl not in named)
    gone = len(before.base.admitted) - len(after.admitted) - len(held)
    if gone > rule.withdraw_limit:
        msg = f"{gone} artifacts would be withdrawn; {rule.withdraw_limit} may be (withdraw_limit)"
        raise _beyond(msg)
    return held


def _purls(admitted: Iterable[Admitted]) -> frozenset[str]:
    return frozenset(a.artifact.purl for a in admitted)


def _beyond(why: str) -> EmergencyBoundError:
    return EmergencyBoundError(f"One operator may not do this: {why}.")
