"""What the gate keeps on record. Rows decide nothing: every digest in them is checked on use."""

from lockgate.core.artifact import Digest
from lockgate.core.digests import sha256
from lockgate.core.policy import Held
from lockgate.core.sequence import CrossingState
from lockgate.core.verdict import Verdict
from lockgate.core.wire import Document, Moment


class Crossing(Document, frozen=True):
    """One crossing at the gate and how far it came."""

    sequence: int
    crate_id: str
    crate_sha256: Digest
    lock_sha256: Digest
    received: Moment
    state: CrossingState
    verdicts_sha256: str = ""
    attestation_sha256: str = ""
    statement_sha256: str = ""
    held: tuple[Held, ...] = ()
    finished: Moment | None = None


class Verdicts(Document, frozen=True):
    """All verdicts over one crossing, as the inspector signs them."""

    crossing: int
    crate_sha256: Digest
    inspected: Moment
    verdicts: tuple[Verdict, ...]


class Recheck(Document, frozen=True):
    """The verdicts over one admitted artifact, made anew: what the inspector signs when it looks again."""

    crossing: int
    crate_sha256: Digest
    purl: str
    inspected: Moment
    verdicts: tuple[Verdict, ...]


class Admission(Document, frozen=True):
    """The predicate of an admission attestation: what two persons agreed to, for other tools to read."""

    lane: str
    crossing: int
    crate_sha256: Digest
    snapshot_sha256: Digest
    statement_sha256: Digest
    channel: str
    channel_version: int
    policy_sha256: Digest
    verdicts_sha256: Digest
    requester: str
    approvers: tuple[str, ...]
    admitted: Moment


class ChannelPointer(Document, frozen=True):
    """Where a channel points: the snapshot, and the approved statement that put it there."""

    version: int
    snapshot_sha256: Digest
    statement_sha256: Digest
    previous_sha256: Digest
    published: Moment


CROSSINGS = "crossing"
CHANNELS = "channel"
SPENT = "spent-nonce"
DENIED = "denied"
HISTORY = "channel-history"
ADMISSIONS = "admission"
"""Crossing → digest of the attestation of its admission."""


RECHECKS = "recheck"
"""Crossing and package URL → digest of the attestation of the newest verdicts."""


def recheck_key(sequence: int, purl: str) -> str:
    """Return the record key of an artifact's newest verdicts."""
    return f"{sequence:06d}:{sha256(purl.encode())}"


def crossing_key(sequence: int) -> str:
    """Return the record key of a crossing."""
    return f"{sequence:06d}"
