"""The two ports of the store: bytes by digest, and records by collection and key."""

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from lockgate.core.digests import CHUNK, checked, sha256
from lockgate.store.errors import BlobMismatchError, BlobTooLargeError, RecordKeyError, altered
from lockgate.store.marks import ContentCheck, DigestCheck

BLOB_LIMIT = 1 << 43
"""Longest blob where the caller names no other bound: 8 TiB."""

READ_LIMIT = 1 << 28
"""Longest blob that is read into memory where the caller names no other bound."""

COLLECTION_LIMIT = 64
"""Longest name of a collection, in characters (ASCII)."""
KEY_LIMIT = 1024
"""Longest key of a record, in bytes of UTF-8."""


def checked_key(collection: str, key: str) -> bytes:
    """Return a record's key as UTF-8 when it and its collection are within bounds.

    Raises:
        RecordKeyError: Over-long, empty (the collection), or not to be encoded.

    """
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        what = "The key of a record has characters that UTF-8 does not know."
        raise RecordKeyError(what, collection=collection) from None
    named = collection.isascii() and collection.isprintable() and 0 < len(collection) <= COLLECTION_LIMIT
    if not named or len(raw) > KEY_LIMIT:
        what = f"A collection has 1 to {COLLECTION_LIMIT} plain characters, a key at most {KEY_LIMIT} bytes."
        raise RecordKeyError(what, collection=collection[:COLLECTION_LIMIT])
    return raw


class HashingReader:
    """Reads a stream in pieces, hashing and counting, and stops at a bound."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        """Start at the stream's present position."""
        self._stream = stream
        self._limit = limit
        self._state = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces.

        Raises:
            BlobTooLargeError: More bytes than the bound.

        """
        while piece := self._stream.read(CHUNK):
            self.size += len(piece)
            if self.size > self._limit:
                what = f"The content is longer than {self._limit} bytes."
                raise BlobTooLargeError(what, limit="blob_bytes")
            self._state.update(piece)
            yield piece

    def digest(self, expected: str | None) -> str:
        """Return the digest of what was read, and demand the expected one.

        Raises:
            BlobMismatchError: Another digest.

        """
        found = self._state.hexdigest()
        if expected is not None and found != expected:
            raise BlobMismatchError(
                "The content does not hash to its digest.", expected=expected, found=found
            )
        return found


class BlobStore(ABC):
    """Whole blobs by their SHA-256. What is stored was hashed while it was written."""

    @abstractmethod
    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        """Store the rest of a stream; durable on return.

        Returns:
            Digest and length in bytes.

        Raises:
            BlobMismatchError: Not the expected digest; nothing is stored.
            BlobTooLargeError: Longer than `limit`; nothing is stored.
            StoreIoError: The disk refused; nothing is stored.

        """

    @abstractmethod
    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the blob's bytes, not re-hashed.

        Raises:
            BlobMissingError: Not held.

        """

    @abstractmethod
    def path(self, digest: str) -> Path:
        """Return a file with the blob's bytes (for readers that need a path).

        Raises:
            BlobMissingError: Not held.

        """

    @abstractmethod
    def has(self, digest: str) -> bool:
        """Tell whether the blob is held."""

    @abstractmethod
    def size(self, digest: str) -> int:
        """Return the blob's length in bytes.

        Raises:
            BlobMissingError: Not held.

        """

    @abstractmethod
    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and length in bytes of every blob that is held, in no order.

        Raises:
            StoreIoError: The store cannot be listed.

        """

    def check(self, digest: str) -> ContentCheck:
        """Return what judges the blob's bytes while they are read: by digest, or by a mark of the store.

        Raises:
            StoreIoError: What the store noted cannot be read.

        """
        return DigestCheck(checked(digest))

    def sweep(self) -> int:
        """Remove what interrupted writes of dead processes left behind; return how many."""
        return 0

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> str:
        """Store bytes and return their digest; see `put_stream`."""
        return self.put_stream(io.BytesIO(data), expected=expected, limit=max(len(data), 1))[0]

    def put_all(self, contents: "Iterable[tuple[str, bytes]]") -> None:
        """Store many short contents by their digests; all of them are durable on return.

        Raises:
            BlobMismatchError, StoreIoError: As `put_stream`; some of them may be stored.

        """
        for digest, data in contents:
            self.put_bytes(data, expected=digest)

    def copy_all(self, source: "BlobStore", digests: Iterable[str]) -> None:
        """Store blobs of another store, hashing them; all of them are durable on return.

        Raises:
            BlobMissingError: The other store lacks one.
            BlobMismatchError, StoreIoError: As `put_stream`; some of them may be stored.

        """
        for digest in digests:
            with source.open(digest) as stream:
                self.put_stream(stream, expected=digest)

    def read(self, digest: str, *, limit: int = READ_LIMIT) -> bytes:
        """Return a blob's bytes after hashing them again.

        Raises:
            BlobMissingError: Not held.
            BlobTooLargeError: Longer than `limit` bytes.
            BlobMismatchError: The stored bytes were altered.

        """
        with self.open(checked(digest)) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            what = f"The blob is longer than {limit} bytes."
            raise BlobTooLargeError(what, limit="blob_bytes", digest=digest)
        if sha256(data) != digest:
            raise altered(digest, self.lies_at(digest))
        return data

    def lies_at(self, digest: str) -> Path | None:
        """Return the file that holds a blob, for an error to name; None where it is no local file."""
        del digest
        return None


class DiscardingBlobs(BlobStore):
    """A store of which blobs can be taken back: by who fills quarantine, and by garbage collection."""

    @abstractmethod
    def written(self, digest: str) -> datetime | None:
        """Return when the blob was written last, or None when it is not held.

        Raises:
            StoreIoError: The store cannot be asked.

        """

    @abstractmethod
    def discard(self, digest: str) -> None:
        """Remove a blob; absent ones are no fault.

        Raises:
            StoreIoError: The disk refused.

        """


class Transaction(ABC):
    """Reads and writes that take effect together or not at all."""

    @abstractmethod
    def get(self, collection: str, key: str) -> bytes | None:
        """Return a record's value, or None."""

    @abstractmethod
    def put(self, collection: str, key: str, value: bytes) -> None:
        """Write a record, new or not."""

    @abstractmethod
    def insert(self, collection: str, key: str, value: bytes) -> None:
        """Write a record that must be new.

        Raises:
            RecordExistsError: It is there.

        """

    def insert_all(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """Write records (collection, key, value) that must not exist yet; many cost little more than one.

        Raises:
            RecordExistsError: One exists; the transaction is not to be committed.

        """
        for collection, key, value in rows:
            self.insert(collection, key, value)

    @abstractmethod
    def swap(self, collection: str, key: str, old: bytes | None, new: bytes) -> None:
        """Replace a record only if it still has the value `old` (None: is absent).

        Raises:
            StaleRecordError: It has another value.

        """

    @abstractmethod
    def delete(self, collection: str, key: str) -> None:
        """Remove a record; absent ones are no fault."""

    @abstractmethod
    def scan(self, collection: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, bytes]]:
        """Yield the records whose keys begin with a prefix, in the order of their UTF-8 bytes.

        With `after` only those whose keys come after it: so many records are gone through in several
        transactions. Changing the records that were given, on the way, is allowed.
        """

    @abstractmethod
    def collections(self) -> list[str]:
        """Return the names of all collections that hold a record, sorted."""


class Records(ABC):
    """Records in collections, changed in transactions that are serial."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction; it commits, durably, when the block ends without an error."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
