"""Signatures by WebAuthn authenticators: security keys and platform keys that a browser asks.

An authenticator never signs a document. It signs its own data and the hash of the browser's data, in
which the challenge stands. So the challenge is the SHA-256 of exactly the bytes that a key file would sign
(the envelope's pre-authentication encoding), and everything else is demanded as the site root pins it:
the origin, the relying party, a person who was present and verified. Sources: W3C Web Authentication
Level 3, sections 5.8.1 (client data), 6.1 (authenticator data), 7.2 (verifying an assertion).
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from lockgate.core.roots import PublicKey
from lockgate.core.wire import Document, decode, encode
from lockgate.trust.errors import AssertionRefusedError, CredentialError

WEBAUTHN = "webauthn"
"""Key type of a credential in a root."""

ES256, EDDSA = "es256", "eddsa"
"""Schemes: ECDSA on P-256 with SHA-256 (COSE -7), Ed25519 (COSE -8)."""

ASSERTION_LIMIT = 8192
"""Longest assertion that is read, in bytes."""

_PRESENT, _VERIFIED, _ATTESTED, _EXTENDED = 0x01, 0x04, 0x40, 0x80
_HEAD = struct.Struct(">32sBI")
_PARTS = 4
_ORIGIN_LIMIT = 300
_CREDENTIAL_LIMIT = 1400


class Assertion(Document, frozen=True):
    """What an authenticator answered; base64url without padding. It stands in an envelope as its bytes."""

    authenticator_data: str
    client_data: str
    signature: str


class _ClientData(msgspec.Struct):
    type: str
    challenge: str
    origin: str
    cross_origin: Annotated[bool, msgspec.Meta()] = msgspec.field(default=False, name="crossOrigin")
    top_origin: str | None = msgspec.field(default=None, name="topOrigin")


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as a root lists it.

    Attributes:
        rp_id: The relying party's id: a host name, or a domain above it.
        origin: The one origin at which it signs, as ``https://host`` or ``https://host:port``.
        identifier: The credential's id, base64url without padding.
        spki: The public key (SubjectPublicKeyInfo, DER), base64url without padding.

    """

    rp_id: str
    origin: str
    identifier: str
    spki: str

    @property
    def public(self) -> PublicKey:
        """Return the entry of a root: four words, in which nothing can be read in two ways.

        Raises:
            CredentialError: A word is malformed, or the key is of another kind.

        """
        words = (self.rp_id, self.origin, self.identifier, self.spki)
        scheme = EDDSA if isinstance(self.key(), Ed25519PublicKey) else ES256
        return PublicKey(keytype=WEBAUTHN, scheme=scheme, public=" ".join(words))

    def key(self) -> ec.EllipticCurvePublicKey | Ed25519PublicKey:
        """Return the public key, after looking at everything else.

        Raises:
            CredentialError: A word is malformed, or the key is neither P-256 nor Ed25519.

        """
        host = self.origin.partition("://")[2].partition(":")[0]
        local = self.origin.startswith(("http://localhost:", "http://localhost")) and host == "localhost"
        sound = (
            len(self.origin) <= _ORIGIN_LIMIT
            and self.origin.isascii()
            and self.origin == self.origin.lower()
            and not set(self.origin) & set(' "\\/?#@') - {"/"}
            and self.origin.count("/") == len("//")
            and (self.origin.startswith("https://") or local)
            and bool(self.rp_id)
            and (host == self.rp_id or host.endswith(f".{self.rp_id}"))
            and 0 < len(self.identifier) <= _CREDENTIAL_LIMIT
        )
        if not sound:
            what = f"The credential for {self.rp_id[:80]!r} at {self.origin[:80]!r} is malformed."
            raise CredentialError(what)
        unpadded(self.identifier)
        try:
            key = load_der_public_key(unpadded(self.spki))
        except ValueError as error:
            raise CredentialError("The credential's public key cannot be read.") from error
        if isinstance(key, Ed25519PublicKey):
            return key
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
            return key
        raise CredentialError("The credential's key is neither P-256 nor Ed25519.")


