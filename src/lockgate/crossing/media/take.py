"""Reading crates from media into an inbox: whatever order, several media, interrupted and damaged."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.core.ports import Progress, Silent
from lockgate.crossing.buffers import write_all
from lockgate.crossing.disk import SPARE
from lockgate.crossing.errors import CrateIoError, NoSpaceError
from lockgate.crossing.folder import CrateFolder, CrateSource, SealedFile, read_again
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
from lockgate.crossing.media.errors import TwoCratesError
from lockgate.crossing.media.write import free_room, writing
from lockgate.crossing.mend import Mender
from lockgate.crossing.open import read_shards
from lockgate.crossing.repair import Damage, Scanner, damages
from lockgate.crossing.shards import ShardedFile, index_size
from lockgate.store.blobs import sync_folder
from lockgate.trust.roots import ROOT_LIMIT


@dataclass(slots=True)
class Taken:
    """What is in the inbox of one crate after reading a medium.

    Attributes:
        folder: The crate's folder in the inbox.
        manifest: What its crate.json says.
        crate_sha256: Digest of its crate.json.
        copied: Bytes that came from this medium.
        missing: Volumes and parity volumes that no medium brought yet.
        damages: Parts that no medium brought undamaged yet.

    """

    folder: Path
    manifest: Manifest
    crate_sha256: str
    copied: int = 0
    missing: tuple[str, ...] = ()
    damages: tuple[Damage, ...] = field(default=())


class MediaReader:
    """Copies crates from media into an inbox. What is there already is kept where it is right."""

    def __init__(self, inbox: Path, mender: Mender, progress: Progress | None = None) -> None:
        """Use an inbox, and what judges crate.json."""
        self._inbox = inbox
        self._mender = mender
        self._progress = progress or Silent()

    def take(self, source: CrateSource) -> Taken:
        """Copy one crate, or go on with it.

        A shard that is damaged here and right there is taken from there, so that two media that are
        damaged in different places make one whole crate.

        Raises:
            TrustError: crate.json, roots/ or shards.idx are damaged or forged.
            TwoCratesError: The inbox holds another crate of this name.
            NoSpaceError, CrateIoError: The inbox.

        """
        names, manifest, digest = self._mender.read(source)
        files = read_shards(source, manifest)
        target = self._inbox / source.name
        wanted = [file for file in files if file.name in names]
        with writing(str(target)):
            self._begin(source, manifest, digest, target)
            self._demand_room(wanted, target)
            self._progress.start("copy", sum(file.size for file in wanted))
            taken = Taken(target, manifest, digest)
            for file in wanted:
                taken.copied += self._copy(source, file, target)
            sync_folder(target)
            self._progress.finish()
        self._judge(taken, files)
        return taken

    def _begin(self, source: CrateSource, manifest: Manifest, crate_sha256: str, target: Path) -> None:
        """Copy what every medium repeats, or demand that it is the same.

        Each is what was judged a moment ago, or a medium that gives something else the second time would
        leave in the inbox what keeps the right crate out.
        """
        for folder in (target, target / ROOTS_FOLDER):
            if folder.is_symlink():
                what = f"The inbox holds a link in the place of a folder of {source.name}."
                raise TwoCratesError(what, file=str(folder), advice="Somebody put it there: find out who.")
            folder.mkdir(parents=True, exist_ok=True)
        size = index_size(manifest.volumes, manifest.parity)
        small = [(f"{ROOTS_FOLDER}/{root_name(v)}", ROOT_LIMIT, d) for v, d in manifest.roots.items()]
        small += [(SHARDS_FILE, size, manifest.shards_sha256), (CRATE_FILE, MANIFEST_LIMIT, crate_sha256)]
        for name, limit, digest in small:
            data = read_again(source, name, limit, digest)
            path = target / name
            if path.exists():
                with path.open("rb") as file:
                    held = file.read(limit + 1)
                if held != data and data[: len(held)] != held:  # a copy that was cut short is written again
                    what = f"The inbox holds another {name} of {source.name}."
                    raise TwoCratesError(what, file=str(path))
                if held == data:
                    continue
                path.unlink()
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                write_all(handle, memoryview(data))
                os.fsync(handle)
            finally:
                os.close(handle)

    def _demand_room(self, wanted: Sequence[ShardedFile], target: Path) -> None:
        paths = [(file, target / file.name) for file in wanted]
        need = SPARE + sum(
            file.size - (min(path.stat().st_size, file.size) if path.is_file() else 0) for file, path in paths
        )
        if (free := free_room(target)) < need:
            what = f"The copy needs {need} bytes and {free} are free."
            raise NoSpaceError(what, missing=need - free)

    def _copy(self, source: CrateSource, file: ShardedFile, target: Path) -> int:
        """Take every shard of a volume that the inbox has not right; return how many bytes."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(target / file.name, flags, 0o600)
        copied = 0
        try:
            held = os.fstat(handle).st_size
            view = memoryview(bytearray(max(RECORD_SIZE + TAG_SIZE, file.shards.header_size)))
            with source.open(file.name) as opened:
                for shard in range(len(file.shards)):
                    copied += self._shard(opened, handle, file, shard=shard, held=held, view=view)
            os.ftruncate(handle, min(file.size, max(held, os.fstat(handle).st_size)))
            os.fsync(handle)
        finally:
            os.close(handle)
        return copied

    def _shard(
        self,
        source: SealedFile,
        handle: int,
        file: ShardedFile,
        *,
        shard: int,
        held: int,
        view: memoryview,
    ) -> int:
        offset, length = file.span(shard)
        self._progress.advance(length)
        part, digest = view[:length], file.shards.digest(shard)
        there = offset + length <= held and os.preadv(handle, [part], offset) == length
        if there and hashlib.sha256(part).digest() == digest:
            return 0
        try:
            whole = source.fill(part, offset)
        except CrateIoError:  # the medium does not give these bytes any more
            return 0
        if not whole:
            return 0
        # What is damaged on every medium is kept all the same: most of its bytes are right, and parity
        # can find the others.
        if not there or hashlib.sha256(part).digest() == digest:
            os.lseek(handle, offset, os.SEEK_SET)
            write_all(handle, part)
            return length
        return 0

    def _judge(self, taken: Taken, files: Sequence[ShardedFile]) -> None:
        with CrateFolder(taken.folder) as folder:
            names = folder.names()
            there = [file for file in files if file.name in names]
            self._progress.start("check", sum(file.size for file in there))
            found = Scanner(folder, names, self._progress).scan(there)
            self._progress.finish()
        taken.missing = tuple(file.name for file in files if file.name not in names)
        taken.damages = tuple(damages(found))
