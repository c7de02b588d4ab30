"""Small files that the operator names: read up to a bound, written, or an error that names them."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from lockgate.core.errors import HostError, InputError, LockgateError, TooLargeError
from lockgate.store.blobs import sync_folder

NAMED_LIMIT = 1 << 20
"""Longest statement, root, proof or key file that is read, in bytes."""


FRESH_NANOSECONDS = 50_000_000
"""How long a file may be written again with nothing to tell it by: a tick of the kernel's clock (inode(7)) is
10 ms at the most, and its inode and length may be the same."""


class NamedFileError(InputError):
    """A file that the operator named cannot be read or written."""

    code = "LG-1f09"
    advice = "Check the path and its permissions."


class NamedDiskError(HostError):
    """The disk refused a file that the operator named: it is full, or fails."""

    code = "LG-5f09"
    advice = "Free space there, or name a place on another disk, and run the same command again."


_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def _unwritten(path: Path, error: OSError) -> LockgateError:
    """Return what is wrong when a file could not be written: the disk, or the place that was named."""
    what = f"{path} cannot be written: {error.strerror}."
    return NamedDiskError(what) if error.errno in _DISK else NamedFileError(what)


def read_named(path: Path, *, limit: int = NAMED_LIMIT) -> bytes:
    """Return the bytes of a file.

    Raises:
        NamedFileError: It cannot be read.
        TooLargeError: It is longer than `limit` bytes.

    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}."
        raise NamedFileError(what) from error
    if len(data) > limit:
        what = f"{path} is longer than {limit} bytes."
        raise TooLargeError(what, file=path)
    return data


def write_named(path: Path, data: bytes) -> None:
    """Write a file; its folder is made when it is missing.

    Raises:
        NamedFileError: It cannot be written.
        NamedDiskError: The disk is full, or fails.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise _unwritten(path, error) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all, also after a power cut.

    Raises:
        NamedFileError: It cannot be written.
        NamedDiskError: The disk is full, or fails.

    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # what is half there only takes space
            partial.unlink(missing_ok=True)
        raise _unwritten(path, error) from error
