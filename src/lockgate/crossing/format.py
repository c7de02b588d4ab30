"""Crate format, version 1: its documents, names and bindings (docs/formats/crate-v1.md)."""

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lockgate.core.artifact import Digest, Size
from lockgate.core.wire import Document, Moment, encode

CRATE_FORMAT = "lockgate-crate/1"
CRATE_TYPE = "application/vnd.lockgate.crate+json"
"""DSSE payload type of crate.json."""

CRATE_FILE = "crate.json"
SHARDS_FILE = "shards.idx"
ROOTS_FOLDER = "roots"

RECORD_SIZE = 1 << 20
"""Plaintext bytes of every record but a volume's last."""

TAG_SIZE = 16
NONCE_PREFIX = 7
KEY_SIZE = 32
BULK_SUITE = "AES-256-GCM"
CLEARTEXT_SUITE = "cleartext"
"""Suite of volumes that are signed and not sealed: records are followed by zeros instead of a tag."""

VOLUME_MAGIC = b"LGVOL1\r\n"
FULL = "full"
DELTA = "delta"
NOTHING = "0" * 64
"""Stands where there is no digest to name (first crate, no base)."""

VOLUMES_LIMIT = 9999
"""Most volumes of one crate."""

RECORDS_LIMIT = 1 << 32
"""Most records of one volume: the nonce has 32 bits for their number."""

MANIFEST_LIMIT = 8 * 1024 * 1024
"""Longest crate.json that is read, in bytes."""

HEADER_LIMIT = 64 * 1024
"""Longest volume header that is read, in bytes."""

PARITY_SCHEME = "rs-gf256-cauchy"
"""Reed-Solomon over GF(2^8) with a Cauchy matrix (docs/formats/crate-v1.md, "Parity")."""

RECIPIENTS_LIMIT = 64
"""Most recipients of one crate."""

CROSSING_BASES_LIMIT = 4096
"""Most crossings that one crate may build on."""

VOID_LIMIT = 4096
"""Most skipped numbers that one crate may declare void."""

Hex16 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Number = Annotated[int, msgspec.Meta(ge=1, le=10**6 - 1)]

_FOLDER = re.compile(r"crate-([0-9]{6})-([0-9a-f]{6})")
ROOT_NAME = re.compile(r"([1-9][0-9]{0,6})\.root\.json")
VOLUME_NAME = re.compile(r"vol-[0-9]{4}\.lgv")
PARITY_NAME = re.compile(r"par-[0-9]{4}\.lgv")


class CrateRecipient(Document, frozen=True):
    """A key that the crate is sealed to, by its id, and the suite that wraps volume keys for it."""

    recipient: Digest
    suite: str


class CrateSealer(Document, frozen=True):
    """Who sealed the crate; bound into every wrapped key."""

    keyid: Digest
    person: str


class VolumeEntry(Document, frozen=True):
    """One volume as crate.json lists it. `size` counts the whole file in bytes."""

    name: str
    size: Size
    records: Size
    plaintext_size: Size
    commitment: Digest


class ParityGroup(Document, frozen=True):
    """How many volumes, following those of the group before, share how many parity volumes."""

    volumes: Annotated[int, msgspec.Meta(ge=1, le=254)]
    parity: Annotated[int, msgspec.Meta(ge=1, le=254)]


class ParityEntry(Document, frozen=True):
    """One parity volume as crate.json lists it. `size` counts the whole file in bytes."""

    name: str
    size: Size


class Parity(Document, frozen=True):
    """From what lost volumes are rebuilt: the code, its groups, and the files of all groups in order."""

    scheme: str
    groups: tuple[ParityGroup, ...]
    volumes: tuple[ParityEntry, ...]


