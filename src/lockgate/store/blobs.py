"""Blobs as files, named by their SHA-256, so that they can be sent without copying."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from lockgate.core.digests import checked, sha256
from lockgate.store.batch import SHORT, Batch
from lockgate.store.copying import HashingCopy
from lockgate.store.errors import BlobMissingError, BlobTooLargeError, StoreIoError, altered
from lockgate.store.marks import MARK_SIZE, ContentCheck, Marks
from lockgate.store.ports import BLOB_LIMIT, READ_LIMIT, BlobStore, DiscardingBlobs

_FOLDER = re.compile(r"[0-9a-f]{2}")
_BLOB = re.compile(r"[0-9a-f]{64}")
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP})
"""Errors that say that there is no such file, as `Path.is_file` reads them."""


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mark_of(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.mark")


def _bytes(handle: int, size: int) -> bytes:
    """Return as many bytes as a file had, from where a descriptor stands; fewer where it was cut."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data


class FileBlobs(DiscardingBlobs):
    """A folder of blobs: ``ab/abcdef…``. Writing is atomic: a name appears whole or not at all.

    With a key for marks, each blob gets one beside it (``ab/abcdef….mark``; see `marks`).
    """

    def __init__(self, root: Path, marks: Marks | None = None) -> None:
        """Use a folder; it is made when it is missing.

        Args:
            root: The folder.
            marks: What makes and believes marks; there are none without it.

        """
        self._root = root
        self._incoming = root / "incoming"
        self._marks = marks

    def _file(self, digest: str) -> str:
        return f"{self._root}/{checked(digest)[:2]}/{digest}"

    def _name(self, digest: str) -> Path:
        return Path(self._file(digest))

    def _seen(self, digest: str) -> os.stat_result | None:
        """Return what the file system says of a blob's file; None where it is none, or a link to one."""
        try:
            found = os.lstat(self._file(digest))
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        return found if stat.S_ISREG(found.st_mode) else None

    def _held(self, digest: str) -> Path:
        if not self.has(digest):
            raise BlobMissingError("A blob is not held.", digest=digest)
        return self._name(digest)

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        """Store the rest of a stream; durable on return."""
        marking = self._marks.begin() if self._marks else None
        copy = HashingCopy(stream, limit, marking)
        partial = self._incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            with partial.open("xb", buffering=0) as file:
                copy.into(file.fileno())
                digest = copy.digest(expected)
                os.fsync(file.fileno())
            final = self._name(digest)
            if not final.parent.is_dir():
                final.parent.mkdir(exist_ok=True)
                sync_folder(self._root)
            partial.chmod(0o444)
            partial.replace(final)
            if marking is not None:
                # Not made durable: a mark that a power cut ate or tore is none, and costs a digest.
                partial.write_bytes(marking.mark(digest))
                partial.replace(_mark_of(final))
            sync_folder(final.parent)
        except OSError as error:
            what = f"The store could not write a blob: {error.strerror}."
            raise StoreIoError(what, file=str(partial)) from error
        finally:
            with suppress(OSError):  # what stays is swept later, and must not hide the error
                partial.unlink()
        return digest, copy.size

    def put_all(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Store many short contents; the disk is waited for once for many of them (see `batch`)."""
        with Batch(self._root, self._incoming, self._file, self._marks) as batch:
            for digest, data in contents:
                batch.add(digest, data)

    def copy_all(self, source: BlobStore, digests: Iterable[str]) -> None:
        """Store blobs of another store; the disk is waited for once for many short ones."""
        with Batch(self._root, self._incoming, self._file, self._marks) as batch:
            for digest in digests:
                if source.size(digest) <= SHORT:
                    batch.add(digest, source.read(digest, limit=SHORT))
                else:
                    with source.open(digest) as stream:
                        self.put_stream(stream, expected=digest)

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the blob's bytes, not re-hashed."""
        return self._held(digest).open("rb")

    def read(self, digest: str, *, limit: int = READ_LIMIT) -> bytes:
        """Return a blob's bytes after hashing them again."""
        try:
            handle = os.open(self._file(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise BlobMissingError("A blob is not held.", digest=digest) from error
            raise
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise BlobMissingError("A blob is not held.", digest=digest)
            if found.st_size > limit:
                what = f"The blob is longer than {limit} bytes."
                raise BlobTooLargeError(what, limit="blob_bytes", digest=digest)
            data = _bytes(handle, found.st_size)
        finally:
            os.close(handle)
        if sha256(data) != digest:
            raise altered(digest, self.lies_at(digest))
        return data

    def check(self, digest: str) -> ContentCheck:
        """Return what judges the blob's bytes: a mark of this store's key, or the digest without one."""
        try:
            with _mark_of(self._name(digest)).open("rb") as file:
                mark = file.read(MARK_SIZE + 1)
        except FileNotFoundError:
            mark = b""
        except OSError as error:
            what = f"The store cannot read a mark: {error.strerror}."
            raise StoreIoError(what, digest=digest) from error
        by_mark = self._marks.check(digest, mark) if self._marks and mark else None
        return by_mark or super().check(digest)

    def path(self, digest: str) -> Path:
        """Return the blob's file."""
        return self._held(digest)

    def lies_at(self, digest: str) -> Path | None:
        """Return the blob's file."""
        return self._name(digest)

    def discard(self, digest: str) -> None:
        """Remove a blob."""
        try:
            self._name(digest).unlink(missing_ok=True)
            _mark_of(self._name(digest)).unlink(missing_ok=True)
        except OSError as error:
            what = f"The store could not remove a blob: {error.strerror}."
            raise StoreIoError(what, digest=digest) from error

    def written(self, digest: str) -> datetime | None:
        """Return when the blob was written last."""
        try:
            return datetime.fromtimestamp(self._name(digest).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        except OSError as error:
            what = f"The store cannot be asked for a blob: {error.strerror}."
            raise StoreIoError(what, digest=digest) from error

    def has(self, digest: str) -> bool:
        """Tell whether the blob is held."""
        return self._seen(digest) is not None

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        found = self._seen(digest)
        if found is None:
            raise BlobMissingError("A blob is not held.", digest=digest)
        return found.st_size

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and length of every blob, in the order of the digests."""
        if not self._root.is_dir():
            return
        try:
            for folder in sorted(p for p in self._root.iterdir() if _FOLDER.fullmatch(p.name)):
                for path in sorted(folder.iterdir()):
                    if _BLOB.fullmatch(path.name) and self.has(path.name):
                        yield path.name, path.stat().st_size
        except OSError as error:
            what = f"The store cannot be listed: {error.strerror}."
            raise StoreIoError(what, folder=str(self._root)) from error

    def sweep(self) -> int:
        """Remove what interrupted writes of dead processes left behind; return how many."""
        removed = 0
        for partial in self._incoming.glob("*-*") if self._incoming.is_dir() else ():
            owner = partial.name.split("-")[0]
            if not Path("/proc", owner).exists():
                partial.unlink(missing_ok=True)
                removed += 1
        return removed
