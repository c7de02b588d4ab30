"""Who let this in: from a file, a package, a model or an answer to the proof of its admission."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate.admit.errors import AdmissionProofError, AmbiguousNameError, NotAdmittedError
from lockgate.admit.model import CHANNELS, CROSSINGS, HISTORY, ChannelPointer, Crossing, crossing_key
from lockgate.admit.proof import (
    PROOF_FORMAT,
    AdmissionProof,
    LetIn,
    Pins,
    check_admission,
    is_publication,
    of_file,
    read_proof,
)
from lockgate.app.files import NamedFileError, read_named, write_named
from lockgate.app.high.receipts import receipts_of
from lockgate.app.record.audit import log_signer
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, site_root, site_root_files, supply_root_versions
from lockgate.approve import read_statement, verify_channel
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.audit import AuditLog
from lockgate.core.errors import LockgateError, about
from lockgate.core.parts import PART_LIMIT, SNAPSHOT_LIMIT, open_snapshot, parts_of
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import decode, encode, stamp
from lockgate.crossing import LOCK_ATTESTATION, RecordLedger
from lockgate.crossing.payload import SEALING
from lockgate.infer.receipts import StoredReceipt
from lockgate.store import BlobStore, FileBlobs

CHUNK = 256
"""How many events of the log are looked at together."""

NAMES = 10
"""How many artifacts of one name are listed."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_RECEIPT = re.compile(r"[0-9a-f]{32}")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Traced:
    """Who let a file in, the proof of it, and where it is served now."""

    let_in: LetIn
    proof: bytes
    served: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Published:
    """One publication that took effect."""

    pointer: ChannelPointer
    envelope: bytes
    statement: Statement


def trace(side: Side, what: str) -> Traced:
    """Return who let something in, proven.

    Args:
        side: The high side.
        what: A file, or anything that `trace_named` takes.

    Raises:
        NotAdmittedError, AmbiguousNameError, AdmissionProofError: See `trace_named`.
        NamedFileError: There is no such file, or it cannot be read.

    """
    path = Path(what)
    if path.is_file():
        return trace_named(side, _hashed(path))
    if path.is_absolute():
        what_ = f"There is no file {what}."
        raise NamedFileError(what_)
    return trace_named(side, what)


def trace_named(side: Side, what: str) -> Traced:
    """Return who let something in, proven; no path is looked at, whatever is asked.

    Args:
        side: The high side.
        what: A SHA-256, the number of an answer's receipt, a package URL, or a name
            (``numpy``, ``numpy==2.4.6``, ``smollm/smollm2-135m-instruct``).

    Raises:
        NotAdmittedError: Nobody did.
        AmbiguousNameError: Several artifacts have the name.
        AdmissionProofError: What is on record does not prove it.

    """
    blobs, history = blobs_of(side), _history(side)
    digest = _digest_of(side, what) or _digest_named(what, _snapshots(history, blobs))
    for published in history:
        if published.statement.operation is not Operation.PUBLISH:
            continue
        snapshot = open_snapshot(published.statement.snapshot_sha256, blobs)
        if of_file(snapshot.admitted, digest, published.statement.crossing) is not None:
            proof = encode(_proof(side, published, snapshot, digest, blobs))
            let_in = check_admission(read_proof(proof), side_pins(side))
            return Traced(let_in, proof, _served(side, blobs, digest))
    what_ = f"Nothing that was ever published here has the SHA-256 {digest}."
    raise NotAdmittedError(what_, sha256=digest)


def side_pins(side: Side) -> Pins:
    """Return the pins of a side's own configuration."""
    return Pins(side.settings.trust.site_pin, side.settings.trust.supply_pin)


def check_file(proof: Path, pins: Pins, what: str = "") -> LetIn:
    """Check a proof without a home, and that it is about that very thing.

    Args:
        proof: Where the proof lies.
        pins: What everything follows from.
        what: A file, whose bytes count; or a SHA-256, a name, a package URL or a path as it was let in. Left
            out, the proof alone is checked.

    Raises:
        AdmissionProofError: It does not hold, or is about something else.
        LockgateError: See `check_admission`.

    """
    with about(proof):
        let_in = check_admission(read_proof(read_named(proof, limit=2 * SNAPSHOT_LIMIT)), pins)
        artifact = let_in.admitted.artifact
        if what and (file := Path(what)).exists():
            digest = _hashed(file)
            known, other = digest == let_in.sha256, f"another file (SHA-256 {digest})"
        else:
            known = what in {"", let_in.sha256, let_in.path, artifact.name, artifact.purl}
            other = "neither a file here nor a name of it"
        if not known:
            text = f"The proof is about {let_in.path} of {artifact.purl}, and {what} is {other}."
            raise AdmissionProofError(text, sha256=let_in.sha256)
    return let_in


def keep(traced: Traced, target: Path) -> None:
    """Write a proof."""
    write_named(target, traced.proof)


def _hashed(file: Path) -> str:
    found = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while piece := stream.read(_PIECE):
                found.update(piece)
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}."
        raise NamedFileError(what) from error
    return found.hexdigest()


def _digest_of(side: Side, what: str) -> str:
    """Return the digest of what is no name: a digest, or what answered by a receipt; else nothing."""
    if _DIGEST.fullmatch(what):
        return what
    if _RECEIPT.fullmatch(what) and (kept := receipts_of(side).get(what)) is not None:
        return _model_of(kept[0])
    return ""


def _model_of(receipt: bytes) -> str:
    """Return the digest of the model's file that answered; of several files, the first."""
    model = decode(StoredReceipt, receipt, name="receipt").receipt.model
    files = [file.sha256 for file in model.files]
    return files[0] if files and model.loaded.sha256 not in files else model.loaded.sha256


