"""Blobs as they are served: opened once, hashed before their first byte leaves, read by descriptor.

A blob is hashed when it is first opened and again whenever its inode, size, or change time
differs from what was hashed. The bytes that leave come from the very descriptor that was
compared, and after every read the change time is compared again: replacing the file, or
writing into it, stops the answer. Where a lease keeps everybody from writing to the file, the kernel
sends the bytes itself (`lease`). Files are not handed to the server by name (ASGI's ``pathsend``),
because the name could stand for another file by then.
"""

import asyncio
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from lockgate.core.digests import sha256_stream
from lockgate.core.errors import TooLargeError
from lockgate.mirror.errors import MissingBlobError, TamperedBlobError
from lockgate.mirror.ports import BlobFiles

CHUNK = 512 * 1024
"""Bytes read and sent at a time."""

PAGE_LIMIT = 64 * 1024 * 1024
"""Longest blob that is read into memory as a whole, in bytes."""

LARGE = 8 * 1024 * 1024
"""Blobs longer than this are hashed by threads of their own, so that others need not wait."""

FINGERPRINT_LIMIT = 65_536
"""How many blobs are remembered as hashed; beyond it the oldest is hashed again when asked for."""

KEPT_PAGE = 4 * 1024 * 1024
"""Longest page that is kept in memory, in bytes."""

KEPT_BYTES = 128 * 1024 * 1024
"""Most bytes of pages that are kept in memory; beyond it the least recently used goes."""

STREAMS = 512
"""How many blobs are sent at a time; more wait."""

