"""What the other side holds by what was sent before: the files that a delta may build on. Low side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import msgspec

from lockgate.core.artifact import Digest, Lock
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.contents import sent_files
from lockgate.crossing.delta.bounds import DescriptorFile
from lockgate.crossing.delta.matching import plain_name
from lockgate.crossing.ports import Sent, Standing
from lockgate.store import BlobStore
from lockgate.store.errors import BlobMissingError

CONTENTS_LIMIT = 512 * 1024 * 1024
"""Longest list of a crossing's files that is read, in bytes."""

_NAMES_MOST = 64
"""Most files of one plain name that are compared by their full names."""

_GONE = frozenset({Standing.REJECTED, Standing.LOST})


class Contents(Document, frozen=True):
    """The files that a crossing carried, path to digest; the store holds its lock as well."""

    sequence: int
    files: dict[str, Digest]
    lock_sha256: Digest | msgspec.UnsetType = msgspec.UNSET


def listed(sequence: int, lock: Lock, blobs: BlobStore) -> str:
    """Keep what a crossing carries, its lock included; return the digest of the list."""
    held = blobs.put_bytes(encode(lock))
    return blobs.put_bytes(encode(Contents(sequence=sequence, files=sent_files(lock), lock_sha256=held)))


@dataclass(frozen=True, slots=True)
class PathFile:
    """A file that is opened for each reading, so that any number of them can be at hand."""

    path: Path
    size: int

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes from a place on; fewer only at the end."""
        with self.path.open("rb", buffering=0) as file:
            return DescriptorFile(file.fileno()).at(offset, length)


def usable(sent: Mapping[int, Sent], since: int | None, earliest: int = 1) -> list[int]:
    """Return the crossings that a delta may build on: sent, and not known to be given up or refused.

    Args:
        sent: Every crossing that was sealed.
        since: Only this crossing and earlier ones, when given.
        earliest: Only this crossing and later ones.

    """
    return [
        number
        for number, each in sorted(sent.items())
        if not each.void
        and each.standing not in _GONE
        and earliest <= number
        and (since is None or number <= since)
    ]


class HeldFiles:
    """The files of the usable crossings, by digest and by what they are versions of."""

    def __init__(self, blobs: BlobStore) -> None:
        """Begin with nothing; the bytes are in the low side's store."""
        self._blobs = blobs
        self._numbers: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._versions: dict[str, dict[str, str]] = {}

    def add(self, contents: Contents) -> None:
        """Add a crossing's files; later crossings after earlier ones."""
        for path, digest in contents.files.items():
            self._numbers.setdefault(digest, contents.sequence)
            self._names[digest] = path
            same_name = self._versions.setdefault(plain_name(path), {})
            same_name.pop(path, None)
            same_name[path] = digest

    def crossing(self, digest: str) -> int | None:
        """Return the first crossing that carried a file, or None."""
        return self._numbers.get(digest)

    def name(self, digest: str) -> str:
        """Return the path that a file was last carried under."""
        return self._names[digest]

    def version_of(self, path: str) -> str | None:
        """Return the digest of the file that a path is most likely a new version of, or None."""
        candidates = self._versions.get(plain_name(path), {})
        if path in candidates:
            return candidates[path]
        recent = list(candidates)[-_NAMES_MOST:]
        best = max(recent, key=lambda other: SequenceMatcher(None, other, path).ratio(), default=None)
        return None if best is None else candidates[best]

    def file(self, digest: str) -> PathFile | None:
        """Return a file's bytes, or None where this side's store no longer has them."""
        try:
            path = self._blobs.path(digest)
            return PathFile(path, path.stat().st_size)
        except (BlobMissingError, FileNotFoundError):
            return None

    def __iter__(self) -> Iterator[str]:
        """Yield the digests."""
        return iter(self._numbers)


def held_files(blobs: BlobStore, contents: Mapping[int, str], numbers: list[int]) -> HeldFiles:
    """Return the files of some crossings.

    Args:
        blobs: The low side's store; it keeps the lists of what was sent, too.
        contents: Digest of the list of each crossing.
        numbers: The crossings.

    """
    held = HeldFiles(blobs)
    for number in numbers:
        if number in contents:
            data = blobs.read(contents[number], limit=CONTENTS_LIMIT)
            held.add(decode(Contents, data, limit=CONTENTS_LIMIT, name="list of what was sent"))
    return held
