"""The gate: quarantine, inspect, ask for approval, publish all or nothing, reject, roll back."""

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit.assess import Assessor, demand_complete
from lockgate.admit.custody import custody_digest, custody_report, demand_custody
from lockgate.admit.difference import Differ, previous_of
from lockgate.admit.emergency import Emergencies
from lockgate.admit.errors import (
    HeldBackError,
    NothingToAdmitError,
    WrongStateError,
)
from lockgate.admit.facts import FactKind, keep_facts, read_facts
from lockgate.admit.hold import CrossingHolds, demand_free
from lockgate.admit.model import CROSSINGS, Crossing, Verdicts, crossing_key
from lockgate.admit.parts import GateParts
from lockgate.admit.ports import ToInspect
from lockgate.admit.promote import Promoter, demand_soak_first
from lockgate.admit.publish import Publisher
from lockgate.admit.reinspect import Reinspector
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.approve import request
from lockgate.core.difference import DIFFERENCE, tuned_from, weights_pairs
from lockgate.core.errors import LockgateError
from lockgate.core.parts import beside, snapshot_digest
from lockgate.core.sequence import FINAL, CrossingState
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.station import with_scans
from lockgate.core.wire import digest_of, encode, whole_second
from lockgate.store.errors import RecordExistsError
from lockgate.trust.attest import INSPECTION, attest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lockgate.admit.facts import Facts
    from lockgate.admit.ports import FileInspector
    from lockgate.core.artifact import Lock
    from lockgate.core.custody import CustodyReport
    from lockgate.core.weights import WeightsFacts
    from lockgate.trust.keys import Signer


_MOVES = frozenset({Operation.ROLLBACK, Operation.PROMOTE})
"""What only moves a channel to a snapshot that two persons had published."""


