"""A crate that is arriving: its files in a partial folder, moved into the inbox one by one when whole.

Nothing here looks into a file. What ends up in the inbox is a folder like one that was copied from a
medium, and `lockgate receive` trusts it no more than that.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.diode.errors import DiodeConflictError
from lockgate.crossing.diode.spans import SPANS_LIMIT, Spans
from lockgate.crossing.diode.sums import FileSum
from lockgate.crossing.diode.table import FILE_LIMIT, Table, TableFile
from lockgate.crossing.errors import CrateIoError, NoSpaceError

PARTIAL_FOLDER = ".diode"
STATE_FILE = "state.json"
STATE_LIMIT = 256 * 1024 * 1024
"""Longest state file that is read, in bytes."""

SPARE = 64 * 1024 * 1024
"""Bytes that must stay free beside what is announced."""

OPEN_LIMIT = 16
"""Most files that are open at once."""

SAVE_BYTES = 64 * 1024 * 1024
"""After how many new bytes the state is saved."""

_Offset = Annotated[int, msgspec.Meta(ge=0, le=FILE_LIMIT)]


class _State(Document, frozen=True):
    """What of each file is there, as offsets: from and to in turn."""

    files: tuple[TableFile, ...]
    have: dict[str, tuple[_Offset, ...]]


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn errors of the operating system into our own, naming the file."""
    try:
        yield
    except OSError as error:
        what = f"{name} cannot be written: {error.strerror}."
        raise CrateIoError(what, file=name) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ArrivingFile:
    """One file on its way."""

    def __init__(self, file: TableFile, partial: Path, final: Path, have: Spans) -> None:
        """Begin with what is there.

        Raises:
            DiodeConflictError: The inbox holds something else under the file's name.

        """
        self.name = file.name
        self.size = file.size
        self.have = have
        self.whole = os.path.lexists(final)
        if self.whole and not (S_ISREG(final.lstat().st_mode) and final.lstat().st_size == file.size):
            what = f"The inbox holds another {file.name} of this crate than is announced."
            raise DiodeConflictError(what, file=file.name)
        self._partial = partial
        self._final = final
        self._handle = -1
        self._sum: FileSum | None = None
        self._digest = b""

    def write(self, offset: int, content: memoryview, block: int, total: FileSum) -> bool:
        """Write a block; tell whether it is kept in mind.

        Args:
            offset: Where it belongs, in bytes.
            content: Its bytes.
            block: Its number, as the session cuts the file.
            total: What the session's blocks add up to.

        Raises:
            CrateIoError: The disk does not take it.

        """
        with writing(self.name):
            self._open()
            at, left = offset, content
            while left:
                count = os.pwrite(self._handle, left, at)
                at, left = at + count, left[count:]
        self._alone(total).add(block, content)
        return self.have.add(offset, offset + len(content))

    def expect(self, digest: bytes, total: FileSum) -> None:
        """Note what the sender says that the file adds up to, and the session's own sum."""
        self._alone(total)
        self._digest = digest

    def _alone(self, total: FileSum) -> FileSum:
        """Return a session's sum; begun again where another session may have written over its blocks."""
        if total is not self._sum:
            total.forget()
            self._sum, self._digest = total, b""
        return total

    def finish(self) -> bool:
        """Move the file into the inbox if it is whole; tell whether it was moved now.

        A file whose digest is another one is begun again: a part of it came from another sending.

        Raises:
            CrateIoError: The disk fails.

        """
        if self.whole or self._sum is None or not self._digest or not self.have.covers(0, self.size):
            return False
        with writing(self.name):
            self._open()
            if not self._fits(self._sum):
                self._restart(self._sum)
                return False
            os.ftruncate(self._handle, self.size)
            os.fsync(self._handle)
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._partial.rename(self._final)
            sync_folder(self._final.parent)
        self.close()
        self.whole = True
        return True

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> None:
        if self._handle < 0:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(self._partial, flags, 0o600)

    def _fits(self, total: FileSum) -> bool:
        try:
            return total.complete(self._handle) == self._digest
        except EOFError:
            return False

    def _restart(self, total: FileSum) -> None:
        self.have = Spans()
        total.forget()
        os.ftruncate(self._handle, 0)


