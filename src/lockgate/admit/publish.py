"""Carrying out an approved statement: check everything again, then one transaction, then one rename."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit.assess import Assessor
from lockgate.admit.attestation import attest_admission
from lockgate.admit.custody import custody_digest, demand_custody
from lockgate.admit.derived import Derivations
from lockgate.admit.difference import Differ
from lockgate.admit.errors import HeldBackError, PredecessorError, SnapshotDerivationError
from lockgate.admit.hold import CrossingHolds, demand_free
from lockgate.admit.judged import Judgements
from lockgate.admit.model import (
    ADMISSIONS,
    CHANNELS,
    CROSSINGS,
    DENIED,
    HISTORY,
    SPENT,
    ChannelPointer,
    Crossing,
    crossing_key,
)
from lockgate.admit.parts import GateParts
from lockgate.admit.promote import Promoter, demand_soak_first
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.approve import demand_counting, judge
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.core.difference import DIFFERENCE
from lockgate.core.errors import LockgateError
from lockgate.core.part_changes import admitted_beside, named_beside
from lockgate.core.parts import open_snapshot, snapshot_digest
from lockgate.core.policy import approvers_for
from lockgate.core.ruling import demand_roles, demanded_of
from lockgate.core.sequence import CrossingState
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import (
    CROSSING_OPERATIONS,
    GATE_OPERATIONS,
    NOTHING,
    Operation,
    OwnRequestError,
    Statement,
    TooFewApproversError,
)
from lockgate.core.submission import is_submission
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.store.either import Either
from lockgate.store.garbage import pick_up, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lockgate.core.policy import Held
    from lockgate.store.ports import BlobStore, Transaction


@dataclass(frozen=True, slots=True)
class Picked:
    """The blobs that a channel's new pointer needs, and since when no garbage collection may take them."""

    wanted: frozenset[str]
    began: int

    def settle(self, tx: "Transaction", blobs: "BlobStore", *more: str) -> None:
        """Demand in the pointer's transaction that all of them stay, and some more that it needs."""
        settle(tx, blobs, self.wanted | set(more), self.began)


