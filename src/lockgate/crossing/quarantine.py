"""From staged plaintext to quarantine: update metadata first, then every file hashed as it is written."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from lockgate.core.artifact import LOCK_FORMAT, PATH_LIMIT, Lock
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress
from lockgate.core.roots import Root
from lockgate.core.wire import decode
from lockgate.crossing.contents import Sealing, check_collection, check_sealing, lock_targets
from lockgate.crossing.deposit import Deposit
from lockgate.crossing.errors import PayloadError, TargetSetError
from lockgate.crossing.payload import (
    DELTA_KINDS,
    LOCK,
    LOCK_ATTESTATION,
    META,
    SBOM,
    SEALING,
    TUF,
    Entry,
    PayloadReader,
)
from lockgate.crossing.rebuilding import DeltaReading
from lockgate.crossing.standing import (
    demand_believed,
    demand_believed_metadata,
    dsse_signers,
    metadata_signers,
    of_path,
)
from lockgate.crossing.whereabouts import PayloadPlaces
from lockgate.store import BlobStore
from lockgate.store.errors import StoreIoError
from lockgate.store.ports import DiscardingBlobs
from lockgate.trust.errors import WrongLaneError
from lockgate.trust.tuf import Target, settle

META_LIMIT = 64 * 1024 * 1024
"""Longest update metadata file and document below ``meta/`` that is read, in bytes."""

TUF_LIMIT = 4 * META_LIMIT
"""Most bytes of update metadata that are read in all."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What content is judged by: supply root, metadata trusted before, the moment, the lane.

    `revoked` are the supply keys that the site root revokes, `sealing` is what crate.json says of
    itself.
    """

    lane: str
    root_bytes: bytes
    root: Root
    trusted: Mapping[str, bytes]
    at: datetime
    sealing: Sealing
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What quarantining a payload gave: all targets, the lock, the metadata to promote, who signed.

    `starts` tells at which byte of the payload each document below ``meta/`` begins.
    """

    targets: dict[str, Target]
    lock: Lock
    tuf: dict[str, bytes]
    signers: frozenset[str]
    starts: dict[str, int]

    @property
    def meta(self) -> dict[str, str]:
        """Return the digests of the documents below ``meta/``."""
        return {path: t.sha256 for path, t in self.targets.items() if path.startswith(META)}


def quarantine(
    payload: PayloadReader,
    blobs: DiscardingBlobs,
    authority: Authority,
    progress: Progress,
    deltas: DeltaReading | None = None,
) -> Quarantined:
    """Write a payload's files to quarantine, each hashed against the verified metadata.

    The documents come first and are judged before any file of the lock is written. When the payload
    is refused, quarantine holds what it held before.

    Raises:
        PayloadError: The payload is not what the format says.
        UpdateMetadataError: TUF refuses its metadata.
        TargetSetError: Payload, metadata, lock and attestation do not name the same files.
        TargetMismatchError: A file does not hash to what the metadata says.
        BaseFileMissingError, PatchError, PatchLimitError: A delta cannot be rebuilt.

    """
    writer = Deposit(payload, blobs, progress, deltas)
    try:
        with payload.places.judging():
            return _quarantine(writer, authority)
    except LockgateError:
        for digest in writer.fresh:
            with suppress(StoreIoError):  # what stays is not served, and must not hide the error
                blobs.discard(digest)
        raise


def _quarantine(writer: Deposit, authority: Authority) -> Quarantined:
    """See `quarantine`."""
    payload, blobs, progress = writer.payload, writer.blobs, writer.progress
    entries = payload.index()
    building = next((entry for entry in entries if entry.kind in DELTA_KINDS), None)
    if writer.deltas is None and building is not None:
        raise PayloadError("A full crate brings files that build on others.", path=building.path)
    with payload.places.judging(TUF):
        files = _update_metadata(payload, [entry for entry in entries if entry.kind == "tuf"])
        for name, data in files.items():
            payload.places.document(TUF + name, data)
        settled = settle(authority.root_bytes, files, authority.trusted, authority.at)
    targets = settled.targets
    signers = metadata_signers(settled.files.values())
    demand_believed_metadata(files, authority.revoked, TUF)
    rest = [entry for entry in entries if entry.kind != "tuf"]
    brought = {entry.path: Target(entry.size, entry.sha256) for entry in rest}
    if brought != targets:
        what = "The payload brings other files than the update metadata names."
        raise TargetSetError(what, path=_first_other(brought, targets))
    documents = [entry for entry in rest if entry.path.startswith(META)]
    progress.start("quarantine", sum(entry.size for entry in rest))
    writer.put(documents)
    lock = judge_documents(blobs, targets, authority, payload.places)
    _judge_sealing(blobs, targets, authority, payload.places)
    named = {path: t for path, t in targets.items() if not path.startswith(META)}
    if lock_targets(lock) != named:
        what = "The lock names other files than the update metadata."
        raise TargetSetError(what, path=LOCK, field=_first_in_lock(lock, named))
    if writer.deltas is not None:
        writer.deltas.demand_space(sum(e.size for e in rest if e.kind in DELTA_KINDS))
    writer.put(rest[len(documents) :])
    progress.finish()
    signers |= dsse_signers(blobs.read(targets[LOCK_ATTESTATION].sha256, limit=META_LIMIT))
    starts = {entry.path: payload.places.start(entry.path) for entry in documents}
    return Quarantined(targets, lock, settled.files, signers, starts)


