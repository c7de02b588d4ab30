"""What one operator, or the gate itself, may do to a channel in an emergency. Pure decisions.

An emergency only takes away: it moves the channel to a subset of what two persons had signed, or to
the snapshot before. Whoever serves decides this anew from the signed documents; the gate decides the
same before it writes anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from lockgate.core.errors import PolicyError
from lockgate.core.policy import AutomaticRule, EmergencyRule, Policy, Right
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import AUTOMATIC, FORWARD, NOTHING, Operation, Statement
from lockgate.core.wire import encode

CHAIN_LIMIT = 16
"""Most emergencies on end; after them two persons have to look."""

VERDICTS = "verdicts"
"""Fact of what the gate did by itself: the digests of the signed verdicts that changed."""

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
        withdrawn: How many artifacts of the base the gate itself withdrew.
        stopped: How many it held.

    """

    statement: Statement
    snapshot: Snapshot
    base: Snapshot
    signed: Statement
    signed_snapshot: Snapshot
    approvers: frozenset[str]
    held: tuple[Admitted, ...] = ()
    chain: tuple[Statement, ...] = ()
    withdrawn: int = 0
    stopped: int = 0

    @property
    def owed(self) -> tuple[Statement, ...]:
        """Return the emergencies that no second person signed; one signature on the newest pays all.

        For what the gate did by itself nobody owes a signature.
        """
        return () if self.approvers else tuple(s for s in self.chain if s.operation not in AUTOMATIC)


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


def demand_automatic(policy: Policy) -> AutomaticRule:
    """Return the policy's rule for what the gate takes away by itself.

    Raises:
        NoEmergencyRightError: It has none.

    """
    rule = policy.automatic_rule
    if rule is None:
        raise NoEmergencyRightError("The policy lets the gate take nothing away by itself.")
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
    automatic = statement.operation in AUTOMATIC
    rule = demand_automatic(policy) if automatic else demand_right(policy, statement.operation)
    old = before.statement
    if statement.channel != old.channel or statement.channel_version != old.channel_version + 1:
        raise _beyond("it does not follow the channel's last statement")
    if len(before.chain) >= CHAIN_LIMIT:
        msg = f"it would be one of more than {CHAIN_LIMIT} on end (bound: chain_limit)"
        raise _beyond(msg)
    if statement.operation is Operation.EMERGENCY_ROLLBACK:
        _demand_previous(before, statement)
        return _next(before, statement, after, base=after, held=(), withdrawn=0, stopped=0)
    removed, named = _removed(before, statement, after)
    if isinstance(rule, AutomaticRule):
        return _by_itself(before, statement, after, rule, removed)
    if statement.operation is Operation.HOLD:
        return _next(before, statement, after, held=(*before.held, *removed))
    held = tuple(a for a in before.held if a.artifact.purl not in named)
    gone = len(before.base.admitted) - len(after.admitted) - len(held) - before.withdrawn
    if gone > rule.withdraw_limit:
        msg = f"{gone} artifacts would be withdrawn; {rule.withdraw_limit} may be (withdraw_limit)"
        raise _beyond(msg)
    return _next(before, statement, after, held=held)


def _next(before: Standing, statement: Statement, after: Snapshot, **changes: Any) -> Standing:
    """Return a standing with one more emergency, which nobody approved yet."""
    chain = (*before.chain, statement)
    return replace(before, statement=statement, snapshot=after, approvers=frozenset(), chain=chain, **changes)


def _by_itself(
    before: Standing,
    statement: Statement,
    after: Snapshot,
    rule: AutomaticRule,
    removed: tuple[Admitted, ...],
) -> Standing:
    """Return how a channel stands after the gate took something away, within what it may."""
    if statement.operation is Operation.AUTOMATIC_HOLD:
        stopped = before.stopped + len(removed)
        if stopped > rule.hold_limit:
            msg = f"the gate would hold {stopped} artifacts; {rule.hold_limit} may be (hold_limit)"
            raise _beyond(msg)
        return _next(before, statement, after, held=(*before.held, *removed), stopped=stopped)
    withdrawn = before.withdrawn + len(removed)
    if withdrawn > rule.withdraw_limit:
        msg = f"the gate would withdraw {withdrawn} artifacts; {rule.withdraw_limit} may be (withdraw_limit)"
        raise _beyond(msg)
    return _next(before, statement, after, withdrawn=withdrawn)


def _demand_previous(before: Standing, statement: Statement) -> None:
    """Only what two persons published is undone by one, and only to what they had before it."""
    old = before.statement
    if old.operation not in FORWARD or old.previous_sha256 == NOTHING:
        raise _beyond("only a publication by two persons is rolled back, and only to the snapshot before")
    if statement.snapshot_sha256 != old.previous_sha256:
        raise _beyond("it names another snapshot than the one before")


def _removed(
    before: Standing, statement: Statement, after: Snapshot
) -> tuple[tuple[Admitted, ...], frozenset[str]]:
    """Return what went and what is named; demand that nothing came, and that both are the same.

    An operator's withdrawal may name what is held already; the gate names what is served alone.
    """
    present = {encode(a): a for a in before.snapshot.admitted}
    left = {encode(a) for a in after.admitted}
    if not left <= present.keys() or after.created != before.snapshot.created:
        raise _beyond("its snapshot holds something that was not served")
    removed = tuple(a for key, a in present.items() if key not in left)
    named = frozenset((statement.facts or {}).get(ARTIFACTS, "").split())
    most = removed if statement.operation in AUTOMATIC else (*removed, *before.held)
    if not named or not _purls(removed) <= named <= _purls(most):
        raise _beyond("it names other artifacts than it takes away")
    return removed, named


def _purls(admitted: Iterable[Admitted]) -> frozenset[str]:
    return frozenset(a.artifact.purl for a in admitted)


def _beyond(why: str) -> EmergencyBoundError:
    return EmergencyBoundError(f"One operator may not do this: {why}.")
