"""Repairing a crate where it lies, or into another folder: without keys, by digests alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate.core.digests import sha256
from lockgate.core.ports import Progress, Silent
from lockgate.core.roots import Root
from lockgate.core.wire import decode
from lockgate.crossing.buffers import write_all
from lockgate.crossing.errors import CrateIoError, ManifestError, ParityMissingError
from lockgate.crossing.folder import CrateFolder, CrateSource, SealedFile, naming, read_again
from lockgate.crossing.form import demand_consistent
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_TYPE,
    MANIFEST_LIMIT,
    ROOTS_FOLDER,
    SHARDS_FILE,
    Manifest,
    root_name,
)
from lockgate.crossing.open import read_shards
from lockgate.crossing.parity import Group, groups_of
from lockgate.crossing.repair import (
    Damage,
    Found,
    Overlay,
    Rebuilder,
    RebuiltFile,
    Scanner,
    damages,
    demand_repairable,
)
from lockgate.crossing.shards import index_size
from lockgate.crossing.verify import authenticate, demand_files
from lockgate.crossing.whereabouts import within_manifest
from lockgate.store.blobs import sync_folder
from lockgate.trust import dsse
from lockgate.trust.roots import ROOT_LIMIT

WORK = ".mending-"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Trust:
    """What crate.json is judged by: a supply root and the moment."""

    supply: Root
    at: datetime


@dataclass(frozen=True, slots=True)
class Condition:
    """How a crate was found.

    Attributes:
        manifest: What its crate.json says.
        crate_sha256: Digest of its crate.json.
        authentic: Whether the signatures of crate.json were checked.
        damages: Every damaged part.

    """

    manifest: Manifest
    crate_sha256: str
    authentic: bool
    damages: tuple[Damage, ...]


class Mender:
    """Looks for damage in a crate and repairs it."""

    def __init__(self, trust: Trust | None = None, progress: Progress | None = None) -> None:
        """Use what crate.json is judged by; without it only damage shows, no forgery."""
        self._trust = trust
        self._progress = progress or Silent()

    def check(self, crate: Path) -> Condition:
        """Read every byte of a crate and tell what is damaged; it is only read.

        Raises:
            TrustError: crate.json, roots/ or shards.idx are damaged or forged, or something foreign is there.

        """
        with CrateFolder(crate) as folder:
            return self.look(folder)

    def look(self, folder: CrateSource) -> Condition:
        """Do as `check` does with a crate that is open already, in a folder or an image."""
        names, manifest, digest = self.read(folder)
        found = [one for group in self.groups(folder, manifest) for one in self._scan(folder, names, group)]
        return Condition(manifest, digest, self._trust is not None, tuple(damages(found)))

    def read(self, folder: CrateSource) -> tuple[frozenset[str], Manifest, str]:
        """Return what is in a crate's folder, its manifest and the digest of its crate.json.

        Raises:
            TrustError: crate.json or roots/ are damaged or forged, or something foreign is there.

        """
        names = folder.names()
        envelope = folder.read(CRATE_FILE, MANIFEST_LIMIT)
        manifest = self._manifest(envelope)
        with within_manifest(envelope):
            demand_consistent(manifest, folder.name)
            demand_files(manifest, folder.roots(ROOT_LIMIT), names)
        return names, manifest, sha256(envelope)

    def repair(self, crate: Path, into: Path | None = None) -> Condition:
        """Repair a crate in its place, or write a whole copy of it into another folder.

        Killed at any moment it can be started again. What can be repaired is, even where something else
        is lost for good.

        Args:
            crate: The crate's folder.
            into: Where the repaired copy goes, below the crate's own name; None repairs in place.

        Returns:
            How it was found.

        Raises:
            ParityMissingError: Something is damaged and the crate has no parity.
            TooDamagedError: More is damaged than parity rebuilds.
            CrateIoError: A file cannot be written.

        """
        with CrateFolder(crate) as folder:
            names, manifest, digest = self.read(folder)
            target = None if into is None else self._target(folder, into, manifest)
            found: list[Found] = []
            for group in self.groups(folder, manifest):
                found += self._mend(folder, names, group, (target or crate).parent, target)
            if target is not None:
                self._finish(folder, target, manifest, digest)
        return Condition(manifest, digest, self._trust is not None, tuple(damages(found)))

    def _manifest(self, envelope: bytes) -> Manifest:
        if self._trust is not None:
            return authenticate(envelope, self._trust.supply, self._trust.at)
        with naming(CRATE_FILE, len(envelope)):
            opened = dsse.open_envelope(envelope, limit=MANIFEST_LIMIT)
            if opened.payload_type != CRATE_TYPE:
                raise ManifestError("crate.json is an envelope of something else.")
        with within_manifest(envelope):
            return decode(Manifest, opened.payload, limit=MANIFEST_LIMIT, name=CRATE_FILE)

    @staticmethod
    def groups(folder: CrateSource, manifest: Manifest) -> list[Group]:
        """Return the groups of a crate, from its shards.idx."""
        return groups_of(manifest, read_shards(folder, manifest))

    def _scan(self, folder: CrateSource, names: frozenset[str], group: Group) -> list[Found]:
        self._progress.start("scan", sum(file.size for file in group.files if file.name in names))
        found = Scanner(folder, names, self._progress).scan(group.files)
        self._progress.finish()
        return found

    def _mend(
        self, folder: CrateFolder, names: frozenset[str], group: Group, beside: Path, target: Path | None
    ) -> list[Found]:
        found = self._scan(folder, names, group)
        bad = frozenset(one.file.name for one in found if one.bad)
        if bad and not group.parity:
            part = next(damages(found))
            what = f"{part.file} is {part.why} at {part.offset}, and the crate has no parity."
            raise ParityMissingError(what, file=part.file, offset=part.offset, length=part.length)
        with Overlay(beside / (WORK + folder.name)) as overlay:
            rebuilder = Rebuilder(folder, group, found, self._progress)
            lost = rebuilder.rebuild(bad, overlay.write).lost if bad else {}
            for one in found:
                missing = lost.get(one.file.name, set())
                if target is None or not missing:
                    self._write(folder, one, one.bad - missing, overlay, target)
        demand_repairable(found, lost)
        return found

    def _write(
        self,
        folder: CrateFolder,
        found: Found,
        rebuilt: frozenset[int],
        overlay: Overlay,
        target: Path | None,
    ) -> None:
        """Bring one file to the form in which it was sealed, as far as its shards were rebuilt."""
        if target is None and (found.whole or (found.bad and not rebuilt)):
            return
        name = found.file.name
        with _writing(name), _source(folder, found) as source:
            whole = overlay.file(found, source)
            handle = (
                folder.open_to_repair(name)
                if target is None
                else os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            )
            try:
                wanted = sorted(rebuilt) if target is None else range(len(found.file.shards))
                for shard in wanted:
                    offset, length = found.file.span(shard)
                    os.lseek(handle, offset, os.SEEK_SET)
                    write_all(handle, memoryview(_shard(whole, offset, length)))
                os.ftruncate(handle, found.file.size)
                os.fsync(handle)
            finally:
                os.close(handle)

    def _target(self, folder: CrateFolder, into: Path, manifest: Manifest) -> Path:
        """Begin the copy: roots, then volumes; crate.json comes last, so that no half copy looks whole."""
        target = into / folder.name
        with _writing(str(target)):
            (target / ROOTS_FOLDER).mkdir(parents=True, exist_ok=True)
            for version, digest in manifest.roots.items():
                name = f"{ROOTS_FOLDER}/{root_name(version)}"
                _replace(target / name, read_again(folder, name, ROOT_LIMIT, digest))
        return target

    @staticmethod
    def _finish(folder: CrateFolder, target: Path, manifest: Manifest, crate_sha256: str) -> None:
        size = index_size(manifest.volumes, manifest.parity)
        last = (SHARDS_FILE, size, manifest.shards_sha256), (CRATE_FILE, MANIFEST_LIMIT, crate_sha256)
        with _writing(str(target)):
            for name, limit, digest in last:
                _replace(target / name, read_again(folder, name, limit, digest))
            sync_folder(target / ROOTS_FOLDER)
            sync_folder(target)


@contextmanager
def _source(folder: CrateSource, found: Found) -> Iterator[SealedFile | None]:
    if not found.readable:
        yield None
        return
    with folder.open(found.file.name) as source:
        yield source


def _shard(file: RebuiltFile, offset: int, length: int) -> bytes:
    data = file.read(offset, length)
    if len(data) != length:
        what = f"{file.name} could be read a moment ago, and now cannot at {offset}."
        raise CrateIoError(what, file=file.name, offset=offset, length=length)
    return data


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{name} cannot be written: {error.strerror}."
        raise CrateIoError(what, file=name) from error


def _replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, _NEW, 0o600)
    try:
        write_all(handle, memoryview(data))
        os.fsync(handle)
    finally:
        os.close(handle)