def _first_in_lock(lock: Lock, named: Mapping[str, Target]) -> str:
    """Return the field of a lock that is not as the metadata names it; all files where it lacks some."""
    for number, artifact in enumerate(lock.artifacts):
        for place, file in enumerate(artifact.files):
            if named.get(file.path) != Target(file.size, file.sha256):
                return f"$.artifacts[{number}].files[{place}]"
    return "$.artifacts"


def _first_other(some: Mapping[str, Target], others: Mapping[str, Target]) -> str:
    """Return the first path that two sets of targets do not have alike."""
    return min(p for p in some.keys() | others.keys() if some.get(p) != others.get(p))[:PATH_LIMIT]


def _update_metadata(payload: PayloadReader, entries: Sequence[Entry]) -> dict[str, bytes]:
    size = sum(entry.size for entry in entries)
    if size > TUF_LIMIT:
        what = f"The update metadata has {size} bytes; at most {TUF_LIMIT} are read."
        raise PayloadError(what)
    return {entry.path.removeprefix(TUF): _small(payload, entry) for entry in entries}


def _small(payload: PayloadReader, entry: Entry) -> bytes:
    if entry.size > META_LIMIT:
        what = f"{entry.path} has {entry.size} bytes; at most {META_LIMIT} are read."
        raise PayloadError(what, path=entry.path)
    return payload.exactly(entry.size)


def _judge_sealing(
    blobs: BlobStore, targets: Mapping[str, Target], authority: Authority, places: PayloadPlaces
) -> None:
    """Demand the sealing attestation: without it, nothing would tell later who sealed these files.

    Raises:
        TargetSetError: It is missing, or attests something else.
        EnvelopeError, SignatureError, …: The sealers of this crate did not sign it.

    """
    if SEALING not in targets:
        what = f"The crate brings no {SEALING}."
        raise TargetSetError(what, path=SEALING)
    with of_path(SEALING):
        envelope = blobs.read(targets[SEALING].sha256, limit=META_LIMIT)
        places.document(SEALING, envelope)
        demand_believed(dsse_signers(envelope), authority.revoked, SEALING)
        check_sealing(envelope, targets, authority.sealing, authority.root, authority.at)


def judge_documents(
    blobs: BlobStore, targets: Mapping[str, Target], authority: Authority, places: PayloadPlaces
) -> Lock:
    """Return the lock after checking who attested it.

    Args:
        blobs: Holds the documents.
        targets: Length and digest of each document below ``meta/`` (others are ignored).
        authority: What they are judged by.
        places: Learns the documents' bytes.

    Raises:
        TargetSetError: A document is missing, or another format of lock.
        WrongLaneError: A lock of another lane.
        EnvelopeError, SignatureError, …: No collector attested it.

    """
    for path in (LOCK, LOCK_ATTESTATION, SBOM):
        if path not in targets:
            what = f"The crate brings no {path}."
            raise TargetSetError(what, path=path)
    meta = {path: target.sha256 for path, target in targets.items() if path.startswith(META)}
    with of_path(LOCK_ATTESTATION):
        attestation = blobs.read(meta[LOCK_ATTESTATION], limit=META_LIMIT)
        places.document(LOCK_ATTESTATION, attestation)
        demand_believed(dsse_signers(attestation), authority.revoked, LOCK_ATTESTATION)
        check_collection(attestation, meta, authority.root, authority.at)
    with of_path(LOCK):
        data = blobs.read(meta[LOCK], limit=META_LIMIT)
        places.document(LOCK, data)
        lock = decode(Lock, data, limit=META_LIMIT, name="lock")
    if lock.lane != authority.lane:
        what = f"The lock was collected for lane {lock.lane!r}, this side is on {authority.lane!r}."
        raise WrongLaneError(what, path=LOCK, field="$.lane")
    if lock.format != LOCK_FORMAT:
        what = f"The lock has the format {lock.format[:80]!r}, which this version does not read."
        raise TargetSetError(what, path=LOCK, field="$.format")
    return lock
