"""Keys, signatures, the two roots, update metadata, attestations, sealing to recipients."""
