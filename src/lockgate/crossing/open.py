"""Opening: authenticate, record, decrypt into staging, then re-hash every file into quarantine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from lockgate.core.artifact import Lock
from lockgate.core.clock import raised
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.ports import Clock, Progress, Silent
from lockgate.core.roots import Root
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.core.wire import whole_second
from lockgate.crossing.contents import Sealing, lock_targets
from lockgate.crossing.disk import SPARE, alone, free_bytes
from lockgate.crossing.errors import (
    CrossingStateError,
    NoSpaceError,
    SandboxMissingError,
    ShardIndexDamagedError,
)
from lockgate.crossing.folder import CrateFolder, CrateSource, naming
from lockgate.crossing.format import CRATE_FILE, MANIFEST_LIMIT, ROOTS_FOLDER, SHARDS_FILE, Manifest
from lockgate.crossing.parity import groups_of
from lockgate.crossing.payload import LOCK, PayloadReader
from lockgate.crossing.ports import Cipher, Held, Ledger, Rebuilder, Recorded, SupplyRoots
from lockgate.crossing.quarantine import Authority, judge_documents, quarantine
from lockgate.crossing.rebuilding import DeltaReading, HeldBases, permitted_bases
from lockgate.crossing.repair import Damage
from lockgate.crossing.salvage import Salvage
from lockgate.crossing.shards import ShardedFile, index_size, read_index
from lockgate.crossing.staging import Staging
from lockgate.crossing.standing import demand_believed, demand_believed_roots, dsse_signers
from lockgate.crossing.verify import (
    SupplyChain,
    authenticate,
    choose_key,
    demand_bases,
    demand_files,
    demand_form,
    demand_time,
    demand_window,
    follow_roots,
    next_entries,
)
from lockgate.crossing.volumes import VolumeOpening, aes_gcm
from lockgate.crossing.whereabouts import PayloadPlaces, Span, within_manifest
from lockgate.store.ports import BlobStore, DiscardingBlobs
from lockgate.trust.keys import RecipientKey
from lockgate.trust.roots import ROOT_LIMIT
from lockgate.trust.tuf import Target

BUSY_FILE = ".receiving"


@dataclass(frozen=True, slots=True)
class OpenerParts:
    """Everything that opening is joined from.

    Attributes:
        lane: The lane's name.
        site: The site root: recipients and policy.
        supply_pin: Digest of the first supply root, pinned when the lane was made.
        roots: The supply roots that this side holds.
        ledger: The high side's ledger and trust state.
        keys: This side's recipient keys, newest first.
        quarantine: Where the content goes.
        rebuilder: Rebuilds files of delta crates; without one those crates are refused.
        bases: Further stores that hold files of earlier crossings, after quarantine.
        staging: A folder for plaintext volumes on the way.
        clock: The present moment.
        cipher: The bulk cipher; tests put an instrumented one here.
        free: Tells the free bytes below a folder.

    """

    lane: str
    site: Root
    supply_pin: str
    roots: SupplyRoots
    ledger: Ledger
    keys: Sequence[RecipientKey]
    quarantine: DiscardingBlobs
    staging: Path
    clock: Clock
    cipher: Cipher = aes_gcm
    free: Callable[[Path], int] = free_bytes
    rebuilder: Rebuilder | None = None
    bases: Sequence[BlobStore] = ()

    @property
    def policy(self) -> Policy:
        """Return the site's policy."""
        return self.site.policy or Policy()


