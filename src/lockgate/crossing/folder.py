"""Reading a crate's folder from a medium: regular files of the grammar only, bounded, no links."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, Self

from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.crossing.errors import CrateGrammarError, CrateIoError, NotACrateError
from lockgate.crossing.format import (
    CRATE_FILE,
    PARITY_NAME,
    ROOT_NAME,
    ROOTS_FOLDER,
    SHARDS_FILE,
    VOLUME_NAME,
    VOLUMES_LIMIT,
    is_folder_name,
)
from lockgate.trust.roots import CHAIN_LIMIT

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def naming(file: str, length: int | None = None) -> Iterator[None]:
    """Name a file of the crate in every error of ours that passes, unless it names one already.

    Args:
        file: Its name.
        length: Its length in bytes, where its bytes are what is judged: a document is judged as a whole,
            so that is the range that the error names.

    """
    try:
        yield
    except LockgateError as error:
        if "file" not in error.where:
            error.where |= {"file": file} if length is None else {"file": file, "offset": 0, "length": length}
        raise


@contextmanager
def reading(file: str) -> Iterator[None]:
    """Turn errors of the operating system into our own, naming the file."""
    try:
        yield
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}."
        raise CrateIoError(what, file=file) from error


class SealedFile(Protocol):
    """A volume that is read shard by shard: from a medium, or rebuilt in part from parity."""

    name: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from an offset; fewer only at the end of the file."""

    def fill(self, target: memoryview, offset: int) -> bool:
        """Fill a buffer with the bytes from an offset; tell whether there were enough."""


class CrateSource(Protocol):
    """The folder of a crate that is only read: in a file system, or inside an image."""

    name: str

    def names(self) -> frozenset[str]:
        """Return the names in the folder, all of them of the grammar."""

    def roots(self, limit: int) -> dict[str, bytes]:
        """Return the supply roots that the crate brings, by version, oldest first."""

    def open(self, name: str) -> AbstractContextManager[SealedFile]:
        """Open a regular file."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole small file."""


def read_again(source: CrateSource, name: str, limit: int, digest: str) -> bytes:
    """Return a small file whose bytes were judged before, and have to be the same.

    Args:
        source: The crate's folder.
        name: The file's name.
        limit: Most bytes that are read.
        digest: SHA-256 of what was judged.

    Raises:
        CrateIoError: The medium gives other bytes now.
        CrateGrammarError: Longer than the bound, or no regular file any more.

    """
    data = source.read(name, limit)
    if sha256(data) != digest:
        what = f"{name} reads otherwise than a moment ago."
        advice = "The medium gives other bytes each time. Copy the crate from another one."
        raise CrateIoError(what, advice=advice, file=name, offset=0, length=len(data))
    return data


