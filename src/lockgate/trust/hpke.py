"""HPKE (RFC 9180), base mode, where the key agreement happens elsewhere: in a token.

`cryptography` has HPKE only for private keys that it holds itself. A token gives the raw shared
secret of ECDH and keeps the key, so the rest stands here: DHKEM(P-256, HKDF-SHA256) and the key
schedule with HKDF-SHA256, for AES-GCM with either key length.
"""

from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.trust.keys import Agreement

ENCAPSULATED = 65
"""Length of an encapsulated P-256 key (uncompressed point) in bytes."""

_KEM = 0x0010
_KDF = 0x0001
_BASE = b"\x00"
_HASH_BYTES = 32
_NONCE_BYTES = 12
_KEM_SUITE = b"KEM" + _KEM.to_bytes(2, "big")


class Aead(Enum):
    """An AEAD of RFC 9180, section 7.3: its number and its key length in bytes."""

    AES_128_GCM = (0x0001, 16)
    AES_256_GCM = (0x0002, 32)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the key schedule yields (RFC 9180, section 5.1)."""

    key: bytes
    base_nonce: bytes
    exporter_secret: bytes


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return HKDF.extract(SHA256(), salt or None, b"HPKE-v1" + suite + label + secret)


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(SHA256(), length, labelled).derive(secret)


def shared_secret(agreed: bytes, encapsulated: bytes, recipient: bytes) -> bytes:
    """Return the KEM's shared secret (RFC 9180, section 4.1, ExtractAndExpand).

    Args:
        agreed: The x-coordinate that ECDH yields, 32 bytes.
        encapsulated: The sender's ephemeral public key, uncompressed.
        recipient: The recipient's public key, uncompressed.

    """
    secret = _extract(_KEM_SUITE, b"", b"eae_prk", agreed)
    return _expand(_KEM_SUITE, secret, b"shared_secret", encapsulated + recipient, _HASH_BYTES)


def key_schedule(shared: bytes, info: bytes, aead: Aead) -> Schedule:
    """Return key, nonce and exporter secret of base mode (RFC 9180, section 5.1)."""
    number, key_bytes = aead.value
    suite = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (_KEM, _KDF, number))
    context = _BASE + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", info)
    secret = _extract(suite, shared, b"secret", b"")
    return Schedule(
        key=_expand(suite, secret, b"key", context, key_bytes),
        base_nonce=_expand(suite, secret, b"base_nonce", context, _NONCE_BYTES),
        exporter_secret=_expand(suite, secret, b"exp", context, _HASH_BYTES),
    )


def open_base(
    sealed: bytes, key: Agreement, info: bytes, *, aead: Aead = Aead.AES_256_GCM, aad: bytes = b""
) -> bytes:
    """Return what was sealed to a key that only agrees (RFC 9180, section 6.1, single shot).

    Args:
        sealed: Encapsulated key, then ciphertext and tag.
        key: The recipient's key.
        info: Binds the ciphertext to its place.
        aead: The cipher of the suite.
        aad: Additional data of the one message.

    Raises:
        ValueError: The encapsulated key is no uncompressed point of the curve.
        InvalidTag: Another recipient, another place, or forged.

    """
    encapsulated, ciphertext = sealed[:ENCAPSULATED], sealed[ENCAPSULATED:]
    if len(encapsulated) != ENCAPSULATED:
        raise ValueError("The encapsulated key is cut short.")
    # Refuses points off the curve before a token computes with one (RFC 9180, section 7.1.4).
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encapsulated)
    recipient = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = shared_secret(key.exchange(ec.ECDH(), peer), encapsulated, recipient)
    schedule = key_schedule(shared, info, aead)
    return AESGCM(schedule.key).decrypt(schedule.base_nonce, ciphertext, aad)