_ATTEMPTS = 3
_READERS = 8
_HASHERS = 2

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file is replaced or written to (the change time cannot be set back)."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, descriptor: int) -> "Fingerprint":
        """Return the fingerprint of an open file."""
        facts = os.fstat(descriptor)
        return cls(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


class OpenBlob:
    """An open file whose bytes are compared with a digest before any of them is given away."""

    def __init__(self, digest: str, descriptor: int) -> None:
        """Take over an open descriptor; nothing is compared yet."""
        self.digest = digest
        self._descriptor = descriptor
        self.fingerprint = Fingerprint.of(descriptor)

    def confirm(self) -> None:
        """Hash the open file and remember its fingerprint.

        Putting the same blob into the store once more takes the name from this file, which counts as a
        change of it: a right digest is then looked for again.

        Raises:
            TamperedBlobError: It has another digest, or changed whenever it was hashed.

        """
        for _ in range(_ATTEMPTS):
            before = Fingerprint.of(self._descriptor)
            with os.fdopen(os.dup(self._descriptor), "rb", buffering=0) as file:
                file.seek(0)
                found, _ = sha256_stream(file)
            if found != self.digest:
                break
            if Fingerprint.of(self._descriptor) == before:
                self.fingerprint = before
                return
        raise _tampered(self.digest)

    @property
    def descriptor(self) -> int:
        """Return the descriptor, which stays this object's."""
        return self._descriptor

    @property
    def unchanged(self) -> bool:
        """Tell whether the file is as it was when it was hashed."""
        return Fingerprint.of(self._descriptor) == self.fingerprint

    def read(self, start: int, count: int) -> bytes | None:
        """Return bytes of the blob, or `None` when the file changed since it was hashed."""
        data = os.pread(self._descriptor, count, start)
        return data if self.unchanged and len(data) == count else None

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class VerifiedBlobs:
    """Opens blobs for the server.

    Args:
        files: Where blobs lie.
        refused: Told the digest of each blob that was found altered.
        used: Told the digest of each file that somebody takes from its beginning.

    """

    def __init__(
        self,
        files: BlobFiles,
        refused: Callable[[str], None],
        used: Callable[[str], None] | None = None,
    ) -> None:
        """Start with nothing hashed."""
        self.used = used or _unused
        self._files = files
        self._refused = refused
        self._known: dict[str, Fingerprint] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._pages: OrderedDict[str, bytes] = OrderedDict()
        self._pages_bytes = 0
        self.streams = asyncio.Semaphore(STREAMS)
        self._readers = ThreadPoolExecutor(_READERS, "mirror-read")
        self._hashers = ThreadPoolExecutor(_HASHERS, "mirror-hash")

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._hashers.shutdown(wait=False, cancel_futures=True)

    def present(self, digest: str, size: int) -> None:
        """Demand that the blob is there with its length, without reading it (for HEAD).

        Raises:
            MissingBlobError, TamperedBlobError: It is not.

        """
        os.close(self._descriptor(digest, size))

    async def open(self, digest: str, size: int) -> OpenBlob:
        """Open a blob whose bytes have been compared with its digest; the caller closes it.

        Raises:
            MissingBlobError: It is not in the store, or cannot be read.
            TamperedBlobError: Its bytes or its length are others.

        """
        for _ in range(_ATTEMPTS):
            blob = await _in(self._readers, self._open, digest, size)
            if self._known.get(digest) == blob.fingerprint:
                return blob
            blob.close()
            await self._hashed(digest, size)
        return await self._judged(digest, size)

    async def _judged(self, digest: str, size: int) -> OpenBlob:
        """Open a blob and hash this very file: its name is given to another one again and again."""
        blob = await _in(self._readers, self._open, digest, size)
        try:
            await _in(self._hashers, blob.confirm)
        except BaseException as error:
            blob.close()
            if isinstance(error, TamperedBlobError):
                self._refused(digest)
            raise
        return blob

    async def read(self, digest: str, size: int) -> bytes:
        """Return the whole of a short blob.

        Raises:
            MissingBlobError, TamperedBlobError: As `open`.
            TooLargeError: It is longer than `PAGE_LIMIT`.

        """
        if size > PAGE_LIMIT:
            what = f"A page of {size} bytes is too long to be read; at most {PAGE_LIMIT} are."
            raise TooLargeError(what, limit="PAGE_LIMIT")
        blob = await self.open(digest, size)
        try:
            return await self.part(blob, 0, size)
        finally:
            blob.close()

    def kept(self, digest: str) -> bytes | None:
        """Return a page that is kept in memory: bytes that were hashed when they were read."""
        body = self._pages.get(digest)
        if body is not None:
            self._pages.move_to_end(digest)
        return body

    async def page(self, digest: str, size: int) -> bytes:
        """Return a page, from memory where it is kept, and keep it where it is short.

        Raises:
            MissingBlobError, TamperedBlobError, TooLargeError: As `read`.

        """
        body = self.kept(digest)
        if body is not None:
            return body
        body = await self.read(digest, size)
        if size <= KEPT_PAGE and digest not in self._pages:
            self._pages[digest] = body
            self._pages_bytes += size
            while self._pages_bytes > KEPT_BYTES:
                self._pages_bytes -= len(self._pages.popitem(last=False)[1])
        return body

    async def part(self, blob: OpenBlob, start: int, count: int) -> bytes:
        """Return bytes of an open blob, read by a thread.

        Raises:
            TamperedBlobError: The file changed since it was hashed.

        """
        data = await _in(self._readers, blob.read, start, count)
        if data is None:  # a new link or name counts as a change: look at the bytes again
            try:
                await _in(self._hashers, blob.confirm)
            except TamperedBlobError:
                self._refused(blob.digest)
                raise
            data = await _in(self._readers, blob.read, start, count)
        if data is None:
            raise _tampered(blob.digest)
        return data

    async def _hashed(self, digest: str, size: int) -> None:
        """Hash a blob, once however many ask; goes on when those who asked have left."""
        task = self._running.get(digest)
        if task is None:
            pool = self._hashers if size > LARGE else self._readers
            task = asyncio.ensure_future(_in(pool, self._hash, digest, size))
            self._running[digest] = task
            task.add_done_callback(lambda done: self._finished(digest, done))
        await asyncio.shield(task)

    def _finished(self, digest: str, task: "asyncio.Task[None]") -> None:
        del self._running[digest]
        if not task.cancelled() and isinstance(task.exception(), TamperedBlobError):
            self._refused(digest)

    def _hash(self, digest: str, size: int) -> None:
        blob = self._open(digest, size)
        try:
            blob.confirm()
        finally:
            blob.close()
        self._known[digest] = blob.fingerprint
        while len(self._known) > FINGERPRINT_LIMIT:
            self._known.pop(next(iter(self._known)), None)

    def _open(self, digest: str, size: int) -> OpenBlob:
        return OpenBlob(digest, self._descriptor(digest, size))

    def _descriptor(self, digest: str, size: int) -> int:
        """Open the file of a blob: a regular one, not a link, with the length that was signed."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._files.path(digest), flags)
        except OSError as error:
            what = f"The blob {digest[:12]} cannot be opened."
            raise MissingBlobError(what, digest=digest, reason=error.strerror) from error
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
            os.close(descriptor)
            self._refused(digest)
            raise _tampered(digest)
        return descriptor


async def _in(pool: ThreadPoolExecutor, call: Callable[[*Ts], R], *args: *Ts) -> R:
    return await asyncio.get_running_loop().run_in_executor(pool, call, *args)


def _unused(digest: str) -> None:
    """Count nothing."""
    del digest


def _tampered(digest: str) -> TamperedBlobError:
    return TamperedBlobError(
        f"The blob {digest[:12]} in the store is not what was signed; it is not served.", digest=digest
    )
