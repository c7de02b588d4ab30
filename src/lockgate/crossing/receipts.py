"""Signing and judging receipts: fixed length, deterministic signatures, as many persons as the policy says.

A signed receipt is its body and, for each approver in the order of key ids, the key id (32 bytes) and
a signature of 64 bytes: Ed25519 (RFC 8032), or ECDSA P-256 with the nonce of RFC 6979, as ``r ‖ s``.
It travels as one line of text that fits the alphanumeric mode of a QR picture (ISO/IEC 18004).
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import CryptoSigner

from lockgate.core.errors import TrustError
from lockgate.core.policy import Policy
from lockgate.core.receipt import BODY_SIZE, RECEIPT_TYPE, Receipt, ReceiptFormError, read_body
from lockgate.core.roots import PublicKey, Purpose, Root, ThresholdError
from lockgate.crossing.errors import SubliminalSignatureError
from lockgate.trust.dsse import pae
from lockgate.trust.errors import SignatureError, WrongLaneError
from lockgate.trust.keys import P256_ORDER, Signer, verifies

PREFIX = "LGR1."
"""What a receipt's line of text begins with."""

KEYID_SIZE = 32
SIGNATURE_SIZE = 64
_HALF = 32
_ENTRY = KEYID_SIZE + SIGNATURE_SIZE
TEXT_LIMIT = 4096
"""Longest line of text that is read, in characters."""


def sign_receipt(body: bytes, signer: Signer) -> bytes:
    """Return an approver's signature over a receipt (see `sign_body`)."""
    return sign_body(body, signer, RECEIPT_TYPE)


def sign_body(body: bytes, signer: Signer, kind: str) -> bytes:
    """Return an approver's signature over what leaves, 64 bytes that hold nothing but the signature.

    Args:
        body: The bytes that leave.
        signer: The approver's key.
        kind: Their payload type.

    Raises:
        SubliminalSignatureError: The key's holder or token chooses something in its signatures: the
            same message is signed twice and has to give the same bytes.

    """
    message = pae(kind, body)
    first, second = _signature(signer, message), _signature(signer, message)
    if first != second:
        what = f"The key of {signer.person} signs the same bytes differently each time."
        raise SubliminalSignatureError(what)
    return first


def _signature(signer: Signer, message: bytes) -> bytes:
    private = getattr(signer.raw, "_private_key", None) if isinstance(signer.raw, CryptoSigner) else None
    if isinstance(private, ec.EllipticCurvePrivateKey):
        der = private.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
        return _fixed(der)
    signature = signer.sign(message)
    if isinstance(private, Ed25519PrivateKey) or signer.public.keytype == "ed25519":
        return signature
    return _fixed(signature)


def _fixed(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    s = min(s, P256_ORDER - s)
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def _holds(key: PublicKey, signature: bytes, message: bytes) -> bool:
    if key.keytype == "ed25519":
        return verifies(key, signature, message)
    r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    return bool(r) and 0 < s <= P256_ORDER // 2 and verifies(key, encode_dss_signature(r, s), message)


def pack_receipt(body: bytes, signatures: Mapping[str, bytes]) -> bytes:
    """Return the signed receipt: body, then key id and signature of each, in order of key ids."""
    return body + b"".join(bytes.fromhex(keyid) + signatures[keyid] for keyid in sorted(signatures))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text that signed bytes travel as: a prefix, then base32 (RFC 4648) without padding.

    Attributes:
        name: What people call it: ``receipt``.
        prefix: What the line begins with.
        limit: Longest line that is read, in characters.
        refusal: Raised for anything else.

    """

    name: str
    prefix: str
    limit: int
    refusal: type[TrustError]

    def of(self, signed: bytes) -> str:
        """Return the line of signed bytes."""
        return self.prefix + base64.b32encode(signed).decode().rstrip("=")

    def signed(self, text: str) -> bytes:
        """Return the signed bytes in a line; a line end after it is not part of it.

        Raises:
            TrustError: As `refusal`: not such a line, or not in its one form.

        """
        line = text.strip()
        if len(line) > self.limit or not line.startswith(self.prefix):
            what = f"A {self.name} is one line of text that begins with {self.prefix}"
            raise self.refusal(what)
        digits = line.removeprefix(self.prefix)
        try:
            found = base64.b32decode(digits + "=" * (-len(digits) % 8))
        except (binascii.Error, ValueError) as error:
            what = f"The {self.name}'s text has characters that no {self.name} has."
            raise self.refusal(what) from error
        if self.of(found) != line:
            what = f"The {self.name}'s text is not in its one form."
            raise self.refusal(what)
        return found


RECEIPT_LINE = Line("receipt", PREFIX, TEXT_LIMIT, ReceiptFormError)


def receipt_text(signed: bytes) -> str:
    """Return the line of text that a signed receipt travels as."""
    return RECEIPT_LINE.of(signed)


def read_text(text: str) -> bytes:
    """Return the signed receipt in a line of text; a line end after it is not part of it.

    Raises:
        ReceiptFormError: Not such a line, or not in its one form.

    """
    return RECEIPT_LINE.signed(text)


def judge_receipt(signed: bytes, site: Root, at: datetime) -> tuple[Receipt, frozenset[str]]:
    """Return a receipt and the persons that approved it, when exactly the policy's number did.

    Args:
        signed: The receipt with its signatures.
        site: The pinned site root, which names approvers.
        at: The moment that key expiry is judged by.

    Raises:
        ReceiptFormError: Not a receipt, another length than the policy's, or signatures out of order.
        WrongLaneError: Of another lane.
        SignatureError: A signature does not verify.
        ThresholdError: One person signed twice.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an approver of this site.

    """
    receipt = read_body(signed[:BODY_SIZE], site.lane)
    if receipt is None:
        what = f"The receipt is of another lane than {site.lane!r}."
        raise WrongLaneError(what)
    return receipt, judge_signed(signed, BODY_SIZE, RECEIPT_TYPE, site, at)


def judge_signed(signed: bytes, size: int, kind: str, site: Root, at: datetime) -> frozenset[str]:
    """Return the persons that approved what left, when exactly the policy's number did.

    Args:
        signed: The body and its signatures.
        size: Length of the body in bytes.
        kind: Its payload type.
        site: The pinned site root, which names approvers.
        at: The moment that key expiry is judged by.

    Raises:
        ReceiptFormError: Another length than the policy's, or signatures out of order.
        SignatureError: A signature does not verify.
        ThresholdError: One person signed twice.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an approver of this site.

    """
    need = (site.policy or Policy()).approvers
    if len(signed) != size + need * _ENTRY:
        what = f"It has {len(signed)} bytes; with {need} approvers it has {size + need * _ENTRY}."
        raise ReceiptFormError(what)
    parts = [signed[at_ : at_ + _ENTRY] for at_ in range(size, len(signed), _ENTRY)]
    keyids = [part[:KEYID_SIZE].hex() for part in parts]
    if keyids != sorted(set(keyids)):
        raise ReceiptFormError("Its signatures are not in order, or one is there twice.")
    message = pae(kind, signed[:size])
    people: set[str] = set()
    for keyid, part in zip(keyids, parts, strict=True):
        held = site.held(keyid, Purpose.APPROVER, at)
        if not _holds(held.key, part[KEYID_SIZE:], message):
            what = f"The signature of {held.person} does not verify over this."
            raise SignatureError(what, keyid=keyid)
        people.add(held.person)
    if len(people) < need:
        what = f"{len(people)} of {need} needed persons approved it."
        raise ThresholdError(what)
    return frozenset(people)