class CrateFile:
    """An open regular file of a crate."""

    def __init__(self, handle: int, name: str) -> None:
        """Take over an open descriptor."""
        self._handle = handle
        self.name = name
        self.size = os.fstat(handle).st_size

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._handle)

    def fileno(self) -> int:
        """Return the descriptor, which is closed with this object."""
        return self._handle

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from an offset; fewer only at the end of the file.

        Raises:
            CrateIoError: The medium does not give them.

        """
        parts = []
        with reading(self.name):
            while length and (data := os.pread(self._handle, length, offset)):
                parts.append(data)
                offset += len(data)
                length -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fill(self, target: memoryview, offset: int) -> bool:
        """Fill a buffer with the bytes from an offset; tell whether there were enough.

        Raises:
            CrateIoError: The medium does not give them.

        """
        with reading(self.name):
            while target and (count := os.preadv(self._handle, [target], offset)):
                offset += count
                target = target[count:]
        return not target


class CrateFolder:
    """The folder of a crate, opened once; everything below it is reached through the descriptor."""

    def __init__(self, path: Path) -> None:
        """Open the folder.

        Raises:
            NotACrateError: Not a folder, a link, or not named as crates are.

        """
        self.name = path.name
        if not is_folder_name(path.name):
            what = f"{path.name[:80]!r} is not the name of a crate."
            raise NotACrateError(what)
        try:
            self._handle = os.open(path, _FOLDER_FLAGS)
        except OSError as error:
            what = f"The crate {path.name} cannot be opened: {error.strerror}."
            raise NotACrateError(what) from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._handle)

    def names(self) -> frozenset[str]:
        """Return the names in the folder, all of them of the grammar.

        Raises:
            CrateGrammarError: A foreign name, or one that is not a regular file.
            NotACrateError: No crate.json.

        """
        known = {CRATE_FILE, SHARDS_FILE, ROOTS_FOLDER}
        found = _listing(
            self._handle,
            lambda name: (
                name in known
                or VOLUME_NAME.fullmatch(name) is not None
                or PARITY_NAME.fullmatch(name) is not None
            ),
            2 * VOLUMES_LIMIT + len(known),
            "",
        )
        for needed in sorted(known - found):
            what = f"The crate {self.name} has no {needed}."
            raise NotACrateError(what, file=needed)
        return found

    def roots(self, limit: int) -> dict[str, bytes]:
        """Return the supply roots that the crate brings, by version, oldest first.

        Raises:
            CrateGrammarError: roots/ holds something else, or too much.

        """
        with reading(ROOTS_FOLDER):
            folder = os.open(ROOTS_FOLDER, _FOLDER_FLAGS, dir_fd=self._handle)
        try:
            names = _listing(
                folder, lambda name: ROOT_NAME.fullmatch(name) is not None, CHAIN_LIMIT, f"{ROOTS_FOLDER}/"
            )
            ordered = sorted(names, key=lambda name: int(name.split(".")[0]))
            return {name.split(".")[0]: self.read(f"{ROOTS_FOLDER}/{name}", limit) for name in ordered}
        finally:
            os.close(folder)

    def open(self, name: str) -> CrateFile:
        """Open a regular file.

        Raises:
            CrateGrammarError: A link or a device.
            CrateIoError: It cannot be opened.

        """
        with reading(name):
            handle = os.open(name, _FILE_FLAGS, dir_fd=self._handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise _foreign(name, "is not a regular file")
        return CrateFile(handle, name)

    def open_to_repair(self, name: str) -> int:
        """Return a descriptor that writes to a volume of the crate, which is made where it is missing.

        Raises:
            CrateGrammarError: It is no regular file, or has other names: they would be altered with it.
            OSError: It cannot be written, or is a link.

        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(name, flags, 0o600, dir_fd=self._handle)
        facts = os.fstat(handle)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
            return handle
        os.close(handle)
        what = (
            f"{name} is another file as well (a hard link, or no regular file), which repairing would alter."
        )
        advice = "Write a repaired copy into another folder: `lockgate repair CRATE --into FOLDER`."
        raise CrateGrammarError(what, advice=advice, file=name)

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole small file.

        Raises:
            CrateGrammarError: Longer than `limit` bytes.

        """
        with self.open(name) as file:
            data = file.read(0, limit + 1)
        if len(data) > limit:
            what = f"{name} is longer than {limit} bytes."
            raise CrateGrammarError(what, file=name, offset=limit)
        return data


def _foreign(name: str, why: str) -> CrateGrammarError:
    what = f"{name[:120]!r} {why}."
    return CrateGrammarError(what, file=name[:120])


def _listing(handle: int, allowed: Callable[[str], bool], limit: int, prefix: str) -> frozenset[str]:
    names: set[str] = set()
    with reading(prefix or "the crate's folder"), os.scandir(handle) as entries:
        for entry in entries:
            if not allowed(entry.name):
                raise _foreign(prefix + entry.name, "does not belong to a crate")
            folder = not prefix and entry.name == ROOTS_FOLDER
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            if kind != (stat.S_IFDIR if folder else stat.S_IFREG):
                raise _foreign(prefix + entry.name, "is not a regular file")
            names.add(entry.name)
            if len(names) > limit:
                raise _foreign(prefix + entry.name, "is one file more than a crate may have")
    return frozenset(names)
