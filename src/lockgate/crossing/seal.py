"""Sealing: one pass over the content, bounded memory, no second copy on disk."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress, Silent
from lockgate.core.wire import encode
from lockgate.crossing.bases import listed
from lockgate.crossing.contents import (
    SealRequest,
)
from lockgate.crossing.deltas import spooled
from lockgate.crossing.disk import SPARE, alone
from lockgate.crossing.errors import (
    CrateIoError,
    NoSpaceError,
    SealingUnfinishedError,
)
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_TYPE,
    NOTHING,
    ROOTS_FOLDER,
    SHARDS_FILE,
    Manifest,
    VolumeEntry,
    folder_name,
    root_name,
)
from lockgate.crossing.parity import make_parity
from lockgate.crossing.payload import PayloadSource
from lockgate.crossing.prepare import Prepared, Preparer, SealerParts
from lockgate.crossing.sealplan import Plan
from lockgate.crossing.shards import ShardedFile, VolumeShards, write_index
from lockgate.crossing.workers import VolumeWriter, plaintext_records
from lockgate.store.blobs import sync_folder
from lockgate.trust import dsse

PARTIAL = ".partial-"
BUSY_FILE = ".sealing"
ONTO_MEDIA = ".onto-media"
"""Folder in the outbox that an unfinished sealing onto media keeps (see `direct`)."""


@dataclass(frozen=True, slots=True)
class SealedCrate:
    """A finished crate."""

    path: Path
    crate_sha256: str
    manifest: Manifest


class Sealer:
    """Seals what was collected into crates."""

    def __init__(self, parts: SealerParts) -> None:
        """Use the parts; nothing is written yet."""
        self._p = parts
        self._preparer = Preparer(parts)

    def plan(self, request: SealRequest, progress: Progress | None = None) -> Plan:
        """Return what sealing would write; deltas are worked out, and nothing else is written."""
        with spooled(self._p.outbox) as spool:
            return self._preparer.prepare(request, self._p.ledger.peek(), spool, progress or Silent()).plan

    def seal(self, request: SealRequest, progress: Progress | None = None) -> SealedCrate:
        """Seal a crate into the outbox.

        Raises:
            SealRequestError, WrongLaneError, RecipientNotListedError: The request is refused.
            SourceChangedError: A file changed after it was collected.
            NoSpaceError, CrateIoError: The disk; the unfinished crate is discarded.
            CrossingBusyError: Another process is sealing.
            SealingUnfinishedError: A sealing onto media is not finished.

        """
        told = progress or Silent()
        with alone(self._p.outbox / BUSY_FILE), spooled(self._p.outbox) as spool:
            if (self._p.outbox / ONTO_MEDIA).is_dir():  # it holds the number that this one would get
                raise SealingUnfinishedError("A sealing onto media is not finished.")
            self._settle()
            prepared = self._preparer.prepare(request, self._p.ledger.begin(), spool, told)
            self._demand_space(prepared.plan)
            partial = self._p.outbox / f"{PARTIAL}{folder_name(prepared.slot.sequence, prepared.crate)}"
            try:
                manifest = self._write(partial, prepared, told)
                envelope = dsse.sign(CRATE_TYPE, encode(manifest), self._p.signers)
                write_file(partial / CRATE_FILE, envelope)
                sync_folder(partial)
            except OSError as error:
                shutil.rmtree(partial, ignore_errors=True)
                what = f"The crate cannot be written: {error.strerror}."
                raise CrateIoError(what, file=str(error.filename or partial)) from error
            except LockgateError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            contents = listed(manifest.sequence, request.lock, self._p.blobs)
            self._p.ledger.finish(manifest.sequence, sha256(envelope), prepared.tuf, contents)
            return SealedCrate(self._publish(partial), sha256(envelope), manifest)

    def settle(self) -> list[Path]:
        """Finish or discard what an interrupted sealing left; return the finished crates."""
        with alone(self._p.outbox / BUSY_FILE):
            return self._settle()

    def _settle(self) -> list[Path]:
        """See `settle`.

        A crate whose digest the ledger bound was whole and only lacked its final name. Any other
        one is discarded: its number is free again and its keys are gone.
        """
        finished = []
        for partial in sorted(self._p.outbox.glob(f"{PARTIAL}*")):
            envelope = partial / CRATE_FILE
            sequence = partial.name.removeprefix(PARTIAL).split("-")[1]
            digest = sha256(envelope.read_bytes()) if envelope.is_file() else NOTHING
            if digest == self._p.ledger.sealed(int(sequence)):
                finished.append(self._publish(partial))
            else:
                shutil.rmtree(partial)
        return finished

    def _publish(self, partial: Path) -> Path:
        final = self._p.outbox / partial.name.removeprefix(PARTIAL)
        partial.rename(final)
        sync_folder(self._p.outbox)
        return final

    def _demand_space(self, plan: Plan) -> None:
        need = plan.sealed + plan.parity_bytes + plan.index_bytes + SPARE
        free = self._p.free(self._p.outbox)
        if free < need:
            what = f"The crate needs {need} bytes and {free} are free."
            raise NoSpaceError(what, missing=need - free)

    def _write(self, partial: Path, prepared: Prepared, progress: Progress) -> Manifest:
        (partial / ROOTS_FOLDER).mkdir(parents=True)
        for version, root in self._preparer.roots().items():
            write_file(partial / ROOTS_FOLDER / root_name(version), root)
        sync_folder(partial / ROOTS_FOLDER)
        written = self._write_volumes(partial, prepared, progress)
        files = [ShardedFile(entry.name, entry.size, shards) for entry, shards in written]
        planned = prepared.plan.parity
        if planned:
            progress.start("parity", prepared.plan.sealed)
        parity, parity_shards = make_parity(partial, files, planned, progress)
        index = write_index([shards for _, shards in written], parity_shards)
        write_file(partial / SHARDS_FILE, index)
        entries = [entry for entry, _ in written]
        return self._preparer.manifest(prepared, entries, parity, index)

    def _write_volumes(
        self, partial: Path, prepared: Prepared, progress: Progress
    ) -> list[tuple[VolumeEntry, VolumeShards]]:
        volumes = prepared.plan.volumes
        keys = self._preparer.keys(prepared)
        source = PayloadSource(prepared.prefix, prepared.contents)
        progress.start("seal", prepared.plan.sealed)
        records = plaintext_records(source, volumes)
        with VolumeWriter(records, keys, progress) as writer:
            written = [writer.write(partial, volume) for volume in volumes]
        for _ in records:  # drawn to its end, where the last source is judged
            raise CrateIoError("There is more to seal than was planned.")
        progress.finish()
        return written


def write_file(path: Path, data: bytes) -> None:
    """Write a small file that is not there yet; its bytes are durable on return."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
