"""The cipher of a volume, what its keys are made from, and opening its records as a stream."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Entropy
from lockgate.core.roots import Recipient
from lockgate.core.wire import decode
from lockgate.crossing.errors import (
    CommitmentError,
    HeaderContentError,
    HeaderDamagedError,
    VolumeExtendedError,
    VolumeTruncatedError,
)
from lockgate.crossing.folder import SealedFile, naming
from lockgate.crossing.format import (
    BULK_SUITE,
    CLEARTEXT_SUITE,
    CRATE_FORMAT,
    HEADER_LIMIT,
    KEY_SIZE,
    NONCE_PREFIX,
    RECORD_SIZE,
    TAG_SIZE,
    VOLUME_MAGIC,
    Binding,
    Manifest,
    VolumeEntry,
    VolumeHeader,
    record_length,
)
from lockgate.crossing.ports import Aead, Cipher
from lockgate.crossing.shards import VolumeShards
from lockgate.trust.keys import RecipientKey
from lockgate.trust.sealing import unwrap


def aes_gcm(key: bytes) -> Aead:
    """Return AES-256-GCM under a key (NIST SP 800-38D)."""
    return AESGCM(key)


class Cleartext:
    """Stands where a cipher would in a crate that is not sealed: bytes as they are, then a tag of zeros."""

    def encrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        """Copy the bytes."""
        del nonce, associated_data
        buf[: len(data)], buf[len(data) :] = data, bytes(TAG_SIZE)
        return len(buf)

    def decrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        """Copy the bytes back; `shards.idx` has vouched for them.

        Raises:
            InvalidTag: Something else than zeros follows them.

        """
        del nonce, associated_data
        if data[-TAG_SIZE:] != bytes(TAG_SIZE):
            raise InvalidTag
        buf[:] = data[:-TAG_SIZE]
        return len(buf)


@dataclass(frozen=True, slots=True)
class CrateKeys:
    """What volume keys are made from and for."""

    lane: str
    crate: str
    sealer: str
    recipients: Mapping[str, Recipient]
    entropy: Entropy
    cipher: Cipher = aes_gcm


@dataclass(frozen=True, slots=True)
class VolumeOpening:
    """One volume that is to be opened: what crate.json and shards.idx say of it, and our key."""

    manifest: Manifest
    number: int
    shards: VolumeShards
    key: RecipientKey | None
    cipher: Cipher = aes_gcm

    @property
    def entry(self) -> VolumeEntry:
        """Return the volume's line in crate.json."""
        return self.manifest.volumes[self.number - 1]

    @property
    def binding(self) -> Binding:
        """Return the volume's place."""
        return Binding(self.manifest.lane, self.manifest.crate, self.number)

    def unlock(self, file: SealedFile) -> tuple[Callable[[], Aead], bytes]:
        """Return what makes the volume's cipher, one for each thread, and the beginning of its nonces.

        Raises:
            VolumeTruncatedError, VolumeExtendedError: Another length than crate.json says.
            HeaderDamagedError: The header was altered.
            HeaderContentError, UnwrapError, CommitmentError: The sealer's fault.

        """
        self._demand_length(file)
        return self._key(file)

    def span(self, number: int) -> tuple[int, int]:
        """Return offset and length of a sealed record in bytes."""
        return self._offset(number), record_length(self.entry.plaintext_size, number) + TAG_SIZE

    def _offset(self, number: int) -> int:
        return self.shards.header_size + number * (RECORD_SIZE + TAG_SIZE)

    def _demand_length(self, file: SealedFile) -> None:
        expected = self.entry.size
        if file.size < expected:
            what = f"{file.name} ends {expected - file.size} bytes early."
            raise VolumeTruncatedError(what, file=file.name, offset=file.size, length=expected - file.size)
        if file.size > expected:
            what = f"{file.name} has {file.size - expected} bytes that nobody sealed."
            raise VolumeExtendedError(what, file=file.name, offset=expected, length=file.size - expected)

    def _key(self, file: SealedFile) -> tuple[Callable[[], Aead], bytes]:
        block = file.read(0, self.shards.header_size)
        if hashlib.sha256(block).digest() != self.shards.digest(0):
            what = f"The header of {file.name} was altered."
            raise HeaderDamagedError(what, file=file.name, offset=0, length=self.shards.header_size)
        header = self._header(block, file.name)
        if self.key is None:  # a crate that is not sealed; whether it may be read was judged before
            return Cleartext, bytes.fromhex(header.nonce)
        suite = next(r.suite for r in self.manifest.recipients if r.recipient == self.key.recipient_id)
        info = self.binding.key_info(suite, self.key.recipient_id, self.manifest.sealer.keyid)
        with naming(file.name, self.shards.header_size):
            key = unwrap(_unb64(header.keys[self.key.recipient_id], file.name), self.key, info)
        if len(key) != KEY_SIZE or self.binding.commitment(key) != self.entry.commitment:
            what = f"The key of {file.name} is not the one that crate.json commits to."
            raise CommitmentError(what, file=file.name, offset=0, length=self.shards.header_size)
        return partial(self.cipher, key), bytes.fromhex(header.nonce)

    def _header(self, block: bytes, name: str) -> VolumeHeader:
        start = len(VOLUME_MAGIC) + 4
        size = int.from_bytes(block[len(VOLUME_MAGIC) : start], "big")
        if not block.startswith(VOLUME_MAGIC) or size != len(block) - start:
            what = f"The header of {name} has another form than the format says."
            raise HeaderContentError(what, file=name, offset=0, length=len(block))
        try:
            header = decode(VolumeHeader, block[start:], limit=HEADER_LIMIT, name="volume header")
        except LockgateError as error:
            what = f"The header of {name} is refused: {error.what}"
            raise HeaderContentError(what, file=name, offset=start, length=size) from error
        expected = VolumeHeader(
            format=CRATE_FORMAT,
            lane=self.manifest.lane,
            crate=self.manifest.crate,
            volume=self.number,
            suite=CLEARTEXT_SUITE if self.key is None else BULK_SUITE,
            record_size=RECORD_SIZE,
            nonce="00" * NONCE_PREFIX if self.key is None else header.nonce,
            keys=header.keys,
        )
        listed = {recipient.recipient for recipient in self.manifest.recipients}
        if header != expected or set(header.keys) != listed:
            what = f"The header of {name} is of another volume, crate or lane than crate.json."
            raise HeaderContentError(what, file=name, offset=start, length=size)
        return header


def _unb64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        what = f"A wrapped key in {name} is not base64."
        raise HeaderContentError(what, file=name) from error
