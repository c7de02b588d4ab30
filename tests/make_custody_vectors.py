"""Writes `docs/formats/vectors/custody/`: a chain, a receipt, a keep list, and their public keys.

Run it when a format changes, from the repository's root: `python tests/make_custody_vectors.py`. The keys
follow from fixed texts and protect nothing.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from corpora.custody import Package, custodians
from lockgate.app.wishes.keep_low import keep_text
from lockgate.core.keep import KEEP_TYPE, KeepList
from lockgate.core.receipt import Ending, Receipt
from lockgate.core.roots import Purpose
from lockgate.crossing import pack_receipt, receipt_text, sign_receipt
from lockgate.crossing.custody import countersign_chain
from lockgate.crossing.receipts import sign_body
from lockgate.trust.keys import Signer

TARGET = Path(__file__).resolve().parents[1] / "docs" / "formats" / "vectors" / "custody"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CRATE = sha256(b"crate.json").hexdigest()


def fixed(purpose: Purpose, person: str, *, p256: bool = False) -> Signer:
    """Return the key that follows from a person's name."""
    seed = sha256(f"lockgate vectors {person}".encode()).digest()
    if p256:
        private = ec.derive_private_key(int.from_bytes(seed, "big") >> 1, ec.SECP256R1())
        return Signer(purpose, person, CryptoSigner(private))
    return Signer(purpose, person, CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed)))


def made() -> dict[str, bytes]:
    """Return the files of the vectors by name."""
    anna, cara = (fixed(Purpose.CUSTODIAN, name) for name in ("anna", "cara"))
    known = custodians(low=(anna,), high=(cara,))
    way = Package(crossing=42, crate=CRATE, known=known, at=NOW)
    way.go("anna", "anna", anna, place="Low counter", photos=(sha256(b"photograph").hexdigest(),))
    way.go("anna", "courier-7", anna, place="Low counter")
    way.go("courier-7", "courier-8", cara, at=way.at - timedelta(hours=1), note="paper slip, signed by both")
    way.go("courier-8", "cara", cara, place="High counter")
    way.go("cara", "anna", anna, place="Back to the low counter")
    chain = countersign_chain(way.chain, cara, known)
    ada, ben = fixed(Purpose.APPROVER, "ada"), fixed(Purpose.APPROVER, "ben", p256=True)
    receipt = Receipt(
        lane="harbour",
        crossing=42,
        crate_sha256=CRATE,
        ending=Ending.PUBLISHED,
        snapshot_sha256=sha256(b"snapshot").hexdigest(),
        log_size=1234,
        log_root=sha256(b"log").hexdigest(),
    )
    signed = pack_receipt(receipt.body, {s.keyid: sign_receipt(receipt.body, s) for s in (ada, ben)})
    keep = KeepList(
        lane="harbour",
        crossing=42,
        lock_sha256=sha256(b"lock.json").hexdigest(),
        count=11,
        dropped=(3, 10),
    )
    kept = pack_receipt(keep.body, {s.keyid: sign_body(keep.body, s, KEEP_TYPE) for s in (ada, ben)})
    keys = {
        s.keyid: {
            "person": s.person,
            "purpose": s.purpose,
            "keytype": s.public.keytype,
            "public": s.public.public,
        }
        for s in (anna, cara, ada, ben)
    }
    return {
        "chain.json": chain,
        "receipt.txt": f"{receipt_text(signed)}\n".encode(),
        "keep.txt": f"{keep_text(kept)}\n".encode(),
        "keys.json": json.dumps(keys, indent=1, sort_keys=True).encode() + b"\n",
    }


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, data in made().items():
        (TARGET / name).write_bytes(data)
