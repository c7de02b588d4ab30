"""The tamper-evident log: Merkle tree, checkpoints, proofs."""
