r"""The payload: one stream over the plaintext of all volumes; an index, then the bodies in order.

Layout: magic ``LGPAY1\r\n``, u64 length of the index (big-endian), the index as canonical JSON,
then the content of every entry, without anything between. The first entries are the update
metadata (kind ``tuf``), then what lies below ``meta/``, then the files of the lock.
"""

import io
import os
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Literal, Self, cast

import msgspec

from lockgate.core.artifact import Digest, Size, safe_path
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.wire import DOCUMENT_LIMIT, Document, decode, encode
from lockgate.crossing.errors import CrateLimitError, PayloadError, SourceChangedError
from lockgate.crossing.format import VolumeEntry
from lockgate.crossing.whereabouts import PayloadPlaces
from lockgate.store.marks import ContentCheck, DigestCheck
from lockgate.trust.tuf import FILES_LIMIT, TUF_FILES

PAYLOAD_FORMAT = "lockgate-payload/1"
MAGIC = b"LGPAY1\r\n"
INDEX_LIMIT = DOCUMENT_LIMIT
"""Longest payload index that is read, in bytes."""

ENTRIES_LIMIT = 1_000_000
"""Most files of one crossing."""

META = "meta/"
TUF = "tuf/"
LOCK = "meta/lock.json"
LOCK_ATTESTATION = "meta/lock.dsse.json"
SBOM = "meta/sbom.cdx.json"
INSPECTION = "meta/inspection.dsse.json"
SEALING = "meta/sealing.dsse.json"

DELTA_KINDS = frozenset({"same", "patch"})
"""Kinds of entries that only a delta crate has."""

_LENGTH = struct.Struct(">Q")
PREFIX = len(MAGIC) + _LENGTH.size


