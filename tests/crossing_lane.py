"""A lane in memory for tests of the crossing: two roots, keys, a sealer and an opener."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.wire import encode
from lockgate.crossing import (
    MemorySupplyRoots,
    Opener,
    OpenerParts,
    RecordLedger,
    RecordSealLedger,
    SealedCrate,
    Sealer,
    SealerParts,
    SealRequest,
    attest_collection,
)
from lockgate.crossing.errors import (
    CrateGrammarError,
    CrateIoError,
    CrossingBusyError,
    ErasureLibraryError,
    NoSpaceError,
    NotACrateError,
    ParityMissingError,
    SandboxMissingError,
    VolumeTruncatedError,
)
from lockgate.crossing.format import CRATE_TYPE
from lockgate.crossing.rebuilding import InsecureInProcessRebuilder
from lockgate.store import BlobStore, MemoryBlobs, MemoryRecords
from lockgate.trust import dsse
from lockgate.trust.keys import RecipientKey, Signer, new_recipient_key, new_signer
from lockgate.trust.roots import make_supply_root, supply_root_pin
from lockgate.trust.tuf import TufSigners

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
SBOM_BYTES = b'{"bomFormat":"CycloneDX"}'
MIB = 1 << 20


def chance_bytes(seed: int, size: int) -> bytes:
    """Bytes without any structure."""
    return filler(f"chance {seed}", size)


def filler(seed: str, size: int) -> bytes:
    """Bytes that no two seeds share and that do not compress."""
    return hashlib.shake_256(seed.encode()).digest(size)


@dataclass
class SetClock:
    """A clock that tests set."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Lane:
    """Everything that both sides of one lane hold."""

    name: str = "test"
    clock: SetClock = field(default_factory=SetClock)
    policy: Policy = field(default_factory=Policy)
    low_blobs: BlobStore = field(default_factory=MemoryBlobs)
    quarantine: BlobStore = field(default_factory=MemoryBlobs)
    low_records: MemoryRecords = field(default_factory=MemoryRecords)
    high_records: MemoryRecords = field(default_factory=MemoryRecords)
    signers: dict[Purpose, Signer] = field(default_factory=dict)
    holders: tuple[Signer, ...] = ()
    gate: RecipientKey = field(default_factory=lambda: new_recipient_key("gate"))

    def __post_init__(self) -> None:
        self.holders = tuple(new_signer(Purpose.SUPPLY_ROOT, f"holder-{n}") for n in range(3))
        for purpose in (
            Purpose.COLLECTOR,
            Purpose.SEALER,
            Purpose.TARGETS,
            Purpose.SNAPSHOT,
            Purpose.TIMESTAMP,
        ):
            self.signers[purpose] = new_signer(purpose, f"low-{purpose}")
        self.supply = make_supply_root(self.supply_root(1), self.holders[:2])
        self.pin = supply_root_pin(self.supply)
        self.low_roots = [self.supply]
        self.high_roots = MemorySupplyRoots(self.supply)
        self.site = self.site_root(self.gate)

    def supply_root(self, version: int, **changes: Any) -> Root:
        until = NOW + YEAR
        keys = {s.keyid: s.held(until) for s in (*self.holders, *self.signers.values())}
        facts: dict[str, Any] = {
            "format": ROOT_FORMAT,
            "kind": RootKind.SUPPLY,
            "lane": self.name,
            "version": version,
            "assurance": "demo",
            "expires": until,
            "keys": keys,
            "thresholds": {Purpose.SUPPLY_ROOT: 2},
        }
        return Root(**(facts | changes))

    def site_root(self, *recipients: RecipientKey, until: datetime = NOW + YEAR) -> Root:
        return Root(
            format=ROOT_FORMAT,
            kind=RootKind.SITE,
            lane=self.name,
            version=1,
            assurance="demo",
            expires=NOW + YEAR,
            keys={},
            thresholds={},
            recipients={key.recipient_id: key.published(until) for key in recipients},
            policy=self.policy,
        )

    def lock(self, files: dict[str, bytes]) -> Lock:
        """Put files into the low store and return the lock that names them."""
        listed = [
            ArtifactFile(path=path, role=Role.OTHER, size=len(data), sha256=self.low_blobs.put_bytes(data))
            for path, data in files.items()
        ]
        artifacts = tuple(
            Artifact(purl=f"pkg:generic/{f.path}@1", kind=Kind.FILE, name=f.path, version="1", files=(f,))
            for f in listed
        )
        return Lock(
            format=LOCK_FORMAT, lane=self.name, created=NOW, manifest_sha256=sha256(b""), artifacts=artifacts
        )

    def request(self, files: dict[str, bytes], **changes: Any) -> SealRequest:
        lock = self.lock(files)
        attestation = attest_collection(lock, SBOM_BYTES, self.signers[Purpose.COLLECTOR])
        return replace(SealRequest(lock, attestation, SBOM_BYTES), **changes)

    def sealer(self, outbox: Path, **changes: Any) -> Sealer:
        tuf = TufSigners(*(self.signers[p] for p in (Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP)))
        parts = SealerParts(
            lane=self.name,
            blobs=self.low_blobs,
            ledger=RecordSealLedger(self.low_records),
            roots=self.low_roots,
            site=self.site,
            signers=(self.signers[Purpose.SEALER],),
            tuf=tuf,
            outbox=outbox,
            volume_bytes=MIB + 20_000,
            valid=timedelta(days=45),
            clock=self.clock,
        )
        return Sealer(replace(parts, **changes))

    def opener(self, staging: Path, **changes: Any) -> Opener:
        staging.mkdir(parents=True, exist_ok=True)
        parts = OpenerParts(
            lane=self.name,
            site=self.site,
            supply_pin=self.pin,
            roots=self.high_roots,
            ledger=RecordLedger(self.high_records),
            keys=(self.gate,),
            quarantine=self.quarantine,
            staging=staging,
            clock=self.clock,
            rebuilder=InsecureInProcessRebuilder(),
        )
        return Opener(replace(parts, **changes))

    def seal(self, outbox: Path, files: dict[str, bytes] | None = None, **changes: Any) -> SealedCrate:
        return self.sealer(outbox, **changes).seal(self.request(files or {"files/a": b"one"}))


