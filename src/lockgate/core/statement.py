"""The statement that approvers sign, and the decision whether enough of them did."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import PolicyError
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, Moment

STATEMENT_FORMAT = "lockgate-statement/1"
STATEMENT_TYPE = "application/vnd.lockgate.statement+json"
"""DSSE payload type of a statement."""


class Operation(StrEnum):
    """What the approvers agree to."""

    PUBLISH = "publish"
    REJECT = "reject"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    RESTORE = "restore"
    CLOCK = "clock"
    ANCHOR = "anchor"
    ACTIVATE = "activate"
    REVERT = "revert"
    VEX = "vex"
    REQUESTS = "requests"
    POLICY = "policy"
    TRUST_ROOTS = "trust-roots"
    RELEASE = "release"
    SHARE = "model-share"
    GUARDS = "guards"
    HOLD = "hold"
    WITHDRAW = "withdraw"
    EMERGENCY_ROLLBACK = "emergency-rollback"
    AUTOMATIC_WITHDRAW = "automatic-withdraw"
    AUTOMATIC_HOLD = "automatic-hold"


FORWARD = frozenset({Operation.PUBLISH, Operation.PROMOTE})
"""What lets something be served that was not served on a channel before."""

CHANNEL_OPERATIONS = FORWARD | {Operation.ROLLBACK}
"""What moves a channel by the signatures of several persons."""

AUTOMATIC = frozenset({Operation.AUTOMATIC_WITHDRAW, Operation.AUTOMATIC_HOLD})
"""What the gate signs by itself, with the inspector's key, where the policy says so; nobody owes anything."""

EMERGENCIES = frozenset({Operation.HOLD, Operation.WITHDRAW, Operation.EMERGENCY_ROLLBACK}) | AUTOMATIC
"""What one operator, or the gate, may sign where the policy says so. An operator's expires when the second
signature is due."""

CROSSING_OPERATIONS = frozenset({Operation.REJECT, Operation.RELEASE})
"""What is about a crossing and moves no channel."""

GATE_OPERATIONS = CHANNEL_OPERATIONS | CROSSING_OPERATIONS
"""What the gate itself carries out."""


class OwnRequestError(PolicyError):
    """The requester tried to approve their own request."""

    code = "LG-3001"
    advice = "Another person with an approver key has to sign."


class TooFewApproversError(PolicyError):
    """Fewer distinct persons approved than the policy demands."""

    code = "LG-3002"
    advice = "Show the statement to another approver: `lockgate gate show`, then `lockgate approve`."


class StatementExpiredError(PolicyError):
    """The statement is past its expiry."""

    code = "LG-3003"
    advice = "Ask for a new statement with `lockgate gate request` and sign that one."


class Statement(Document, frozen=True):
    """Exactly what is signed (design: crossing, "Approval"). Any change voids the approvals.

    Activating a release of Lockgate, or going back to the one before, names the release in
    `snapshot_sha256`, its trial in `verdicts_sha256`, and the active release in `previous_sha256`.
    A restore names the backup's manifest in `snapshot_sha256`, the plan that says what was lost and
    what the floor is in `previous_sha256`, and the last crossing in `crossing` and `crate_sha256`.
    What is about no crossing (`CLOCK`, `ANCHOR`, `VEX`, `REQUESTS`, `POLICY`, `TRUST_ROOTS`, `SHARE`,
    emergencies) says in `facts` what is agreed to, and so does `RELEASE` of what was held; other statements
    about a crossing leave the field out. What publishes (`PUBLISH`) names there the digest of the difference
    that approvers are shown (`core.difference`), a promotion (`PROMOTE`) which version of ``candidate`` it
    takes over.
    """

    format: str
    lane: str
    operation: Operation
    crossing: int
    crate_sha256: Digest
    snapshot_sha256: Digest
    verdicts_sha256: Digest
    waivers: tuple[str, ...]
    policy_sha256: Digest
    custody_sha256: Digest
    channel: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,63})?\Z")]
    channel_version: Annotated[int, msgspec.Meta(ge=1)]
    previous_sha256: Digest
    requester: str
    log_checkpoint: str
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    created: Moment
    expires: Moment
    facts: dict[str, str] | msgspec.UnsetType = msgspec.UNSET

    @property
    def subject(self) -> str:
        """Return what the statement is about, in a few words."""
        return f"for crossing {self.crossing}" if self.crossing else f"about the {self.operation}"


NOTHING = "0" * 64
"""Stands where a statement has no digest to name (first snapshot, no custody chain)."""


def approved_by(
    statement: Statement, keyids: Mapping[str, bool], site: Root, at: datetime, *, need: int
) -> frozenset[str]:
    """Return the persons that approved, and demand `need` distinct ones without the requester.

    Args:
        statement: What they signed.
        keyids: Key id → whether its signature over the statement verified.
        site: The site root that names approvers.
        at: The moment that expiry is judged by.
        need: How many distinct persons the policy demands.

    Raises:
        StatementExpiredError: At or past the statement's expiry, or made in the future.
        OwnRequestError: The requester is among those who signed.
        TooFewApproversError: Fewer than `need` persons.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: A key that may not approve.

    """
    if at >= statement.expires:
        when = f"{statement.expires:%Y-%m-%d %H:%M} UTC"
        what = f"The statement {statement.subject} expired on {when}."
        raise StatementExpiredError(what)
    skew = timedelta(seconds=site.policy.skew_seconds if site.policy else 0)
    if statement.created > at + skew:
        what = f"The statement {statement.subject} is dated in the future."
        raise StatementExpiredError(what, advice="Compare the clocks of the two machines.")
    people: set[str] = set()
    for keyid, valid in keyids.items():
        if not valid:
            continue
        person = site.held(keyid, Purpose.APPROVER, at).person
        if person == statement.requester:
            what = f"{person} asked for this and cannot approve it."
            raise OwnRequestError(what)
        people.add(person)
    if len(people) < need:
        who = ", ".join(sorted(people)) or "nobody"
        what = f"{len(people)} of {need} needed persons approved ({who})."
        raise TooFewApproversError(what)
    return frozenset(people)
