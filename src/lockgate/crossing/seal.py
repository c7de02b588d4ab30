"""Sealing: one pass over the content, bounded memory, no second copy on disk."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.ports import Clock, Entropy, Progress, Silent
from lockgate.core.roots import Purpose, Recipient, Root
from lockgate.core.wire import digest_of, encode, whole_second
from lockgate.crossing.bases import Contents
from lockgate.crossing.buffers import write_all
from lockgate.crossing.contents import (
    Sealing,
    SealRequest,
    attest_sealing,
    check_collection,
    sent_files,
    targets_of,
    tuf_contents,
    whole_contents,
    with_sealing,
)
from lockgate.crossing.delta.bounds import Spool
from lockgate.crossing.deltas import spooled
from lockgate.crossing.errors import (
    CrateIoError,
    CrateLimitError,
    CrossingBusyError,
    NoSpaceError,
    RecipientNotListedError,
    SealRequestError,
)
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_FORMAT,
    CRATE_TYPE,
    DELTA,
    FULL,
    NOTHING,
    RECIPIENTS_LIMIT,
    ROOTS_FOLDER,
    SHARDS_FILE,
    CrateRecipient,
    CrateSealer,
    Manifest,
    VolumeEntry,
    folder_name,
    root_name,
)
from lockgate.crossing.layout import NO_PARITY, PlannedVolume, layout
from lockgate.crossing.parity import make_parity, plan_parity
from lockgate.crossing.payload import Content, PayloadSource, payload_prefix
from lockgate.crossing.pipeline import Stage
from lockgate.crossing.ports import Cipher, SealLedger, Slot
from lockgate.crossing.sealplan import Plan, planned_contents
from lockgate.crossing.shards import ShardedFile, VolumeShards, write_index
from lockgate.crossing.verify import demand_cleartext
from lockgate.crossing.volumes import CrateKeys, Shard, aes_gcm, plaintext_records, sealed_shards
from lockgate.store import BlobStore
from lockgate.store.blobs import sync_folder
from lockgate.trust import dsse
from lockgate.trust.errors import WrongLaneError
from lockgate.trust.keys import Signer
from lockgate.trust.roots import read_supply_root
from lockgate.trust.tuf import TufSigners, build

PARTIAL = ".partial-"
BUSY_FILE = ".sealing"
SPARE = 16 * 1024 * 1024
"""Bytes that must stay free beside the crate itself."""


def free_bytes(folder: Path) -> int:
    """Return how many bytes may be written below a folder."""
    return shutil.disk_usage(folder).free


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Hold a lock file, so that one process at a time works in its folder.

    Raises:
        CrossingBusyError: Another process holds it. The system lets go when that process ends.

    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"Another process is at work in {file.parent.name}."
            raise CrossingBusyError(what) from error
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class SealerParts:
    """Everything that sealing is joined from.

    Attributes:
        lane: The lane's name.
        blobs: The low side's store.
        ledger: The low side's ledger.
        roots: All supply root versions, oldest first; they travel with the crate.
        site: The site root; only its recipients may be sealed to.
        signers: Sealer keys; the first one is the sealer that keys are bound to.
        tuf: Keys of the update roles.
        outbox: Where crates appear.
        volume_bytes: Largest volume in bytes.
        parity: Parity volumes per volume.
        cleartext: Sign the crate and do not seal it, for sites whose scanners must see inside.
        valid: How long the crate may be admitted: cadence and grace.
        clock: The present moment.
        entropy: Randomness for keys, nonces and ids.
        cipher: The bulk cipher; tests put an instrumented one here.
        free: Tells the free bytes below a folder.

    """

    lane: str
    blobs: BlobStore
    ledger: SealLedger
    roots: Sequence[bytes]
    site: Root
    signers: tuple[Signer, ...]
    tuf: TufSigners
    outbox: Path
    volume_bytes: int
    valid: timedelta
    clock: Clock
    entropy: Entropy = os.urandom
    cipher: Cipher = aes_gcm
    free: Callable[[Path], int] = free_bytes
    parity: Fraction = NO_PARITY
    cleartext: bool = False


@dataclass(frozen=True, slots=True)
class SealedCrate:
    """A finished crate."""

    path: Path
    crate_sha256: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class _Prepared:
    slot: Slot
    crate: str
    created: datetime
    expires: datetime
    recipients: dict[str, Recipient]
    prefix: bytes
    contents: tuple[Content, ...]
    tuf: dict[str, bytes]
    plan: Plan


class Sealer:
    """Seals what was collected into crates."""

    def __init__(self, parts: SealerParts) -> None:
        """Use the parts; nothing is written yet."""
        self._p = parts
        self._supply = read_supply_root(parts.roots[-1])

    def plan(self, request: SealRequest, progress: Progress | None = None) -> Plan:
        """Return what sealing would write; deltas are worked out, and nothing else is written."""
        with spooled(self._p.outbox) as spool:
            return self._prepare(request, self._p.ledger.peek(), spool, progress or Silent()).plan

    def seal(self, request: SealRequest, progress: Progress | None = None) -> SealedCrate:
        """Seal a crate into the outbox.

        Raises:
            SealRequestError, WrongLaneError, RecipientNotListedError: The request is refused.
            SourceChangedError: A file changed after it was collected.
            NoSpaceError, CrateIoError: The disk; the unfinished crate is discarded.
            CrossingBusyError: Another process is sealing.

        """
        told = progress or Silent()
        with alone(self._p.outbox / BUSY_FILE), spooled(self._p.outbox) as spool:
            self._settle()
            prepared = self._prepare(request, self._p.ledger.begin(), spool, told)
            self._demand_space(prepared.plan)
            partial = self._p.outbox / f"{PARTIAL}{folder_name(prepared.slot.sequence, prepared.crate)}"
            try:
                manifest = self._write(partial, prepared, told)
                envelope = dsse.sign(CRATE_TYPE, encode(manifest), self._p.signers)
                _write_file(partial / CRATE_FILE, envelope)
                sync_folder(partial)
            except OSError as error:
                shutil.rmtree(partial, ignore_errors=True)
                what = f"The crate cannot be written: {error.strerror}."
                raise CrateIoError(what, file=str(error.filename or partial)) from error
            except LockgateError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            listed = Contents(sequence=manifest.sequence, files=sent_files(request.lock))
            contents = self._p.blobs.put_bytes(encode(listed))
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

    def _recipients(self, wanted: tuple[str, ...] | None, at: datetime) -> dict[str, Recipient]:
        if self._p.cleartext:
            demand_cleartext(self._p.site.policy or Policy())
            return {}
        listed = {name: r for name, r in self._p.site.recipients.items() if at < r.expires}
        chosen = sorted(listed) if wanted is None else sorted(set(wanted))
        foreign = [name for name in chosen if name not in listed]
        if foreign:
            what = f"The site root does not publish the recipient {foreign[0][:16]}…, or it has expired."
            raise RecipientNotListedError(what, recipient=foreign[0])
        if not chosen:
            raise RecipientNotListedError("The site root publishes no recipient that has not expired.")
        if len(chosen) > RECIPIENTS_LIMIT:
            what = f"{len(chosen)} recipients are more than one crate may have."
            raise CrateLimitError(what, limit="recipients")
        return {name: listed[name] for name in chosen}

    def _demand_keys(self, at: datetime) -> None:
        """Refuse to seal with keys that the high side would refuse."""
        if not self._p.signers:
            raise SealRequestError("There is no sealer key to sign with.")
        for signer in self._p.signers:
            self._supply.held(signer.keyid, Purpose.SEALER, at)
        self._supply.persons([s.keyid for s in self._p.signers], Purpose.SEALER, at)
        tuf = self._p.tuf
        for signer, purpose in (
            (tuf.targets, Purpose.TARGETS),
            (tuf.snapshot, Purpose.SNAPSHOT),
            (tuf.timestamp, Purpose.TIMESTAMP),
        ):
            self._supply.held(signer.keyid, purpose, at)

    def _prepare(self, request: SealRequest, slot: Slot, spool: Spool, told: Progress) -> _Prepared:
        p, created = self._p, whole_second(self._p.clock())
        for lane, what in (
            (request.lock.lane, "lock"),
            (p.site.lane, "site root"),
            (self._supply.lane, "root"),
        ):
            if lane != p.lane:
                sentence = f"The {what} is for lane {lane!r}, this side is on {p.lane!r}."
                raise WrongLaneError(sentence)
        self._demand_keys(created)
        recipients = self._recipients(request.recipients, created)
        targets = whole_contents(request, p.blobs)
        meta = {path: target.sha256 for path, target in targets_of(targets).items()}
        check_collection(request.lock_attestation, meta, self._supply, created)
        expires = created + p.valid
        crate = p.entropy(16).hex()
        sealing = Sealing(lane=p.lane, sequence=slot.sequence, crate=crate, created=created)
        targets = with_sealing(targets, attest_sealing(targets, sealing, p.signers))
        tuf = build(targets_of(targets), slot.sequence, p.tuf, expires, p.ledger.tuf())
        planned = planned_contents(request, targets, p.blobs, p.ledger, spool, told)
        contents = tuf_contents(tuf) + tuple(planned.contents)
        prefix = payload_prefix([content.entry for content in contents])
        content = sum(c.entry.length for c in contents)
        payload = len(prefix) + content
        volumes = layout(payload, p.volume_bytes, p.lane, crate, tuple(recipients), share=p.parity)
        bases = {str(number): p.ledger.sent()[number].crate_sha256 for number in sorted(planned.numbers)}
        plan = Plan(
            *(slot.sequence, len(contents), content, payload, volumes, plan_parity(volumes, p.parity)),
            entries=tuple(planned.files),
            bases=bases,
        )
        return _Prepared(slot, crate, created, expires, recipients, prefix, contents, tuf, plan)

    def _demand_space(self, plan: Plan) -> None:
        need = plan.sealed + plan.parity_bytes + plan.index_bytes + SPARE
        free = self._p.free(self._p.outbox)
        if free < need:
            what = f"The crate needs {need} bytes and {free} are free."
            raise NoSpaceError(what, missing=need - free)

    def _write(self, partial: Path, prepared: _Prepared, progress: Progress) -> Manifest:
        (partial / ROOTS_FOLDER).mkdir(parents=True)
        roots = {str(read_supply_root(root).version): root for root in self._p.roots}
        for version, root in roots.items():
            _write_file(partial / ROOTS_FOLDER / root_name(version), root)
        sync_folder(partial / ROOTS_FOLDER)
        written = self._write_volumes(partial, prepared, progress)
        files = [ShardedFile(entry.name, entry.size, shards) for entry, shards in written]
        planned = prepared.plan.parity
        if planned:
            progress.start("parity", prepared.plan.sealed)
        parity, parity_shards = make_parity(partial, files, planned, progress)
        index = write_index([shards for _, shards in written], parity_shards)
        _write_file(partial / SHARDS_FILE, index)
        sealer, bases = self._p.signers[0], prepared.plan.bases
        return Manifest(
            format=CRATE_FORMAT,
            lane=self._p.lane,
            sequence=prepared.slot.sequence,
            crate=prepared.crate,
            previous_sha256=prepared.slot.previous_sha256,
            void=prepared.slot.void,
            kind=DELTA if bases else FULL,
            base_sha256=digest_of(bases) if bases else NOTHING,
            recipients=tuple(
                CrateRecipient(recipient=name, suite=r.suite) for name, r in prepared.recipients.items()
            ),
            sealer=CrateSealer(keyid=sealer.keyid, person=self._supply.keys[sealer.keyid].person),
            roots={version: sha256(root) for version, root in roots.items()},
            volumes=tuple(entry for entry, _ in written),
            shards_sha256=sha256(index),
            created=prepared.created,
            expires=prepared.expires,
            parity=parity,
            bases=dict(bases) if bases else msgspec.UNSET,
            cleartext=True if self._p.cleartext else msgspec.UNSET,
        )

    def _write_volumes(
        self, partial: Path, prepared: _Prepared, progress: Progress
    ) -> list[tuple[VolumeEntry, VolumeShards]]:
        volumes = prepared.plan.volumes
        keys = CrateKeys(
            lane=self._p.lane,
            crate=prepared.crate,
            sealer=self._p.signers[0].keyid,
            recipients=prepared.recipients,
            entropy=self._p.entropy,
            cipher=self._p.cipher,
        )
        source = PayloadSource(prepared.prefix, prepared.contents)
        progress.start("seal", prepared.plan.sealed)
        with (
            Stage(plaintext_records(source, volumes)) as records,
            Stage(sealed_shards(iter(records), volumes, keys)) as shards,
        ):
            pieces = iter(shards)
            written = [_write_volume(partial, volume, pieces, progress) for volume in volumes]
            for _ in pieces:  # drawn to its end, where the last source is judged
                raise CrateIoError("Sealing gave more than was planned.")
        progress.finish()
        return written


def _write_volume(
    partial: Path, volume: PlannedVolume, shards: Iterator[Shard], progress: Progress
) -> tuple[VolumeEntry, VolumeShards]:
    digests = bytearray()
    commitment = ""
    with (partial / volume.name).open("xb", buffering=0) as file:
        for _ in range(volume.records + 1):
            shard = next(shards)
            write_all(file.fileno(), shard.data.view)
            digests += shard.digest
            commitment = commitment or shard.commitment
            progress.advance(len(shard.data.view))
            shard.data.give_back()
        os.fsync(file.fileno())
    entry = VolumeEntry(
        name=volume.name,
        size=volume.size,
        records=volume.records,
        plaintext_size=volume.plaintext_size,
        commitment=commitment,
    )
    return entry, VolumeShards(volume.header_size, bytes(digests))


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