class Publisher:
    """Executes statements. The database says where a channel points; its file is what serves."""

    def __init__(self, parts: GateParts, assessor: Assessor, maker: SnapshotMaker) -> None:
        """Use the gate's parts, its reading of the records and its way to make snapshots."""
        self._p = parts
        self._assessor = assessor
        self._maker = maker
        self._promoter = Promoter(parts, assessor, maker)
        self._differ = Differ(parts, assessor)
        self._judgements = Judgements(parts)

    def execute(self, envelope: bytes) -> Statement:
        """Carry out a statement that enough approvers signed; see `Gate.execute`."""
        intent = self._p.audit.intent("execute", envelope=digest_of(envelope.decode("ascii", "replace")))
        try:
            now = self._p.clock()
            statement, approvers = judge(envelope, self._p.site, now, need=self._p.policy.approvers)
            demand_counting(self._p.records, envelope, self._p.site)
            if not self._already(statement, envelope):
                self._carry_out(statement, envelope, approvers)
        except LockgateError as error:
            self._p.audit.outcome(intent, "refused", code=error.code, error=error.what)
            raise
        if statement.operation not in CROSSING_OPERATIONS:
            try:
                self.point(statement.channel)
            except LockgateError as error:  # the record stands; `recover` completes it
                self._p.audit.outcome(intent, "unfinished", code=error.code, error=error.what)
                raise
        self._p.audit.outcome(
            intent,
            "done",
            operation=statement.operation,
            crossing=statement.crossing,
            snapshot=statement.snapshot_sha256,
            approvers=sorted(approvers),
            requester=statement.requester,
        )
        return statement

    def recover(self) -> list[str]:
        """Write the files of channels whose record is newer; return the channels."""
        with self._p.records.transaction() as tx:
            names = [name for name, _ in tx.scan(CHANNELS)]
        for name in names:
            self.point(name)
        return names

    def point(self, channel: str) -> None:
        """Write a channel's file until it is what the record says, whoever publishes meanwhile.

        The record is read again after each writing: whoever writes last has seen the newest.
        """
        written = None
        while (pointer := self._pointer(channel)) is not None and pointer != written:
            self._p.write_channel(channel, self._p.blobs.read(pointer.statement_sha256))
            written = pointer

    def _pointer(self, channel: str) -> ChannelPointer | None:
        with self._p.records.transaction() as tx:
            value = tx.get(CHANNELS, channel)
        return None if value is None else decode(ChannelPointer, value)

    def _already(self, statement: Statement, envelope: bytes) -> bool:
        """Tell whether this very statement took effect and, if it moved a channel, is still its newest."""
        with self._p.records.transaction() as tx:
            spent = tx.get(SPENT, statement.nonce)
            held = tx.get(CHANNELS, statement.channel) if statement.channel else None
        if spent is None:
            return False
        if statement.operation in CROSSING_OPERATIONS and spent == digest_of(statement).encode():
            return True
        same = held is not None and decode(ChannelPointer, held).version == statement.channel_version
        if not same or spent != digest_of(statement).encode():
            what = f"The approval of crossing {statement.crossing} was used before."
            raise ApprovalSpentError(what)
        pointer = decode(ChannelPointer, held or b"")
        if self._p.blobs.read(pointer.statement_sha256) != envelope:
            raise ApprovalSpentError("The approval was used before with other signatures.")
        return True

    def _carry_out(self, statement: Statement, envelope: bytes, approvers: frozenset[str]) -> None:
        if statement.operation not in GATE_OPERATIONS:
            what = f"The gate does not carry out a statement about the {statement.operation}."
            raise StatementChangedError(what, advice="Give it to the command that asked for it.")
        if statement.policy_sha256 != self._p.policy_sha256:
            raise StatementChangedError("The policy changed after the request.")
        crossing = self._assessor.crossing(statement.crossing)
        if statement.crate_sha256 != crossing.crate_sha256:
            raise StatementChangedError("The statement names another crate than the crossing on record.")
        if statement.operation is Operation.REJECT:
            self._reject(statement, crossing)
            return
        if statement.operation is Operation.RELEASE:
            self._release(statement)
            return
        self._demand_predecessor(statement)
        if statement.operation is Operation.PUBLISH:
            self._p.demand_open()
            self._p.site.demand_current(self._p.clock())
            with self._p.records.transaction() as tx:
                demand_free(tx, crossing.sequence)
            demand_soak_first(self._p, statement.channel)
            self._demand_unchanged(statement, crossing)
            self._demand_enough(crossing, approvers)
        elif statement.operation is Operation.PROMOTE:
            self._p.demand_open()
            self._p.site.demand_current(self._p.clock())
            self._promoter.demand(statement, approvers)
        else:
            self._demand_published_before(statement)
        self._serve(statement, crossing, envelope, approvers)

    def _serve(
        self, statement: Statement, crossing: Crossing, envelope: bytes, approvers: frozenset[str]
    ) -> None:
        """Judge the snapshot of a statement that may take effect, and move the channel to it."""
        snapshot = open_snapshot(statement.snapshot_sha256, Either(self._p.quarantine, self._p.blobs))
        publishing = statement.operation is Operation.PUBLISH
        basis, before = self._judgements.basis(snapshot), self._assessor.pointer(statement.channel)
        known = self._judgements.find(before, statement.channel, basis) if publishing else None
        self.judge_again(snapshot, crossing.sequence if publishing else None, known)
        if publishing:
            self._derive_again(statement, crossing, snapshot, known)
        picked = self.admit_bytes(snapshot, known)
        pointer = ChannelPointer(
            version=statement.channel_version,
            snapshot_sha256=statement.snapshot_sha256,
            statement_sha256=self._p.blobs.put_bytes(envelope),
            previous_sha256=statement.previous_sha256,
            published=whole_second(self._p.clock()),
        )
        attested = ""
        if publishing:
            entered = admitted_beside(snapshot, known)
            envelope = attest_admission(statement, entered, pointer, approvers, self._p.inspector)
            attested = self._p.blobs.put_bytes(envelope)
        self._judgements.keep(statement.channel, snapshot, basis)
        self._commit(statement, crossing, pointer, attested, picked)

    def _demand_predecessor(self, statement: Statement) -> None:
        pointer = self._assessor.pointer(statement.channel)
        version, previous = (pointer.version, pointer.snapshot_sha256) if pointer else (0, NOTHING)
        if (statement.channel_version, statement.previous_sha256) != (version + 1, previous):
            what = (
                f"The channel {statement.channel!r} is at version {version}; the statement follows another."
            )
            raise PredecessorError(what)

    def _demand_unchanged(self, statement: Statement, crossing: Crossing) -> None:
        if crossing.state is not CrossingState.INSPECTED:
            what = f"Crossing {crossing.sequence} is {crossing.state}."
            raise StatementChangedError(what)
        if statement.verdicts_sha256 != crossing.verdicts_sha256:
            raise StatementChangedError("The crossing was inspected again after the request.")
        self._assessor.demand_believed(crossing)
        if statement.custody_sha256 != custody_digest(self._p, crossing):
            raise StatementChangedError("What is known of the crate's way changed after the request.")
        demand_custody(self._p, crossing)
        if statement.waivers != self._assessor.assess(crossing).waived:
            raise StatementChangedError("Other waivers are needed than the statement names.")

    def _demand_enough(self, crossing: Crossing, approvers: frozenset[str]) -> None:
        """Demand the persons whom rules name for what would enter: for opaque content, and by roles.

        Raises:
            OwnRequestError: Who submitted it is among them.
            TooFewApproversError: Fewer approved.
            RoleMissingError: Nobody of a role did.

        """
        if is_submission(crossing.sequence):
            submitter = self._assessor.submission(crossing).submitter
            if submitter in approvers:
                what = f"{submitter} submitted this and cannot approve it."
                raise OwnRequestError(what)
        assessment = self._assessor.assess(crossing)
        entering = {file.path for artifact in assessment.admitted for file in artifact.files}
        mine = [verdict for verdict in assessment.verdicts.verdicts if verdict.path in entering]
        opaque = approvers_for(self._p.policy, mine)
        rules = self._p.admission_rules
        need, roles = demanded_of(rules, assessment.admitted)
        if len(approvers) < max(opaque, need):
            which = "opaque content" if opaque >= need else "what enters"
            what = (
                f"{len(approvers)} persons approved; the rules for {which} in crossing"
                f" {crossing.sequence} demand {max(opaque, need)}."
            )
            raise TooFewApproversError(what)
        demand_roles(rules, roles, approvers)

    def _demand_published_before(self, statement: Statement) -> None:
        with self._p.records.transaction() as tx:
            known = tx.get(HISTORY, f"{statement.channel}:{statement.snapshot_sha256}")
        if known is None:
            raise StatementChangedError("A channel rolls back only to a snapshot that it once served.")

    def admit_bytes(self, snapshot: Snapshot, known: Snapshot | None = None) -> Picked:
        """Copy what the snapshot names into the store, hashing it again; nothing points there yet.

        Args:
            snapshot: The snapshot.
            known: What the channel serves until the transaction, and holds: no bytes of it are looked at.

        Returns:
            The bytes that were picked up; the transaction wants them.

        """
        wanted, own = named_beside(snapshot, known), snapshot_digest(snapshot)
        began = pick_up(self._p.records, wanted)
        for names in (sorted(wanted), [own]):  # the snapshot last: it names the others
            missing = [each for each in names if not self._p.blobs.has(each)]
            self._p.blobs.copy_all(self._p.quarantine, missing)
        return Picked(frozenset(wanted | {own}), began)

    def judge_again(
        self, snapshot: Snapshot, entering: int | None = None, known: Snapshot | None = None
    ) -> None:
        """Refuse a snapshot with an artifact that today's policy or the deny list holds back.

        Advisories hold only what comes with the crossing `entering`; what `known` has as well was judged by
        all that counts now.
        """
        brought: dict[int, list[tuple[str, str]]] = {}
        for each in admitted_beside(snapshot, known):  # gone through once: parts are read for it
            brought.setdefault(each.crossing, []).append((each.artifact.purl, digest_of(each.artifact)))
        for sequence, items in sorted(brought.items()):
            crossing = self._assessor.crossing(sequence)
            assessment = self._assessor.assess(crossing, entering=sequence == entering)
            allowed = {a.purl: digest_of(a) for a in assessment.admitted}
            for purl, digest in items:
                if allowed.get(purl) != digest:
                    raise _held_back(purl, assessment.held)

    def _derive_again(
        self, statement: Statement, crossing: Crossing, signed: Snapshot, known: Snapshot | None
    ) -> None:
        """Make the snapshot anew, every page included, and demand that it is the one that was signed.

        The approvers sign a digest that they cannot look into: what stands behind it must follow
        from the channel as it is and from the crossing that the statement names.
        """
        offered = {a.artifact.purl: a for a in self._assessor.assess(crossing).fresh(crossing)}
        entered = admitted_beside(signed, known)
        mine = [a.artifact.purl for a in entered if a.crossing == crossing.sequence]
        fresh = tuple(offered[purl] for purl in mine if purl in offered)
        base = self._assessor.base(statement.channel)
        believed = self._assessor.believed(statement.channel, self._p.pages.form())
        derived = self._maker.make(self._p.site.lane, base, fresh, signed.created, believed)
        if not fresh or snapshot_digest(derived) != statement.snapshot_sha256:
            what = f"The snapshot is not what crossing {crossing.sequence} adds to {statement.channel!r}."
            raise SnapshotDerivationError(what)
        Derivations(self._p).keep(statement.snapshot_sha256, self._p.pages.form(), self._p.inspector)
        shown = (statement.facts or {}).get(DIFFERENCE)
        if shown != digest_of(self._differ.draw(crossing, statement.channel)):
            raise StatementChangedError("What approving would change is not what the approvers were shown.")

    def _commit(
        self,
        statement: Statement,
        crossing: Crossing,
        pointer: ChannelPointer,
        attestation: str,
        picked: Picked,
    ) -> None:
        done = msgspec.structs.replace(crossing, state=CrossingState.PUBLISHED, finished=pointer.published)
        with self._p.records.transaction() as tx:
            spend(tx, statement)
            current = tx.get(CHANNELS, statement.channel)
            at = decode(ChannelPointer, current).version if current else 0
            if at + 1 != statement.channel_version:
                raise PredecessorError("Somebody published at the same moment.")
            tx.swap(CHANNELS, statement.channel, current, encode(pointer))
            tx.put(HISTORY, f"{statement.channel}:{statement.snapshot_sha256}", encode(pointer))
            picked.settle(tx, self._p.blobs, pointer.statement_sha256, *filter(None, [attestation]))
            if statement.operation is Operation.PUBLISH:
                demand_free(tx, crossing.sequence)
                key = crossing_key(crossing.sequence)
                tx.swap(CROSSINGS, key, encode(crossing), encode(done))
                tx.put(ADMISSIONS, key, attestation.encode())
                self._p.mark_ledger(tx, crossing.sequence, CrossingState.PUBLISHED)

    def _reject(self, statement: Statement, crossing: Crossing) -> None:
        lock = self._assessor.lock(crossing)
        done = msgspec.structs.replace(
            crossing, state=CrossingState.REJECTED, finished=whole_second(self._p.clock())
        )
        admitted_elsewhere = self._served_digests()
        with self._p.records.transaction() as tx:
            spend(tx, statement)
            tx.swap(CROSSINGS, crossing_key(crossing.sequence), encode(crossing), encode(done))
            self._p.mark_ledger(tx, crossing.sequence, CrossingState.REJECTED)
            for file in (f for a in lock.artifacts for f in a.files):
                if file.sha256 not in admitted_elsewhere:
                    tx.put(DENIED, file.sha256, str(crossing.sequence).encode())

    def _release(self, statement: Statement) -> None:
        with self._p.records.transaction() as tx:
            spend(tx, statement)
            CrossingHolds.lift(tx, statement)

    def _served_digests(self) -> set[str]:
        with self._p.records.transaction() as tx:
            pointers = [decode(ChannelPointer, value) for _, value in tx.scan(HISTORY)]
        snapshots = [open_snapshot(p.snapshot_sha256, self._p.blobs) for p in pointers]
        return {f.sha256 for s in snapshots for a in s.admitted for f in a.artifact.files}


def _held_back(purl: str, held: "Sequence[Held]") -> HeldBackError:
    """Return the refusal of an artifact, with the first reason that holds it: an advisory by its name."""
    reason = next((h for h in held if h.purl == purl), None)
    if reason is None:
        what = f"{purl} is not what was inspected."
        return HeldBackError(what, purl=purl)
    what = f"{purl} may not be admitted today: {reason.reason}"
    return HeldBackError(what, advice=reason.resolve or None, purl=purl)


def spend(tx: "Transaction", statement: Statement) -> None:
    """Use a statement up, in the transaction of its effect.

    Raises:
        ApprovalSpentError: It was used before.

    """
    if tx.get(SPENT, statement.nonce) is not None:
        raise ApprovalSpentError("The approval was used before.")
    tx.insert(SPENT, statement.nonce, digest_of(statement).encode())
