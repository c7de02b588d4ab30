"""Copying a stream into a file while another thread hashes it; the memory is used again."""

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import BinaryIO

from lockgate.core.digests import CHUNK
from lockgate.store.errors import BlobMismatchError, BlobTooLargeError
from lockgate.store.marks import Marking

BUFFERS = 4
"""Pieces in memory at once: one is read and written while the others are hashed."""


class HashingCopy:
    """Copies a stream into a descriptor, and knows digest and length of what was written.

    The bytes that are hashed and the bytes that are written are the same bytes of memory. Hashing
    lets go of the interpreter's lock, and so do reading and writing: a long content is copied at
    the speed of the slower of both. A content of one piece is hashed at once, without a thread.
    """

    def __init__(self, stream: BinaryIO, limit: int, marking: Marking | None = None) -> None:
        """Start at the stream's present position; nothing is read yet.

        Args:
            stream: What is copied.
            limit: Most bytes.
            marking: Gets the same bytes, for a mark beside the digest.

        """
        self._fill = _filling(stream)
        self._read = stream.read
        self._limit = limit
        self._state = hashlib.sha256()
        self._marking = marking
        self._free: list[bytearray] = []
        self._hashed: deque[tuple[Future[None], bytearray]] = deque()
        self.size = 0

    def into(self, handle: int) -> None:
        """Write everything that is left of the stream.

        Raises:
            BlobTooLargeError: More bytes than the bound; those above it are not written.
            OSError: The stream or the disk refused.

        """
        with ExitStack() as stack:
            hasher: ThreadPoolExecutor | None = None
            while True:
                buffer = self._buffer()
                piece = self._piece(buffer)
                if not piece:
                    return
                self.size += len(piece)
                if self.size > self._limit:
                    what = f"The content is longer than {self._limit} bytes."
                    raise BlobTooLargeError(what, limit="blob_bytes")
                if hasher is None and len(piece) >= CHUNK:
                    hasher = stack.enter_context(ThreadPoolExecutor(1, "hash"))
                if hasher is None:
                    self._look(piece)
                    self._free.append(buffer)
                else:
                    self._hashed.append((hasher.submit(self._look, piece), buffer))
                _write(handle, piece)

    def _look(self, piece: memoryview) -> None:
        self._state.update(piece)
        if self._marking is not None:
            self._marking.update(piece)

    def _buffer(self) -> bytearray:
        """Return memory that nobody looks at any more."""
        if self._free:
            return self._free.pop()
        if len(self._hashed) < BUFFERS:
            return bytearray(min(CHUNK, self._limit + 1) if self._fill else 0)
        future, buffer = self._hashed.popleft()
        future.result()
        return buffer

    def _piece(self, buffer: bytearray) -> memoryview:
        if self._fill is None:
            return memoryview(self._read(CHUNK))
        view = memoryview(buffer)
        return view[: self._fill(view)]

    def digest(self, expected: str | None) -> str:
        """Return the digest of what was copied, and demand the expected one.

        Raises:
            BlobMismatchError: Another digest.

        """
        found = self._state.hexdigest()
        if expected is not None and found != expected:
            raise BlobMismatchError(
                "The content does not hash to its digest.", expected=expected, found=found
            )
        return found


def _filling(stream: BinaryIO) -> Callable[[memoryview], int] | None:
    """Return how a stream fills a buffer; None when it can only give new bytes with every piece."""
    if getattr(type(stream), "readinto", None) is io.RawIOBase.readinto:
        return None  # not its own: the base class only promises it
    return getattr(stream, "readinto", None)


def _write(handle: int, view: memoryview) -> None:
    while view:
        view = view[os.write(handle, view) :]
