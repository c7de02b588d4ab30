"""The log of a side: read it, verify it, make proofs and check them offline."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lockgate.app.files import read_named, write_named
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, log_origin, signer_from, site_root
from lockgate.approve import read_statement
from lockgate.audit import (
    Checkpoint,
    LogProof,
    Standing,
    WitnessRequest,
    check_proof,
    cosignatures,
    log_keys,
    named_checkpoint,
    open_checkpoint,
    sign_checkpoint,
    standing,
)
from lockgate.audit.errors import CosignatureError, ForkedLogError, ProofError
from lockgate.core.errors import about
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import decode, encode
from lockgate.trust.keys import Signer
from lockgate.trust.roots import load_newest_site_root, site_root_lane

PROOF_LIMIT = 1 << 20
"""Longest proof that is read, in bytes."""

NOTE_LIMIT = 1 << 16
"""Longest checkpoint file that is read, in bytes."""


def newest(side: Side, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Return the newest events with their leaf indices."""
    log = audit_log(side)
    return log.events(max(0, log.size() - count))


def read_note(file: Path) -> str:
    """Return the text of a checkpoint file.

    Raises:
        ProofError: It is no text.

    """
    try:
        return read_named(file, limit=NOTE_LIMIT).decode()
    except UnicodeDecodeError as error:
        what = f"{file} is no checkpoint."
        raise ProofError(what) from error


def verify_log(side: Side, against: Path | None = None) -> Standing:
    """Hash the whole log again and compare it with what witnesses and others hold of its past.

    Args:
        side: The side.
        against: An older checkpoint of this log, as somebody else held it.

    Raises:
        ProofError: The log was altered, or the checkpoint is not one of its own.
        ForkedLogError, TruncatedLogError: The log does not continue an older checkpoint.

    """
    site = site_root(side, None)
    files = [] if against is None else [against]
    older = [open_checkpoint(read_note(file), log_origin(side), *log_keys(site)) for file in files]
    return standing(audit_log(side), site, older)


def log_signer(side: Side) -> Signer:
    """Return the key that signs a side's checkpoints."""
    return signer_from(side.home.keys, Purpose.LOG, site_root(side, None))


def prove_leaf(side: Side, index: int, target: Path) -> LogProof:
    """Write the proof of one event under a checkpoint signed with the log's key."""
    proof = audit_log(side).prove(index, log_signer(side))
    write_named(target, encode(proof))
    return proof


def write_evidence(side: Side, target: Path, sizes: Iterable[int] = ()) -> Checkpoint:
    """Write what shows approvers' devices that the log only grew; return its checkpoint.

    Args:
        side: The side.
        target: The file.
        sizes: Sizes that a statement or a device named, beside those that were shown before.

    """
    evidence = audit_log(side).evidence(log_signer(side), sizes)
    write_named(target, encode(evidence))
    return open_checkpoint(evidence.checkpoint, log_origin(side), *log_keys(site_root(side, None)))


def named_size(envelope: bytes) -> int:
    """Return the size of the checkpoint that a statement names.

    Raises:
        ProofError: It names none.

    """
    statement = read_statement(envelope)
    return named_checkpoint(statement.log_checkpoint, f"lockgate/{statement.lane}/high").size


def witness_request(side: Side, since: int | None = None) -> WitnessRequest:
    """Return a signed checkpoint with the proof that a witness asks for.

    Args:
        side: The side.
        since: The size that the witness saw last; left out, the newest one that came back.

    """
    log = audit_log(side)
    if since is None:
        since = max((c.size for c in _kept(side).values()), default=0)
    checkpoint, paths = log.extension([since])
    return WitnessRequest(since, tuple(paths[0]), sign_checkpoint(checkpoint, log_signer(side)))


def _kept(side: Side) -> dict[str, Checkpoint]:
    log, site = audit_log(side), site_root(side, None)
    return {person: cosignatures(note, log.origin, site)[0] for person, note in log.witnessed().items()}


def bring_back(side: Side, note: str) -> tuple[Checkpoint, list[str]]:
    """Keep a checkpoint that witnesses cosigned; return it and who did.

    A note older than the one that is kept of the same witness changes nothing.

    Raises:
        ProofError: Not a checkpoint of this log.
        CosignatureError: No witness of the site root cosigned it.
        ForkedLogError: The witness cosigned another root of the same size before.

    """
    log, site, kept = audit_log(side), site_root(side, None), _kept(side)
    checkpoint, people = cosignatures(note, log.origin, site)
    if not people:
        raise CosignatureError("The checkpoint bears no valid cosignature of a witness.")
    for person in people:
        last = kept.get(person)
        if last is not None and last.size == checkpoint.size and last.root != checkpoint.root:
            what = f"{person} cosigned two roots of {checkpoint.size} leaves."
            raise ForkedLogError(what, kept=last.root.hex(), offered=checkpoint.root.hex())
        if last is None or last.size <= checkpoint.size:
            log.keep_witnessed(person, note)
    return checkpoint, sorted(people)


def newest_root(root_files: Sequence[Path], pin: str) -> Root:
    """Return the newest of some site roots, the first of them pinned; expiry is not judged.

    Raises:
        PinMismatchError: Another site root.
        LockgateError: One is none, or does not follow the one before it.

    """
    envelopes = [read_named(file) for file in root_files]
    with about(root_files[0]):
        lane = site_root_lane(envelopes[0])
    return load_newest_site_root(envelopes, pin, lane, None)


def check_offline(
    proof_file: Path, root_files: Sequence[Path], pin: str
) -> tuple[Checkpoint, dict[str, Any]]:
    """Check a proof with nothing but the pinned site root and its successors; return checkpoint and event.

    Raises:
        ProofError: It does not hold.
        PinMismatchError: Another site root.

    """
    root = newest_root(root_files, pin)
    with about(proof_file):
        proof = decode(LogProof, read_named(proof_file, limit=PROOF_LIMIT), limit=PROOF_LIMIT, name="proof")
    return check_proof(proof, f"lockgate/{root.lane}/high", *log_keys(root)), proof.event