def resign(lane: Lane, crate: SealedCrate, /, *signers: Signer, **changes: Any) -> None:
    """Write a crate.json with other content, signed with the sealer's own key (or others)."""
    manifest = msgspec.structs.replace(crate.manifest, **changes)
    by = signers or (lane.signers[Purpose.SEALER],)
    folder = crate.path.with_name(manifest.folder)
    if folder != crate.path:
        shutil.copytree(crate.path, folder)
    (folder / "crate.json").write_bytes(dsse.sign(CRATE_TYPE, encode(manifest), by))


WITHOUT_RANGE: dict[type[LockgateError], str] = {
    NotACrateError: "there is no crate, or the named file is not in it",
    CrateGrammarError: "the whole file does not belong there",
    CrateIoError: "the medium or the disk did not give the bytes",
    NoSpaceError: "nothing in the crate is wrong: the disk is full",
    CrossingBusyError: "nothing in the crate is wrong: another process receives",
    ErasureLibraryError: "nothing in the crate is wrong: a library is missing",
    SandboxMissingError: "nothing in the crate is wrong: there is no sandbox",
    ParityMissingError: "nothing was opened: the command to repair has nothing to do it with",
}
"""Errors of opening that name no range of bytes in a file of the crate, and why."""


def demand_place(error: LockgateError, crate: Path) -> None:
    """Demand that an error of opening names a file of the crate, and bytes that lie in it."""
    if type(error) in WITHOUT_RANGE:
        return
    where = error.as_dict()["where"]
    assert {"file", "offset"} <= where.keys(), f"{error} names no place in the crate"
    file = crate / str(where["file"])
    assert file.parent in {crate, crate / "roots"}, f"{error} names no file of the crate"
    end = where["offset"] + where.get("length", 0)
    if isinstance(error, VolumeTruncatedError):
        assert where["offset"] == file.stat().st_size
    elif file.is_file():  # a volume that was opened before need not be there any more
        assert 0 <= where["offset"] <= end <= file.stat().st_size, str(error)
    if "last_file" in where:
        last = crate / str(where["last_file"])
        assert last.parent == crate
        assert last > file
        assert 0 < where["last_length"] <= last.stat().st_size


def refused(opener: Opener, crate: SealedCrate | Path, error: type[LockgateError]) -> LockgateError:
    """Demand that opening is refused with an error that names the place in the crate; return it."""
    path = crate if isinstance(crate, Path) else crate.path
    with pytest.raises(error) as caught:
        opener.receive(path)
    assert type(caught.value) is error
    demand_place(caught.value, path)
    return caught.value


def nothing_recorded(lane: Lane) -> bool:
    return lane.high_records._data == {}


@contextmanager
def altered(path: Path, data: bytes) -> Iterator[None]:
    """Put other bytes in a file for as long as the block lasts."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def flipped(path: Path, offset: int, bit: int) -> Iterator[None]:
    """Flip one bit of a file, in place, for as long as the block lasts."""
    with path.open("r+b", buffering=0) as file:
        before = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([before[0] ^ (1 << bit)]), offset)
        try:
            yield
        finally:
            os.pwrite(file.fileno(), before, offset)


def tree(folder: Path) -> dict[str, str]:
    """Digests of every file below a folder but lock files, to compare before and after."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
