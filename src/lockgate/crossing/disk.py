"""The disk below a folder: its free bytes, and one process at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.crossing.errors import CrossingBusyError

SPARE = 16 * 1024 * 1024
"""Bytes that must stay free beside the crate itself."""


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Hold a lock file, so that one process at a time works in its folder.

    Raises:
        CrossingBusyError: Another process holds it. The system lets go when that process ends.

    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"Another process is at work in {file.parent.name}."
            raise CrossingBusyError(what) from error
        yield
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Return how many bytes may be written below a folder."""
    return shutil.disk_usage(folder).free
