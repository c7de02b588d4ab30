"""Fetching the files of a repository: over the web or out of a folder, within bounds, checked by digest."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    SourceMissingError,
)
from lockgate.collect.room import Room
from lockgate.collect.web import shown

_CHUNK = 1 << 18
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def joined(url: str, path: str) -> str:
    """Return the address of a file that an index names.

    Raises:
        BadReleaseError: The index leads out of its own repository.

    """
    bad = path.startswith("/") or ".." in path.split("/") or not path.isprintable() or "\\" in path
    if bad or not path or any(c in path for c in " ?#") or _SCHEME.match(path):
        what = f"An index names a file outside of its repository: {path[:80]!r}."
        raise BadReleaseError(what)
    local = urlsplit(url).scheme == "file"
    return f"{url}/{path}" if local else f"{url}/{path.replace('+', '%2B')}"


def fetch_checked(room: Room, url: str, place: Path, algorithm: str, digest: str, *, limit: int) -> None:
    """Fetch a file and demand that it hashes to what its index says.

    Raises:
        DigestMismatchError: It does not.
        CollectLimitError: It is longer than `limit` bytes.
        UnreachableError, SourceMissingError: It is not there.

    """
    fetch(room, url, place, limit)
    with place.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != digest:
        place.unlink()
        what = f"{url.rpartition('/')[2][:80]} does not hash to what its index says."
        raise DigestMismatchError(what, expected=digest)


def fetch(room: Room, url: str, place: Path, limit: int) -> None:
    """Fetch a file.

    Raises:
        CollectLimitError: It is longer than `limit` bytes.
        UnreachableError, SourceMissingError: It is not there.

    """
    size = 0
    with _opened(room, url) as body, place.open("wb") as out:
        while piece := body.read(_CHUNK):
            size += len(piece)
            if size > limit:
                what = f"{url.rpartition('/')[2][:80]} is longer than {limit} bytes."
                raise CollectLimitError(what, url=shown(url))
            out.write(piece)


@contextmanager
def _opened(room: Room, url: str) -> Iterator[BinaryIO]:
    if urlsplit(url).scheme != "file":
        with room.web.open(url) as (_, body):
            yield body
        return
    try:
        stream = Path(unquote(urlsplit(url).path)).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        what = f"A file of a repository cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=shown(url)) from error
    with stream:
        yield stream