class Arrival:
    """All files of one crate on their way."""

    def __init__(self, inbox: Path, table: Table, free: Callable[[Path], int]) -> None:
        """Begin, or go on with what an earlier session left.

        Args:
            inbox: Where crates appear.
            table: What is announced.
            free: Tells the free bytes below a folder.

        Raises:
            DiodeConflictError: Other files arrived under the crate's name before.
            NoSpaceError: What is announced does not fit.

        """
        self.crate = table.crate
        self._folder = inbox / PARTIAL_FOLDER / table.crate
        self._final = inbox / table.crate
        have = self._load(table)
        self.files = [
            ArrivingFile(
                file, self._folder / file.name, self._final / file.name, have.get(file.name, Spans())
            )
            for file in table.files
        ]
        self._listed = table.files
        self._unsaved = 0
        self._open: list[int] = []
        self._demand_room(inbox, free)

    def _load(self, table: Table) -> dict[str, Spans]:
        path = self._folder / STATE_FILE
        try:
            state = decode(_State, path.read_bytes(), limit=STATE_LIMIT, name=STATE_FILE)
        except FileNotFoundError:
            return {}
        except LockgateError:
            shutil.rmtree(self._folder)  # cut short by a power cut; what it told of is sent again
            return {}
        if state.files != table.files:
            what = f"{table.crate} is announced with other files than those that arrived before."
            raise DiodeConflictError(what, partial=self._folder.name)
        return {name: Spans(zip(at[::2], at[1::2], strict=False)) for name, at in state.have.items()}

    def _demand_room(self, inbox: Path, free: Callable[[Path], int]) -> None:
        inbox.mkdir(parents=True, exist_ok=True)
        needed = sum(f.size - f.have.total for f in self.files if not f.whole) + SPARE
        if free(inbox) < needed:
            what = f"{self.crate} needs {needed} free bytes in the inbox; {free(inbox)} are free."
            raise NoSpaceError(what, needed=needed)

    def demand_same(self, other: "Arrival") -> "Arrival":
        """Return itself, when another session announces just the same files.

        Raises:
            DiodeConflictError: It announces others.

        """
        if self._listed != other._listed:  # noqa: SLF001  # of the same class
            what = f"Two sessions announce {self.crate} with different files."
            raise DiodeConflictError(what)
        return self

    def write(self, index: int, offset: int, content: memoryview, block: int, total: FileSum) -> None:
        """Write a block of a file; the arguments are those of `ArrivingFile.write`.

        Raises:
            CrateIoError: The disk fails.

        """
        if index not in self._open:
            while len(self._open) >= OPEN_LIMIT:
                self.files[self._open.pop(0)].close()
            self._open.append(index)
        self.files[index].write(offset, content, block, total)
        self._unsaved += len(content)
        if self._unsaved >= SAVE_BYTES:
            self.save()

    def expect(self, index: int, digest: bytes, total: FileSum) -> None:
        """Note what a file adds up to, and move the file into the inbox if that makes it whole."""
        self.files[index].expect(digest, total)
        self.finish(index)

    def finish(self, index: int) -> None:
        """Move a file into the inbox if it is whole."""
        if self.files[index].finish():
            self.save()

    def missing(self) -> tuple[str, ...]:
        """Return the names of the files that are not in the inbox yet."""
        return tuple(file.name for file in self.files if not file.whole)

    def save(self) -> None:
        """Keep in mind on disk what is there; what is not in mind is sent again.

        Raises:
            CrateIoError: The disk fails.

        """
        have = {
            f.name: tuple(at for span in f.have.as_list()[:SPANS_LIMIT] for at in span)
            for f in self.files
            if not f.whole and f.have.total
        }
        with writing(STATE_FILE):
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f"{STATE_FILE}.new"
            draft.write_bytes(encode(_State(files=self._listed, have=have)))
            draft.replace(self._folder / STATE_FILE)
        self._unsaved = 0

    def close(self) -> None:
        """Close all files, and forget a crate that is whole.

        Raises:
            CrateIoError: The disk fails.

        """
        for file in self.files:
            file.close()
        if self.missing():
            self.save()
        elif self._folder.exists():
            with writing(self._folder.name):
                shutil.rmtree(self._folder)
