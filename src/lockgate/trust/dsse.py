"""Signed envelopes: DSSE (Dead Simple Signing Envelope, version 1) in canonical JSON.

Stricter than the specification asks, so that no byte is free: the envelope equals its canonical
encoding, base64 is the canonical one, signatures are sorted by key id, and one signature that
is unknown, doubled or invalid refuses the whole envelope.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lockgate.core.artifact import Digest
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, decode, encode, span_of
from lockgate.trust.errors import EnvelopeError, SignatureError
from lockgate.trust.keys import Signer, verifies

SIGNATURES_LIMIT = 64
"""Most signatures that one envelope may carry."""

ENVELOPE_LIMIT = 64 * 1024 * 1024
"""Longest envelope that is read, in bytes."""


class Signature(Document, frozen=True):
    """One signature: key id and base64 of the raw signature."""

    keyid: Digest
    sig: str


class Envelope(Document, frozen=True, rename={"payload_type": "payloadType"}):
    """A DSSE envelope as it is stored."""

    payload: str
    payload_type: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope whose form was checked, not yet its signatures."""

    payload: bytes
    payload_type: str
    signatures: dict[str, bytes]

    @property
    def message(self) -> bytes:
        """Return the bytes that signatures cover."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding (DSSE protocol, "PAE")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _b64(data: bytes) -> str:
    return base64.standard_b64encode(data).decode()


def _unb64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        sentence = f"The {what} of the envelope is not base64."
        raise EnvelopeError(sentence) from error
    if _b64(data) != text:
        sentence = f"The {what} of the envelope is not in the canonical base64 form."
        raise EnvelopeError(sentence)
    return data


def _pack(payload_type: str, payload: bytes, signatures: dict[str, bytes]) -> bytes:
    ordered = tuple(Signature(keyid=k, sig=_b64(s)) for k, s in sorted(signatures.items()))
    return encode(Envelope(payload=_b64(payload), payload_type=payload_type, signatures=ordered))


def sign(payload_type: str, payload: bytes, signers: Iterable[Signer]) -> bytes:
    """Return the canonical bytes of an envelope signed by each signer."""
    message = pae(payload_type, payload)
    return _pack(payload_type, payload, {s.keyid: s.sign(message) for s in signers})


def add_signature(envelope: bytes, signer: Signer) -> bytes:
    """Return the envelope with one more signature (or the same one renewed)."""
    opened = open_envelope(envelope)
    signatures = {**opened.signatures, signer.keyid: signer.sign(opened.message)}
    return _pack(opened.payload_type, opened.payload, signatures)


def attach(envelope: bytes, keyid: str, signature: bytes) -> bytes:
    """Return the envelope with a signature that was made elsewhere; it is not judged here."""
    opened = open_envelope(envelope)
    return _pack(opened.payload_type, opened.payload, {**opened.signatures, keyid: signature})


def merge(envelopes: Iterable[bytes]) -> bytes:
    """Return one envelope with the signatures of several over the same payload.

    Raises:
        EnvelopeError: The payloads differ, or none was given.

    """
    opened = [open_envelope(e) for e in envelopes]
    if not opened or any(
        (o.payload, o.payload_type) != (opened[0].payload, opened[0].payload_type) for o in opened
    ):
        raise EnvelopeError("The envelopes do not carry the same statement.")
    signatures = {k: s for o in opened for k, s in o.signatures.items()}
    return _pack(opened[0].payload_type, opened[0].payload, signatures)


def open_envelope(data: bytes, *, limit: int = ENVELOPE_LIMIT) -> Opened:
    """Check an envelope's form and return payload and signatures, unverified.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not canonical JSON of this form.
        EnvelopeError: Base64 not canonical, or signatures unsorted, doubled or too many.

    """
    envelope = decode(Envelope, data, limit=limit, name="envelope")
    ids = [s.keyid for s in envelope.signatures]
    if len(ids) > SIGNATURES_LIMIT:
        what = f"The envelope has {len(ids)} signatures; at most {SIGNATURES_LIMIT} are read."
        raise EnvelopeError(what)
    if ids != sorted(set(ids)):
        raise EnvelopeError("The signatures of the envelope are not in order, or one is there twice.")
    signatures = {s.keyid: _unb64(s.sig, "signature") for s in envelope.signatures}
    return Opened(_unb64(envelope.payload, "payload"), envelope.payload_type, signatures)


def payload_span(envelope: bytes, offset: int, length: int) -> tuple[int, int]:
    """Return which bytes of an envelope carry some bytes of its payload, as offset and length.

    Base64 writes three bytes as four characters, so that the range begins and ends with such a group.
    """
    start, size = span_of(envelope, "$.payload")
    text = size - 2
    first, last = offset // 3 * 4, min(-(-(offset + length) // 3) * 4, text)
    return start + 1 + first, max(0, last - first)


def verify(opened: Opened, root: Root, purpose: Purpose, at: datetime, payload_type: str) -> frozenset[str]:
    """Demand that every signature is known and valid and enough persons signed; return them.

    Args:
        opened: The envelope.
        root: Names the keys.
        purpose: What the keys must be for.
        at: The moment that key expiry is judged by.
        payload_type: The type that the payload must have.

    Raises:
        EnvelopeError: Another payload type, or no signature.
        SignatureError: A signature does not verify.
        UnknownKeyError, KeyPurposeError, KeyExpiredError, ThresholdError: See `core.roots`.

    """
    if opened.payload_type != payload_type:
        what = f"The envelope holds {opened.payload_type[:80]!r}, not {payload_type!r}."
        raise EnvelopeError(what)
    for keyid, signature in opened.signatures.items():
        held = root.held(keyid, purpose, at)
        if not verifies(held.key, signature, opened.message):
            what = f"The signature of {held.person} ({purpose}) does not verify."
            raise SignatureError(what, keyid=keyid)
    return root.persons(opened.signatures, purpose, at)
