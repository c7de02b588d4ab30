"""Writing a crate to media, and reading it back from the medium itself."""

import hashlib
import mmap
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.ports import Progress, Silent
from lockgate.crossing.buffers import write_all
from lockgate.crossing.errors import CrateIoError
from lockgate.crossing.folder import CrateFolder, SealedFile
from lockgate.crossing.format import (
    CRATE_FILE,
    MANIFEST_LIMIT,
    RECORD_SIZE,
    ROOTS_FOLDER,
    SHARDS_FILE,
    TAG_SIZE,
    Manifest,
    root_name,
)
from lockgate.crossing.media.errors import CrateUnfinishedError, MediumSpaceError, ReadBackError
from lockgate.crossing.media.sizes import RESERVE, Medium, file_bytes, pieces, spread
from lockgate.crossing.mend import Mender
from lockgate.crossing.open import read_shards
from lockgate.crossing.shards import ShardedFile, index_size
from lockgate.store.blobs import sync_folder
from lockgate.trust.roots import ROOT_LIMIT

CHUNK = 4 * 1024 * 1024
"""Bytes that are read back at once; a multiple of every sector size."""


def free_room(folder: Path) -> int:
    """Return how many bytes may be written below a folder."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Piece:
    """One medium: where it is, the volumes that go there, and the bytes of everything on it."""

    target: Path
    files: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Written:
    """A medium that was written and read back.

    `past_cache` tells whether the system let it be read back past its cache; without that, what was
    read may have come from memory.
    """

    piece: Piece
    copied: int
    past_cache: bool


class MediaWriter:
    """Writes one finished crate to one or more media."""

    def __init__(
        self,
        crate: Path,
        progress: Progress | None = None,
        free: Callable[[Path], int] = free_room,
    ) -> None:
        """Read what the crate says of itself.

        Raises:
            TrustError: It is damaged in crate.json, roots/ or shards.idx.
            CrateUnfinishedError: A volume is missing.

        """
        self.crate = crate
        self._progress = progress or Silent()
        self._free = free
        with CrateFolder(crate) as folder:
            names, self.manifest, self.crate_sha256 = Mender().read(folder)
            self.files = {file.name: file for file in read_shards(folder, self.manifest)}
        if missing := sorted(self.files.keys() - names):
            what = f"The crate has no {missing[0]}."
            raise CrateUnfinishedError(what, file=missing[0])

    @property
    def repeated(self) -> int:
        """Return the bytes of what is repeated on every medium."""
        return repeated_bytes(self.crate, self.manifest)

    def plan(self, targets: Sequence[Path], medium: Medium | None = None) -> list[Piece]:
        """Spread the volumes over mounted media, in their order; nothing is written.

        Args:
            targets: Folders on the media.
            medium: Bounds what each one takes; otherwise its free space does.

        Raises:
            MediumSpaceError: They do not suffice.

        """
        rooms = []
        for target in targets:
            held = sum(p.stat().st_size for p in (target / self.crate.name).glob("*.lgv") if p.is_file())
            room = self._free(target) + held
            rooms.append(room if medium is None or medium.capacity is None else min(room, medium.capacity))
        return self._pieces(spread(self._sizes(), self.repeated, rooms), targets)

    def plan_images(self, folder: Path, medium: Medium) -> list[Piece]:
        """Spread the volumes over as many images as they need; nothing is written, and the folder may lack.

        Raises:
            MediumSpaceError: A volume is longer than a medium, or the folder has too little room.

        """
        placed = pieces(self._sizes(), self.repeated, medium)
        stem, count = self.crate.name, len(placed)
        targets = [folder / f"{stem}-{n:02d}-of-{count:02d}.iso" for n in range(1, count + 1)]
        planned = self._pieces(placed, targets)
        need = sum(piece.size + RESERVE for piece in planned)
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if (free := self._free(there)) < need:
            what = f"The images need {need} bytes and {free} are free in {folder}."
            raise MediumSpaceError(what, missing=need - free)
        return planned

    def _sizes(self) -> list[int]:
        return [file.size for file in self.files.values()]

    def _pieces(self, placed: Sequence[Sequence[int]], targets: Sequence[Path]) -> list[Piece]:
        files = list(self.files.values())
        return [
            Piece(
                target,
                tuple(files[n].name for n in places),
                self.repeated + sum(file_bytes(files[n].size) for n in places),
            )
            for places, target in zip(placed, targets, strict=True)
            if places
        ]

    def write(self, piece: Piece) -> Written:
        """Write one medium and read it back; durable on return. Started again, it goes on.

        Raises:
            CrateUnfinishedError: A volume of the crate is damaged.
            CrateIoError: The medium refuses.
            ReadBackError: The medium gives back something else.

        """
        target = piece.target / self.crate.name
        with writing(str(target)), CrateFolder(self.crate) as folder:
            (target / ROOTS_FOLDER).mkdir(parents=True, exist_ok=True)
            (target / CRATE_FILE).unlink(missing_ok=True)  # it comes last: without it there is no crate
            for version in self.manifest.roots:
                name = f"{ROOTS_FOLDER}/{root_name(version)}"
                put_small(target / name, folder.read(name, ROOT_LIMIT))
            self._progress.start("write", sum(self.files[name].size for name in piece.files))
            copied = sum(self._copy(folder, self.files[name], target) for name in piece.files)
            self._progress.finish()
            for name, limit in self._small():
                put_small(target / name, folder.read(name, limit))
            for place in (target / ROOTS_FOLDER, target, piece.target):
                sync_folder(place)
        return Written(piece, copied, self._read_back(piece, target))

    def _small(self) -> list[tuple[str, int]]:
        size = index_size(self.manifest.volumes, self.manifest.parity)
        return [(SHARDS_FILE, size), (CRATE_FILE, MANIFEST_LIMIT)]

    def _copy(self, folder: CrateFolder, file: ShardedFile, target: Path) -> int:
        """Copy one volume from its first shard that is not there yet; return how many bytes."""
        path = target / file.name
        first = _good_shards(path, file) if path.is_file() and not path.is_symlink() else 0
        done, _ = file.span(first) if first < len(file.shards) else (file.size, 0)
        self._progress.advance(done)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        try:
            os.ftruncate(handle, done)
            os.lseek(handle, done, os.SEEK_SET)
            with folder.open(file.name) as source:
                view = memoryview(bytearray(max(RECORD_SIZE + TAG_SIZE, file.shards.header_size)))
                for shard in range(first, len(file.shards)):
                    _, length = file.span(shard)
                    _demand_shard(source, file, shard, view[:length])
                    write_all(handle, view[:length])
                    self._progress.advance(length)
            os.fsync(handle)
        finally:
            os.close(handle)
        return file.size - done

    def _read_back(self, piece: Piece, target: Path) -> bool:
        """Compare everything on a medium with what was sealed; tell whether it was read past the cache."""
        past = True
        self._progress.start("read back", sum(self.files[name].size for name in piece.files))
        with CrateFolder(self.crate) as folder:
            small = {name: folder.read(name, limit) for name, limit in self._small()}
            for version in self.manifest.roots:
                name = f"{ROOTS_FOLDER}/{root_name(version)}"
                small[name] = folder.read(name, ROOT_LIMIT)
        for name, data in small.items():
            past = read_small_back(target / name, data) and past
        for name in piece.files:
            past = demand_good(target / name, self.files[name], self._progress) and past
        self._progress.finish()
        return past


def repeated_bytes(crate: Path, manifest: Manifest) -> int:
    """Return the bytes on a medium of what every medium repeats."""
    names = [CRATE_FILE, SHARDS_FILE, *(f"{ROOTS_FOLDER}/{root_name(v)}" for v in manifest.roots)]
    return sum(file_bytes((crate / name).stat().st_size) for name in names)


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn errors of the operating system into our own, naming what was written."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or name} cannot be written: {error.strerror}."
        raise CrateIoError(what, file=str(error.filename or name)) from error


def put_small(path: Path, data: bytes) -> None:
    """Write a small file, instead of one that may be there; its bytes are durable on return."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(handle, memoryview(data))
        os.fsync(handle)
    finally:
        os.close(handle)


