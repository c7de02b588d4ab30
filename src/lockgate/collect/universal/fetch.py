"""Brings locked files into the store, several at a time, each re-hashed on its way."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from lockgate.collect.errors import DigestMismatchError, SourceMissingError, UnreachableError
from lockgate.collect.ports import Wheel
from lockgate.collect.room import Room
from lockgate.collect.web import ATTEMPTS, shown
from lockgate.store.errors import BlobMismatchError

FETCHERS = 4
"""How many files are fetched at once."""


def fetch_files(room: Room, files: Iterable[Wheel]) -> None:
    """Bring files that the store does not hold into it; progress is told to the room's task.

    Raises:
        DigestMismatchError: Other bytes than the lock says.
        SourceMissingError, UnreachableError: Not there.
        StoreError: A file is longer than the lock, or the bound, says.

    """
    missing = [file for file in files if not room.blobs.has(file.sha256)]
    with ThreadPoolExecutor(FETCHERS) as pool:
        for _ in pool.map(lambda file: _fetch(room, file), missing):
            pass


def _fetch(room: Room, file: Wheel) -> None:
    parts = urlsplit(file.url)
    try:
        if parts.scheme == "file":
            with open(unquote(parts.path), "rb") as stream:  # noqa: PTH123  # an address, not a path of ours
                _store(room, file, stream)
            return
        for attempt in range(ATTEMPTS):
            try:
                with room.web.open(file.url) as (_, body):
                    _store(room, file, body)
            except UnreachableError:
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                return
    except BlobMismatchError as error:
        what = f"{file.filename} does not hash to what the index says."
        raise DigestMismatchError(what, expected=file.sha256, url=shown(file.url)) from error
    except OSError as error:
        what = f"A file that was locked cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=shown(file.url)) from error


def _store(room: Room, file: Wheel, stream: BinaryIO) -> None:
    limit = min(file.size or room.limits.file_bytes, room.limits.file_bytes)
    room.blobs.put_stream(stream, expected=file.sha256, limit=limit)
    room.progress.advance(file.size)
