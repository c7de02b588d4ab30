"""The tamper-evident log: Merkle tree, checkpoints, proofs, witnesses, and what devices remember."""

from lockgate.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from lockgate.audit.evidence import LogEvidence, named_checkpoint, read_evidence, watch
from lockgate.audit.log import AuditLog, LogProof, check_proof
from lockgate.audit.seen import Seen
from lockgate.audit.standing import Standing, demand_continues, standing
from lockgate.audit.witness import (
    Witness,
    WitnessRequest,
    cosign,
    cosignatures,
    log_keys,
    parse_request,
    witness_name,
)

__all__ = [
    "AuditLog",
    "Checkpoint",
    "LogEvidence",
    "LogProof",
    "Seen",
    "Standing",
    "Witness",
    "WitnessRequest",
    "check_proof",
    "cosign",
    "cosignatures",
    "demand_continues",
    "log_keys",
    "named_checkpoint",
    "open_checkpoint",
    "parse_request",
    "read_evidence",
    "sign_checkpoint",
    "standing",
    "watch",
    "witness_name",
]