def credential_of(key: PublicKey) -> Credential:
    """Return the credential that a root's entry describes.

    Raises:
        CredentialError: It describes none.

    """
    words = key.public.split(" ")
    if key.keytype != WEBAUTHN or len(words) != _PARTS:
        raise CredentialError("The key is no credential of an authenticator.")
    found = Credential(*words)
    if found.public != key:
        raise CredentialError("The credential is not written in its one form.")
    return found


def padded(data: bytes) -> str:
    """Return base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    """Return what base64url without padding holds, demanding its one form.

    Raises:
        CredentialError: It is another form, or none.

    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CredentialError("A field is not base64url.") from error
    if padded(data) != text:
        raise CredentialError("A field is not in the canonical form of base64url.")
    return data


def challenge_of(message: bytes) -> str:
    """Return the challenge by which a message is signed: its SHA-256, base64url."""
    return padded(hashlib.sha256(message).digest())


def signature_bytes(assertion: Assertion) -> bytes:
    """Return an assertion as it stands in an envelope."""
    return encode(assertion)


def check_assertion(key: PublicKey, signature: bytes, message: bytes) -> int:
    """Demand that a credential signed a message; return the authenticator's counter.

    Raises:
        CredentialError: The key is no credential, or a field is malformed.
        AssertionRefusedError: Another message, origin or relying party, nobody verified, or the signature
            does not verify.

    """
    credential = credential_of(key)
    assertion = _read(signature)
    client, authenticator = unpadded(assertion.client_data), unpadded(assertion.authenticator_data)
    _demand_client(client, credential, message)
    counter = _demand_authenticator(authenticator, credential)
    signed = authenticator + hashlib.sha256(client).digest()
    public, value = credential.key(), unpadded(assertion.signature)
    try:
        if isinstance(public, Ed25519PublicKey):
            public.verify(value, signed)
        else:
            public.verify(value, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise AssertionRefusedError("The authenticator's signature does not verify.") from error
    return counter


def counter_of(signature: bytes) -> int:
    """Return the counter in an assertion that was verified before."""
    data = unpadded(_read(signature).authenticator_data)
    return int(_HEAD.unpack_from(data)[2])


def _read(signature: bytes) -> Assertion:
    return decode(Assertion, signature, limit=ASSERTION_LIMIT, name="assertion")


def _demand_client(data: bytes, credential: Credential, message: bytes) -> None:
    try:
        client: Any = msgspec.json.decode(data, type=_ClientData)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AssertionRefusedError("The browser's data cannot be read.") from error
    if client.type != "webauthn.get":
        raise AssertionRefusedError("The authenticator signed something else than an assertion.")
    if not hmac.compare_digest(client.challenge.encode(), challenge_of(message).encode()):
        raise AssertionRefusedError("The authenticator signed another statement.")
    if client.origin != credential.origin or client.cross_origin or client.top_origin is not None:
        what = f"It was signed at {client.origin[:120]!r}, and the site root names {credential.origin!r}."
        raise AssertionRefusedError(what)


def _demand_authenticator(data: bytes, credential: Credential) -> int:
    if len(data) < _HEAD.size:
        raise AssertionRefusedError("The authenticator's data is cut short.")
    party, flags, counter = _HEAD.unpack_from(data)
    if not hmac.compare_digest(party, hashlib.sha256(credential.rp_id.encode()).digest()):
        raise AssertionRefusedError("The authenticator signed for another relying party.")
    if not flags & _PRESENT or not flags & _VERIFIED:
        raise AssertionRefusedError("The authenticator did not verify a person (PIN or fingerprint).")
    if flags & _ATTESTED or (len(data) > _HEAD.size) != bool(flags & _EXTENDED):
        raise AssertionRefusedError("The authenticator's data has more than an assertion has.")
    return int(counter)
