"""Keys of people and machines: made, stored as encrypted PEM, used to sign.

Signing keys are Ed25519 (FIPS 186-5) or ECDSA P-256; recipient keys are P-256 for HPKE. A key
id is TUF's: SHA-256 of the canonical form of the public key.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from securesystemslib.signer import Signature as RawSignature
from securesystemslib.signer import Signer as RawSigner

from lockgate.core.digests import sha256
from lockgate.core.roots import HeldKey, PublicKey, Purpose, Recipient
from lockgate.trust.errors import KeyFileError
from lockgate.trust.webauthn import WEBAUTHN, check_assertion

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number n of the points of P-256 (NIST SP 800-186, 3.2.1.3)."""

_P384_ORDER = (
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
)
_ORDERS = {"ecdsa-sha2-nistp256": P256_ORDER, "ecdsa-sha2-nistp384": _P384_ORDER}

RECIPIENT_SUITE = "DHKEM-P256-HKDF-SHA256/HKDF-SHA256/AES-256-GCM"
"""The HPKE suite (RFC 9180) that crates are sealed with."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private signing key with its holder and its one purpose."""

    purpose: Purpose
    person: str
    raw: RawSigner

    @property
    def public(self) -> PublicKey:
        """Return the public half."""
        key: Any = self.raw.public_key
        return PublicKey(keytype=key.keytype, scheme=key.scheme, public=key.keyval["public"])

    @property
    def keyid(self) -> str:
        """Return the key id."""
        return keyid_of(self.public)

    def held(self, expires: datetime) -> HeldKey:
        """Return the entry that a root lists for this key."""
        return HeldKey(key=self.public, purpose=self.purpose, person=self.person, expires=expires)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message, in its one form (see `one_form`)."""
        return one_form(self.public, bytes.fromhex(self.raw.sign(message).signature))


def keyid_of(key: PublicKey) -> str:
    """Return the TUF key id of a public key (TUF specification, section 4.2)."""
    form = {"keytype": key.keytype, "scheme": key.scheme, "keyval": {"public": key.public}}
    return sha256((encode_canonical(form) or "").encode())


def one_form(key: PublicKey, signature: bytes) -> bytes:
    """Return a signature that verifies in the one of its forms that has the lower `s`.

    Of each ECDSA signature (r, s) whoever sees it can make (r, n - s), which verifies as well: what is known
    by its digest must not have both. Ed25519 has one form alone (RFC 8032, 5.1.7).
    """
    order = _ORDERS.get(key.scheme)
    if order is None:
        return signature
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, order - s))


def tuf_key(key: PublicKey) -> SSlibKey:
    """Return a public key in the form that TUF libraries use."""
    return SSlibKey(keyid_of(key), key.keytype, key.scheme, {"public": key.public})


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature over a message was made with the key's private half.

    Raises:
        AssertionRefusedError, CredentialError: The key is an authenticator's, and says why it is not.

    """
    if key.keytype == WEBAUTHN:
        check_assertion(key, signature, message)
        return True
    known = tuf_key(key)
    try:
        known.verify_signature(RawSignature(known.keyid, signature.hex()), message)
    except UnverifiedSignatureError:
        return False
    return True


def new_signer(purpose: Purpose, person: str) -> Signer:
    """Make a fresh Ed25519 signing key."""
    return Signer(purpose, person, CryptoSigner(Ed25519PrivateKey.generate()))


_Private = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def _write_private(path: Path, private: _Private, passphrase: bytes) -> None:
    if not passphrase:
        raise KeyFileError("A key is not written without a passphrase.", file=path)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        what = f"The key file {path} cannot be written: {error.strerror}."
        raise KeyFileError(what, advice="A key file is never replaced; name another place.") from error


def _is_p256(private: object) -> TypeGuard[ec.EllipticCurvePrivateKey]:
    return isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == "secp256r1"


def _read_private(path: Path, passphrase: bytes) -> object:
    try:
        pem = path.read_bytes()
    except OSError as error:
        what = f"The key file {path} cannot be read: {error.strerror}."
        raise KeyFileError(what) from error
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = f"The key file {path} does not open with this passphrase."
        raise KeyFileError(what) from error


def save_signer(signer: Signer, path: Path, passphrase: bytes) -> None:
    """Write a signing key as encrypted PKCS #8 PEM; an existing file is never replaced.

    The purpose and the person are the root's to say; the file holds the key alone.

    Raises:
        KeyFileError: There is a file already, it cannot be written, the passphrase is empty, or the
            key is in a token.

    """
    if not isinstance(signer.raw, CryptoSigner):
        raise KeyFileError("The key stays in its token; it cannot be written to a file.")
    private: Any = signer.raw._private_key  # noqa: SLF001  # the library has no export
    _write_private(path, private, passphrase)


def load_signer(path: Path, passphrase: bytes, purpose: Purpose, person: str) -> Signer:
    """Read a signing key from encrypted PEM.

    Raises:
        KeyFileError: Missing, wrong passphrase, or not a signing key.

    """
    private = _read_private(path, passphrase)
    if not isinstance(private, Ed25519PrivateKey) and not _is_p256(private):
        what = f"The key file {path} holds no Ed25519 or P-256 key."
        raise KeyFileError(what)
    return Signer(purpose, person, CryptoSigner(private))


class Agreement(Protocol):
    """A private P-256 key that agrees on secrets (ECDH): in memory, or in a token."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Return the shared x-coordinate, 32 bytes."""


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A private key that crates are sealed to."""

    name: str
    private: Agreement

    @property
    def public_pem(self) -> str:
        """Return the public half as PEM text."""
        return (
            self.private.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    @property
    def recipient_id(self) -> str:
        """Return the id under which roots and crates name the key."""
        return recipient_id(self.public_pem)

    def published(self, expires: datetime) -> Recipient:
        """Return the entry that the site root publishes."""
        return Recipient(name=self.name, suite=RECIPIENT_SUITE, public=self.public_pem, expires=expires)


def recipient_id(public_pem: str) -> str:
    """Return the SHA-256 of a public key's DER form (SubjectPublicKeyInfo)."""
    key = serialization.load_pem_public_key(public_pem.encode())
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der)


def new_recipient_key(name: str) -> RecipientKey:
    """Make a fresh P-256 recipient key."""
    return RecipientKey(name, ec.generate_private_key(ec.SECP256R1()))


def save_recipient_key(key: RecipientKey, path: Path, passphrase: bytes) -> None:
    """Write a recipient key as encrypted PKCS #8 PEM; an existing file is never replaced.

    Raises:
        KeyFileError: There is a file already, it cannot be written, the passphrase is empty, or the
            key is in a token.

    """
    if not isinstance(key.private, ec.EllipticCurvePrivateKey):
        raise KeyFileError("The key stays in its token; it cannot be written to a file.")
    _write_private(path, key.private, passphrase)


def load_recipient_key(path: Path, passphrase: bytes, name: str) -> RecipientKey:
    """Read a recipient key from encrypted PEM.

    Raises:
        KeyFileError: Missing, wrong passphrase, or not a P-256 key.

    """
    private = _read_private(path, passphrase)
    if not _is_p256(private):
        what = f"The key file {path} holds no P-256 key."
        raise KeyFileError(what)
    return RecipientKey(name, private)
