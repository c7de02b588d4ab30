"""Crates: sealed on the low side, carried, opened step by step on the high side."""

from lockgate.crossing.contents import SealRequest, attest_collection
from lockgate.crossing.format import Manifest
from lockgate.crossing.ledger import (
    FileSupplyRoots,
    MemorySupplyRoots,
    RecordLedger,
    RecordSealLedger,
    mark,
)
from lockgate.crossing.open import Opener, OpenerParts, Received, Waiting
from lockgate.crossing.payload import INSPECTION, LOCK, LOCK_ATTESTATION, SBOM
from lockgate.crossing.ports import Ledger, SealLedger, Sent, Standing, SupplyRoots
from lockgate.crossing.prepare import SealerParts
from lockgate.crossing.receipts import (
    judge_receipt,
    pack_receipt,
    read_text,
    receipt_text,
    sign_receipt,
)
from lockgate.crossing.seal import SealedCrate, Sealer
from lockgate.crossing.sealplan import Plan

__all__ = [
    "INSPECTION",
    "LOCK",
    "LOCK_ATTESTATION",
    "SBOM",
    "FileSupplyRoots",
    "Ledger",
    "Manifest",
    "MemorySupplyRoots",
    "Opener",
    "OpenerParts",
    "Plan",
    "Received",
    "RecordLedger",
    "RecordSealLedger",
    "SealLedger",
    "SealRequest",
    "SealedCrate",
    "Sealer",
    "SealerParts",
    "Sent",
    "Standing",
    "SupplyRoots",
    "Waiting",
    "attest_collection",
    "judge_receipt",
    "mark",
    "pack_receipt",
    "read_text",
    "receipt_text",
    "sign_receipt",
]
