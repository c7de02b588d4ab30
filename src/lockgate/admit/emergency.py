"""Emergencies at the gate: one operator takes away at once, and owes a second signature."""

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit.assess import Assessor
from lockgate.admit.errors import NoSuchArtifactError, NothingOwedError, PredecessorError, WrongStateError
from lockgate.admit.model import CHANNELS, ChannelPointer
from lockgate.admit.parts import GateParts
from lockgate.admit.publish import Picked, Publisher, spend
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.approve import demand_counting, judge, read_statement, request, verify_channel
from lockgate.core.ceremony import holders
from lockgate.core.emergency import (
    ARTIFACTS,
    BASE,
    REASON,
    VERDICTS,
    Standing,
    demand_automatic,
    demand_right,
    follow,
)
from lockgate.core.errors import LockgateError
from lockgate.core.parts import open_snapshot, snapshot_digest
from lockgate.core.roots import Purpose
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import (
    EMERGENCIES,
    NOTHING,
    STATEMENT_FORMAT,
    Operation,
    Statement,
    TooFewApproversError,
)
from lockgate.core.wire import decode, encode, whole_second
from lockgate.store.garbage import pick_up, settle
from lockgate.trust.errors import EnvelopeError

if TYPE_CHECKING:
    from lockgate.trust.keys import Signer


