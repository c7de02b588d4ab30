"""Files of a delta crate on the high side: taken from what is held, or rebuilt and hashed again."""

import hashlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import structlog

from lockgate.core.artifact import Lock
from lockgate.core.digests import CHUNK, sha256_stream
from lockgate.core.wire import decode, encode
from lockgate.crossing.delta.worker import RebuildArgs, rebuild_entry
from lockgate.crossing.errors import BaseFileMissingError, CrateIoError, TargetMismatchError
from lockgate.crossing.payload import LOCK, Entry
from lockgate.crossing.ports import Ledger, Rebuilder
from lockgate.store import BlobStore

PATCH_FILE = ".patch"
"""Name of the patch that is being applied, in the staging folder."""

_LOCK_LIMIT = 64 * 1024 * 1024


class HeldBases:
    """The files of the crossings that a crate builds on. Each is hashed again before its first use."""

    def __init__(self, stores: Sequence[BlobStore], permitted: Collection[str]) -> None:
        """Look into stores in their order, for permitted digests only."""
        self._stores = stores
        self._permitted = permitted
        self._good: dict[str, Path] = {}

    def path(self, digest: str) -> Path:
        """Return a file whose bytes hash to a digest.

        Raises:
            BaseFileMissingError: No crossing that the crate names carried it, or it is not here unaltered.

        """
        if digest not in self._permitted:
            what = "A patch builds on a file that none of the crossings named by the crate carried."
            raise BaseFileMissingError(what, sha256=digest)
        if digest not in self._good:
            self._good[digest] = self._find(digest)
        return self._good[digest]

    def _find(self, digest: str) -> Path:
        for store in self._stores:
            if store.has(digest):
                path = store.path(digest)
                with path.open("rb") as stream:
                    if sha256_stream(stream)[0] == digest:
                        return path
        what = "A file that the crate builds on is not held here any more, or was altered."
        raise BaseFileMissingError(what, sha256=digest)


def permitted_bases(ledger: Ledger, documents: BlobStore, numbers: Collection[int]) -> frozenset[str]:
    """Return the digests of all files that some crossings carried, by their locks.

    Raises:
        BaseFileMissingError: A crossing's lock is not held.

    """
    found = set[str]()
    for number in numbers:
        held = ledger.held(number)
        if held is None or LOCK not in held.meta:
            what = f"Nothing is held of crossing {number}."
            raise BaseFileMissingError(what, crossing=number, field=f"$.bases.{number}")
        lock = decode(
            Lock, documents.read(held.meta[LOCK], limit=_LOCK_LIMIT), limit=_LOCK_LIMIT, name="lock"
        )
        found.update(file.sha256 for artifact in lock.artifacts for file in artifact.files)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class DeltaReading:
    """What reading a delta crate needs: held files, who rebuilds, a folder for patches, room on the disk."""

    bases: HeldBases
    rebuilder: Rebuilder
    folder: Path
    demand_space: Callable[[int], None]

    @contextmanager
    def content(self, entry: Entry, body: BinaryIO) -> Iterator[BinaryIO]:
        """Give an entry's content as a stream, whatever its kind.

        Raises:
            BaseFileMissingError: What it builds on is not held.
            TargetMismatchError: The patch is not the one that the index names.
            PatchError, PatchLimitError: The patch is refused.

        """
        if entry.kind == "same":
            with self.bases.path(entry.sha256).open("rb") as stream:
                yield stream
        elif entry.kind == "patch":
            yield from self._rebuilt(entry, body)
        else:
            yield body

    def _rebuilt(self, entry: Entry, body: BinaryIO) -> Iterator[BinaryIO]:
        bases = {digest: self.bases.path(digest) for digest in entry.builds_on}
        patch = self.folder / PATCH_FILE
        try:
            _keep(body, patch, entry)
            with self.rebuilder.rebuild(patch, bases, entry.size) as stream:
                yield stream
        finally:
            patch.unlink(missing_ok=True)


def _keep(body: BinaryIO, path: Path, entry: Entry) -> None:
    state = hashlib.sha256()
    try:
        with path.open("wb") as file:
            while data := body.read(CHUNK):
                state.update(data)
                file.write(data)
    except OSError as error:
        what = f"A patch cannot be staged: {error.strerror}."
        raise CrateIoError(what, file=str(path)) from error
    if state.hexdigest() != entry.body_sha256:
        what = f"The patch of {entry.path} does not hash to what the index says."
        raise TargetMismatchError(what, path=entry.path, sha256=entry.body_sha256)


class Parts(io.RawIOBase):
    """Parts of bytes as a stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        """Begin with the first part."""
        self._parts = parts
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes, with none at the end."""
        while not self._held:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._held = memoryview(part)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


class InsecureInProcessRebuilder(Rebuilder):
    """Rebuilds in this very process: whatever a patch breaks, it breaks here. For tests and benchmarks."""

    def __init__(self) -> None:
        """Say loudly that there is no sandbox."""
        log = structlog.get_logger("lockgate.crossing")
        log.warning("insecure_rebuilder", reason="patches are applied without isolation")

    @contextmanager
    def rebuild(self, patch: Path, bases: Mapping[str, Path], size: int) -> Iterator[BinaryIO]:
        """Give a stream of the file that a patch describes."""
        files = [path.open("rb", buffering=0) for path in bases.values()]
        given = tuple((digest, file.fileno()) for digest, file in zip(bases, files, strict=True))
        try:
            args = encode(RebuildArgs(size, given))
            yield cast("BinaryIO", Parts(rebuild_entry(memoryview(patch.read_bytes()), args)))
        finally:
            for file in files:
                file.close()
