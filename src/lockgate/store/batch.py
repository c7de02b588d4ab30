"""Storing many short blobs: the disk is waited for twice for thousands of them, not twice for each.

All contents are written under names of their own; then the file system is told to make everything durable
(syncfs(2); a few are made so one by one); only then they get their names, and those are made durable in the
same way. So a name still appears whole or not at all, at a power cut too.
"""

import ctypes
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from lockgate.core.digests import sha256
from lockgate.store.errors import BlobMismatchError, StoreIoError
from lockgate.store.marks import Marks

SHORT = 1 << 20
"""Longest blob, in bytes, that is written with others."""

BATCH = 20_000
"""Most blobs that wait for their names."""

FEW = 16
"""How many blobs are made durable one by one, at most: a busy disk has other things to write as well."""


class Batch:
    """Blobs on their way into a folder; leaving the block names them, unless an error does it.

    Args:
        root: The store's folder.
        incoming: Where contents lie that have no name yet.
        name: Returns the file of a digest.
        marks: Makes the mark beside each blob; there are none without it.

    """

    def __init__(self, root: Path, incoming: Path, name: Callable[[str], str], marks: Marks | None) -> None:
        """Write nothing yet."""
        self._root = root
        self._incoming = incoming
        self._name = name
        self._marks = marks
        # Paths are texts here: to make so many of pathlib's would take longer than to write the blobs.
        self._partials = (f"{incoming}/{os.getpid()}-{secrets.token_hex(8)}-{number}" for number in count())
        self._waiting: dict[str, tuple[str, bytes]] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the last ones their names; after an error take them away."""
        try:
            if kind is None:
                self._finish()
        finally:
            for partial, _ in self._waiting.values():
                with suppress(OSError):  # what stays is swept later, and must not hide the error
                    Path(partial).unlink()

    def add(self, digest: str, data: bytes) -> None:
        """Write a content.

        Raises:
            BlobMismatchError: It has another digest.
            StoreIoError: The disk refused.

        """
        if sha256(data) != digest:
            what = "The content does not hash to its digest."
            raise BlobMismatchError(what, expected=digest, found=sha256(data))
        if digest in self._waiting:
            return
        partial = next(self._partials)
        marking = self._marks.begin() if self._marks else None
        if marking is not None:
            marking.update(memoryview(data))
        try:
            if not self._waiting:
                self._incoming.mkdir(parents=True, exist_ok=True)
            self._waiting[digest] = partial, marking.mark(digest) if marking else b""
            _write(partial, data)
        except OSError as error:
            raise _refused(error, partial) from error
        if len(self._waiting) >= BATCH:
            self._finish()

    def _finish(self) -> None:
        if not self._waiting:
            return
        try:
            names = {digest: self._name(digest) for digest in self._waiting}
            folders = {name.rpartition("/")[0] for name in names.values()}
            for folder in folders:
                Path(folder).mkdir(exist_ok=True)
            durable(self._root, [partial for partial, _ in self._waiting.values()])
            for digest, (partial, mark) in self._waiting.items():
                os.replace(partial, names[digest])  # noqa: PTH105  # hot
                if mark:
                    # A mark that a power cut ate or tore is none, and costs a digest.
                    Path(partial).write_bytes(mark)
                    Path(partial).replace(f"{names[digest]}.mark")
            durable(self._root, [*folders, self._root])
        except OSError as error:
            raise _refused(error, self._incoming) from error
        self._waiting.clear()


def _write(path: str, data: bytes) -> None:
    """Write a file that is not there; nobody may write to it again."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fchmod(handle, 0o444)
    finally:
        os.close(handle)


def durable(root: Path, paths: Sequence[str | Path]) -> None:
    """Make files, or names in folders, durable: each by itself, or by one call for all that the disk owes.

    Args:
        root: A folder of the file system that they are in.
        paths: Files or folders.

    """
    for path in (root,) if len(paths) > FEW else paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            if len(paths) <= FEW:
                os.fsync(handle)
            elif ctypes.CDLL(None, use_errno=True).syncfs(handle):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(handle)


def _refused(error: OSError, file: str | Path) -> StoreIoError:
    what = f"The store could not write a blob: {error.strerror}."
    return StoreIoError(what, file=str(file))
