"""The tamper-evident log: Merkle tree, checkpoints, proofs."""

from lockgate.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from lockgate.audit.log import AuditLog, LogProof, check_proof

__all__ = ["AuditLog", "Checkpoint", "LogProof", "check_proof", "open_checkpoint", "sign_checkpoint"]
