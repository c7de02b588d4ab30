"""Backups of a high side: records, log, channels, trust, the gateway's databases, the list of blobs.

Records are written out through their port, so that a backup of one database can be restored into
another. Channels are copied first, then records, then the log: whatever happens meanwhile, the
later part knows everything that the earlier part speaks of. Keys are not in a backup; their
holders keep their own copies.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.admit.model import CROSSINGS, RECHECKS, Crossing
from lockgate.app.files import read_named
from lockgate.app.record.gateway_record import QUOTAS, RECEIPTS, copy_database
from lockgate.app.record.leaves import LEAVES, Leaves
from lockgate.app.settings import CONFIG_FILE, Side
from lockgate.app.stores import audit_records_of, blobs_of, records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.core.artifact import Digest, Size, safe_path
from lockgate.core.digests import checked, sha256, sha256_stream
from lockgate.core.errors import InputError, TrustError
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.crossing import RecordLedger
from lockgate.crossing.quarantine import META_LIMIT
from lockgate.store import BlobStore, FileBlobs, Records, Transaction
from lockgate.store.blobs import sync_folder
from lockgate.store.errors import BlobMismatchError, BlobMissingError
from lockgate.store.schema import SCHEMA
from lockgate.trust.dsse import open_envelope, sign, verify
from lockgate.trust.keys import Signer

BACKUP_FORMAT = "lockgate-backup/1"
BACKUP_TYPE = "application/vnd.lockgate.backup+json"
"""DSSE payload type of a backup's manifest."""
MANIFEST = "backup.dsse.json"
RECORDS, LOG = "records.jsonl", "audit.jsonl"
BLOBS, QUARANTINE = "blobs.txt", "quarantine.txt"
EVIDENCE = "evidence/"
"""Begins the paths of what quarantine holds of published crossings beside their files, by digest."""
MANIFEST_LIMIT = 16 << 20
"""Longest manifest that is read, in bytes."""
ROW_LIMIT = 64 << 20
"""Longest line of a file of records, in bytes."""


class BackupFolderError(InputError):
    """A folder is no place for a backup, or holds none."""

    code = "LG-1f0d"
    advice = "Name an empty folder to make a backup, or one that `lockgate backup` finished."


class BackupAlteredError(TrustError):
    """A backup is not what its signed manifest says."""

    code = "LG-2f0d"
    advice = "The backup was damaged or altered. Use another copy of it."


class BackupFile(Document, frozen=True):
    """One file of a backup."""

    path: str
    size: Size
    sha256: Digest


class Backup(Document, frozen=True):
    """A backup's manifest, signed by the operator who made it."""

    format: str
    lane: str
    created: Moment
    person: str
    schema: str
    log_size: int
    log_root: Digest
    with_blobs: bool
    files: tuple[BackupFile, ...]


class Row(Document, frozen=True):
    """One record in a backup; the value is base64."""

    collection: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """A backup whose manifest and files were verified."""

    folder: Path
    manifest: Backup
    sha256: str

    def rows(self, name: str) -> Iterator[tuple[str, str, bytes]]:
        """Yield collection, key and value of every record in one of its files; see `read_rows`."""
        return read_rows(self.folder / name)

    def blobs(self, name: str = BLOBS) -> Iterator[tuple[str, int]]:
        """Yield digest and length of the blobs that were held."""
        with (self.folder / name).open() as file:
            for line in file:
                digest, _, size = line.partition(" ")
                yield checked(digest), int(size)


