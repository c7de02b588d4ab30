"""The memory of whoever watches a log from outside: the last checkpoint seen, one file for each log.

A witness and an approver's device keep the same memory. It only moves forward, by proofs, is
written atomically and durably before anything is signed, and is locked against other processes.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lockgate.audit import merkle
from lockgate.audit.checkpoint import Checkpoint
from lockgate.audit.errors import (
    FirstCheckpointError,
    ForkedLogError,
    MemoryUnavailableError,
    ProofError,
    TruncatedLogError,
)
from lockgate.core.artifact import Digest, Size
from lockgate.core.digests import sha256
from lockgate.core.wire import Document, decode, encode
from lockgate.store.blobs import sync_folder

SEEN_FORMAT = "lockgate-seen/1"
SEEN_LIMIT = 4096
"""Longest file of a remembered checkpoint, in bytes."""


class SeenCheckpoint(Document, frozen=True):
    """The last checkpoint of one log, as it is remembered."""

    format: str
    origin: str
    size: Size
    root: Digest


class Memory:
    """What is remembered of one log, while it is held."""

    def __init__(self, file: Path, origin: str) -> None:
        """Read the file; none means that the log was never seen."""
        self._file = file
        self._origin = origin
        self._last = self._read()

    def _read(self) -> SeenCheckpoint | None:
        try:
            with self._file.open("rb") as stream:
                data = stream.read(SEEN_LIMIT + 1)
        except FileNotFoundError:
            return None
        last = decode(SeenCheckpoint, data, limit=SEEN_LIMIT, name="remembered checkpoint")
        if last.format != SEEN_FORMAT or last.origin != self._origin:
            what = f"{self._file.name} does not remember the log {self._origin!r}."
            raise ProofError(what, file=str(self._file))
        return last

    @property
    def known(self) -> bool:
        """Tell whether the log was seen before."""
        return self._last is not None

    @property
    def size(self) -> int:
        """Return the size seen last; 0 when the log was never seen."""
        return self._last.size if self._last else 0

    @property
    def root(self) -> bytes:
        """Return the root seen last; the empty tree's when the log was never seen."""
        return bytes.fromhex(self._last.root) if self._last else merkle.EMPTY

    def demand_known(self, *, first: bool) -> None:
        """Refuse a log that was never seen, unless somebody said that it is new.

        Raises:
            FirstCheckpointError: Never seen, and `first` is not set.

        """
        if not self.known and not first:
            what = f"No checkpoint of the log {self._origin!r} is remembered here."
            raise FirstCheckpointError(what)

    def demand_continued(self, checkpoint: Checkpoint, path: Sequence[bytes]) -> None:
        """Demand that a checkpoint continues the one seen last.

        Raises:
            TruncatedLogError: It is smaller.
            ForkedLogError: It has the same size and another root.
            ProofError: The proof does not hold.

        """
        if checkpoint.size < self.size:
            what = f"The log shows {checkpoint.size} leaves; {self.size} were seen before."
            raise TruncatedLogError(what, seen=self.size, offered=checkpoint.size)
        if checkpoint.size == self.size and checkpoint.root != self.root:
            what = f"The log shows another root at size {self.size} than was seen before."
            raise ForkedLogError(what, seen=self.root.hex(), offered=checkpoint.root.hex())
        if not merkle.consistency_holds(self.size, checkpoint.size, self.root, checkpoint.root, path):
            what = f"The proof does not show that size {checkpoint.size} continues size {self.size}."
            raise ProofError(what, seen=self.size, offered=checkpoint.size)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint, durably; call it after `demand_continued`.

        Raises:
            MemoryUnavailableError: The disk refused; the old one is remembered.

        """
        fresh = SeenCheckpoint(
            format=SEEN_FORMAT, origin=self._origin, size=checkpoint.size, root=checkpoint.root.hex()
        )
        if fresh == self._last:
            return
        partial = self._file.with_suffix(".partial")
        try:
            with partial.open("wb") as stream:
                stream.write(encode(fresh))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._file)
            sync_folder(self._file.parent)
        except OSError as error:
            what = f"The checkpoint could not be remembered: {error.strerror}."
            raise MemoryUnavailableError(what, file=str(self._file)) from error
        self._last = fresh


class Seen:
    """A folder that remembers the last checkpoint of each log."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when it is first used."""
        self._folder = folder

    @contextmanager
    def open(self, origin: str) -> Iterator[Memory]:
        """Hold the memory of one log; others wait until the block ends.

        Raises:
            MemoryUnavailableError: The folder cannot be used.

        """
        name = sha256(origin.encode())[:32]
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            what = f"The folder {self._folder} cannot be used: {error.strerror}."
            raise MemoryUnavailableError(what) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Memory(self._folder / f"{name}.json", origin)
        finally:
            os.close(lock)
