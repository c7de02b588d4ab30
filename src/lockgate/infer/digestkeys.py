"""Keys of receipts' digests, as they lie in a database: encrypted under keys of a file beside it.

A receipt shows its texts as HMAC under a key of its own. Whoever had the database with those keys could try
guesses of short texts; so they are encrypted (AES-256-GCM, NIST SP 800-38D, random nonces of 96 bits) under
one of the file's keys, bound to their receipt. A database or a backup without the file tests no guess.

The newest key of the file encrypts; older ones open until everything is encrypted anew. A key that was kept
by an earlier version, bare, is read as it is.
"""

import base64
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockgate.core.errors import TrustError
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.keys import replace_file
from lockgate.store.ports import Records

FORMAT = "lockgate-receipt-keys/1"
FILE_LIMIT = 64 * 1024
"""Largest file of such keys, in bytes."""

KEYS_LIMIT = 16
"""Most keys in the file: one, and those before it until a rotation ends."""

ROWS = 512
"""How many keys are encrypted anew in one transaction, which gateways wait for."""

KEY = "receipt-key"
"""The collection of keys of receipts' digests."""

_MARK = b"lgrk\x01"
_ID_BYTES, _NONCE_BYTES, _KEY_BYTES = 8, 12, 32


class DigestKeyAlteredError(TrustError):
    """A key of a receipt's digests was altered, or belongs to another receipt."""

    code = "LG-2a04"
    advice = (
        "Somebody wrote to the database of receipts. Bring the receipt back from a backup and look who did."
    )