class Gate(Assessor):
    """Moves crossings from quarantine to a channel, one recorded step after another."""

    def __init__(self, parts: GateParts) -> None:
        """Use the parts; nothing happens yet."""
        super().__init__(parts)
        self._p: GateParts = parts
        self._snapshots = SnapshotMaker(
            parts.quarantine, parts.blobs, parts.pages, parted_from=parts.parted_from
        )
        self._publisher = Publisher(parts, self, self._snapshots)
        self.emergencies = Emergencies(parts, self, self._snapshots, self._publisher)
        self.holds = CrossingHolds(parts)
        self.promoter = Promoter(parts, self, self._snapshots)
        self.reinspector = Reinspector(parts, self, self.emergencies)
        self.differ = Differ(parts, self)

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
        self._p.demand_open()
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
        self._p.demand_open()
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
                verdicts=with_scans(inspector.inspect(items), self.scans(crossing, lock.artifacts)),
            )
            demand_complete(lock, verdicts)
            subjects = {v.path: v.sha256 for v in verdicts.verdicts}
            envelope = attest(subjects, INSPECTION, verdicts, self._p.inspector)
            digest = self._p.quarantine.put_bytes(encode(verdicts))
            signed = self._p.quarantine.put_bytes(envelope)
            done = msgspec.structs.replace(
                crossing, state=CrossingState.INSPECTED, verdicts_sha256=digest, attestation_sha256=signed
            )
            done = msgspec.structs.replace(done, held=self.assess(done).held)
            keep_facts(self._p, done, weights=self._compared(lock))
            self._save(crossing, done)
        return done

    def facts(self, crossing: Crossing) -> "list[Facts]":
        """Return what is known of a crossing besides verdicts, after checking who signed it."""
        found = [read_facts(self._p, crossing, kind) for kind in FactKind]
        return [each[0] for each in found if each is not None]

    def judge_anew(self, crossing: Crossing) -> Crossing:
        """Say anew what the policy holds of a crossing that was inspected, after new facts about it."""
        done = msgspec.structs.replace(crossing, held=self.assess(crossing).held)
        self._save(crossing, done)
        return done

    def _compared(self, lock: "Lock") -> "Sequence[WeightsFacts]":
        """Compare weights with those of the version before, or of the model that they were made of."""
        if self._p.weights is None:
            return ()
        served, pairs = self.base(CANDIDATE), []
        known = {each.artifact.purl: each.artifact for each in beside(served, lock.artifacts)}
        for artifact in lock.artifacts:
            admitted = previous_of(artifact, served)
            before = (
                admitted.artifact if admitted else tuned_from(artifact, (*known.values(), *lock.artifacts))
            )
            for new, old in weights_pairs(artifact, before):
                now = ToInspect(artifact, new, self._p.quarantine.path(new.sha256))
                store = self._p.blobs if before and before.purl in known else self._p.quarantine
                pairs.append((now, ToInspect(before or artifact, old, store.path(old.sha256))))
        return self._p.weights.compare(pairs)

    def request(self, sequence: int, channel: str, requester: "Signer", *, partial: bool = False) -> bytes:
        """Prepare the snapshot that publishing would make, and return the request to sign.

        Args:
            sequence: The crossing.
            channel: Where it is to be published.
            requester: An operator's key; its holder cannot approve.
            partial: Admit what may enter and leave the rest in quarantine.

        Raises:
            SoakUnmetError: The rules let it into ``candidate`` alone.
            HeldBackError: Something is held and `partial` is not set.
            NothingToAdmitError: Nothing may enter.
            CrossingHeldError: An operator holds the crossing.

        """
        self._p.demand_open()
        self._p.site.demand_current(self._p.clock())
        demand_soak_first(self._p, channel)
        crossing = self._open_crossing(sequence)
        with self._p.records.transaction() as tx:
            demand_free(tx, sequence)
        self.demand_believed(crossing)
        assessment = self.assess(crossing)
        if assessment.held and not partial:
            first, count = assessment.held[0], len(assessment.held)
            reasons = "One reason holds" if count == 1 else f"{count} reasons hold"
            what = f"{reasons} something of crossing {sequence} back; {first.purl}: {first.reason}"
            raise HeldBackError(what, purl=first.purl)
        if not assessment.admitted:
            what = f"Nothing of crossing {sequence} may be admitted."
            raise NothingToAdmitError(what)
        demand_custody(self._p, crossing)
        with self._recorded("request", crossing=sequence, channel=channel, requester=requester.person):
            fresh = assessment.fresh(crossing)
            believed = self.believed(channel, self._p.pages.form())
            snapshot = self._snapshots.make(
                self._p.site.lane, self.base(channel), fresh, self._p.clock(), believed
            )
            statement = self._statement(
                Operation.PUBLISH, crossing, channel, requester, snapshot_digest(snapshot)
            )
            facts = {DIFFERENCE: digest_of(self.differ.draw(crossing, channel))}
            statement = msgspec.structs.replace(statement, waivers=assessment.waived, facts=facts)
            return self._ask(statement, crossing, requester)

    def request_reject(self, sequence: int, requester: "Signer") -> bytes:
        """Return the request to reject a crossing for good."""
        crossing = self._open_crossing(sequence)
        with self._recorded("request-reject", crossing=sequence, requester=requester.person):
            statement = self._statement(Operation.REJECT, crossing, "", requester, NOTHING)
            return self._ask(statement, crossing, requester)

    def request_release(self, sequence: int, requester: "Signer") -> bytes:
        """Return the request to let a crossing go on that an operator holds."""
        crossing = self._open_crossing(sequence)
        with self._recorded("request-release", crossing=sequence, requester=requester.person):
            statement = self._statement(Operation.RELEASE, crossing, "", requester, NOTHING)
            return self._ask(self.holds.about(crossing, statement), None, requester)

    def request_rollback(self, channel: str, requester: "Signer") -> bytes:
        """Return the request to move a channel back to the snapshot before the present one.

        Where one operator acted since, that undoes it: back to what two persons signed last.

        Raises:
            WrongStateError: There is no earlier snapshot.

        """
        pointer = self.pointer(channel)
        if pointer is None or pointer.previous_sha256 == NOTHING:
            what = f"The channel {channel!r} has no earlier snapshot."
            raise WrongStateError(what, advice="`lockgate gate list` shows what was published.")
        standing = self.emergencies.standing(channel)
        # After emergencies, back is what two persons signed last.
        target = standing.signed.snapshot_sha256 if standing.chain else pointer.previous_sha256
        known = [a.crossing for a in standing.snapshot.admitted]
        crossing = self.crossing(max(known, default=standing.signed.crossing))
        with self._recorded("request-rollback", channel=channel, requester=requester.person):
            statement = self._statement(Operation.ROLLBACK, crossing, channel, requester, target)
            return self._ask(statement, None, requester)

    def request_promote(self, requester: "Signer") -> bytes:
        """Return the request to let ``stable`` take over the very snapshot that soaked on ``candidate``.

        Raises:
            WrongStateError: Nothing is on ``candidate``, or ``stable`` serves it already.
            SoakUnmetError, BehindStableError, TakenAwayError: It may not be promoted.

        """
        self._p.demand_open()
        self._p.site.demand_current(self._p.clock())
        candidate, facts = self.promoter.facts()
        stable = self.pointer(STABLE)
        if stable is not None and stable.snapshot_sha256 == candidate.snapshot_sha256:
            raise WrongStateError("Both channels serve this snapshot.")
        signed = self.emergencies.standing(CANDIDATE).signed
        crossing = self.crossing(signed.crossing)
        with self._recorded("request-promote", requester=requester.person, **facts):
            target = candidate.snapshot_sha256
            statement = self._statement(Operation.PROMOTE, crossing, STABLE, requester, target)
            return self._ask(msgspec.structs.replace(statement, facts=facts), None, requester)

    def custody(self, sequence: int) -> "CustodyReport | None":
        """Return what is known of a crossing's way, or None where nothing is and nothing is demanded."""
        return custody_report(self._p, self.crossing(sequence))

    def execute(self, envelope: bytes) -> Statement:
        """Do what enough approvers signed: publish, reject, release or roll back, all or nothing.

        Doing it again after a crash completes it and changes nothing else.
        """
        return self._publisher.execute(envelope)

    def recover(self) -> list[str]:
        """Complete what a crash left between the record and the channel's file; return the channels."""
        return self._publisher.recover()

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
            policy_sha256=self._p.policy_sha256,
            custody_sha256=NOTHING if operation in _MOVES else custody_digest(self._p, crossing),
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