class Entry(Document, frozen=True):
    """One file of the payload, with length and digest of the file itself.

    `whole`: its content as it is; `tuf`: update metadata; `same`: nothing, the reader holds the file;
    `patch`: a patch (see `delta`) of `carried` bytes with the digest `carried_sha256`, against the files
    with the digests `bases`.
    """

    path: str
    kind: Literal["tuf", "whole", "same", "patch"]
    size: Size
    sha256: Digest
    carried: Size | msgspec.UnsetType = msgspec.UNSET
    carried_sha256: Digest | msgspec.UnsetType = msgspec.UNSET
    bases: tuple[Digest, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def builds_on(self) -> tuple[str, ...]:
        """Return the digests of the files that a patch builds on."""
        return () if isinstance(self.bases, msgspec.UnsetType) else self.bases

    @property
    def length(self) -> int:
        """Return how many bytes of the payload are the entry's."""
        if self.kind == "same":
            return 0
        return self.size if isinstance(self.carried, msgspec.UnsetType) else self.carried

    @property
    def body_sha256(self) -> str:
        """Return the digest of the entry's bytes in the payload."""
        if self.kind == "same":
            return sha256(b"")
        return self.sha256 if isinstance(self.carried_sha256, msgspec.UnsetType) else self.carried_sha256


class PayloadIndex(Document, frozen=True):
    """What the payload holds, in order."""

    format: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """An entry with the way to its bytes."""

    entry: Entry
    open: Callable[[], BinaryIO]
    check: Callable[[], ContentCheck] | None = None
    """Makes what judges the bytes as they are read; their digest does where none is named."""

    def judge(self) -> ContentCheck:
        """Return what judges the bytes, at the first one."""
        return self.check() if self.check else DigestCheck(self.entry.body_sha256)


def payload_prefix(entries: Sequence[Entry]) -> bytes:
    """Return what the payload begins with: magic, length, index.

    Raises:
        CrateLimitError: More entries or a longer index than a reader takes.

    """
    text = encode(PayloadIndex(format=PAYLOAD_FORMAT, entries=tuple(entries)))
    if len(entries) > ENTRIES_LIMIT or len(text) > INDEX_LIMIT:
        what = f"{len(entries)} files are more than one crate may hold."
        raise CrateLimitError(what, limit="entries")
    return MAGIC + _LENGTH.pack(len(text)) + text


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one file in a buffer, or (`ended`) the end of that file; `check` judges the file."""

    view: memoryview
    check: ContentCheck
    ended: Entry | None = None


class PayloadSource:
    """Reads a payload once, straight into the buffers that are sealed."""

    def __init__(self, prefix: bytes, contents: Sequence[Content]) -> None:
        """Prepare to read the prefix and then the contents."""
        self._pieces = self._read(prefix, contents)
        self._room = memoryview(b"")

    def _read(self, prefix: bytes, contents: Sequence[Content]) -> Iterator[Piece]:
        index = Entry(path="index", kind="whole", size=len(prefix), sha256=sha256(prefix))
        for content in (Content(index, lambda: io.BytesIO(prefix)), *contents):
            entry, check = content.entry, content.judge()
            with content.open() as stream:
                left = yield from self._copy(unbuffered(stream), entry.length, check)
                if left or stream.read(1):
                    raise _changed(entry)
            yield Piece(memoryview(b""), check, entry)

    def _copy(self, stream: BinaryIO, left: int, check: ContentCheck) -> Generator[Piece, None, int]:
        """Read a stream into the room that is there; return how many bytes it lacks."""
        while left:
            if not self._room:
                raise SourceChangedError("There is more to seal than was planned.")
            # Every binary stream of the standard library can fill a buffer.
            count = stream.readinto(self._room[:left])  # type: ignore[attr-defined]
            if not count:
                break
            view, self._room = self._room[:count], self._room[count:]
            left -= count
            yield Piece(view, check)
        return left

    def fill(self, target: memoryview) -> list[Piece]:
        """Fill a buffer with the next bytes of the payload; return what must be judged.

        Raises:
            SourceChangedError: A file has another length than its entry.

        """
        self._room, pieces = target, []
        while self._room:
            pieces.append(next(self._pieces))
        return pieces

    def finish(self) -> list[Piece]:
        """Demand that nothing is left; return what must be judged.

        Raises:
            SourceChangedError: The last file has another length than its entry.

        """
        return list(self._pieces)


def unbuffered(stream: BinaryIO) -> BinaryIO:
    """Return what lies below the buffer of a stream that was not read from yet, where it has one.

    The buffer is as long as the file system asks for (1 MiB and more on network file systems and on large
    pages), and only what is longer than it is read without being copied once more.
    """
    return cast("BinaryIO", stream.raw) if isinstance(stream, io.BufferedReader) else stream


def judge(pieces: Sequence[Piece]) -> None:
    """Have the next pieces judged by the checks of their files.

    Raises:
        SourceChangedError: A file that ended is not the one that its entry names.

    """
    for piece in pieces:
        piece.check.update(piece.view)
        if piece.ended is not None and not piece.check.holds():
            raise _changed(piece.ended)


def _changed(entry: Entry) -> SourceChangedError:
    what = f"{entry.path} is no longer the file that the lock names."
    return SourceChangedError(what, path=entry.path, sha256=entry.sha256)


class PayloadReader:
    """Reads a payload from the plaintext of its volumes, as one stream."""

    def __init__(
        self, volumes: Sequence[Callable[[], BinaryIO]], size: int, sealed: Sequence[VolumeEntry] = ()
    ) -> None:
        """Prepare to read; each volume is opened when its turn comes.

        Args:
            volumes: Open the plaintext of each volume, in order.
            size: Length of all of them in bytes.
            sealed: What crate.json says of the volumes, for errors to name the place where they are wrong.

        """
        self._volumes = list(volumes)
        self.places = PayloadPlaces(sealed)
        self._stack = ExitStack()
        self._stream: BinaryIO | None = None
        self._size = size
        self._abandoned = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the open volume."""
        self._stack.close()

    def fork(self) -> "PayloadReader":
        """Return another reader, at this one's place, that goes on by itself and is closed by itself."""
        other = PayloadReader(self._volumes, self._size)
        if self._stream is not None:
            other.skip(self._stream.tell())
        return other

    def skip(self, count: int) -> None:
        """Go on behind that many bytes, or behind the last one where there are fewer."""
        while count and (stream := self._volume()):
            at = stream.tell()
            step = min(count, stream.seek(0, os.SEEK_END) - at)
            stream.seek(at + step)
            count -= step
            if count:
                self._next()

    def abandon(self) -> None:
        """Let another thread that reads here end with an error."""
        self._abandoned = True

    def read(self, count: int) -> bytes:
        """Return the next bytes; fewer only at the end of a volume, none at the end of all."""
        while stream := self._volume():
            if data := stream.read(count):
                return data
            self._next()
        return b""

    def _volume(self) -> BinaryIO | None:
        """Return the volume whose turn it is, opened, or None after the last one."""
        if self._abandoned:
            raise PayloadError("Nobody waits for the rest of the payload.")
        if self._stream is None and self._volumes:
            self._stream = self._stack.enter_context(self._volumes[0]())
        return self._stream

    def _next(self) -> None:
        self._stack.close()
        self._stream = None
        del self._volumes[0]

    def readinto(self, target: memoryview) -> int:
        """Fill a buffer with the next bytes; fewer only at the end of a volume, none at the end of all."""
        while stream := self._volume():
            # Every binary stream of the standard library can fill a buffer.
            if count := stream.readinto(target):  # type: ignore[attr-defined]
                return int(count)
            self._next()
        return 0

    def exactly(self, count: int) -> bytes:
        """Return exactly that many bytes.

        Raises:
            PayloadError: The payload ends before.

        """
        parts = []
        while count and (data := self.read(count)):
            parts.append(data)
            count -= len(data)
        if count:
            raise PayloadError("The payload ends before its index says.")
        return b"".join(parts)

    def index(self) -> tuple[Entry, ...]:
        """Read the index, which must account for every byte of the payload.

        Raises:
            PayloadError: Malformed, or it names other lengths than the payload has.

        """
        prefix = self.exactly(min(PREFIX, self._size))
        length = int.from_bytes(prefix[len(MAGIC) :], "big")
        if len(prefix) < PREFIX or not prefix.startswith(MAGIC) or length > min(INDEX_LIMIT, self._size):
            what = "The payload does not begin as the format says."
            raise PayloadError(what, **self.places.of(0, PREFIX))
        text = self.exactly(length)
        self.places.index(text, PREFIX)
        try:
            index = decode(PayloadIndex, text, limit=INDEX_LIMIT, name="payload index")
            _check(index, self._size - PREFIX - length)
        except LockgateError as error:
            what = f"The payload index is refused: {error.what}"
            raise PayloadError(what, **self.places.in_index(error.where)) from error
        self.places.parts([(entry.path, entry.length) for entry in index.entries])
        return index.entries

    def body(self, entry: Entry) -> "Body":
        """Return the content of the next entry as a stream of its own."""
        return Body(self, entry.length)


def _check(index: PayloadIndex, bodies: int) -> None:
    entries = index.entries
    if index.format != PAYLOAD_FORMAT or len(entries) > ENTRIES_LIMIT:
        field = "$.format" if index.format != PAYLOAD_FORMAT else "$.entries"
        raise PayloadError("It is of another format or has too many entries.", field=field)
    paths = list[str]()
    ranks = list[int]()
    seen = set[str]()
    number = 0
    try:
        for number, entry in enumerate(entries):  # noqa: B007  # the number is told below
            paths.append(safe_path(entry.path))
            if entry.path in seen:
                what = f"It names {entry.path!r} twice."
                raise PayloadError(what)
            seen.add(entry.path)
            ranks.append(_rank(entry))
    except LockgateError as error:
        error.where["field"] = f"$.entries[{number}]"
        raise
    if ranks != sorted(ranks) or not _leads(paths[: ranks.count(0)]):
        raise PayloadError("Its entries are not in the order that the format says.", field="$.entries")
    if sum(entry.length for entry in entries) != bodies:
        raise PayloadError("Its entries have other lengths than the payload.", field="$.entries")


def _leads(paths: list[str]) -> bool:
    """Tell whether update metadata comes as it should: the top-level files, then roles by name."""
    top, roles = paths[: len(TUF_FILES)], paths[len(TUF_FILES) :]
    return top == [TUF + name for name in TUF_FILES] and roles == sorted(roles) and len(paths) <= FILES_LIMIT


def _rank(entry: Entry) -> int:
    if (entry.kind == "tuf") != entry.path.startswith(TUF):
        what = f"{entry.path!r} is of the wrong kind."
        raise PayloadError(what)
    described = {value is not msgspec.UNSET for value in (entry.carried, entry.carried_sha256, entry.bases)}
    if described != {entry.kind == "patch"} or (entry.kind in DELTA_KINDS and entry.path.startswith(META)):
        what = f"{entry.path!r} is carried in no way that the format has."
        raise PayloadError(what)
    if entry.kind == "tuf":
        return 0
    return 1 if entry.path.startswith(META) else 2


class Body:
    """The content of one entry as a binary stream that ends where the entry ends."""

    def __init__(self, payload: PayloadReader, size: int) -> None:
        """Begin at the payload's present position."""
        self._payload = payload
        self._left = size

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, none at the end of the entry."""
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._payload.read(wanted) if wanted else b""
        self._left -= len(data)
        return data

    def readinto(self, target: memoryview) -> int:
        """Fill a buffer with the next bytes, with none at the end of the entry."""
        wanted = target[: self._left]
        count = self._payload.readinto(wanted) if wanted else 0
        self._left -= count
        return count
