"""Blobs in an S3-compatible object store, through obstore.

No name appears before its digest is known: content is hashed on its way into a bounded local folder
and uploaded from there. (Uploading under another name and copying would end at 5 GiB, the most
that S3 copies at once; hashing inside an upload would forbid streams that the same library gives.)
"""

import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from lockgate.core.digests import checked
from lockgate.store.address import loopback, read_secret
from lockgate.store.blobs import FileBlobs
from lockgate.store.errors import (
    BlobMissingError,
    BlobTooLargeError,
    SpoolFullError,
    StoreAddressError,
    StoreIoError,
)
from lockgate.store.ports import BLOB_LIMIT, DiscardingBlobs, HashingReader

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART = 32 << 20
"""Bytes of one part of an upload; S3 takes 10,000 parts."""
PARTS_AT_ONCE = 3
"""Parts that are uploaded at the same time: bounds memory together with `PART`."""
READ_AHEAD = 4 << 20
"""Bytes asked for at a time when a blob is read."""
TIMEOUT = "300s"
CONNECT_TIMEOUT = "10s"
ATTEMPTS = 3
_PARTS_MOST = 9_000


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where an object store is and how to speak to it.

    `key_file` holds the access key's id and its secret in one line, with a colon between.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    key_file: Path


def s3_store(address: S3Address) -> "ObjectStore":
    """Return a bucket of an S3 store. Everything is named: no environment, no metadata service.

    Raises:
        StoreAddressError: Plain HTTP to another machine, or no usable key.

    """
    secure, host = _endpoint(address.endpoint)
    identity, colon, secret = read_secret(address.key_file).partition(":")
    if not (identity and colon and secret):
        what = f"The key file {address.key_file} does not hold an id and a secret with a colon between."
        raise StoreAddressError(what)
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        endpoint=address.endpoint,
        region=address.region,
        access_key_id=identity,
        secret_access_key=secret,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": not secure,
            "timeout": TIMEOUT,
            "connect_timeout": CONNECT_TIMEOUT,
            **({"proxy_excludes": host} if not secure else {}),
        },
        retry_config={"max_retries": ATTEMPTS},
    )


def _endpoint(endpoint: str) -> tuple[bool, str]:
    from urllib.parse import urlsplit  # noqa: PLC0415  # small, and used once

    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query:
        raise StoreAddressError("The endpoint of the object store is not an address like https://host:port.")
    if parts.scheme == "http" and not loopback(host):
        raise StoreAddressError("An object store on another machine is spoken to with https only.")
    return parts.scheme == "https", host


