"""OpenPGP forms of our own signing keys: what clients of package repositories verify (RFC 9580, version 4).

The private half stays where every key of a lane is: in an encrypted file or in a token. A signature is made
over the bytes that OpenPGP hashes, and everything around it (packets, armour, cleartext framework) follows
from the public key, the time and the content alone. So nothing here parses anything: who serves keeps the
raw signature, compares it with the key that the site root lists, and builds the rest anew.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from lockgate.core.roots import PublicKey
from lockgate.trust.errors import KeyFormError
from lockgate.trust.keys import Signer, verifies

BORN = datetime(2020, 1, 1, tzinfo=UTC)
"""When every key says that it was made: the time is a part of the fingerprint, and roots keep none."""

_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_P256_OID = bytes.fromhex("2a8648ce3d030107")
_EDDSA, _ECDSA = 22, 19
_SHA256, _SHA512 = 8, 10
_HASH_NAMES = {_SHA256: "SHA256", _SHA512: "SHA512"}
_SIGNATURE, _PUBLIC_KEY, _USER_ID = 2, 6, 13
_CREATED, _ISSUER, _FLAGS, _FINGERPRINT = 2, 16, 27, 33
_CERTIFIES_AND_SIGNS = 0x03
_VERSION = 4
_WIDTH = 64
_CRC_INIT, _CRC_POLY = 0xB704CE, 0x1864CFB
_ONE_OCTET, _TWO_OCTETS = 192, 8384


class Kind(IntEnum):
    """What is signed (RFC 9580, section 5.2.1)."""

    BINARY = 0x00
    TEXT = 0x01
    CERTIFICATION = 0x13


@dataclass(frozen=True, slots=True)
class OpenPgpKey:
    """A public key in OpenPGP's form.

    Attributes:
        public: The key as roots list it.
        user: The user id; it names the lane.

    """

    public: PublicKey
    user: str

    @property
    def body(self) -> bytes:
        """Return the body of the public key packet (section 5.5.2.2).

        Raises:
            KeyFormError: The key is neither Ed25519 nor P-256.

        """
        algorithm, oid, point = self._parts()
        born = _seconds(BORN).to_bytes(4)
        return bytes((_VERSION,)) + born + bytes((algorithm, len(oid))) + oid + _integer(point)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint, 40 upper-case hexadecimal digits (section 5.5.4.2)."""
        return hashlib.sha1(self._framed(), usedforsecurity=False).hexdigest().upper()

    @property
    def hash_name(self) -> str:
        """Return the name of the hash that its signatures use, as the cleartext framework writes it."""
        return _HASH_NAMES[self._hash()]

    def hashed(self, kind: Kind, content: bytes, created: datetime) -> bytes:
        """Return the bytes that a signature is over (section 5.2.4).

        Args:
            kind: What is signed; text is given with its own line ends.
            content: The document; the user id's bytes for a certification.
            created: When it is signed, to the second.

        """
        if kind is Kind.TEXT:
            content = _canonical_text(content)
        elif kind is Kind.CERTIFICATION:
            content = self._framed() + b"\xb4" + len(content).to_bytes(4) + content
        head = self._head(kind, created)
        return content + head + bytes((_VERSION, 0xFF)) + len(head).to_bytes(4)

    def signature(self, kind: Kind, content: bytes, created: datetime, raw: bytes) -> bytes:
        """Return the signature packet around a raw signature."""
        issuer = bytes((9, _ISSUER)) + bytes.fromhex(self.fingerprint)[-8:]
        left = self._digest(self.hashed(kind, content, created))[:2]
        numbers = b"".join(map(_integer, self._numbers(raw)))
        body = self._head(kind, created) + len(issuer).to_bytes(2) + issuer + left + numbers
        return _packet(_SIGNATURE, body)

    def certificate(self, certification: bytes) -> bytes:
        """Return the key with its user id and its signature over both: what clients are given."""
        user = self.user.encode()
        signed = self.signature(Kind.CERTIFICATION, user, BORN, certification)
        return _packet(_PUBLIC_KEY, self.body) + _packet(_USER_ID, user) + signed

    def sign(self, signer: Signer, kind: Kind, content: bytes, created: datetime) -> bytes:
        """Return the raw signature of the private half.

        Raises:
            KeyFormError: The signer's is another key.

        """
        if signer.public != self.public:
            raise KeyFormError("The signing key is not the one that the repository's form was made of.")
        return signer.sign(self._message(kind, content, created))

    def certify(self, signer: Signer) -> bytes:
        """Return the raw signature over key and user id."""
        return self.sign(signer, Kind.CERTIFICATION, self.user.encode(), BORN)

    def verifies(self, kind: Kind, content: bytes, created: datetime, raw: bytes) -> bool:
        """Tell whether a raw signature was made with the private half."""
        return verifies(self.public, raw, self._message(kind, content, created))

    def certifies(self, raw: bytes) -> bool:
        """Tell whether a raw signature over key and user id was made with the private half."""
        return self.verifies(Kind.CERTIFICATION, self.user.encode(), BORN, raw)

    def _message(self, kind: Kind, content: bytes, created: datetime) -> bytes:
        """Return what the key signs: EdDSA here signs the digest, ECDSA hashes by itself."""
        hashed = self.hashed(kind, content, created)
        return self._digest(hashed) if self._hash() == _SHA512 else hashed

    def _digest(self, data: bytes) -> bytes:
        return hashlib.new(_HASH_NAMES[self._hash()].lower(), data).digest()

    def _hash(self) -> int:
        return _SHA512 if self.public.keytype == "ed25519" else _SHA256

    def _parts(self) -> tuple[int, bytes, bytes]:
        """Return algorithm, curve and point."""
        if self.public.keytype == "ed25519":
            return _EDDSA, _ED25519_OID, b"\x40" + bytes.fromhex(self.public.public)
        if self.public.keytype == "ecdsa":
            key = load_pem_public_key(self.public.public.encode())
            if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
                point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
                return _ECDSA, _P256_OID, point
        what = f"A key of type {self.public.keytype!r} has no OpenPGP form here."
        raise KeyFormError(what)

    def _numbers(self, raw: bytes) -> tuple[bytes, bytes]:
        """Return the two numbers of a raw signature."""
        if self.public.keytype == "ed25519":
            return raw[:32], raw[32:]
        first, second = decode_dss_signature(raw)
        return first.to_bytes(32), second.to_bytes(32)

    def _framed(self) -> bytes:
        body = self.body
        return b"\x99" + len(body).to_bytes(2) + body

    def _head(self, kind: Kind, created: datetime) -> bytes:
        """Return version, kind, algorithms and the subpackets that are signed (section 5.2.3)."""
        issuer = bytes((_VERSION,)) + bytes.fromhex(self.fingerprint)
        parts = [(_CREATED, _seconds(created).to_bytes(4)), (_FINGERPRINT, issuer)]
        if kind is Kind.CERTIFICATION:
            parts.append((_FLAGS, bytes((_CERTIFIES_AND_SIGNS,))))
        sub = b"".join(bytes((len(value) + 1, number)) + value for number, value in parts)
        algorithm = self._parts()[0]
        return bytes((_VERSION, kind, algorithm, self._hash())) + len(sub).to_bytes(2) + sub


