"""What a crate carries: the collection's documents, attested, and the files of the lock."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from lockgate.core.artifact import Digest, Lock
from lockgate.core.digests import sha256
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, Moment, encode
from lockgate.crossing.errors import SealRequestError, TargetSetError
from lockgate.crossing.payload import (
    INSPECTION,
    LOCK,
    LOCK_ATTESTATION,
    META,
    SBOM,
    SEALING,
    TUF,
    Content,
    Entry,
)
from lockgate.store import BlobStore
from lockgate.trust.attest import COLLECTION, attest, check
from lockgate.trust.attest import SEALING as ATTESTED_SEALING
from lockgate.trust.keys import Signer
from lockgate.trust.tuf import TUF_FILES, Target


class Collection(Document, frozen=True):
    """The predicate of a collection attestation: which manifest was collected when."""

    lane: str
    manifest_sha256: Digest
    created: datetime


@dataclass(frozen=True, slots=True)
class SealRequest:
    """What is to be sealed.

    Attributes:
        lock: Names every file; their bytes are in the low side's blob store.
        lock_attestation: The collector's attestation (see `attest_collection`).
        sbom: The bill of materials (CycloneDX JSON).
        inspection: The low side's inspection attestation, carried as evidence.
        recipients: Ids of the site root's recipients; all that have not expired when left out.
        delta: Whether files may build on what earlier crossings carried.
        since: With `delta`, only crossings up to this number; all of them when left out.
        earliest: With `delta`, only crossings from this number on.

    """

    lock: Lock
    lock_attestation: bytes
    sbom: bytes
    inspection: bytes | None = None
    recipients: tuple[str, ...] | None = None
    delta: bool = False
    since: int | None = None
    earliest: int = 1


def attest_collection(lock: Lock, sbom: bytes, collector: Signer) -> bytes:
    """Return the collector's signed attestation over the lock and the bill of materials."""
    predicate = Collection(lane=lock.lane, manifest_sha256=lock.manifest_sha256, created=lock.created)
    return attest({LOCK: sha256(encode(lock)), SBOM: sha256(sbom)}, COLLECTION, predicate, collector)


def check_collection(envelope: bytes, meta: Mapping[str, str], supply: Root, at: datetime) -> None:
    """Demand that a collector attested exactly this lock and this bill of materials.

    Args:
        envelope: The attestation.
        meta: Digests of the files below ``meta/``.
        supply: The root that names collectors.
        at: The moment that key expiry is judged by.

    Raises:
        TargetSetError: It attests something else.
        EnvelopeError, SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError,
            ThresholdError: Not signed by who has to.

    """
    statement = check(envelope, supply, Purpose.COLLECTOR, COLLECTION, at)
    attested = {subject.name: subject.digest for subject in statement.subject}
    expected = {name: {"sha256": meta[name]} for name in (LOCK, SBOM) if name in meta}
    if attested != expected or len(expected) != len(statement.subject) or len(expected) != len((LOCK, SBOM)):
        what = "The collector attested another lock or bill of materials than the crate carries."
        raise TargetSetError(what, path=LOCK_ATTESTATION, field="$.subject")


class Sealing(Document, frozen=True):
    """The predicate of a sealing attestation: which crate was sealed when."""

    lane: str
    sequence: int
    crate: str
    created: Moment


def attest_sealing(contents: Iterable[Content], sealing: Sealing, sealers: Sequence[Signer]) -> Content:
    """Return the sealers' signed attestation over everything that a crate brings beside it, as content.

    crate.json vouches for the sealed bytes; this stays with the plain ones when the crate is gone.
    """
    subjects = {content.entry.path: content.entry.sha256 for content in contents}
    return _in_memory(SEALING, "whole", attest(subjects, ATTESTED_SEALING, sealing, *sealers))