def _digest_named(what: str, snapshots: Iterable[Snapshot]) -> str:
    """Return the digest of the longest file of the one artifact that has a name or a package URL."""
    name, _, version = what.partition("==")
    for snapshot in snapshots:  # the newest that knows the name says which it is
        found = [
            admitted
            for admitted in snapshot.admitted
            if admitted.artifact.purl == what
            or (admitted.artifact.name == name and version in {"", admitted.artifact.version})
        ]
        if len(found) > 1:
            purls = ", ".join(sorted({each.artifact.purl for each in found})[:NAMES])
            what_ = f"{len(found)} artifacts are called {what}: {purls}."
            raise AmbiguousNameError(what_)
        if found:
            return max(found[0].artifact.files, key=lambda file: file.size).sha256
    what_ = f"{what!r} is no file, and nothing that was ever published here is called so."
    raise NotAdmittedError(what_)


def _history(side: Side) -> list[_Published]:
    """Return every statement that moved a channel, oldest first; what cannot be read says nothing."""
    blobs, records = blobs_of(side), records_of(side)
    with records.transaction() as tx:
        pointers = [decode(ChannelPointer, value) for _, value in tx.scan(HISTORY)]
    records.close()
    found = []
    for pointer in sorted(pointers, key=lambda p: (p.published, p.version)):
        try:
            envelope = blobs.read(pointer.statement_sha256, limit=STATEMENT_LIMIT)
            found.append(_Published(pointer, envelope, read_statement(envelope)))
        except LockgateError:
            continue
    return found


def _snapshots(history: list[_Published], blobs: BlobStore) -> Iterator[Snapshot]:
    """Return the different snapshots that were served, the newest first."""
    seen: set[str] = set()
    for published in reversed(history):
        digest = published.statement.snapshot_sha256
        if digest not in seen:
            seen.add(digest)
            yield open_snapshot(digest, blobs)


def _served(side: Side, blobs: BlobStore, digest: str) -> tuple[str, ...]:
    """Return the channels that serve a file now, with their versions, as their signed statements say.

    What one person withdrew is served no more, and what is held is loaded anew by nobody.
    """
    records, site = records_of(side), site_root(side, None)
    with records.transaction() as tx:
        pointers = [(name, decode(ChannelPointer, value)) for name, value in tx.scan(CHANNELS)]
    records.close()
    found = []
    for channel, pointer in sorted(pointers):
        try:
            envelope = blobs.read(pointer.statement_sha256, limit=STATEMENT_LIMIT)
            standing = verify_channel(envelope, site, blobs)
        except LockgateError as error:
            found.append(f"{channel} {pointer.version}: not known ({error.code})")
            continue
        if any(_has(each, digest) for each in standing.snapshot.admitted):
            found.append(f"{channel} {pointer.version}")
        elif any(_has(each, digest) for each in standing.held):
            found.append(f"{channel} {pointer.version}, held")
    return tuple(found)


def _has(admitted: Admitted, digest: str) -> bool:
    return any(file.sha256 == digest for file in admitted.artifact.files)


def _proof(
    side: Side, published: _Published, snapshot: Snapshot, digest: str, blobs: BlobStore
) -> AdmissionProof:
    statement = published.statement
    records = records_of(side)
    with records.transaction() as tx:
        row = tx.get(CROSSINGS, crossing_key(statement.crossing))
    held = RecordLedger(records).held(statement.crossing)
    records.close()
    if row is None:
        what = f"Crossing {statement.crossing} is not on record."
        raise AdmissionProofError(what)
    quarantine = FileBlobs(side.home.quarantine)
    meta = held.meta if held else {}
    attested = [
        quarantine.read(meta[name]).decode() if name in meta else "" for name in (LOCK_ATTESTATION, SEALING)
    ]
    log = audit_log(side)
    return AdmissionProof(
        format=PROOF_FORMAT,
        sha256=digest,
        site_roots=tuple(read_named(file).decode() for file in site_root_files(side)),
        supply_roots=tuple(data.decode() for data in supply_root_versions(side)),
        statement=published.envelope.decode(),
        snapshot=blobs.read(statement.snapshot_sha256, limit=SNAPSHOT_LIMIT).decode(),
        part=_part(snapshot, digest, statement.crossing, blobs),
        inspection=quarantine.read(decode(Crossing, row).attestation_sha256).decode(),
        collection=attested[0],
        sealing=attested[1],
        log=log.prove(_leaf(log, published), log_signer(side)),
    )


def _part(snapshot: Snapshot, digest: str, crossing: int, blobs: BlobStore) -> str:
    """Return the part of a snapshot that lists a file; nothing where the snapshot is one document."""
    parts = parts_of(snapshot)
    if parts is None:
        return ""
    for name in parts.index.branches:
        if of_file(parts.read(name).admitted, digest, crossing) is not None:
            return blobs.read(name.sha256, limit=PART_LIMIT).decode()
    return ""


def _leaf(log: AuditLog, published: _Published) -> int:
    """Return the event that says that a publication took effect.

    Events stand in the order of their time, but for clocks that were set; so the search begins where the
    publication's moment is, and only then goes through all of them.
    """
    size, wanted = log.size(), stamp(published.pointer.published)
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if str(log.event(middle).get("time", "")) < wanted:
            low = middle + 1
        else:
            high = middle
    for first in (max(0, low - CHUNK), 0):
        for begin in range(first, size, CHUNK):
            for index, event in log.events(begin, begin + CHUNK):
                if is_publication(event, published.statement):
                    return index
    what = f"The log does not say that crossing {published.statement.crossing} was published."
    raise AdmissionProofError(what, advice="`lockgate audit verify` says whether the log is whole.")
