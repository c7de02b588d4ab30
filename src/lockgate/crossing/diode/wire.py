"""The packets of a diode: header, payload, tag (docs/formats/diode-v1.md).

All numbers are big-endian. The tag is GMAC (NIST SP 800-38D: AES-256-GCM of nothing) over everything
before it, under a key that belongs to the session; the nonce is a part of the header that never repeats
in a session. The tag keeps noise and floods out. It proves no origin: both ends hold the same key, and
what arrives is as untrusted as a crate on a medium.
"""

import enum
import hmac
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lockgate.core.ports import Entropy

DIODE_FORMAT = "lockgate-diode/1"
MAGIC = b"LGD1"
KEY_SIZE = 32
NAME_SIZE = 16
PROOF_SIZE = 8
SESSION_SIZE = NAME_SIZE + PROOF_SIZE
TAG_SIZE = 16

HEADER = struct.Struct(f">4s{SESSION_SIZE}sQBBBBIIQ")
"""Magic, session, packet number, kind, shard, data shards, parity shards, stream, block, stream length."""

HEADER_SIZE = HEADER.size
_FRONT = struct.Struct(f">4s{SESSION_SIZE}sQBB18s")
_REST = struct.Struct(">BBIIQ")
NONCE = slice(4 + SESSION_SIZE, 4 + SESSION_SIZE + 12)
"""The part of the header that is the nonce: packet number, kind, shard and the block's shape."""

_PLACE = struct.Struct(">IQ")
"""Stream and block: the nonce of a mark."""

MARK_SIZE = 16
"""Length of a mark, in bytes."""

_TAG, _TAGGED = slice(-TAG_SIZE, None), slice(None, -TAG_SIZE)
PAYLOAD = slice(HEADER_SIZE, -TAG_SIZE)
"""The parts of a packet."""

OVERHEAD = HEADER_SIZE + TAG_SIZE
MAGIC_AND_SESSION = 4 + SESSION_SIZE

IP_UDP = {4: 28, 6: 48}
"""Bytes of IP and UDP headers of a packet, by version of IP."""

TABLE_STREAM = 0
NUMBERS_LIMIT = 1 << 62
"""Most packets of a session."""


class Kind(enum.IntEnum):
    """What a packet is for."""

    DATA = 1
    TABLE = 2
    DIGEST = 3
    END = 4
    FILLER = 5


Front = tuple[bytes, bytes, int, int, int, bytes]
"""Of a packet's header: magic, session, number, kind, shard from 0 over data and parity, and the place."""


def read_front(packet: memoryview) -> Front:
    """Return the front of a packet that is at least as long as a header."""
    return _FRONT.unpack_from(packet)


class Place(NamedTuple):
    """The rest of a header, the same in all packets of a block: its shape and where it belongs.

    `length` counts the whole stream in bytes.
    """

    data: int
    parity: int
    stream: int
    block: int
    length: int


def read_place(place: bytes) -> Place:
    """Return what a front holds of its block."""
    return Place._make(_REST.unpack(place))


Tagging = tuple[memoryview, memoryview, memoryview]
"""Of a packet: its nonce, what is tagged, and the tag."""

Packet = tuple[memoryview, memoryview, memoryview, memoryview, memoryview]
"""The whole packet, then as `Tagging`, then its payload; a plain tuple is taken apart fastest.

Of a packet shorter than `OVERHEAD` only the first part means anything.
"""


def tagging(packet: memoryview) -> Tagging:
    """Return what a packet is tagged by."""
    return packet[NONCE], packet[_TAGGED], packet[_TAG]


def taken_apart(packet: memoryview) -> Packet:
    """Return a packet and its parts."""
    return packet, packet[NONCE], packet[_TAGGED], packet[_TAG], packet[PAYLOAD]


def _derive(key: bytes, salt: bytes | None, use: str) -> bytes:
    info = f"{DIODE_FORMAT} {use}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=info).derive(key)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The keys of one session: makes and checks tags of packets and marks of content."""

    session: bytes
    _cipher: AESGCM
    _contents: AESGCM
    _marks: bytes

    def tag(self, packets: Iterable[Tagging]) -> None:
        """Write the tags into the last bytes of packets."""
        encrypt = self._cipher.encrypt_into
        for nonce, tagged, tag in packets:
            encrypt(nonce, b"", tagged, tag)

    @property
    def check(self) -> Callable[[memoryview, memoryview, memoryview], bytes]:
        """Return what raises `InvalidTag` for nonce, tag and tagged part of a packet that is not genuine."""
        return self._cipher.decrypt

    def genuine(self, packet: Packet) -> bool:
        """Tell whether a packet has the right tag."""
        _, nonce, tagged, tag, _ = packet
        try:
            self.check(nonce, tag, tagged)
        except InvalidTag:
            return False
        return True

    def mark(self, stream: int, block: int, content: memoryview) -> int:
        """Return the mark of a block's content as a number: HMAC-SHA256 of its place and its GMAC.

        It stays at both ends; a packet holds nothing but the sum of a file's marks. The HMAC is what keeps
        changes of two blocks from cancelling out in the sum: GMAC is linear in the content.
        """
        place = _PLACE.pack(stream, block)
        short = self._contents.encrypt(place, b"", content)
        return int.from_bytes(hmac.digest(self._marks, place + short, "sha256")[:MARK_SIZE])


class DiodeKey:
    """The key that both ends share."""

    def __init__(self, key: bytes) -> None:
        """Derive from the bytes of the key file."""
        self._key = key
        self._filter = _derive(key, None, "sessions")

    def new_session(self, entropy: Entropy) -> SessionKey:
        """Return the key of a session that was never before."""
        name = entropy(NAME_SIZE)
        return self._session(name + self._proof(name))

    def session(self, session: bytes) -> SessionKey | None:
        """Return the key of a session that a packet names, or None if nobody with the key named it.

        Costs one HMAC for a forged name, so that a flood of new names stays cheap.
        """
        name, proof = session[:NAME_SIZE], session[NAME_SIZE:]
        return self._session(session) if hmac.compare_digest(self._proof(name), proof) else None

    def _proof(self, name: bytes) -> bytes:
        return hmac.digest(self._filter, name, "sha256")[:PROOF_SIZE]

    def _session(self, session: bytes) -> SessionKey:
        shards, contents, marks = (
            _derive(self._key, session[:NAME_SIZE], use) for use in ("shards", "contents", "marks")
        )
        return SessionKey(session, AESGCM(shards), AESGCM(contents), marks)