def make_backup(
    side: Side, folder: Path, signer: Signer, progress: Progress, *, with_blobs: bool = False
) -> OpenedBackup:
    """Write a backup into an empty folder; it is one once its manifest is there.

    Args:
        side: The high side.
        folder: Made when missing.
        signer: An operator's key.
        progress: Shows the copying of blobs.
        with_blobs: Copy the blobs too; else only their list.

    Raises:
        BackupFolderError: The folder holds something, or cannot be written.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    now = whole_second(utc_now())
    person = site_root(side, None).held(signer.keyid, Purpose.OPERATOR, now).person
    log = audit_log(side)
    intent = log.intent("backup", person=person, folder=folder.name, blobs=with_blobs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            what = f"{folder} is not empty."
            raise BackupFolderError(what)
        writer = _Writer(folder)
        writer.copy_all(side.home.channels, "channels")
        writer.rows(RECORDS, records_of(side))
        writer.rows(LOG, audit_records_of(side))
        leaves = read_leaves(folder / LOG)
        for name in (RECEIPTS, QUOTAS):
            writer.database(side.home.root / name, name)
        writer.copy_all(side.home.trust, "trust")
        writer.copy(side.home.config, CONFIG_FILE)
        blobs = blobs_of(side)
        writer.listing(BLOBS, blobs)
        quarantine = FileBlobs(side.home.quarantine)
        writer.listing(QUARANTINE, quarantine)
        for digest in _evidence(side):
            with suppress(BlobMissingError, BlobMismatchError):  # lost before; all else is worth a backup
                writer.pieces(f"{EVIDENCE}{digest}", [quarantine.read(digest, limit=META_LIMIT)])
        if with_blobs:
            _copy_blobs(blobs, FileBlobs(folder / "blobs"), progress)
        manifest = Backup(
            format=BACKUP_FORMAT,
            lane=side.lane,
            created=now,
            person=person,
            schema=SCHEMA,
            log_size=leaves.size,
            log_root=leaves.root(leaves.size).hex(),
            with_blobs=with_blobs,
            files=tuple(writer.files),
        )
        payload = encode(manifest)
        writer.pieces(MANIFEST, [sign(BACKUP_TYPE, payload, [signer])])
    except OSError as error:
        log.outcome(intent, "failed", error=error.strerror or "unknown")
        what = f"The backup in {folder} could not be written: {error.strerror}."
        raise BackupFolderError(what) from error
    log.outcome(intent, "done", backup=sha256(payload))
    return OpenedBackup(folder, manifest, sha256(payload))


def _evidence(side: Side) -> list[str]:
    """Return what quarantine holds of published crossings beside files: locks, verdicts, attestations."""
    records = records_of(side)
    with records.transaction() as tx:
        crossings = [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)]
        found = {value.decode("ascii", "replace") for _, value in tx.scan(RECHECKS)}
    ledger = RecordLedger(records)
    for each in crossings:
        if each.state is CrossingState.PUBLISHED:
            held = ledger.held(each.sequence)
            found |= {each.crate_sha256, each.lock_sha256, each.verdicts_sha256, each.attestation_sha256}
            found |= set(held.meta.values()) if held else set()
    records.close()
    return sorted(checked(digest) for digest in found if digest)


def _copy_blobs(source: BlobStore, target: FileBlobs, progress: Progress) -> None:
    held = list(source.digests())
    progress.start("Copying blobs", sum(size for _, size in held))
    for digest, size in held:
        with source.open(digest) as stream:
            target.put_stream(stream, expected=digest, limit=size)
        progress.advance(size)
    progress.finish()


class _Writer:
    """Writes the files of a backup, durably, and notes what they hash to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[BackupFile] = []

    def pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        state, size = hashlib.sha256(), 0
        with target.open("xb") as file:
            for piece in pieces:
                state.update(piece)
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(target.parent)
        self.files.append(BackupFile(path=path, size=size, sha256=state.hexdigest()))

    def copy(self, source: Path, path: str) -> None:
        self.pieces(path, [source.read_bytes()])

    def database(self, source: Path, path: str) -> None:
        """Copy a database that others may write, where there is one."""
        target = self._folder / path
        if copy_database(source, target):
            with target.open("rb") as file:
                os.fsync(file.fileno())
                digest, size = sha256_stream(file)
            sync_folder(target.parent)
            self.files.append(BackupFile(path=path, size=size, sha256=digest))

    def copy_all(self, folder: Path, name: str) -> None:
        for source in sorted(folder.iterdir()) if folder.is_dir() else ():
            if source.is_file() and not source.name.startswith("."):
                self.copy(source, f"{name}/{source.name}")

    def rows(self, path: str, records: Records) -> None:
        def lines(tx: Transaction) -> Iterator[bytes]:
            for collection in tx.collections():
                for key, value in tx.scan(collection):
                    text = base64.b64encode(value).decode()
                    yield encode(Row(collection=collection, key=key, value=text)) + b"\n"

        with records.transaction() as tx:
            self.pieces(path, lines(tx))
        records.close()

    def listing(self, path: str, blobs: BlobStore) -> None:
        self.pieces(path, (f"{digest} {size}\n".encode() for digest, size in blobs.digests()))


def read_rows(file: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield collection, key and value of every record in a file of a backup.

    Raises:
        BackupAlteredError: A line is too long, or a value no base64.

    """
    with file.open("rb") as stream:
        while line := stream.readline(ROW_LIMIT + 1):
            if len(line) > ROW_LIMIT:
                what = f"A line of {file.name} is longer than {ROW_LIMIT} bytes."
                raise BackupAlteredError(what)
            row = decode(Row, line.removesuffix(b"\n"), limit=ROW_LIMIT, name="record of a backup")
            try:
                value = base64.b64decode(row.value, validate=True)
            except ValueError as error:
                what = f"A value in {file.name} is no base64."
                raise BackupAlteredError(what) from error
            yield row.collection, row.key, value


def read_leaves(file: Path) -> Leaves:
    """Return the log's leaves in a file of a backup."""
    return Leaves(value for collection, _, value in read_rows(file) if collection == LEAVES)


def open_backup(side: Side, folder: Path) -> OpenedBackup:
    """Verify a backup: an operator's signature, every file's digest, the log's root.

    Raises:
        BackupFolderError: There is no finished backup.
        BackupAlteredError: A file is not what the manifest says, or the backup is another lane's.
        LockgateError: The manifest bears no valid signature of an operator.

    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        what = f"{folder} holds no finished backup."
        raise BackupFolderError(what)
    opened = open_envelope(read_named(manifest, limit=MANIFEST_LIMIT), limit=MANIFEST_LIMIT)
    said = decode(Backup, opened.payload, limit=MANIFEST_LIMIT, name="backup")
    verify(opened, site_root(side, None), Purpose.OPERATOR, said.created, BACKUP_TYPE)
    if said.format != BACKUP_FORMAT or said.lane != side.lane:
        what = f"The backup is of lane {said.lane!r} and format {said.format!r}."
        raise BackupAlteredError(what)
    for file in said.files:
        _demand_file(folder / safe_path(file.path), file)
    leaves = read_leaves(folder / LOG)
    if (leaves.size, leaves.root(leaves.size).hex()) != (said.log_size, said.log_root):
        raise BackupAlteredError("The log in the backup is not the one that its manifest names.")
    return OpenedBackup(folder, said, sha256(opened.payload))


def _demand_file(path: Path, said: BackupFile) -> None:
    try:
        with path.open("rb") as stream:
            found, size = sha256_stream(stream)
    except OSError as error:
        what = f"{said.path} of the backup cannot be read: {error.strerror}."
        raise BackupAlteredError(what) from error
    if (found, size) != (said.sha256, said.size):
        what = f"{said.path} of the backup is not what its manifest says."
        raise BackupAlteredError(what, file=said.path, expected=said.sha256, found=found)
