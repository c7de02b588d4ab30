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

    def __init__(self, root: Path, incoming: Path, name: Callable[[str], Path], marks: Marks | None) -> None:
        """Write nothing yet."""
        self._root = root
        self._incoming = incoming
        self._name = name
        self._marks = marks
        self._waiting: dict[str, tuple[Path, bytes]] = {}

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
                    partial.unlink()

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
        partial = self._incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        marking = self._marks.begin() if self._marks else None
        if marking is not None:
            marking.update(memoryview(data))
        try:
            if not self._waiting:
                self._incoming.mkdir(parents=True, exist_ok=True)
            self._waiting[digest] = partial, marking.mark(digest) if marking else b""
            with partial.open("xb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o444)
        except OSError as error:
            raise _refused(error, partial) from error
        if len(self._waiting) >= BATCH:
            self._finish()

    def _finish(self) -> None:
        if not self._waiting:
            return
        try:
            folders = {self._name(digest).parent for digest in self._waiting}
            for folder in folders:
                folder.mkdir(exist_ok=True)
            durable(self._root, [partial for partial, _ in self._waiting.values()])
            for digest, (partial, mark) in self._waiting.items():
                final = self._name(digest)
                partial.replace(final)
                if mark:
                    # A mark that a power cut ate or tore is none, and costs a digest.
                    partial.write_bytes(mark)
                    partial.replace(final.with_name(f"{final.name}.mark"))
            durable(self._root, [*folders, self._root])
        except OSError as error:
            raise _refused(error, self._incoming) from error
        self._waiting.clear()


def durable(root: Path, paths: Sequence[Path]) -> None:
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


def _refused(error: OSError, file: Path) -> StoreIoError:
    what = f"The store could not write a blob: {error.strerror}."
    return StoreIoError(what, file=str(file))
