"""Sealing short secrets (volume keys) to recipients with HPKE (RFC 9180), base mode."""

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lockgate.core.roots import Recipient
from lockgate.trust.errors import KeyFileError, UnwrapError
from lockgate.trust.hpke import open_base
from lockgate.trust.keys import RECIPIENT_SUITE, RecipientKey


def _suite() -> Suite:
    return Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def wrap(secret: bytes, recipient: Recipient, info: bytes) -> bytes:
    """Return a secret sealed to a recipient: encapsulated key (65 bytes), then ciphertext and tag.

    Args:
        secret: The bytes to seal.
        recipient: From the site root's published set.
        info: Binds the ciphertext to its place (RFC 9180, section 5.1).

    Raises:
        KeyFileError: The recipient's suite or key is not supported.

    """
    try:
        public = serialization.load_pem_public_key(recipient.public.encode())
    except (ValueError, UnsupportedAlgorithm):
        public = None
    fits = recipient.suite == RECIPIENT_SUITE
    if not fits or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        what = f"The recipient {recipient.name!r} asks for the suite {recipient.suite[:80]!r}."
        raise KeyFileError(what, advice="Publish a P-256 recipient key in the site root.")
    return _suite().encrypt(secret, public, info)


def unwrap(wrapped: bytes, key: RecipientKey, info: bytes) -> bytes:
    """Return the secret that `wrap` sealed.

    Raises:
        UnwrapError: Another recipient, another place, or forged.
        TokenError, TokenFailedError: The key is in a token that is not there or failed.

    """
    try:
        if isinstance(key.private, ec.EllipticCurvePrivateKey):
            return _suite().decrypt(wrapped, key.private, info)
        return open_base(wrapped, key.private, info)
    except (InvalidTag, ValueError) as error:
        what = f"A key wrapped for {key.name!r} does not open."
        raise UnwrapError(what) from error
