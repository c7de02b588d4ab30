"""Where the data sets lie: immutable files by digest, and one small list that says which hold.

The list is replaced in one step after everything that it names is on the disk, so whatever stops
a load, the previous state goes on serving. Two loads at once are kept apart by a lock.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lockgate.advisories.database import FileData
from lockgate.advisories.errors import AdvisoryStoreError, NoAdvisoryDataError
from lockgate.advisories.model import Source
from lockgate.core.digests import sha256_stream
from lockgate.core.wire import Document, decode, encode

STATE_FORMAT = "lockgate-advisories/1"
_STATE_LIMIT = 8 << 20


class State(Document, frozen=True):
    """Which data sets hold."""

    format: str
    sources: tuple[Source, ...]


class Shelf:
    """The data sets of one folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made by the first load."""
        self.folder = folder

    @property
    def _sets(self) -> Path:
        return self.folder / "sets"

    @property
    def _list(self) -> Path:
        return self.folder / "current.json"

    def sources(self) -> tuple[Source, ...]:
        """Return the data sets that hold, none before the first load.

        Raises:
            AdvisoryStoreError: The list cannot be read.
            LockgateError: It is not what this version writes.

        """
        try:
            data = self._list.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            what = f"The list of data sets cannot be read: {error.strerror}."
            raise AdvisoryStoreError(what, file=self._list) from error
        return decode(State, data, limit=_STATE_LIMIT, name="list of data sets").sources

    def open(self) -> FileData:
        """Return the data that holds.

        Raises:
            NoAdvisoryDataError: None is loaded.
            DataSetAlteredError: A file is not what was loaded.

        """
        sources = self.sources()
        if not sources:
            raise NoAdvisoryDataError("No advisory data is loaded.", folder=self.folder)
        return FileData([(source, self._sets / f"{source.sha256}.sqlite") for source in sources])

    @contextmanager
    def loading(self) -> Iterator[Path]:
        """Give a new file to write a data set to, alone; it is gone afterwards unless it was kept."""
        try:
            self._sets.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            what = f"The folder of the advisory data cannot be written: {error.strerror}."
            raise AdvisoryStoreError(what, folder=self.folder) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._sets.glob(".new-*"):
                left.unlink(missing_ok=True)
            file = self._sets / f".new-{os.getpid()}"
            try:
                yield file
            finally:
                file.unlink(missing_ok=True)
        finally:
            os.close(lock)

    def keep(self, file: Path) -> str:
        """Give a finished data set its name and return its digest.

        Raises:
            AdvisoryStoreError: The disk refused.

        """
        try:
            with file.open("r+b") as stream:
                digest, _ = sha256_stream(stream)
                os.fsync(stream.fileno())
            file.chmod(0o444)
            file.replace(self._sets / f"{digest}.sqlite")
            _sync(self._sets)
        except OSError as error:
            what = f"A data set could not be kept: {error.strerror}."
            raise AdvisoryStoreError(what, file=file) from error
        return digest

    def switch(self, sources: Sequence[Source]) -> None:
        """Let these data sets hold from now on, and drop the files of those that do not.

        Raises:
            AdvisoryStoreError: The disk refused; the previous list holds.

        """
        state = State(format=STATE_FORMAT, sources=tuple(sorted(sources, key=lambda s: s.name)))
        partial = self._list.with_name(".current.json")
        try:
            with partial.open("wb") as stream:
                stream.write(encode(state))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._list)
            _sync(self.folder)
        except OSError as error:
            what = f"The list of data sets could not be written: {error.strerror}."
            raise AdvisoryStoreError(what, file=self._list) from error
        used = {f"{source.sha256}.sqlite" for source in sources}
        for file in self._sets.glob("*.sqlite"):
            if file.name not in used:
                with suppress(OSError):  # it only takes space; the next switch tries again
                    file.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
