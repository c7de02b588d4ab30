"""The log of a side: read it, verify it, make proofs and check them offline."""

from pathlib import Path
from typing import Any

from lockgate.app.files import read_named, write_named
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, signer_from, site_root
from lockgate.audit import Checkpoint, LogProof, check_proof
from lockgate.core.roots import Purpose, Root, UnknownKeyError
from lockgate.core.wire import decode, encode
from lockgate.trust.roots import load_site_root, site_root_lane

PROOF_LIMIT = 1 << 20
"""Longest proof that is read, in bytes."""


def newest(side: Side, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Return the newest events with their leaf indices."""
    log = audit_log(side)
    return log.events(max(0, log.size() - count))


def verify_log(side: Side) -> Checkpoint:
    """Hash the whole log again and return its checkpoint."""
    return audit_log(side).verify()


def prove_leaf(side: Side, index: int, target: Path) -> LogProof:
    """Write the proof of one event under a checkpoint signed with the log's key."""
    signer = signer_from(side.home.keys, Purpose.LOG, site_root(side, None))
    proof = audit_log(side).prove(index, signer)
    write_named(target, encode(proof))
    return proof


def _log_key(root: Root) -> Any:
    for held in root.keys.values():
        if held.purpose is Purpose.LOG:
            return held.key
    raise UnknownKeyError("The site root lists no key for the log.")


def check_offline(proof_file: Path, root_file: Path, pin: str) -> tuple[Checkpoint, dict[str, Any]]:
    """Check a proof with nothing but the pinned site root; return checkpoint and event.

    Raises:
        ProofError: It does not hold.
        PinMismatchError: Another site root.

    """
    envelope = read_named(root_file)
    root = load_site_root(envelope, pin, site_root_lane(envelope), None)
    proof = decode(LogProof, read_named(proof_file, limit=PROOF_LIMIT), limit=PROOF_LIMIT, name="proof")
    return check_proof(proof, f"lockgate/{root.lane}/high", _log_key(root)), proof.event
