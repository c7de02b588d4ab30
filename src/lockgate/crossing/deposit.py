"""Writing the files of a payload to quarantine: each is hashed as it is written, long ones side by side.

A file is hashed from its first byte to its last, so that one file keeps one core busy and no more. In a
folder of this machine several long files are therefore written at once. Other stores bound what is on its way
to them file by file, and get one after the other.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock
from typing import BinaryIO, cast

from lockgate.core.ports import Progress
from lockgate.crossing.crew import workers
from lockgate.crossing.errors import TargetMismatchError
from lockgate.crossing.payload import Entry, PayloadReader
from lockgate.crossing.rebuilding import DeltaReading
from lockgate.crossing.standing import of_path
from lockgate.store import BlobStore
from lockgate.store.errors import BlobMismatchError, BlobTooLargeError

LONG = 1 << 22
"""Shortest file, in bytes, that another thread is asked for."""


class Deposit:
    """Writes entries to quarantine."""

    def __init__(
        self, payload: PayloadReader, blobs: BlobStore, progress: Progress, deltas: DeltaReading | None
    ) -> None:
        """Write from a payload into a store; nothing happens yet."""
        self.payload = payload
        self.blobs = blobs
        self.deltas = deltas
        self.progress = progress
        self.fresh: list[str] = []
        """The digests that the store did not hold before."""
        self._failed: dict[int, Exception] = {}
        self._helping: list[tuple[PayloadReader, Future[None]]] = []
        self._lock = Lock()

    def put(self, entries: Sequence[Entry]) -> None:
        """Write the next entries of the payload.

        Raises:
            TargetMismatchError: A file does not hash to what the metadata says.
            BaseFileMissingError, PatchError, PatchLimitError: A delta cannot be rebuilt.
            StoreIoError, CrateIoError: It cannot be read or written.

        Of several entries that fail, the error is that of the first one: those before one that failed are
        finished.
        """
        with ThreadPoolExecutor(workers(), "quarantine") as pool:
            try:
                for place, entry in enumerate(entries):
                    if self._failed:
                        break
                    if self._wants_help(entry):
                        apart = self.payload.fork()
                        self.payload.skip(entry.length)
                        self._helping.append((apart, pool.submit(self._put_apart, place, entry, apart)))
                    else:
                        self._put(place, entry, self.payload)
            except BaseException:  # a signal: whoever sent it does not wait for the end of long files
                for apart, _ in self._helping:
                    apart.abandon()
                raise
        if self._failed:
            raise self._failed[min(self._failed)]

    def _wants_help(self, entry: Entry) -> bool:
        """Tell whether a file is for another thread: it is worth it, and one is free."""
        if entry.kind != "whole" or entry.length < LONG or self.blobs.lies_at(entry.sha256) is None:
            return False
        self._helping = [one for one in self._helping if not one[1].done()]
        return len(self._helping) < workers() - 1

    def _put_apart(self, place: int, entry: Entry, payload: PayloadReader) -> None:
        with payload:
            self._put(place, entry, payload)

    def _put(self, place: int, entry: Entry, payload: PayloadReader) -> None:
        """Write one entry, which lies where the payload is read; keep the error that it meets."""
        try:
            with self.payload.places.judging(), of_path(entry.path):
                self._write(
                    entry, cast("BinaryIO", payload.body(entry))
                )  # it has the methods that stores use
        except Exception as error:  # noqa: BLE001  # raised by `put`
            self._failed[place] = error

    def _write(self, entry: Entry, body: BinaryIO) -> None:
        held = self.blobs.has(entry.sha256)
        content = nullcontext(body) if self.deltas is None else self.deltas.content(entry, body)
        try:
            with content as stream:
                self.blobs.put_stream(stream, expected=entry.sha256, limit=entry.size)
        except (BlobMismatchError, BlobTooLargeError) as error:
            what = f"{entry.path} does not hash to what the signed metadata says."
            raise TargetMismatchError(what, path=entry.path, sha256=entry.sha256) from error
        if not held:
            self.fresh.append(entry.sha256)
        with self._lock:
            self.progress.advance(entry.size)