class RingKey(Document, frozen=True):
    """A key that encrypts others: its id (hex), the key (base64), and when it was made."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    key: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]{43}=$")]
    made: datetime


class _Ring(Document, frozen=True):
    format: str
    keys: Annotated[tuple[RingKey, ...], msgspec.Meta(min_length=1, max_length=KEYS_LIMIT)]


def new_ring_key(clock: Clock, entropy: Entropy) -> RingKey:
    """Return a fresh key."""
    return RingKey(
        id=entropy(_ID_BYTES).hex(), key=base64.b64encode(entropy(_KEY_BYTES)).decode(), made=clock()
    )


class DigestRing:
    """Encrypts and opens keys of digests.

    Args:
        keys: The file's keys, the newest first.
        entropy: Random bytes, for nonces.

    """

    def __init__(self, keys: Sequence[RingKey], entropy: Entropy) -> None:
        """Make the ciphers ready."""
        self.keys = tuple(keys)
        self._ciphers = {bytes.fromhex(k.id): AESGCM(base64.b64decode(k.key, validate=True)) for k in keys}
        self._newest = _MARK + bytes.fromhex(keys[0].id)
        self._seal = self._ciphers[bytes.fromhex(keys[0].id)].encrypt
        self._entropy = entropy

    def seal(self, receipt_id: str, key: bytes) -> bytes:
        """Return a receipt's key as it is kept."""
        return self.seal_each([(receipt_id, key)])[0]

    def seal_each(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Return the keys of several receipts (id, key) as they are kept.

        Their nonces are drawn at once: each draw lets another thread go on, and waits for its turn again.
        """
        drawn, sealed = self._entropy(_NONCE_BYTES * len(keys)), []
        for at, (receipt_id, key) in enumerate(keys):
            nonce = drawn[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
            sealed.append(self._newest + nonce + self._seal(nonce, key, _place(receipt_id)))
        return sealed

    def open(self, receipt_id: str, kept: bytes) -> bytes:
        """Return a receipt's key; empty where the key that opens it is gone, which is as good as erased.

        Raises:
            DigestKeyAlteredError: It was altered, or is another receipt's.

        """
        if not kept.startswith(_MARK):
            return kept
        rest = kept[len(_MARK) :]
        cipher = self._ciphers.get(rest[:_ID_BYTES])
        if cipher is None:
            return b""
        nonce, data = rest[_ID_BYTES : _ID_BYTES + _NONCE_BYTES], rest[_ID_BYTES + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, data, _place(receipt_id))
        except (InvalidTag, ValueError) as error:
            what = f"The key of the receipt {receipt_id}'s digests is not what was kept."
            raise DigestKeyAlteredError(what, receipt=receipt_id) from error

    def newest(self, kept: bytes) -> bool:
        """Tell whether a key is encrypted under the newest of the file's keys."""
        return kept.startswith(self._newest)


def _place(receipt_id: str) -> bytes:
    return b"lockgate receipt key\0" + receipt_id.encode()


class DigestRings(ABC):
    """Where the keys are that encrypt keys of digests. Its methods block."""

    @abstractmethod
    def ring(self) -> DigestRing:
        """Return them as they are now; asked for within a transaction, they do not change before its end."""

    @abstractmethod
    def add(self, key: RingKey) -> None:
        """Let another key encrypt from now on; those before it still open."""

    @abstractmethod
    def drop_older(self) -> int:
        """Forget all keys but the newest; return how many."""


class MemoryRings(DigestRings):
    """Keys in memory: the double of `FileRings`."""

    def __init__(self, clock: Clock, entropy: Entropy = secrets.token_bytes) -> None:
        """Begin with one key."""
        self._ring = DigestRing([new_ring_key(clock, entropy)], entropy)
        self._entropy = entropy

    def ring(self) -> DigestRing:
        """Return the keys."""
        return self._ring

    def add(self, key: RingKey) -> None:
        """Put a key before the others."""
        self._ring = DigestRing((key, *self._ring.keys), self._entropy)

    def drop_older(self) -> int:
        """Forget the others."""
        count = len(self._ring.keys) - 1
        self._ring = DigestRing(self._ring.keys[:1], self._entropy)
        return count


class FileRings(DigestRings):
    """Keys in one canonical file (mode 0600), made when they are first asked for; changes by others are seen.

    Args:
        path: The file.
        clock: The present moment.
        entropy: Random bytes.

    """

    def __init__(self, path: Path, clock: Clock, entropy: Entropy = secrets.token_bytes) -> None:
        """Name the file."""
        self._path = path
        self._clock = clock
        self._entropy = entropy
        self._seen: tuple[tuple[int, int, int], DigestRing] | None = None

    def ring(self) -> DigestRing:
        """Return the keys.

        Raises:
            MalformedDocumentError, NotCanonicalError: The file holds something else.

        """
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._make()
            state = self._path.stat()
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._seen is None or self._seen[0] != seen:
            name = "The file of receipts' keys"
            data = self._path.read_bytes() if state.st_size <= FILE_LIMIT else bytes(FILE_LIMIT + 1)
            document = decode(_Ring, data, limit=FILE_LIMIT, name=name)
            self._seen = seen, DigestRing(document.keys, self._entropy)
        return self._seen[1]

    def add(self, key: RingKey) -> None:
        """Put a key before the others."""
        self._write((key, *self.ring().keys))

    def drop_older(self) -> int:
        """Forget the others."""
        keys = self.ring().keys
        self._write(keys[:1])
        return len(keys) - 1

    def _write(self, keys: tuple[RingKey, ...]) -> None:
        replace_file(self._path, encode(_Ring(format=FORMAT, keys=keys)))
        self._seen = None

    def _make(self) -> None:
        """Make the file, unless another process was quicker: a key that was used is never replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        replace_file(draft, encode(_Ring(format=FORMAT, keys=(new_ring_key(self._clock, self._entropy),))))
        try:
            os.link(draft, self._path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def seal_anew(records: Records, ring: DigestRing) -> int:
    """Encrypt what is bare, or under an older key, under the newest; return how many keys.

    What no key opens stays as it is. Gateways may go on: those that ask for the ring within a transaction use
    the newest from the moment that it is in the file.

    Raises:
        DigestKeyAlteredError: A key was altered; what was encrypted before stays so.

    """
    done, after = 0, ""
    while True:
        with records.transaction() as tx:
            page = list(islice(tx.scan(KEY, after=after), ROWS))
            for name, kept in page:
                if not ring.newest(kept) and (key := ring.open(name, kept)):
                    tx.put(KEY, name, ring.seal(name, key))
                    done += 1
        if len(page) < ROWS:
            return done
        after = page[-1][0]
