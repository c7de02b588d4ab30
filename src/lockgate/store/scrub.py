"""Reading a whole store again: every blob is hashed at a limited rate, and mended from a second copy."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from lockgate.core.digests import CHUNK
from lockgate.core.ports import Progress, Silent
from lockgate.store.errors import BlobMismatchError, BlobMissingError, StoreIoError
from lockgate.store.ports import BlobStore


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a scrub saw: how much it read, which blobs it mended, and which stay damaged."""

    blobs: int
    size: int
    mended: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast is read: at most `rate` bytes a second, by a clock that never goes back."""

    rate: int
    elapsed: Callable[[], float]
    pause: Callable[[float], None]


def scrub(
    blobs: BlobStore, pace: Pace, *, replica: BlobStore | None = None, progress: Progress | None = None
) -> Scrubbed:
    """Hash every blob of a store again.

    A damaged one is replaced by the replica's bytes, which are hashed on the way; it is replaced as a
    whole, so that whoever reads meanwhile sees the old file or the new one.

    Args:
        blobs: The store.
        pace: How fast to read.
        replica: A second copy of the blobs.
        progress: Told of the bytes read.

    Raises:
        StoreIoError: The store cannot be listed, or a mended blob could not be written.

    """
    shown = progress or Silent()
    listed = list(blobs.digests())
    shown.start("scrub", sum(size for _, size in listed))
    reader = _Reader(pace, shown)
    mended: list[str] = []
    damaged: list[str] = []
    for digest, _ in listed:
        if reader.whole(blobs, digest):
            continue
        (mended if replica is not None and _mend(blobs, replica, digest) else damaged).append(digest)
    shown.finish()
    return Scrubbed(len(listed), reader.read, tuple(mended), tuple(damaged))


class _Reader:
    """Hashes blobs one after another, and waits where it is ahead of its pace."""

    def __init__(self, pace: Pace, progress: Progress) -> None:
        self._pace = pace
        self._progress = progress
        self._began = pace.elapsed()
        self.read = 0

    def whole(self, blobs: BlobStore, digest: str) -> bool:
        """Tell whether a blob's bytes are what its name says; one that was removed meanwhile is."""
        state = hashlib.sha256()
        try:
            with blobs.open(digest) as stream:
                while piece := stream.read(CHUNK):
                    state.update(piece)
                    self._count(len(piece))
        except BlobMissingError:
            return True
        except OSError:  # a sector that cannot be read
            return False
        return state.hexdigest() == digest

    def _count(self, size: int) -> None:
        self.read += size
        self._progress.advance(size)
        ahead = self.read / self._pace.rate - (self._pace.elapsed() - self._began)
        if ahead > 0:
            self._pace.pause(ahead)


def _mend(blobs: BlobStore, replica: BlobStore, digest: str) -> bool:
    try:
        with replica.open(digest) as stream:
            blobs.put_stream(stream, expected=digest)
    except (BlobMissingError, BlobMismatchError, OSError):
        return False
    except StoreIoError:
        raise
    return True