@dataclass(frozen=True, slots=True)
class Received:
    """A crate whose whole content is in quarantine.

    `targets` maps every path (those below ``meta/`` included) to length and digest. `repaired` names
    what this run rebuilt from parity.
    """

    manifest: Manifest
    crate_sha256: str
    lock: Lock
    lock_sha256: str
    targets: Mapping[str, Target]
    repaired: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A crate that is recorded and whose volumes have not all arrived.

    `missing` names the volumes that are not staged; those in `damaged` are there, and parity does
    not suffice to rebuild them before more arrives.
    """

    manifest: Manifest
    crate_sha256: str
    missing: tuple[str, ...]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Authentic:
    """A crate whose manifest was authenticated and recorded."""

    manifest: Manifest
    crate_sha256: str
    chain: SupplyChain
    key: RecipientKey | None
    recorded: datetime
    state: CrossingState
    signers: frozenset[str]
    envelope: bytes


class Opener:
    """Receives crates into quarantine, step by step in the one permitted order."""

    def __init__(self, parts: OpenerParts) -> None:
        """Use the parts; nothing happens yet."""
        self._p = parts

    def receive(self, crate: Path, progress: Progress | None = None) -> Received | Waiting:
        """Receive what is there of a crate; called again, it goes on where it was.

        Args:
            crate: The crate's folder; it is only read.
            progress: Told about the bytes.

        Returns:
            `Received` when everything is in quarantine, `Waiting` while volumes are missing.

        Raises:
            InputError, TrustError, PolicyError, LimitError, HostError: Each step has its own
                (see `errors`); inbox, store and channels are unchanged.

        """
        told = progress or Silent()
        with alone(self._p.staging / BUSY_FILE), CrateFolder(crate) as folder:
            names = folder.names()
            self._p.quarantine.sweep()
            authentic = self._authenticate(folder, names)
            if authentic.state is not CrossingState.RECORDED:
                return self._held(authentic)
            return self._open(folder, names, authentic, told)

    def _authenticate(self, folder: CrateFolder, names: frozenset[str]) -> _Authentic:
        """Take steps 1 and 2: roots, crate.json, sequence, expiry; then record the manifest."""
        p, now = self._p, whole_second(self._p.clock())
        roots = folder.roots(ROOT_LIMIT)
        chain = follow_roots(p.roots.versions(), roots, p.supply_pin, p.lane)
        envelope = folder.read(CRATE_FILE, MANIFEST_LIMIT)
        digest = sha256(envelope)
        ledger = p.ledger.entries()
        # A crate that is on record is judged by the moment when it was recorded.
        known = [e.sequence for e in ledger.values() if e.crate_sha256 == digest]
        recorded = p.ledger.recorded(known[0]) if known else None
        moment = recorded.recorded if recorded else now
        manifest = authenticate(envelope, chain.root, moment)
        revoked = p.site.revoked_keys
        demand_believed_roots({root.version: data for data, root in chain.fresh}, revoked, ROOTS_FOLDER)
        signers = dsse_signers(envelope)
        with naming(CRATE_FILE, len(envelope)):
            demand_believed(signers, revoked, CRATE_FILE)
        with within_manifest(envelope):
            demand_form(manifest, p.lane, folder.name)
            demand_files(manifest, roots, names)
            key = choose_key(manifest, p.site, p.keys, moment)
            entries = next_entries(ledger, manifest, digest)
            if entries or ledger[manifest.sequence].state is CrossingState.RECORDED:
                self._demand_bases(manifest, ledger)
            if entries:
                demand_time(manifest, p.policy, p.ledger.floor(), now)
            elif ledger[manifest.sequence].state is CrossingState.RECORDED:
                demand_window(moment, p.policy, now, manifest.sequence)
        if entries:
            for data, root in chain.fresh:
                p.roots.add(root.version, data)
            entry = Recorded(sequence=manifest.sequence, crate_sha256=digest, recorded=now)
            p.ledger.record(entries, entry, raised(p.ledger.floor(), manifest.created, now))
            return _Authentic(manifest, digest, chain, key, now, CrossingState.RECORDED, signers, envelope)
        state = ledger[manifest.sequence].state
        return _Authentic(manifest, digest, chain, key, moment, state, signers, envelope)

    def _demand_bases(self, manifest: Manifest, ledger: Mapping[int, LedgerEntry]) -> None:
        """Refuse a delta whose bases this side does not hold, before anything of it is recorded or staged."""
        demand_bases(manifest, ledger)
        if manifest.needs and self._p.rebuilder is None:
            raise SandboxMissingError("This side has nothing that rebuilds files from patches.")

    def _open(
        self, folder: CrateFolder, names: frozenset[str], authentic: _Authentic, progress: Progress
    ) -> Received | Waiting:
        """Take step 3 for every volume that is there, and step 4 when none is missing."""
        manifest = authentic.manifest
        staging = self._staging(authentic)
        reused = staging.held()
        salvage = self._stage(folder, names, authentic, staging, progress)
        staged = staging.held()
        missing = tuple(v.name for v in manifest.volumes if v.name not in staged)
        if missing:
            return Waiting(manifest, authentic.crate_sha256, missing, tuple(salvage.damaged))
        try:
            received = self._quarantine(authentic, staging, progress)
        except LockgateError:
            # What an earlier run staged may have been damaged since: it is opened again from the
            # sealed volumes before the sealer is blamed.
            if not reused or not reused <= names:
                raise
            staging.discard()
            salvage = self._stage(folder, names, authentic, staging, progress)
            received = self._quarantine(authentic, staging, progress)
        staging.discard()
        return replace(received, repaired=tuple(salvage.repaired))

    def _staging(self, authentic: _Authentic) -> Staging:
        name = f"{authentic.manifest.sequence:06d}-{authentic.crate_sha256[:16]}"
        return Staging(self._p.staging / name, authentic.manifest.volumes)

    def _stage(
        self,
        folder: CrateFolder,
        names: frozenset[str],
        authentic: _Authentic,
        staging: Staging,
        progress: Progress,
    ) -> Salvage:
        """Stage every volume that is there, or can be rebuilt, and is not staged yet."""
        manifest = authentic.manifest
        files = read_shards(folder, manifest)

        def opening(number: int) -> VolumeOpening:
            shards = files[number - 1].shards
            return VolumeOpening(manifest, number, shards, authentic.key, self._p.cipher)

        held = staging.held()
        size = sum(v.plaintext_size for v in manifest.volumes if v.name in names - held)
        self._demand_space(2 * size)
        progress.start("open", size)
        salvage = Salvage(folder, names, staging, opening, self._demand_space, progress)
        first = 1
        for group in groups_of(manifest, files):
            salvage.stage(group, first)
            first += len(group.volumes)
        progress.finish()
        return salvage

    def _demand_space(self, size: int) -> None:
        """Demand room for the plaintext, once staged and once in quarantine."""
        need, free = size + SPARE, self._p.free(self._p.staging)
        if size and free < need:
            what = f"Opening needs {need} bytes and {free} are free."
            raise NoSpaceError(what, missing=need - free)

    def _authority(self, authentic: _Authentic) -> Authority:
        chain = authentic.chain
        return Authority(
            self._p.lane,
            chain.data,
            chain.root,
            self._p.ledger.tuf(),
            authentic.recorded,
            Sealing(
                lane=self._p.lane,
                sequence=authentic.manifest.sequence,
                crate=authentic.manifest.crate,
                created=authentic.manifest.created,
            ),
            self._p.site.revoked_keys,
        )

    def _deltas(self, manifest: Manifest) -> DeltaReading | None:
        if not manifest.needs or self._p.rebuilder is None:
            return None
        quarantine_store, needs = self._p.quarantine, manifest.needs
        permitted = permitted_bases(self._p.ledger, quarantine_store, needs)
        held = HeldBases((quarantine_store, *self._p.bases), permitted)
        return DeltaReading(held, self._p.rebuilder, self._p.staging, self._demand_space)

    def _quarantine(self, authentic: _Authentic, staging: Staging, progress: Progress) -> Received:
        manifest = authentic.manifest
        with within_manifest(authentic.envelope):
            deltas = self._deltas(manifest)
        with PayloadReader(staging.readers(), manifest.plaintext_size, manifest.volumes) as payload:
            done = quarantine(payload, self._p.quarantine, self._authority(authentic), progress, deltas)
        held = Held(
            sequence=manifest.sequence,
            crate_sha256=authentic.crate_sha256,
            meta=done.meta,
            signers=tuple(sorted(authentic.signers | done.signers)),
            starts=done.starts,
        )
        self._p.ledger.quarantined(held, done.tuf)
        return Received(manifest, authentic.crate_sha256, done.lock, done.meta[LOCK], done.targets)

    def _held(self, authentic: _Authentic) -> Received:
        """Return what an earlier run brought to quarantine, judged again from the signed documents."""
        held = self._p.ledger.held(authentic.manifest.sequence)
        if held is None or held.crate_sha256 != authentic.crate_sha256:
            what = f"Crossing {authentic.manifest.sequence} is {authentic.state}, but nothing is held of it."
            with within_manifest(authentic.envelope):
                raise CrossingStateError(what, field="$.sequence")
        self._staging(authentic).discard()
        blobs = self._p.quarantine
        meta = {path: Target(blobs.size(digest), digest) for path, digest in held.meta.items()}
        places = PayloadPlaces(authentic.manifest.volumes)
        starts = {} if isinstance(held.starts, msgspec.UnsetType) else held.starts
        places.spans({path: Span(at, meta[path].size) for path, at in starts.items() if path in meta})
        with places.judging():
            lock = judge_documents(blobs, meta, self._authority(authentic), places)
        targets = meta | lock_targets(lock)
        return Received(authentic.manifest, authentic.crate_sha256, lock, held.meta[LOCK], targets)


def read_shards(folder: CrateSource, manifest: Manifest) -> list[ShardedFile]:
    """Return the files that shards.idx describes, after its digest was checked.

    Raises:
        ShardIndexDamagedError, ManifestError: It is damaged, or contradicts crate.json.

    """
    size = index_size(manifest.volumes, manifest.parity)
    with folder.open(SHARDS_FILE) as file:
        data = file.read(0, size) if file.size == size else b""
        if sha256(data) != manifest.shards_sha256:
            length = "" if file.size == size else f": it has {file.size} bytes and not {size}"
            what = f"shards.idx was altered{length}."
            raise ShardIndexDamagedError(what, file=SHARDS_FILE, offset=0, length=size)
    return read_index(data, manifest.volumes, manifest.parity)