def read_small_back(path: Path, data: bytes) -> bool:
    """Demand that a small file reads back as it was written; tell whether the cache was passed.

    Raises:
        ReadBackError: It does not.

    """
    with _fresh(path) as (handle, direct):
        found = b"".join(bytes(part) for part in _chunks(handle))
    if found != data:
        what = f"{path.name} reads back otherwise than it was written."
        raise ReadBackError(what, file=str(path))
    return direct


def demand_good(path: Path, file: ShardedFile, progress: Progress) -> bool:
    """Demand that a volume reads back as it was written; tell whether the cache was passed.

    Raises:
        ReadBackError: It does not; names the first shard that is wrong.

    """
    good, direct = count_good(path, file, progress)
    if good < len(file.shards):
        offset, length = file.span(good)
        what = f"{file.name} reads back otherwise than it was written."
        raise ReadBackError(what, file=str(path), offset=offset, length=length)
    return direct


def _demand_shard(source: SealedFile, file: ShardedFile, shard: int, view: memoryview) -> None:
    offset, length = file.span(shard)
    if not source.fill(view, offset) or hashlib.sha256(view).digest() != file.shards.digest(shard):
        what = f"{file.name} is damaged at {offset}."
        raise CrateUnfinishedError(what, file=file.name, offset=offset, length=length)


@contextmanager
def _fresh(path: Path) -> Iterator[tuple[int, bool]]:
    """Open a file past the system's cache where its file system can; tell whether it could."""
    with writing(str(path)), ExitStack() as stack:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        plain = os.open(path, flags)
        stack.callback(os.close, plain)
        os.posix_fadvise(plain, 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            direct = os.open(path, flags | os.O_DIRECT)
        except OSError:
            yield plain, False
            return
        stack.callback(os.close, direct)
        yield direct, True


def _chunks(handle: int) -> Iterator[memoryview]:
    """Yield a file's bytes through a buffer that direct reading can use: it begins with a page."""
    view = memoryview(mmap.mmap(-1, CHUNK))
    offset = 0
    while count := os.preadv(handle, [view], offset):
        yield view[:count]
        offset += count
        if count < CHUNK:
            break


def _good_shards(path: Path, file: ShardedFile) -> int:
    return count_good(path, file, Silent())[0]


def count_good(path: Path, file: ShardedFile, progress: Progress) -> tuple[int, bool]:
    """Return how many shards from the first one on are right, and whether the cache was passed.

    A file that goes on behind its last shard has not all of them right.
    """
    shard, state = 0, hashlib.sha256()
    left = file.span(0)[1]
    with _fresh(path) as (handle, direct):
        for chunk in _chunks(handle):
            progress.advance(len(chunk))
            part = chunk[:]
            while part:
                if shard == len(file.shards):
                    return shard - 1, direct
                state.update(part[:left])
                left, part = left - min(left, len(part)), part[left:]
                if left:
                    break
                if state.digest() != file.shards.digest(shard):
                    return shard, direct
                shard, state = shard + 1, hashlib.sha256()
                left = file.span(shard)[1] if shard < len(file.shards) else 0
    return shard, direct
