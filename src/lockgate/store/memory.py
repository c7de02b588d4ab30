"""In-memory doubles of both ports, with the same contract as the adapters."""

import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import BinaryIO

from lockgate.core.digests import checked
from lockgate.core.ports import Clock
from lockgate.store.errors import BlobMissingError, RecordExistsError, StaleRecordError
from lockgate.store.ports import BLOB_LIMIT, DiscardingBlobs, HashingReader, Records, Transaction, checked_key


def _remove(folder: Path, maker: int) -> None:
    """Remove a folder that a process made; a copy of that process (`fork`) leaves it alone."""
    if os.getpid() == maker:
        shutil.rmtree(folder)


class MemoryBlobs(DiscardingBlobs):
    """Blobs in a dictionary; `path` writes a temporary file that lives as long as the store."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty; without a clock everything was written at one moment long ago."""
        self._blobs: dict[str, bytes] = {}
        self._written: dict[str, datetime] = {}
        self._clock = clock or (lambda: datetime.min.replace(tzinfo=UTC))
        self._folder: Path | None = None

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        """Store the rest of a stream."""
        reader = HashingReader(stream, limit)
        data = b"".join(reader)
        digest = reader.digest(expected)
        self._blobs[digest] = data
        self._written[digest] = self._clock()
        return digest, len(data)

    def _get(self, digest: str) -> bytes:
        try:
            return self._blobs[checked(digest)]
        except KeyError:
            raise BlobMissingError("A blob is not held.", digest=digest) from None

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the blob's bytes."""
        return io.BytesIO(self._get(digest))

    def path(self, digest: str) -> Path:
        """Return a temporary file with the blob's bytes."""
        data = self._get(digest)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp())
            weakref.finalize(self, _remove, self._folder, os.getpid())
        path = self._folder / digest
        path.write_bytes(data)
        return path

    def discard(self, digest: str) -> None:
        """Remove a blob."""
        self._blobs.pop(checked(digest), None)

    def written(self, digest: str) -> datetime | None:
        """Return when the blob was written last."""
        return self._written.get(digest) if self.has(digest) else None

    def has(self, digest: str) -> bool:
        """Tell whether the blob is held."""
        return checked(digest) in self._blobs

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        return len(self._get(digest))

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and length of every blob."""
        yield from [(digest, len(data)) for digest, data in self._blobs.items()]


class _MemoryTransaction(Transaction):
    def __init__(self, data: dict[tuple[str, str], bytes]) -> None:
        self.data = data

    def get(self, collection: str, key: str) -> bytes | None:
        checked_key(collection, key)
        return self.data.get((collection, key))

    def put(self, collection: str, key: str, value: bytes) -> None:
        checked_key(collection, key)
        self.data[collection, key] = value

    def insert(self, collection: str, key: str, value: bytes) -> None:
        if self.get(collection, key) is not None:
            raise RecordExistsError("A record is there already.", collection=collection, key=key)
        self.data[collection, key] = value

    def swap(self, collection: str, key: str, old: bytes | None, new: bytes) -> None:
        if self.get(collection, key) != old:
            raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)
        self.data[collection, key] = new

    def delete(self, collection: str, key: str) -> None:
        checked_key(collection, key)
        self.data.pop((collection, key), None)

    def scan(self, collection: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, bytes]]:
        checked_key(collection, prefix)
        checked_key(collection, after)
        every = (k for c, k in self.data if c == collection and k.startswith(prefix))
        keys = sorted(key for key in every if not after or key > after)
        yield from ((key, self.data[collection, key]) for key in keys)

    def collections(self) -> list[str]:
        return sorted({collection for collection, _ in self.data})


class MemoryRecords(Records):
    """Records in a dictionary that a failed transaction leaves as it was."""

    def __init__(self) -> None:
        """Begin empty."""
        self._data: dict[tuple[str, str], bytes] = {}
        self._lock = RLock()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction on a copy that replaces the data when the block succeeds."""
        with self._lock:
            work = _MemoryTransaction(dict(self._data))
            yield work
            self._data = work.data

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
