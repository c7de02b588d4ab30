"""Signs a kit with one Ed25519 key, twice: raw for OpenSSL, and as OpenPGP for gpgv.

Both are deterministic, so the same files and the same key give the same bytes. The OpenPGP forms are
RFC 9580: version 4 keys (5.5.2), version 4 signatures (5.2.3), EdDSALegacy. The moments in them
are constants: the key's fingerprint then depends on the key alone, and a kit carries no clock's time.
"""  # noqa: INP001  # scripts are no package

import hashlib
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

CREATED = 0x5E0BE100  # 2020-01-01T00:00:00Z; verify.sh writes the same
USER = b"Lockgate kit"
SIGNATURE = 2  # packet tag
OVER_BYTES, OVER_KEY = 0x00, 0x13
EDDSA, SHA512 = 22, 10
CURVE = bytes.fromhex("092b06010401da470f01")  # length and object identifier of Ed25519Legacy
MAY_SIGN = b"\x02\x1b\x03"
LONGEST = 191  # one octet of length


@dataclass(frozen=True, slots=True)
class Signatures:
    """What lies beside ``SHA256SUMS``: raw signature, OpenPGP signature."""

    raw: bytes
    openpgp: bytes


def _packet(tag: int, body: bytes) -> bytes:
    if len(body) > LONGEST:
        message = f"packet {tag} is {len(body)} bytes long; verify.sh reads one octet of length"
        raise ValueError(message)
    return bytes((0xC0 | tag, len(body))) + body


def _number(data: bytes) -> bytes:
    """Return a multiprecision integer (RFC 9580, 3.2)."""
    value = int.from_bytes(data, "big")
    return struct.pack(">H", value.bit_length()) + value.to_bytes((value.bit_length() + 7) // 8, "big")


class KitKey:
    """The kit key. Its holder answers for what the first installation runs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Hold a private key."""
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def load(cls, path: Path) -> "KitKey":
        """Read a PKCS #8 file; the passphrase lies beside it (``.pass``)."""
        password = path.with_suffix(".pass")
        phrase = password.read_bytes().strip() if password.exists() else None
        private = load_pem_private_key(path.read_bytes(), phrase)
        if not isinstance(private, Ed25519PrivateKey):
            message = f"{path} is no Ed25519 key"
            raise SystemExit(message)
        return cls(private)

    @staticmethod
    def make(path: Path) -> None:
        """Write a new key and its passphrase, each readable by its owner alone."""
        phrase = secrets.token_urlsafe(24).encode()
        private = Ed25519PrivateKey.generate()
        encryption = BestAvailableEncryption(phrase)
        data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, content in ((path.with_suffix(".pass"), phrase), (path, data)):
            target.touch(mode=0o600, exist_ok=False)
            target.write_bytes(content)

    @property
    def _body(self) -> bytes:
        point = _number(b"\x40" + self.public)
        return b"\x04" + struct.pack(">I", CREATED) + bytes((EDDSA,)) + CURVE + point

    @property
    def _hashed_key(self) -> bytes:
        return b"\x99" + struct.pack(">H", len(self._body)) + self._body

    def _sign(self, kind: int, data: bytes, more: bytes = b"") -> bytes:
        fingerprint = hashlib.sha1(self._hashed_key, usedforsecurity=False).digest()
        subpackets = b"\x16\x21\x04" + fingerprint + b"\x05\x02" + struct.pack(">I", CREATED) + more
        subpackets += b"\x09\x10" + fingerprint[-8:]
        head = bytes((4, kind, EDDSA, SHA512)) + struct.pack(">H", len(subpackets)) + subpackets
        digest = hashlib.sha512(data + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        signed = self._private.sign(digest)
        numbers = _number(signed[:32]) + _number(signed[32:])
        nothing_unsigned = struct.pack(">H", 0)
        return _packet(SIGNATURE, head + nothing_unsigned + digest[:2] + numbers)

    def certificate(self) -> bytes:
        """Return the self-signature that binds the key to its name; gpgv asks for one."""
        name = b"\xb4" + struct.pack(">I", len(USER)) + USER
        return self._sign(OVER_KEY, self._hashed_key + name, MAY_SIGN)

    def sign(self, data: bytes) -> Signatures:
        """Sign the bytes of ``SHA256SUMS``."""
        return Signatures(self._private.sign(data), self._sign(OVER_BYTES, data))