class Manifest(Document, frozen=True):
    """The signed content of crate.json.

    `void` maps skipped numbers (decimal text) to the digests of their crates; `roots` maps the
    versions in roots/ to the SHA-256 of the files. `parity` is None in crates without parity
    volumes. A crate of the kind ``delta`` needs the contents of other crossings: `bases` maps their
    numbers (decimal text) to the digests of their crates, and `base_sha256` is the digest of that map.
    In a full crate `bases` is absent and `base_sha256` is zeros. `cleartext` is true in a crate that
    is signed and not sealed, which has no recipients, and absent in others.
    """

    format: str
    lane: str
    sequence: Number
    crate: Hex16
    previous_sha256: Digest
    void: dict[str, Digest]
    kind: str
    base_sha256: Digest
    recipients: tuple[CrateRecipient, ...]
    sealer: CrateSealer
    roots: dict[str, Digest]
    volumes: tuple[VolumeEntry, ...]
    shards_sha256: Digest
    created: Moment
    expires: Moment
    parity: Parity | None = None
    bases: dict[str, Digest] | msgspec.UnsetType = msgspec.UNSET
    cleartext: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def open_to_all(self) -> bool:
        """Tell whether everybody can read the crate: it is signed and not sealed."""
        return self.cleartext is True

    @property
    def needs(self) -> dict[int, str]:
        """Return the crossings whose contents the crate builds on: number to digest of the crate."""
        bases = {} if isinstance(self.bases, msgspec.UnsetType) else self.bases
        return {int(number): digest for number, digest in bases.items()}

    @property
    def plaintext_size(self) -> int:
        """Return the length of the payload in bytes."""
        return sum(volume.plaintext_size for volume in self.volumes)

    @property
    def folder(self) -> str:
        """Return the name of the crate's folder."""
        return folder_name(self.sequence, self.crate)


class VolumeHeader(Document, frozen=True):
    """The JSON part of a volume's header block.

    `nonce` is the volume's nonce prefix (7 bytes, hex); `keys` maps recipient ids to the volume
    key wrapped for them (HPKE encapsulation and ciphertext, base64).
    """

    format: str
    lane: str
    crate: Hex16
    volume: Number
    suite: str
    record_size: int
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{14}\Z")]
    keys: dict[Digest, str]


class _Place(Document, frozen=True):
    """What every binding names: format, lane, crate and volume."""

    format: str
    lane: str
    crate: Hex16
    volume: int


class _KeyPlace(Document, frozen=True):
    """What a wrapped key is bound to."""

    format: str
    use: str
    lane: str
    crate: Hex16
    volume: int
    suite: str
    recipient: Digest
    sealer: Digest


@dataclass(frozen=True, slots=True)
class Binding:
    """The place of one volume; makes the strings that keys and records are bound to."""

    lane: str
    crate: str
    volume: int

    @property
    def aad(self) -> bytes:
        """Return the associated data of every record: format, lane, crate id, volume."""
        place = _Place(format=CRATE_FORMAT, lane=self.lane, crate=self.crate, volume=self.volume)
        return encode(place)

    def key_info(self, suite: str, recipient: str, sealer: str) -> bytes:
        """Return the HPKE `info` under which the volume key is wrapped for a recipient."""
        place = _KeyPlace(
            format=CRATE_FORMAT,
            use="volume key",
            lane=self.lane,
            crate=self.crate,
            volume=self.volume,
            suite=suite,
            recipient=recipient,
            sealer=sealer,
        )
        return encode(place)

    def commitment(self, key: bytes) -> str:
        """Return the HKDF-SHA256 commitment to the volume key (64 hex digits)."""
        info = CRATE_FORMAT.encode() + b" commit" + self.aad
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key).hex()


def nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    """Return a record's nonce: 7 bytes of the volume, 4 bytes of number, 1 byte of whether last."""
    return prefix + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def header_block(header: VolumeHeader) -> bytes:
    """Return the bytes that a volume begins with: magic, length (u32, big-endian), canonical JSON."""
    text = encode(header)
    return VOLUME_MAGIC + len(text).to_bytes(4, "big") + text


def volume_name(number: int) -> str:
    """Return the file name of a volume, counted from 1."""
    return f"vol-{number:04d}.lgv"


def parity_name(number: int) -> str:
    """Return the file name of a parity volume, counted from 1 over all groups."""
    return f"par-{number:04d}.lgv"


def folder_name(sequence: int, crate: str) -> str:
    """Return the name of a crate's folder."""
    return f"crate-{sequence:06d}-{crate[:6]}"


def is_folder_name(name: str) -> bool:
    """Tell whether a folder is named as crates are."""
    return _FOLDER.fullmatch(name) is not None


def root_name(version: int | str) -> str:
    """Return the file name of a supply root version."""
    return f"{version}.root.json"


def record_count(plaintext_size: int) -> int:
    """Return how many records hold that many plaintext bytes."""
    return -(-plaintext_size // RECORD_SIZE)


def record_length(plaintext_size: int, number: int) -> int:
    """Return the plaintext length of a volume's record, counted from 0."""
    return min(RECORD_SIZE, plaintext_size - number * RECORD_SIZE)