class Emergencies:
    """Carries out what one operator signed, within the policy, and what pays for it."""

    def __init__(
        self, parts: GateParts, assessor: Assessor, maker: SnapshotMaker, publisher: Publisher
    ) -> None:
        """Use the gate's parts."""
        self._p = parts
        self._assessor = assessor
        self._maker = maker
        self._publisher = publisher

    def standing(self, channel: str) -> Standing:
        """Return how a channel stands, verified from its signatures.

        Raises:
            WrongStateError: Nothing is published.

        """
        pointer = self._assessor.pointer(channel)
        if pointer is None:
            what = f"The channel {channel!r} has no snapshot."
            raise WrongStateError(what, advice="`lockgate gate list` shows what was published.")
        return verify_channel(self._p.blobs.read(pointer.statement_sha256), self._p.site, self._p.blobs)

    def act(
        self, operation: Operation, channel: str, purls: Collection[str], reason: str, operator: "Signer"
    ) -> bytes:
        """Hold or withdraw artifacts, or go back to the snapshot before, at once; return the envelope.

        Args:
            operation: Which emergency.
            channel: The channel.
            purls: Package URLs; none for a rollback.
            reason: Why, in the operator's words; it is signed.
            operator: Who does it.

        Raises:
            NoEmergencyRightError, EmergencyBoundError: More than the policy gives one person.
            NoSuchArtifactError: Not served on this channel.

        """
        rule = demand_right(self._p.policy, operation)
        facts = {REASON: " ".join(reason.split())}
        if purls:
            facts[ARTIFACTS] = " ".join(sorted(purls))
        return self._do(
            operation, channel, frozenset(purls), facts, signer=operator, seconds=rule.owed_seconds
        )

    def _do(
        self,
        operation: Operation,
        channel: str,
        purls: frozenset[str],
        facts: dict[str, str],
        *,
        signer: "Signer",
        seconds: int,
    ) -> bytes:
        """Make, sign and carry out a statement that follows the channel's last one."""
        before = self.standing(channel)
        after = self._after(operation, before, purls)
        pointer = self._assessor.pointer(channel)
        now, log = whole_second(self._p.clock()), self._p.audit.checkpoint()
        statement = Statement(
            format=STATEMENT_FORMAT,
            lane=self._p.site.lane,
            operation=operation,
            crossing=before.signed.crossing,
            crate_sha256=before.signed.crate_sha256,
            snapshot_sha256=snapshot_digest(after),
            verdicts_sha256=NOTHING,
            waivers=(),
            policy_sha256=self._p.policy_sha256,
            custody_sha256=NOTHING,
            channel=channel,
            channel_version=before.statement.channel_version + 1,
            previous_sha256=before.statement.snapshot_sha256,
            requester=signer.person,
            log_checkpoint=f"{log.size} {log.root.hex()}",
            nonce=self._p.entropy(16).hex(),
            created=now,
            expires=now + timedelta(seconds=seconds),
            facts={BASE: pointer.statement_sha256 if pointer else NOTHING, **facts},
        )
        envelope = request(statement, signer, self._p.site, now)
        self._carry_out(before, statement, after, envelope)
        return envelope

    def take_away(
        self,
        operation: Operation,
        channel: str,
        purls: Collection[str],
        reason: str,
        verdicts: Collection[str],
    ) -> Statement:
        """Withdraw or hold artifacts whose verdicts changed, signed by the gate itself; return the statement.

        Args:
            operation: One of `AUTOMATIC`.
            channel: The channel.
            purls: What it serves and shall serve no longer.
            reason: Why, in a sentence; it is signed.
            verdicts: Digests of the signed verdicts that say so.

        Raises:
            NoEmergencyRightError, EmergencyBoundError: More than the policy lets the gate do by itself.
            NoSuchArtifactError: Not served on this channel.

        """
        demand_automatic(self._p.policy)
        facts = {
            REASON: " ".join(reason.split()),
            ARTIFACTS: " ".join(sorted(purls)),
            VERDICTS: " ".join(sorted(verdicts)),
        }
        seconds = self._p.policy.approval_seconds
        named = frozenset(purls)
        return read_statement(
            self._do(operation, channel, named, facts, signer=self._p.inspector, seconds=seconds)
        )

    def _after(self, operation: Operation, before: Standing, purls: frozenset[str]) -> Snapshot:
        if operation is Operation.EMERGENCY_ROLLBACK:
            digest = before.statement.previous_sha256
            if digest == NOTHING:
                what = f"The channel {before.statement.channel!r} has no earlier snapshot."
                raise WrongStateError(what, advice="`lockgate gate list` shows what was published.")
            return open_snapshot(digest, self._p.blobs)
        known = {a.artifact.purl for a in (*before.snapshot.admitted, *before.held)}
        missing = sorted(purls - known)
        if missing or not purls:
            what = (
                f"The channel {before.statement.channel!r} does not serve {', '.join(missing) or 'nothing'}."
            )
            raise NoSuchArtifactError(what)
        return self._maker.subset(before.snapshot, lambda a: a.artifact.purl not in purls)

    def _carry_out(self, before: Standing, statement: Statement, after: Snapshot, envelope: bytes) -> None:
        intent = self._p.audit.intent(
            str(statement.operation),
            channel=statement.channel,
            operator=statement.requester,
            **(statement.facts or {}),
        )
        try:
            follow(before, statement, after, self._p.policy)
            if statement.operation is Operation.EMERGENCY_ROLLBACK:
                self._publisher.judge_again(after)
            picked = self._publisher.admit_bytes(after)
            pointer = ChannelPointer(
                version=statement.channel_version,
                snapshot_sha256=statement.snapshot_sha256,
                statement_sha256=self._p.blobs.put_bytes(envelope),
                previous_sha256=statement.previous_sha256,
                published=statement.created,
            )
            self._move(statement, pointer, picked)
            self._publisher.point(statement.channel)
        except LockgateError as error:
            self._p.audit.outcome(intent, "refused", code=error.code, error=error.what)
            raise
        self._p.audit.outcome(intent, "done", owed=f"{statement.expires:%Y-%m-%dT%H:%M:%SZ}")

    def _move(self, statement: Statement, pointer: ChannelPointer, picked: Picked) -> None:
        with self._p.records.transaction() as tx:
            spend(tx, statement)
            current = tx.get(CHANNELS, statement.channel)
            at = decode(ChannelPointer, current).version if current else 0
            if at + 1 != pointer.version:
                raise PredecessorError("Somebody moved the channel at the same moment.")
            tx.swap(CHANNELS, statement.channel, current, encode(pointer))
            picked.settle(tx, self._p.blobs, pointer.statement_sha256)

    def ratify(self, envelope: bytes) -> Statement:
        """Put a second person's signature to the newest emergency of its channel.

        One signature pays for all emergencies since two persons signed last: the newest states
        what they left.

        Raises:
            NothingOwedError: Not the channel's newest emergency, or paid already.
            TooFewApproversError, OwnRequestError: No other person signed.
            LockgateError: Signatures that do not verify, or a key that has expired.

        """
        now, claimed = self._p.clock(), read_statement(envelope)
        if claimed.operation not in EMERGENCIES:
            what = f"The statement is about {claimed.operation}, not an emergency."
            raise EnvelopeError(what)
        statement, people = judge(envelope, self._p.site, claimed.created, need=1)
        if not people & holders(self._p.site, Purpose.APPROVER, now):
            what = f"The keys of {', '.join(sorted(people))} have expired since."
            raise TooFewApproversError(what)
        demand_counting(self._p.records, envelope, self._p.site)
        pointer = self._assessor.pointer(statement.channel)
        held = None if pointer is None else read_statement(self._p.blobs.read(pointer.statement_sha256))
        if pointer is None or held != statement or not self.standing(statement.channel).owed:
            raise NothingOwedError("It is not an emergency that waits for a second signature.")
        intent = self._p.audit.intent("ratify", channel=statement.channel, approvers=sorted(people))
        began = pick_up(self._p.records, ())
        paid = msgspec.structs.replace(pointer, statement_sha256=self._p.blobs.put_bytes(envelope))
        with self._p.records.transaction() as tx:
            tx.swap(CHANNELS, statement.channel, encode(pointer), encode(paid))
            settle(tx, self._p.blobs, {paid.statement_sha256}, began)
        self._publisher.point(statement.channel)
        self._p.audit.outcome(intent, "done")
        return statement

    def owed(self) -> tuple[Statement, ...]:
        """Return every emergency whose second signature is owed, oldest first."""
        with self._p.records.transaction() as tx:
            names = [name for name, _ in tx.scan(CHANNELS)]
        found: list[Statement] = []
        for name in names:
            with suppress(WrongStateError):
                found += self.standing(name).owed
        return tuple(sorted(found, key=lambda statement: statement.created))
