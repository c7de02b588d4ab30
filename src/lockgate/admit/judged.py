"""What the gate need not judge again: snapshots that it judged as a whole, under what counts now.

What policy and verdicts say of something that entered before depends on the policy, its rules, the site root
that names the inspectors, the verdicts, newer verdicts and what was rejected, and on nothing else: no clock,
no advisories (`assess`). Once the gate judged all of a snapshot and holds every byte that it names, it signs
that, with digests of all these. Where they are the same at the next publication, only what is new is judged.
The row that names the signature is believed by nobody; without one that fits, everything is judged.
"""

from lockgate.admit.model import ChannelPointer
from lockgate.admit.parts import GateParts
from lockgate.admit.strictures import strictures_digest
from lockgate.core.artifact import Digest
from lockgate.core.errors import LockgateError
from lockgate.core.parts import open_snapshot, parts_of, snapshot_digest
from lockgate.core.roots import Purpose
from lockgate.core.snapshot import Snapshot
from lockgate.core.wire import Document, Moment, decode, digest_of, encode, whole_second
from lockgate.trust.attest import JUDGEMENT, attest, check

JUDGED = "judged"
"""Channel → digest of the attestation that its snapshot was judged."""


class Basis(Document, frozen=True):
    """All that decides what may stay in a snapshot."""

    policy_sha256: Digest
    site_sha256: Digest
    strictures_sha256: Digest


class Judged(Document, frozen=True):
    """The predicate of the attestation: this snapshot may be served whole, and every byte of it is held."""

    snapshot_sha256: Digest
    basis: Basis
    made: Moment


class Judgements:
    """Keeps and finds what the gate signed of snapshots that it judged."""

    def __init__(self, parts: GateParts) -> None:
        """Use the gate's parts."""
        self._p = parts

    def basis(self, snapshot: Snapshot) -> Basis | None:
        """Return what decides now, to be asked before a snapshot is judged; None for a single document."""
        if parts_of(snapshot) is None:
            return None
        return Basis(
            policy_sha256=self._p.policy_sha256,
            site_sha256=digest_of(self._p.site),
            strictures_sha256=strictures_digest(self._p.records),
        )

    def find(self, pointer: ChannelPointer | None, channel: str, basis: Basis | None) -> Snapshot | None:
        """Return the snapshot of a channel, where it was judged as a whole by what counts now."""
        if pointer is None or basis is None:
            return None
        with self._p.records.transaction() as tx:
            digest = tx.get(JUDGED, channel)
        if digest is None:
            return None
        try:
            envelope = self._p.quarantine.read(digest.decode("ascii", "replace"))
            signed = check(envelope, self._p.site, Purpose.INSPECTOR, JUDGEMENT, self._p.clock())
            said = decode(Judged, encode(signed.predicate), name="judgement")
            same = (said.snapshot_sha256, said.basis) == (pointer.snapshot_sha256, basis)
            return open_snapshot(pointer.snapshot_sha256, self._p.blobs) if same else None
        except LockgateError:  # then everything is judged, which costs time and nothing else
            return None

    def keep(self, channel: str, snapshot: Snapshot, basis: Basis | None) -> None:
        """Sign that a snapshot was judged as a whole by what decided, and is held; None: sign nothing."""
        if basis is None:
            return
        digest = snapshot_digest(snapshot)
        said = Judged(snapshot_sha256=digest, basis=basis, made=whole_second(self._p.clock()))
        envelope = attest({"snapshot": digest}, JUDGEMENT, said, self._p.inspector)
        kept = self._p.quarantine.put_bytes(envelope)
        with self._p.records.transaction() as tx:
            tx.put(JUDGED, channel, kept.encode())
