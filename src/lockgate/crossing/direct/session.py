"""What a sealing onto media keeps on the low side, so that it goes on after a kill at any instant.

Kept are the plan, the documents and patches of the crate, and for every volume that was written and
read back its digests. A volume's key is never kept: an unfinished volume is sealed anew under another.
"""

import io
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from lockgate.core.artifact import Digest, Size
from lockgate.core.wire import Document, Moment, decode, encode
from lockgate.crossing.buffers import write_all
from lockgate.crossing.errors import CrateIoError
from lockgate.crossing.format import Hex16, ParityGroup, VolumeEntry
from lockgate.crossing.layout import PlannedVolume
from lockgate.crossing.parity import PlannedParity
from lockgate.crossing.payload import INDEX_LIMIT, META, PREFIX, TUF, Content, Entry, PayloadIndex
from lockgate.crossing.placing import Places
from lockgate.crossing.ports import Slot
from lockgate.crossing.shards import ShardedFile, VolumeShards
from lockgate.store import BlobStore
from lockgate.store.blobs import sync_folder

SESSION_FORMAT = "lockgate-sealing/1"
DONE_LIMIT = 1 << 30
"""Longest note of a finished volume, in bytes: its digests in hexadecimal."""

_SESSION, _PREFIX, _BODIES, _DONE, _JUDGED = "session.json", "prefix", "bodies", "done", "judged"
_INDEX, _ENVELOPE = "shards.idx", "crate.json"
_CLOSED = "closed-"
_CLOSED_NAME = re.compile(r"closed-[0-9]+")
_NEW = ".new"
_COPY = 1 << 20


class KeptVolume(Document, frozen=True):
    """A planned volume; sizes in bytes."""

    number: int
    header_size: Size
    plaintext_size: Size


class KeptGroup(Document, frozen=True):
    """A planned parity group; `size` is the length of each parity volume."""

    group: ParityGroup
    size: Size


class Session(Document, frozen=True):
    """One sealing onto media.

    `asked_sha256` is the digest of what was asked for; `sent_sha256` of the list of what the crate
    carries, for the ledger. With `own_device`, media have file systems of their own: a folder in the
    outbox's file system is then a mount point where nothing is mounted.
    """

    format: str
    asked_sha256: Digest
    slot: Slot
    crate: Hex16
    created: Moment
    expires: Moment
    recipients: tuple[Digest, ...]
    sealer: Digest
    volumes: tuple[KeptVolume, ...]
    groups: tuple[KeptGroup, ...]
    places: tuple[tuple[int, ...], ...]
    bases: dict[str, Digest]
    sent_sha256: Digest
    own_device: bool = False

    @property
    def planned(self) -> tuple[PlannedVolume, ...]:
        """Return the volumes as they were planned."""
        return tuple(PlannedVolume(v.number, v.header_size, v.plaintext_size) for v in self.volumes)

    @property
    def parity(self) -> tuple[PlannedParity, ...]:
        """Return the parity groups as they were planned."""
        return tuple(PlannedParity(one.group, one.size) for one in self.groups)


class Done(Document, frozen=True):
    """A file of the crate that is on its medium and was read back.

    Of a volume, `plain_sha256` is the digest of its plaintext: whoever goes on demands that the sources
    still give the same.
    """

    name: str
    size: Size
    header_size: Size
    digests: str
    entry: VolumeEntry | None = None
    plain_sha256: Digest = "0" * 64

    @property
    def file(self) -> ShardedFile:
        """Return the file with its digests."""
        return ShardedFile(self.name, self.size, VolumeShards(self.header_size, bytes.fromhex(self.digests)))


class Closed(Document, frozen=True):
    """A medium that is whole: where the crate's folder was, its bytes, and whether the cache was passed."""

    number: int
    path: str
    size: Size
    past_cache: bool


