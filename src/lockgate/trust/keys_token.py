"""Keys in tokens and security modules (PKCS #11): they sign and agree there and never leave.

Each use opens a session, logs in, works and logs out, so that a token may be taken out between two
uses and nothing stays unlocked. What a token signs is verified against its own public key before
it is handed on: a token whose objects do not belong together fails here and not on another machine.
"""

import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, SecretsHandler, SSlibKey
from securesystemslib.signer import Signature as RawSignature
from securesystemslib.signer import Signer as RawSigner

from lockgate.core.digests import sha256
from lockgate.core.roots import Purpose
from lockgate.trust.errors import TokenError, TokenFailedError
from lockgate.trust.keys import RecipientKey, Signer
from lockgate.trust.keys_uri import KeyAddress, parse_key_uri

if TYPE_CHECKING:
    from pkcs11 import Session

PIN_LIMIT = 256
"""Longest PIN that is read, in bytes."""

AGENT_SECONDS = 10.0
"""Longest wait for an agent that keeps a PIN."""

# OBJECT IDENTIFIERs and the curve name as tokens give them in CKA_EC_PARAMS (PKCS #11 v3.1, 6.3).
_P256 = bytes.fromhex("06082a8648ce3d030107")
_ED25519 = (bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519")
_COORDINATE = 32
_OTHERS_MAY_READ = 0o077

# A process has one login state per token, whatever the number of sessions (PKCS #11, 5.6).
_ONE_AT_A_TIME = threading.Lock()

PublicHalf = ec.EllipticCurvePublicKey | Ed25519PublicKey


def _read(file: Path) -> bytes:
    """Return what a file holds, or what an agent says that listens at it."""
    if not stat.S_ISSOCK(file.stat().st_mode):
        with file.open("rb") as stream:
            return stream.read(PIN_LIMIT + 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.settimeout(AGENT_SECONDS)
        agent.connect(str(file))
        data = b""
        while len(data) <= PIN_LIMIT and (part := agent.recv(PIN_LIMIT + 1 - len(data))):
            data += part
        return data


def read_pin(file: Path) -> str:
    """Return the PIN in a file that only its owner may read, or of an agent that listens there.

    Raises:
        TokenError: Missing, empty, too long, or readable by others.

    """
    try:
        others = file.stat().st_mode & _OTHERS_MAY_READ
        data = _read(file)
        pin = data.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        what = f"The PIN file {file} cannot be read: {type(error).__name__}."
        raise TokenError(what) from error
    if others:
        what = f"The PIN file {file} may be read by others than its owner."
        raise TokenError(what, advice=f"Take the right away: chmod 600 {file}.")
    if not pin or len(data) > PIN_LIMIT:
        what = f"The PIN file {file} is empty or longer than {PIN_LIMIT} bytes."
        raise TokenError(what)
    return pin


def pin_for(address: KeyAddress, ask: Callable[[], str] | None = None) -> str:
    """Return the PIN of a key: asked for when there is somebody to ask, else from its pin-source.

    Raises:
        TokenError: There is no PIN, or its file does not serve.

    """
    if ask is not None:
        return ask()
    if address.pin_source is None:
        what = f"There is no PIN for the key ({address})."
        raise TokenError(what, advice="Name a file that holds it: …&pin-source=file:/… in the address.")
    return read_pin(address.pin_source)


class _TokenKey:
    """A private key in a token, found anew for each use."""

    def __init__(self, address: KeyAddress, pin: str) -> None:
        self._address = address
        self._pin = pin
        with self._opened() as (_, session, private):
            self.public = self._public_of(session, private)

    def __repr__(self) -> str:
        return f"<key in a token: {self._address}>"

    @contextmanager
    def _opened(self) -> "Iterator[tuple[Any, Session, Any]]":
        """Yield the library's module, a session that is logged in, and the private key's object."""
        try:
            import pkcs11  # noqa: PLC0415  # an optional extra, and only here
        except ImportError as error:
            what = "This installation cannot speak to tokens."
            advice = "Install the extra that does: pip install 'lockgate[hsm]'."
            raise TokenFailedError(what, advice=advice) from error
        pin_errors = (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinLenRange, pkcs11.PinInvalid)
        try:
            with _ONE_AT_A_TIME, self._token(pkcs11).open(user_pin=self._pin) as session:
                yield pkcs11, session, self._object(session, pkcs11.ObjectClass.PRIVATE_KEY)
        except (*pin_errors, pkcs11.PinExpired) as error:
            what = f"The token does not open with this PIN ({type(error).__name__}; {self._address})."
            raise TokenError(
                what, advice="Check the PIN; a token locks itself after a few wrong ones."
            ) from error
        except pkcs11.PKCS11Error as error:
            what = f"The token failed: {type(error).__name__} ({self._address})."
            raise TokenFailedError(what) from error

    def _token(self, pkcs11: Any) -> Any:
        try:
            library = pkcs11.lib(str(self._address.module))
        except (pkcs11.PKCS11Error, OSError) as error:
            what = f"The token's library {self._address.module} cannot be loaded."
            raise TokenError(what) from error
        found = [
            token
            for token in library.get_tokens(token_flags=pkcs11.TokenFlag.TOKEN_INITIALIZED)
            if self._address.token.items() <= _facts(token).items()
        ]
        if len(found) != 1:
            what = f"{len(found)} tokens answer to the address ({self._address}); it has to be one."
            raise TokenError(what)
        return found[0]

    def _object(self, session: "Session", kind: Any, **instead: Any) -> Any:
        from pkcs11 import Attribute  # noqa: PLC0415  # see above

        wanted: dict[Any, Any] = {Attribute.CLASS: kind}
        if (label := instead.get("label", self._address.label)) is not None:
            wanted[Attribute.LABEL] = label
        if (identifier := instead.get("identifier", self._address.identifier)) is not None:
            wanted[Attribute.ID] = identifier
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            what = f"{len(found)} objects ({kind.name}) answer to the address ({self._address})."
            raise TokenError(what)
        return found[0]

    def _public_of(self, session: "Session", private: Any) -> PublicHalf:
        from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415  # see above

        # The two halves share their id (PKCS #11, 4.9); labels often differ between them.
        public = self._object(session, ObjectClass.PUBLIC_KEY, label=None, identifier=private[Attribute.ID])
        try:
            return _decoded(public[Attribute.EC_PARAMS], public[Attribute.EC_POINT])
        except (ValueError, KeyError) as error:
            what = f"The token's key is neither P-256 nor Ed25519 ({self._address})."
            raise TokenError(what) from error

    def sign(self, message: bytes) -> bytes:
        """Return a signature: DER for ECDSA over SHA-256, 64 bytes for Ed25519."""
        with self._opened() as (pkcs11, _, private):
            if isinstance(self.public, Ed25519PublicKey):
                return bytes(private.sign(message, mechanism=pkcs11.Mechanism.EDDSA))
            raw = private.sign(bytes.fromhex(sha256(message)), mechanism=pkcs11.Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def agree(self, point: bytes) -> bytes:
        """Return the x-coordinate of ECDH with a peer's uncompressed point."""
        with self._opened() as (pkcs11, _, private):
            secret = private.derive_key(
                pkcs11.KeyType.GENERIC_SECRET,
                8 * _COORDINATE,
                mechanism=pkcs11.Mechanism.ECDH1_DERIVE,
                mechanism_param=(pkcs11.KDF.NULL, None, point),
                store=False,
                template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
            )
            return bytes(secret[pkcs11.Attribute.VALUE])


def _facts(token: Any) -> dict[str, str]:
    return {
        "token": token.label,
        "manufacturer": token.manufacturer_id,
        "serial": bytes(token.serial).decode("utf-8", "replace").strip(),
        "model": token.model,
    }


def _decoded(parameters: bytes, point: bytes) -> PublicHalf:
    """Return a public key; tokens give its point with or without an OCTET STRING around it."""
    length = 2 * _COORDINATE + 1 if parameters == _P256 else _COORDINATE
    bare = point[2:] if point[:2] == bytes((4, length)) and len(point) == length + 2 else point
    if parameters == _P256:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bare)
    if parameters in _ED25519:
        return Ed25519PublicKey.from_public_bytes(bare)
    raise ValueError("another curve")


class TokenSigner(RawSigner):
    """A signing key in a token, in the form that TUF libraries sign with."""

    def __init__(self, address: KeyAddress, pin: str) -> None:
        """Find the key and read its public half.

        Raises:
            TokenError: No such token or key, or another PIN.
            TokenFailedError: The token or its library failed.

        """
        self._key = _TokenKey(address, pin)
        self._public = SSlibKey.from_crypto(self._key.public)

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "TokenSigner":
        """Return the signer at an address when it holds the private half of a public key."""
        address = parse_key_uri(priv_key_uri)
        ask = None if secrets_handler is None else lambda: secrets_handler("PIN")
        found = cls(address, pin_for(address, ask))
        if found.public_key.keyval != getattr(public_key, "keyval", None):
            what = f"The token holds another key than the one asked for ({address})."
            raise TokenError(what)
        return found

    @property
    def public_key(self) -> SSlibKey:
        """Return the public half."""
        return self._public

    def sign(self, payload: bytes) -> RawSignature:
        """Return a signature that was verified against the token's own public key.

        Raises:
            TokenError: The token is not there, or another PIN.
            TokenFailedError: The token failed or signed with another key.

        """
        signature = RawSignature(self._public.keyid, self._key.sign(payload).hex())
        try:
            self._public.verify_signature(signature, payload)
        except UnverifiedSignatureError as error:
            what = f"The token's signature does not verify with its own public key ({self._key!r})."
            raise TokenFailedError(what) from error
        return signature


class TokenAgreement:
    """A P-256 key in a token that crates are sealed to; it agrees and is never read."""

    def __init__(self, address: KeyAddress, pin: str) -> None:
        """Find the key and read its public half.

        Raises:
            TokenError: No such token or key, another PIN, or no P-256 key.
            TokenFailedError: The token or its library failed.

        """
        self._key = _TokenKey(address, pin)
        if not isinstance(self._key.public, ec.EllipticCurvePublicKey):
            what = f"A recipient key has to be P-256 ({address})."
            raise TokenError(what)
        self._public = self._key.public

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        return self._public

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Return the shared x-coordinate of ECDH, 32 bytes."""
        del algorithm
        return self._key.agree(peer_public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def load_token_signer(address: KeyAddress, pin: str, purpose: Purpose, person: str) -> Signer:
    """Return a signing key in a token.

    Raises:
        TokenError: No such token or key, or another PIN.
        TokenFailedError: The token or its library failed.

    """
    return Signer(purpose, person, TokenSigner(address, pin))


def load_token_recipient(address: KeyAddress, pin: str, name: str) -> RecipientKey:
    """Return a recipient key in a token.

    Raises:
        TokenError: No such token or key, another PIN, or no P-256 key.
        TokenFailedError: The token or its library failed.

    """
    return RecipientKey(name, TokenAgreement(address, pin))
