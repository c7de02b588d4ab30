"""Staging: one file at a time as a copy that the scanner may look at, and whether it left it as it was."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lockgate.core.digests import sha256_stream
from lockgate.crossing.station.errors import StageIoError, StageSpaceError
from lockgate.crossing.station.ports import Staged

STAGED_MODE = 0o440
"""A staged file is read by its owner and its group: a scanner of another user is in that group."""


def name_for(path: str) -> str:
    """Return a name of 128 random bits with a file's own ending, where that is a plain one.

    Nothing else of a file's name reaches the scanner: whoever filled the crate chose it.
    """
    ending = "".join(Path(path).suffixes[-2:]).lower()
    plain = len(ending) <= 16 and all(c.isascii() and (c.isalnum() or c == ".") for c in ending)  # noqa: PLR2004
    return secrets.token_hex(16) + (ending if plain else "")


def write_staged(folder: Path, name: str, pieces: Iterable[bytes]) -> Staged:
    """Write a file for the scanner; return it with the digest of what was written.

    Raises:
        StageSpaceError: The disk is full.
        StageIoError: The folder is no folder, or cannot be written.

    """
    place, state, written = folder / name, hashlib.sha256(), 0
    try:
        with _create(folder, name) as file:
            for piece in pieces:
                file.write(piece)
                state.update(piece)
                written += len(piece)
    except OSError as error:
        take_away(place)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            what = f"There is no more room in {folder}, after {written} bytes of a file."
            raise StageSpaceError(what) from error
        what = f"A file cannot be staged in {folder}: {error.strerror}."
        raise StageIoError(what, folder=folder) from error
    except BaseException:
        take_away(place)
        raise
    return Staged(place, state.hexdigest(), written)


def _create(folder: Path, name: str) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True, mode=0o770)
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(name, flags, STAGED_MODE, dir_fd=inside), "wb")
    finally:
        os.close(inside)


def changed(staged: Staged, path: Path | None) -> str:
    """Return what became of a staged file after the scanner had it; nothing where it is as it was."""
    if path is None:
        return "The scanner took the file away."
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "The scanner took the file away."
    except OSError as error:
        return f"The file cannot be read after the scanner had it: {error.strerror}."
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "There is no regular file where the scanner had one."
        if os.fstat(descriptor).st_size != staged.size or sha256_stream(file)[0] != staged.sha256:
            return "The file changed while the scanner had it."
    return ""


def take_away(*paths: Path | None) -> None:
    """Remove staged files; absent ones are no fault."""
    for path in paths:
        if path is not None:
            with suppress(FileNotFoundError):
                path.unlink()


def sweep(folder: Path) -> None:
    """Remove what an interrupted run left; links are removed, never followed.

    Raises:
        StageIoError: The folder cannot be emptied.

    """
    try:
        for entry in os.scandir(folder) if folder.is_dir() and not folder.is_symlink() else ():
            if not entry.is_dir(follow_symlinks=False):
                Path(entry.path).unlink()
    except OSError as error:
        what = f"{folder} cannot be emptied: {error.strerror}."
        raise StageIoError(what, folder=folder) from error