class State:
    """The folder that a sealing onto media keeps on the low side."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is there as long as a sealing is unfinished."""
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Tell whether a sealing is unfinished."""
        return (self.folder / _SESSION).is_file()

    def begin(self, session: Session, prefix: bytes, contents: Iterable[Content]) -> None:
        """Keep a new sealing: all or nothing, durable on return."""
        new = self.folder.with_name(self.folder.name + _NEW)
        shutil.rmtree(new, ignore_errors=True)
        (new / _DONE).mkdir(parents=True, mode=0o700)
        _keep(new / _PREFIX, prefix)
        handle = os.open(new / _BODIES, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for content in contents:
                if _is_kept(content.entry):
                    with content.open() as stream:
                        while data := stream.read(_COPY):
                            write_all(handle, memoryview(data))
            os.fsync(handle)
        finally:
            os.close(handle)
        _keep(new / _SESSION, encode(session))
        sync_folder(new)
        new.rename(self.folder)
        sync_folder(self.folder.parent)

    def session(self) -> Session:
        """Return what was begun."""
        return decode(Session, (self.folder / _SESSION).read_bytes(), name="unfinished sealing")

    def contents(self, blobs: BlobStore) -> tuple[bytes, tuple[Content, ...]]:
        """Return the payload's prefix and its contents: what is kept here, and files of the store."""
        prefix = (self.folder / _PREFIX).read_bytes()
        index = decode(PayloadIndex, prefix[PREFIX:], limit=INDEX_LIMIT, name="payload index")
        found, at = [], 0
        for entry in index.entries:
            if _is_kept(entry):
                found.append(Content(entry, partial(_opened, self.folder / _BODIES, at, entry.length)))
                at += entry.length
            elif entry.kind == "same":
                found.append(Content(entry, io.BytesIO))
            else:
                found.append(
                    Content(entry, partial(blobs.open, entry.sha256), partial(blobs.check, entry.sha256))
                )
        return prefix, tuple(found)

    def done(self) -> dict[str, Done]:
        """Return the files that are on their media, by name."""
        notes = (self.folder / _DONE).glob("*.lgv")
        found = [decode(Done, path.read_bytes(), limit=DONE_LIMIT, name="finished volume") for path in notes]
        return {done.name: done for done in found}

    def note(self, done: Done) -> None:
        """Keep that a file is on its medium; durable on return."""
        _keep(self.folder / _DONE / done.name, encode(done))

    def forget(self, names: Iterable[str]) -> None:
        """Forget files: they are sealed again."""
        for name in names:
            (self.folder / _DONE / name).unlink(missing_ok=True)
        (self.folder / _JUDGED).unlink(missing_ok=True)
        sync_folder(self.folder / _DONE)
        sync_folder(self.folder)

    @property
    def judged(self) -> bool:
        """Tell whether every source was read to its end and was what the lock names."""
        return (self.folder / _JUDGED).is_file()

    def mark_judged(self) -> None:
        """Keep that every source was judged."""
        _keep(self.folder / _JUDGED, b"")

    def finish(self, index: bytes, envelope: bytes) -> None:
        """Keep the signed crate.json and its index: from here on only media are left to close."""
        _keep(self.folder / _INDEX, index)
        _keep(self.folder / _ENVELOPE, envelope)

    @property
    def finished(self) -> tuple[bytes, bytes] | None:
        """Return the index and the signed crate.json, or None before that."""
        if not (self.folder / _ENVELOPE).is_file():
            return None
        return (self.folder / _INDEX).read_bytes(), (self.folder / _ENVELOPE).read_bytes()

    def note_closed(self, closed: Closed) -> None:
        """Keep that a medium is whole; durable on return."""
        _keep(self.folder / f"{_CLOSED}{closed.number}", encode(closed))

    def closed(self) -> dict[int, Closed]:
        """Return the media that are whole."""
        notes = [path for path in self.folder.iterdir() if _CLOSED_NAME.fullmatch(path.name)]
        found = [decode(Closed, path.read_bytes(), name="closed medium") for path in notes]
        return {closed.number: closed for closed in found}

    def discard(self) -> None:
        """Forget the sealing: in one step, whatever the folder holds."""
        old = self.folder.with_name(self.folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.is_dir():
            self.folder.rename(old)
            sync_folder(self.folder.parent)
            shutil.rmtree(old)


def kept_places(places: Places) -> tuple[tuple[int, ...], ...]:
    """Return places as they are kept."""
    return tuple(tuple(one) for one in places)


def tuf_of(contents: Sequence[Content]) -> Mapping[str, bytes]:
    """Return the update metadata among contents, by file name."""
    found = {}
    for content in contents:
        if content.entry.kind == "tuf":
            with content.open() as stream:
                found[content.entry.path.removeprefix(TUF)] = stream.read()
    return found


def _is_kept(entry: Entry) -> bool:
    """Tell whether an entry's bytes are in no store: documents of the crossing, and patches."""
    return entry.kind in {"tuf", "patch"} or (entry.kind == "whole" and entry.path.startswith(META))


class _Part(io.RawIOBase):
    """A part of a file as a stream."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left = file, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(path: Path, offset: int, length: int) -> BinaryIO:
    file = path.open("rb", buffering=0)
    file.seek(offset)
    return cast("BinaryIO", _Part(cast("BinaryIO", file), length))


def _keep(path: Path, data: bytes) -> None:
    """Put a file in place as a whole; durable on return."""
    new = path.with_name(path.name + _NEW)
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(handle, memoryview(data))
            os.fsync(handle)
        finally:
            os.close(handle)
        new.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        what = f"The notes of the sealing cannot be written: {error.strerror}."
        raise CrateIoError(what, file=str(path)) from error
