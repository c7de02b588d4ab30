"""Texts that auditors alone can read: encrypted once, and the key sealed to each auditor.

AES-256-GCM under a fresh key (NIST SP 800-38D, 96-bit nonce used once), whose key is sealed with HPKE
(RFC 9180, base mode) to P-256 keys that no service of the side can read.
"""

import base64
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockgate.core.artifact import Digest
from lockgate.core.ports import Entropy
from lockgate.core.roots import Recipient
from lockgate.core.wire import Document
from lockgate.guard.errors import NotAnAuditorError
from lockgate.trust.errors import UnwrapError
from lockgate.trust.keys import RecipientKey, recipient_id
from lockgate.trust.sealing import unwrap, wrap

SEALED_FORMAT = "lockgate-sealed-text/1"
AUDITORS_LIMIT = 8
"""Most auditors that one text is sealed to."""

_KEY_BYTES, _NONCE_BYTES = 32, 12


class KeyFor(Document, frozen=True):
    """The key of a text, sealed to one auditor (base64); `recipient` is the SHA-256 of the public key."""

    recipient: Digest
    wrapped: str


class SealedText(Document, frozen=True):
    """Nonce and ciphertext with its tag (base64), and the key for each auditor."""

    format: str
    data: str
    keys: Annotated[tuple[KeyFor, ...], msgspec.Meta(min_length=1, max_length=AUDITORS_LIMIT)]


def seal_text(data: bytes, auditors: Sequence[Recipient], place: str, entropy: Entropy) -> SealedText:
    """Return bytes as auditors alone can read them.

    Args:
        data: The bytes.
        auditors: Who may read them; at least one.
        place: What they belong to; they open nowhere else.
        entropy: Random bytes.

    Raises:
        KeyFileError: An auditor's key is none that can be sealed to.

    """
    key, nonce, info = entropy(_KEY_BYTES), entropy(_NONCE_BYTES), _info(place)
    sealed = nonce + AESGCM(key).encrypt(nonce, data, info)
    keys = tuple(
        KeyFor(
            recipient=recipient_id(auditor.public),
            wrapped=base64.b64encode(wrap(key, auditor, info)).decode(),
        )
        for auditor in auditors
    )
    return SealedText(format=SEALED_FORMAT, data=base64.b64encode(sealed).decode(), keys=keys)


def open_text(sealed: SealedText, auditor: RecipientKey, place: str) -> bytes:
    """Return the bytes of a sealed text.

    Raises:
        NotAnAuditorError: They are not sealed to this key, belong to another place, or were altered.
        TokenError, TokenFailedError: The key is in a token that is not there or failed.

    """
    what = "This text is not sealed to this key, or it was altered."
    mine = next((each for each in sealed.keys if each.recipient == auditor.recipient_id), None)
    if mine is None:
        raise NotAnAuditorError(what)
    info = _info(place)
    try:
        key = unwrap(base64.b64decode(mine.wrapped, validate=True), auditor, info)
        data = base64.b64decode(sealed.data, validate=True)
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], info)
    except (InvalidTag, UnwrapError, ValueError) as error:
        raise NotAnAuditorError(what) from error


def _info(place: str) -> bytes:
    return f"lockgate sealed text\0{place}".encode()