class ObjectBlobs(DiscardingBlobs):
    """Blobs as objects named ``ab/abcdef…``, with a folder of verified local copies.

    Args:
        store: The bucket.
        local: A folder of this machine for content on its way and for copies.
        spool_bytes: Longest content that is stored: what the local folder may take.
        copies_bytes: Length of all local copies together; the longest unused go first.

    """

    def __init__(self, store: "ObjectStore", local: Path, *, spool_bytes: int, copies_bytes: int) -> None:
        """Keep the parts; nothing is asked of the store yet."""
        self._store = store
        self._local = local
        self._copies = FileBlobs(local / "copies")
        self._spool_bytes = spool_bytes
        self._copies_bytes = copies_bytes

    @staticmethod
    def _name(digest: str) -> str:
        return f"{checked(digest)[:2]}/{digest}"

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        """Store the rest of a stream; the store has it on return."""
        reader = HashingReader(stream, min(limit, self._spool_bytes))
        with _translated(), self._spool() as file:
            try:
                file.writelines(reader)
            except BlobTooLargeError as error:
                if limit <= self._spool_bytes:
                    raise
                what = f"The content is longer than {self._spool_bytes} bytes."
                raise SpoolFullError(what, limit="store.spool_bytes") from error
            digest = reader.digest(expected)
            file.seek(0)
            self._upload(digest, file, reader.size)
        return digest, reader.size

    def _upload(self, digest: str, file: BinaryIO, size: int) -> None:
        name = self._name(digest)
        if size <= PART:
            obstore.put(self._store, name, file.read(), use_multipart=False)
            return
        pieces = iter(lambda: file.read(READ_AHEAD), b"")
        part = max(PART, -(-size // _PARTS_MOST))
        obstore.put(
            self._store,
            name,
            pieces,
            use_multipart=True,
            chunk_size=part,
            max_concurrency=PARTS_AT_ONCE,
        )

    @contextmanager
    def _spool(self) -> Iterator[BinaryIO]:
        folder = self._local / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(max_size=READ_AHEAD, dir=str(folder)) as file:
            yield cast("BinaryIO", file)

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the blob's bytes, not re-hashed; ranges are asked for as it is read."""
        name = self._name(digest)
        with _translated(digest):
            facts = obstore.head(self._store, name)
        ranges = _Ranges(self._store, name, digest, facts["size"])
        return io.BufferedReader(ranges, READ_AHEAD)

    def path(self, digest: str) -> Path:
        """Return a local copy, hashed while it was written; later calls give the same copy."""
        if not self._copies.has(digest):
            size = self.size(digest)
            self._make_room(size)
            with self.open(digest) as stream:
                self._copies.put_stream(stream, expected=digest, limit=size)
        path = self._copies.path(digest)
        with suppress(OSError):  # only the order of removal depends on it
            # The kernel's own moment is of some milliseconds (inode(7)), in which many copies are used.
            os.utime(path, ns=(time.time_ns(), time.time_ns()))
        return path

    def _make_room(self, size: int) -> None:
        held = [(self._copies.path(digest), length) for digest, length in self._copies.digests()]
        total = size + sum(length for _, length in held)
        oldest_first = sorted(held, key=lambda each: each[0].stat().st_mtime_ns)
        for path, length in oldest_first:
            if total <= self._copies_bytes:
                return
            path.unlink(missing_ok=True)
            total -= length

    def has(self, digest: str) -> bool:
        """Tell whether the store holds the blob."""
        try:
            self.size(digest)
        except BlobMissingError:
            return False
        return True

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        with _translated(digest):
            return obstore.head(self._store, self._name(digest))["size"]

    def discard(self, digest: str) -> None:
        """Remove a blob and its local copy."""
        with suppress(BlobMissingError), _translated(digest):
            obstore.delete(self._store, self._name(digest))
        self._copies.discard(digest)

    def written(self, digest: str) -> datetime | None:
        """Return when the blob was written last, by the store's clock."""
        try:
            with _translated(digest):
                return obstore.head(self._store, self._name(digest))["last_modified"]
        except BlobMissingError:
            return None

    def sweep(self) -> int:
        """Remove what interrupted local copies left behind."""
        return self._copies.sweep()

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and length of every blob."""
        with _translated():
            for batch in obstore.list(self._store):
                for facts in batch:
                    folder, _, name = facts["path"].rpartition("/")
                    if len(name) == 64 and name[:2] == folder:  # noqa: PLR2004  # a SHA-256
                        yield name, facts["size"]


class _Ranges(io.RawIOBase):
    """Reads an object by ranges; whoever needs one version hashes what was read."""

    def __init__(self, store: "ObjectStore", name: str, digest: str, size: int) -> None:
        self._store, self._object, self._digest = store, name, digest
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # what io hands in has a buffer
        end = min(self._at + len(view), self._size)
        if self._at >= end:
            return 0
        with _translated(self._digest):
            data = bytes(obstore.get_range(self._store, self._object, start=self._at, end=end))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


@contextmanager
def _translated(digest: str = "") -> Iterator[None]:
    """Turn the library's errors and the disk's into the store's own."""
    try:
        yield
    except FileNotFoundError as error:
        if digest:
            raise BlobMissingError("A blob is not held.", digest=digest) from error
        raise StoreIoError("The bucket or the local folder is not there.") from error
    except (BaseError, OSError) as error:
        said = str(error).partition("\n")[0][:300]
        what = f"The object store refused: {said}."
        raise StoreIoError(what) from error