def armor(data: bytes, what: str) -> str:
    """Return packets in ASCII armour (section 6.2); `what` is ``SIGNATURE`` or ``PUBLIC KEY BLOCK``."""
    encoded = base64.b64encode(data).decode()
    lines = [encoded[at : at + _WIDTH] for at in range(0, len(encoded), _WIDTH)]
    check = base64.b64encode(_crc24(data).to_bytes(3)).decode()
    text = [f"-----BEGIN PGP {what}-----", "", *lines, f"={check}", f"-----END PGP {what}-----", ""]
    return "\n".join(text)


def clearsigned(key: OpenPgpKey, text: bytes, signature: bytes) -> bytes:
    """Return a text with its signature in the cleartext framework (section 7).

    Args:
        key: Whose signature it is.
        text: The text; ends with a line end.
        signature: The signature packet, of kind `Kind.TEXT`.

    """
    escaped = re.sub(rb"^-", b"- -", text, flags=re.MULTILINE)
    head = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: {key.hash_name}\n\n".encode()
    return head + escaped + armor(signature, "SIGNATURE").encode()


def _canonical_text(text: bytes) -> bytes:
    """Return what the cleartext framework hashes: no white space at line ends, nor the last line end."""
    lines = text.removesuffix(b"\n").split(b"\n")
    return b"\r\n".join(line.rstrip(b" \t\r") for line in lines)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _integer(number: bytes) -> bytes:
    """Return a multiprecision integer (section 3.2)."""
    short = number.lstrip(b"\x00")
    bits = (len(short) - 1) * 8 + short[0].bit_length() if short else 0
    return bits.to_bytes(2) + short


def _packet(tag: int, body: bytes) -> bytes:
    """Return a packet with its header (section 4.2)."""
    size = len(body)
    if size < _ONE_OCTET:
        length = bytes((size,))
    elif size < _TWO_OCTETS:
        high, low = divmod(size - _ONE_OCTET, 256)
        length = bytes((high + _ONE_OCTET, low))
    else:
        length = b"\xff" + size.to_bytes(4)
    return bytes((0xC0 | tag,)) + length + body


def _crc24(data: bytes) -> int:
    """Return the checksum of an armour (section 6.1)."""
    crc = _CRC_INIT
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC_POLY
    return crc & 0xFFFFFF
