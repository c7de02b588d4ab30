"""The gate: quarantine, inspect, ask for approval, publish all or nothing, reject, roll back."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit.errors import (
    DeniedError,
    HeldBackError,
    NoSuchCrossingError,
    NothingToAdmitError,
    VerdictsAlteredError,
    WrongStateError,
)
from lockgate.admit.model import CHANNELS, CROSSINGS, DENIED, ChannelPointer, Crossing, Verdicts, crossing_key
from lockgate.admit.publish import Publisher
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.approve import request
from lockgate.core.artifact import Artifact, Lock
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Held, Policy, judge
from lockgate.core.roots import Purpose, Root
from lockgate.core.sequence import FINAL, CrossingState
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.verdict import Outcome, Verdict, worst
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.store.errors import RecordExistsError
from lockgate.trust.attest import INSPECTION, attest, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lockgate.admit.ports import FileInspector, PageMaker
    from lockgate.audit import AuditLog
    from lockgate.core.ports import Clock, Entropy
    from lockgate.store.ports import BlobStore, Records, Transaction
    from lockgate.trust.keys import Signer


@dataclass(frozen=True, slots=True)
class GateParts:
    """Everything that the gate is joined from."""

    records: "Records"
    blobs: "BlobStore"
    quarantine: "BlobStore"
    audit: "AuditLog"
    site: Root
    inspector: "Signer"
    pages: "PageMaker"
    clock: "Clock"
    entropy: "Entropy"
    write_channel: Callable[[str, bytes], None]
    mark_ledger: "Callable[[Transaction, int, CrossingState], None]"

    @property
    def policy(self) -> Policy:
        """Return the site's policy."""
        return self.site.policy or Policy()


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the policy says of a crossing: what may enter, what is held and why."""

    admitted: tuple[Artifact, ...]
    held: tuple[Held, ...]
    verdicts: Verdicts
    outcomes: dict[str, Outcome] = field(default_factory=dict)


class Gate:
    """Moves crossings from quarantine to a channel, one recorded step after another."""

    def __init__(self, parts: GateParts) -> None:
        """Use the parts; nothing happens yet."""
        self._p = parts
        self._snapshots = SnapshotMaker(parts.quarantine, parts.blobs, parts.pages)
        self._publisher = Publisher(parts)

    @contextmanager
    def _recorded(self, action: str, **facts: object) -> "Iterator[None]":
        """Write the intent before the effect and the outcome after it."""
        intent = self._p.audit.intent(action, **facts)
        try:
            yield
        except LockgateError as error:
            self._p.audit.outcome(intent, "refused", code=error.code, error=error.what)
            raise
        self._p.audit.outcome(intent, "done")

    def crossings(self) -> list[Crossing]:
        """Return all crossings, oldest first."""
        with self._p.records.transaction() as tx:
            return [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)]

    def crossing(self, sequence: int) -> Crossing:
        """Return one crossing.

        Raises:
            NoSuchCrossingError: Not known.

        """
        with self._p.records.transaction() as tx:
            value = tx.get(CROSSINGS, crossing_key(sequence))
        if value is None:
            what = f"There is no crossing {sequence}."
            raise NoSuchCrossingError(what)
        return decode(Crossing, value)

    def pointer(self, channel: str) -> ChannelPointer | None:
        """Return where a channel points, or None before the first publication."""
        with self._p.records.transaction() as tx:
            value = tx.get(CHANNELS, channel)
        return None if value is None else decode(ChannelPointer, value)

    def lock(self, crossing: Crossing) -> Lock:
        """Return the lock of a crossing, hashed again."""
        return decode(Lock, self._p.quarantine.read(crossing.lock_sha256), name="lock")

    def quarantined(self, sequence: int, crate_id: str, crate_sha256: str, lock_sha256: str) -> Crossing:
        """Record that a crate was opened into quarantine; recording it again changes nothing."""
        fresh = Crossing(
            sequence=sequence,
            crate_id=crate_id,
            crate_sha256=crate_sha256,
            lock_sha256=lock_sha256,
            received=whole_second(self._p.clock()),
            state=CrossingState.QUARANTINED,
        )
        with self._recorded("receive", crossing=sequence, crate=crate_sha256):
            try:
                with self._p.records.transaction() as tx:
                    tx.insert(CROSSINGS, crossing_key(sequence), encode(fresh))
                    self._p.mark_ledger(tx, sequence, CrossingState.QUARANTINED)
            except RecordExistsError:
                known = self.crossing(sequence)
                if (known.crate_sha256, known.lock_sha256) != (crate_sha256, lock_sha256):
                    raise
                return known
        return fresh

    def inspect(self, sequence: int, inspector: "FileInspector") -> Crossing:
        """Inspect every file of a crossing and sign the verdicts."""
        from lockgate.admit.ports import ToInspect  # noqa: PLC0415  # only types elsewhere

        crossing = self._open_crossing(sequence)
        lock = self.lock(crossing)
        items = [
            ToInspect(artifact, file, self._p.quarantine.path(file.sha256))
            for artifact in lock.artifacts
            for file in artifact.files
        ]
        with self._recorded("inspect", crossing=sequence, files=len(items)):
            verdicts = Verdicts(
                crossing=sequence,
                crate_sha256=crossing.crate_sha256,
                inspected=whole_second(self._p.clock()),
                verdicts=tuple(inspector.inspect(items)),
            )
            _demand_complete(lock, verdicts)
            subjects = {v.path: v.sha256 for v in verdicts.verdicts}
            envelope = attest(subjects, INSPECTION, verdicts, self._p.inspector)
            digest = self._p.quarantine.put_bytes(encode(verdicts))
            signed = self._p.quarantine.put_bytes(envelope)
            done = msgspec.structs.replace(
                crossing, state=CrossingState.INSPECTED, verdicts_sha256=digest, attestation_sha256=signed
            )
            done = msgspec.structs.replace(done, held=self.assess(done).held)
            self._save(crossing, done)
        return done

    def assess(self, crossing: Crossing) -> Assessment:
        """Apply the policy to a crossing's verdicts, after checking who signed them.

        Raises:
            WrongStateError: Not inspected yet.
            VerdictsAlteredError: The verdicts are not those that the inspector signed.

        """
        verdicts = self.verdicts(crossing)
        by_path = {v.path: v for v in verdicts.verdicts}
        admitted: list[Artifact] = []
        held: list[Held] = []
        outcomes: dict[str, Outcome] = {}
        for artifact in self.lock(crossing).artifacts:
            mine = [by_path[file.path] for file in artifact.files]
            reasons = [*judge(self._p.policy, artifact.purl, artifact.label, mine), *self._denied(artifact)]
            outcomes[artifact.purl] = worst(v.outcome for v in mine)
            held.extend(reasons)
            if not reasons:
                admitted.append(artifact)
        return Assessment(tuple(admitted), tuple(held), verdicts, outcomes)

    def verdicts(self, crossing: Crossing) -> Verdicts:
        """Return a crossing's verdicts after checking the inspector's signature over them.

        Raises:
            WrongStateError: Not inspected yet.
            VerdictsAlteredError: Not what the inspector signed.

        """
        if not crossing.verdicts_sha256:
            what = f"Crossing {crossing.sequence} is not inspected yet."
            raise WrongStateError(what, advice="Run `lockgate gate inspect` first.")
        verdicts = decode(Verdicts, self._p.quarantine.read(crossing.verdicts_sha256), name="verdicts")
        envelope = self._p.quarantine.read(crossing.attestation_sha256)
        signed = check(envelope, self._p.site, Purpose.INSPECTOR, INSPECTION, verdicts.inspected)
        same = encode(signed.predicate) == encode(verdicts)
        if not same or verdicts.crate_sha256 != crossing.crate_sha256:
            what = f"The verdicts of crossing {crossing.sequence} are not those that were signed."
            raise VerdictsAlteredError(what)
        _demand_complete(self.lock(crossing), verdicts)
        return verdicts

    def _denied(self, artifact: Artifact) -> list[Held]:
        with self._p.records.transaction() as tx:
            bad = [f for f in artifact.files if tx.get(DENIED, f.sha256) is not None]
        return [
            Held(purl=artifact.purl, path=f.path, reason="Rejected before.", resolve=DeniedError.advice)
            for f in bad
        ]

    def request(self, sequence: int, channel: str, requester: "Signer", *, partial: bool = False) -> bytes:
        """Prepare the snapshot that publishing would make, and return the request to sign.

        Args:
            sequence: The crossing.
            channel: Where it is to be published.
            requester: An operator's key; its holder cannot approve.
            partial: Admit what may enter and leave the rest in quarantine.

        Raises:
            HeldBackError: Something is held and `partial` is not set.
            NothingToAdmitError: Nothing may enter.

        """
        crossing = self._open_crossing(sequence)
        assessment = self.assess(crossing)
        if assessment.held and not partial:
            first = assessment.held[0]
            what = (
                f"{len(assessment.held)} things of crossing {sequence} are held; {first.purl}: {first.reason}"
            )
            raise HeldBackError(what, purl=first.purl)
        if not assessment.admitted:
            what = f"Nothing of crossing {sequence} may be admitted."
            raise NothingToAdmitError(what)
        with self._recorded("request", crossing=sequence, channel=channel, requester=requester.person):
            fresh = tuple(
                Admitted(
                    artifact=artifact,
                    crossing=sequence,
                    crate_sha256=crossing.crate_sha256,
                    verdicts_sha256=crossing.verdicts_sha256,
                    outcome=assessment.outcomes[artifact.purl],
                )
                for artifact in assessment.admitted
            )
            snapshot = self._snapshots.make(self._p.site.lane, self._served(channel), fresh, self._p.clock())
            statement = self._statement(Operation.PUBLISH, crossing, channel, requester, digest_of(snapshot))
            return self._ask(statement, crossing, requester)

    def request_reject(self, sequence: int, requester: "Signer") -> bytes:
        """Return the request to reject a crossing for good."""
        crossing = self._open_crossing(sequence)
        with self._recorded("request-reject", crossing=sequence, requester=requester.person):
            statement = self._statement(Operation.REJECT, crossing, "", requester, NOTHING)
            return self._ask(statement, crossing, requester)

    def request_rollback(self, channel: str, requester: "Signer") -> bytes:
        """Return the request to move a channel back to the snapshot before the present one.

        Raises:
            WrongStateError: There is no earlier snapshot.

        """
        pointer = self.pointer(channel)
        if pointer is None or pointer.previous_sha256 == NOTHING:
            what = f"The channel {channel!r} has no earlier snapshot."
            raise WrongStateError(what, advice="`lockgate gate list` shows what was published.")
        served = decode(Snapshot, self._p.blobs.read(pointer.snapshot_sha256), name="snapshot")
        crossing = self.crossing(max(a.crossing for a in served.admitted))
        with self._recorded("request-rollback", channel=channel, requester=requester.person):
            statement = self._statement(
                Operation.ROLLBACK, crossing, channel, requester, pointer.previous_sha256
            )
            return self._ask(statement, None, requester)

    def execute(self, envelope: bytes) -> Statement:
        """Do what enough approvers signed: publish, reject or roll back, all or nothing.

        Doing it again after a crash completes it and changes nothing else.
        """
        return self._publisher.execute(envelope, self)

    def recover(self) -> list[str]:
        """Complete what a crash left between the record and the channel's file; return the channels."""
        return self._publisher.recover()

    def served(self, channel: str) -> Snapshot | None:
        """Return the snapshot that a channel points to, or None."""
        return self._served(channel)

    def _served(self, channel: str) -> Snapshot | None:
        pointer = self.pointer(channel)
        if pointer is None:
            return None
        return decode(Snapshot, self._p.blobs.read(pointer.snapshot_sha256), name="snapshot")

    def _open_crossing(self, sequence: int) -> Crossing:
        crossing = self.crossing(sequence)
        if crossing.state in FINAL:
            what = f"Crossing {sequence} is already {crossing.state}."
            raise WrongStateError(what)
        return crossing

    def _statement(
        self, operation: Operation, crossing: Crossing, channel: str, requester: "Signer", snapshot: str
    ) -> Statement:
        pointer = self.pointer(channel) if channel else None
        now = whole_second(self._p.clock())
        log = self._p.audit.checkpoint()
        return Statement(
            format=STATEMENT_FORMAT,
            lane=self._p.site.lane,
            operation=operation,
            crossing=crossing.sequence,
            crate_sha256=crossing.crate_sha256,
            snapshot_sha256=snapshot,
            verdicts_sha256=crossing.verdicts_sha256 or NOTHING,
            waivers=(),
            policy_sha256=digest_of(self._p.policy),
            custody_sha256=NOTHING,
            channel=channel,
            channel_version=pointer.version + 1 if pointer else 1,
            previous_sha256=pointer.snapshot_sha256 if pointer else NOTHING,
            requester=requester.person,
            log_checkpoint=f"{log.size} {log.root.hex()}",
            nonce=self._p.entropy(16).hex(),
            created=now,
            expires=now + timedelta(seconds=self._p.policy.approval_seconds),
        )

    def _ask(self, statement: Statement, crossing: Crossing | None, requester: "Signer") -> bytes:
        envelope = request(statement, requester, self._p.site, self._p.clock())
        if crossing is not None:
            self._save(crossing, msgspec.structs.replace(crossing, statement_sha256=digest_of(statement)))
        return envelope

    def _save(self, old: Crossing, new: Crossing) -> None:
        with self._p.records.transaction() as tx:
            tx.swap(CROSSINGS, crossing_key(old.sequence), encode(old), encode(new))
            if new.state is not old.state:
                self._p.mark_ledger(tx, old.sequence, new.state)


def _demand_complete(lock: Lock, verdicts: Verdicts) -> None:
    """Refuse verdicts that miss a file of the lock or speak of other bytes."""
    said: dict[str, Verdict] = {v.path: v for v in verdicts.verdicts}
    for file in (f for a in lock.artifacts for f in a.files):
        verdict = said.get(file.path)
        if verdict is None or (verdict.sha256, verdict.size) != (file.sha256, file.size):
            what = f"There is no verdict over {file.path}."
            raise VerdictsAlteredError(what, file=file.path)