def check_sealing(
    envelope: bytes, targets: Mapping[str, Target], sealing: Sealing, supply: Root, at: datetime
) -> None:
    """Demand that the sealers attested exactly the files of a crate, for this crate.

    Args:
        envelope: The attestation.
        targets: Everything that the update metadata names.
        sealing: What crate.json says; its moment is the crate's.
        supply: The root that names sealers.
        at: The moment that key expiry is judged by.

    Raises:
        TargetSetError: It attests something else.
        EnvelopeError, SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError,
            ThresholdError: Not signed by who has to.

    """
    statement = check(envelope, supply, Purpose.SEALER, ATTESTED_SEALING, at)
    attested = {subject.name: subject.digest for subject in statement.subject}
    expected = {path: {"sha256": t.sha256} for path, t in targets.items() if path != SEALING}
    same = encode(statement.predicate) == encode(sealing)
    if attested != expected or len(statement.subject) != len(expected) or not same:
        field = "$.subject" if same else "$.predicate"
        what = "The sealer attested other files than the crate brings."
        raise TargetSetError(what, path=SEALING, field=field)


def lock_targets(lock: Lock) -> dict[str, Target]:
    """Return the files of a lock as targets."""
    return {f.path: Target(f.size, f.sha256) for artifact in lock.artifacts for f in artifact.files}


def sent_files(lock: Lock) -> dict[str, str]:
    """Return the digests of a lock's files by their paths."""
    return {path: target.sha256 for path, target in lock_targets(lock).items()}


def _in_memory(path: str, kind: str, data: bytes) -> Content:
    entry = Entry(path=path, kind="tuf" if kind == "tuf" else "whole", size=len(data), sha256=sha256(data))
    return Content(entry, lambda: io.BytesIO(data))


def _in_store(path: str, target: Target, blobs: BlobStore) -> Content:
    entry = Entry(path=path, kind="whole", size=target.size, sha256=target.sha256)

    def opened() -> BinaryIO:
        return blobs.open(target.sha256)

    return Content(entry, opened, lambda: blobs.check(target.sha256))


def whole_contents(request: SealRequest, blobs: BlobStore) -> tuple[Content, ...]:
    """Return everything of a request that TUF names as targets: documents first, then files.

    Raises:
        SealRequestError: A file is missing in the store, has another length, or lies where the
            crate keeps its own documents.

    """
    documents = {
        LOCK: encode(request.lock),
        LOCK_ATTESTATION: request.lock_attestation,
        SBOM: request.sbom,
    }
    if request.inspection is not None:
        documents[INSPECTION] = request.inspection
    files = lock_targets(request.lock)
    for path, target in files.items():
        if path.startswith((META, TUF)):
            what = f"The lock puts {path!r} where the crate keeps its own documents."
            raise SealRequestError(what)
        if not blobs.has(target.sha256) or blobs.size(target.sha256) != target.size:
            what = f"{path} is not in the store as the lock names it."
            raise SealRequestError(what, path=path, sha256=target.sha256)
    return (
        *(_in_memory(path, "whole", data) for path, data in documents.items()),
        *(_in_store(path, target, blobs) for path, target in files.items()),
    )


def with_sealing(contents: Sequence[Content], sealing: Content) -> tuple[Content, ...]:
    """Return contents with the sealing attestation as the last document, before the files of the lock."""
    documents = [content for content in contents if content.entry.path.startswith(META)]
    return (*documents, sealing, *contents[len(documents) :])


def tuf_contents(files: Mapping[str, bytes]) -> tuple[Content, ...]:
    """Return the update metadata as contents, in the payload's order: top-level files, then roles by name."""
    order = (*TUF_FILES, *sorted(set(files) - set(TUF_FILES)))
    return tuple(_in_memory(TUF + name, "tuf", files[name]) for name in order)


def targets_of(contents: Iterable[Content]) -> dict[str, Target]:
    """Return contents as TUF targets."""
    return {c.entry.path: Target(c.entry.size, c.entry.sha256) for c in contents}
