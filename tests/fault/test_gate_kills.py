"""The gate's process killed at every step: the old snapshot serves or the new one, never neither.

A child carries out an approved statement over real files and databases and kills itself at the
n-th step that leaves a trace: before each write of a record, before and after each commit and each
rename of a file.
The parent then reads what serves, lets the gate recover, carries the statement out again, and
compares everything with a run that nobody disturbed.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from corpora.gates import START, OnePage, Projects, Scripted, World
from corpora.processes import run_all
from lockgate.admit import Gate, GateParts
from lockgate.app.gate import gate as app_gate
from lockgate.app.sections import LaneSection, TrustSection
from lockgate.app.settings import Home, Settings, Side
from lockgate.approve import ChannelReader, VerifiedChannel
from lockgate.audit import AuditLog
from lockgate.core.artifact import Kind
from lockgate.core.parts import PARTED_FROM
from lockgate.core.roots import Purpose, Root
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.core.wire import decode, encode
from lockgate.crossing.ledger import LEDGER, ledger_key, mark
from lockgate.store import FileBlobs, Records, Transaction, open_records
from lockgate.trust.keys import Signer

COLLECTIONS = ("crossing", "channel", "spent-nonce", "denied", "channel-history", LEDGER)


NOBODYS = Signer(
    Purpose.INSPECTOR, "nobody's", CryptoSigner(Ed25519PrivateKey.from_private_bytes(b"nobody's" * 4))
)
"""Signs the attestations of all runs alike, so that their blobs can be compared."""


def side_of(folder: Path) -> Side:
    lane = LaneSection(name="test", side="high", assurance="demo")
    trust = TrustSection(supply_pin="0" * 64, site_pin="0" * 64)
    return Side(Home(folder), Settings(lane=lane, trust=trust))


IN_PARTS = "in-parts"
"""A file in the folder of a gate that brings packages and writes snapshots in parts."""


class Disk:
    """A gate over the files and databases of a folder, as the high side has it."""

    def __init__(self, folder: Path, site: Root, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self.side = side_of(folder)
        self.site = site
        self.records = open_records(self.side.home.records_url)
        self.events = open_records(self.side.home.audit_url)
        self.blobs, self.quarantine = FileBlobs(self.side.home.blobs), FileBlobs(self.side.home.quarantine)
        self.inspector = NOBODYS
        self.entropy = entropy
        self.parted_from = 1 if (folder / IN_PARTS).exists() else PARTED_FROM

    @property
    def log(self) -> AuditLog:
        return AuditLog(self.events, "lockgate/test/high", lambda: START)

    @property
    def gate(self) -> Gate:
        return Gate(
            GateParts(
                records=self.records,
                blobs=self.blobs,
                quarantine=self.quarantine,
                audit=self.log,
                site=self.site,
                inspector=self.inspector,
                pages=OnePage() if self.parted_from == PARTED_FROM else Projects(),
                clock=lambda: START,
                entropy=self.entropy,
                write_channel=lambda name, envelope: app_gate.write_channel(self.side, name, envelope),
                mark_ledger=mark,
                demand_open=lambda: None,
                parted_from=self.parted_from,
            )
        )

    def served(self) -> VerifiedChannel:
        """Read the channel as a mirror would, and every byte that it names."""
        file = self.side.home.channels / "stable.dsse.json"
        verified = ChannelReader(self.site, "stable", file, self.blobs).current()
        for admitted in verified.snapshot.admitted:
            for named in admitted.artifact.files:
                assert len(self.blobs.read(named.sha256)) == named.size
        for page in verified.snapshot.generated:
            assert len(self.blobs.read(page.sha256)) == page.size
        return verified

    def state(self) -> dict[str, Any]:
        """Return everything that the run left, but the log."""
        with self.records.transaction() as tx:
            rows = {name: dict(tx.scan(name)) for name in COLLECTIONS}
        names = sorted(p.name for p in self.side.home.blobs.glob("??/*"))
        files = {p.name: p.read_bytes() for p in self.side.home.channels.iterdir() if p.suffix == ".json"}
        return {"rows": rows, "blobs": names, "channels": files}

    def close(self) -> None:
        self.records.close()
        self.events.close()


class DiskWorld(World):
    """The people of a `World` at a gate over files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.disk = Disk(folder, self.site, lambda n: next(self.nonces).to_bytes(n, "big"))
        self.disk.inspector = self.inspector
        self.quarantine = self.disk.quarantine

    @property
    def gate(self) -> Gate:
        return self.disk.gate

    def arrive(self, sequence: int, *names: str, **more: Any) -> None:
        """Let packages arrive where snapshots are in parts; only there they are spread."""
        kind = {"kind": Kind.PYTHON, "ecosystem": "pypi"} if self.disk.parted_from == 1 else {}
        super().arrive(sequence, *names, **(kind | more))

    def record(self, sequence: int) -> None:
        entry = LedgerEntry(
            sequence=sequence,
            crate_sha256="c" * 64,
            state=CrossingState.RECORDED,
            previous_sha256="0" * 64,
        )
        with self.disk.records.transaction() as tx:
            tx.insert(LEDGER, ledger_key(sequence), encode(entry))

    def asked(self, operation: str) -> bytes:
        """Bring the world to where an operation is approved and not yet carried out."""
        operation = operation.removesuffix(f"-{IN_PARTS}")
        self.record(1)
        self.publish(1, "a", "b")
        self.record(2)
        if operation == "rollback":
            self.publish(2, "a-2", "c")
            request = self.gate.request_rollback("stable", self.operator)
        else:
            self.arrive(2, "a-2", "c")
            self.gate.inspect(2, Scripted())
            ask = self.gate.request_reject if operation == "reject" else self._ask_to_publish
            request = ask(2, self.operator)
        return self.signed(request, "ap-1", "ap-3")

    def _ask_to_publish(self, sequence: int, requester: Any) -> bytes:
        return self.gate.request(sequence, "stable", requester)


class Steps:
    """Counts steps and kills this process at one of them."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = function(*arguments, **named)
            self.step()
            return result

        return stepped


class SteppedRecords(Records):
    """Records that step before each write, before the commit and after it."""

    def __init__(self, inner: Records, steps: Steps) -> None:
        self.inner = inner
        self.steps = steps
        self.dirty = False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.dirty = False
        with self.inner.transaction() as tx:
            for name in ("put", "insert", "swap"):
                setattr(tx, name, self._counted(getattr(tx, name)))
            yield tx
            self._step_if_dirty()
        self._step_if_dirty()

    def _step_if_dirty(self) -> None:
        if self.dirty:
            self.steps.step()

    def _counted(self, write: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            self.dirty = True
            self.steps.step()
            write(*arguments)

        return counted

    def close(self) -> None:
        self.inner.close()


def carry_out(folder: Path, site: bytes, envelope: bytes, last: int) -> None:
    """Carry out a statement in this process, killed at step `last` (0: undisturbed)."""
    steps = Steps(last)
    disk = Disk(folder, decode(Root, site))
    disk.records = SteppedRecords(disk.records, steps)
    disk.events = SteppedRecords(disk.events, steps)
    os.replace = steps.around(os.replace)  # a blob or the channel's file: written, not yet in place
    disk.gate.execute(envelope)
    (folder / "steps").write_text(str(steps.count))


def batched(steps: range) -> Iterator[range]:
    """Cut the steps into runs that are carried out at the same time; they wait for the disk."""
    return (steps[at : at + 6] for at in range(0, len(steps), 6))


@pytest.fixture(
    scope="module",
    params=["publish", "reject", "rollback", pytest.param(f"publish-{IN_PARTS}", marks=pytest.mark.slow)],
)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Root, bytes]:
    """Return a folder where an operation is approved, the site root, and the statement."""
    folder = tmp_path_factory.mktemp(request.param) / "before"
    folder.mkdir()
    if request.param.endswith(IN_PARTS):
        (folder / IN_PARTS).touch()
    world = DiskWorld(folder)
    envelope = world.asked(request.param)
    world.disk.close()
    return folder, world.site, envelope


def test_a_kill_at_any_step_leaves_the_old_or_the_new_and_is_completed(
    case: tuple[Path, Root, bytes],
) -> None:
    before, site, envelope = case
    whole = before.parent / "undisturbed"
    shutil.copytree(before, whole)
    assert run_all(carry_out, (whole, encode(site), envelope, 0)) == [0]
    steps = int((whole / "steps").read_text())
    assert steps > 12
    disk = Disk(whole, site)
    wanted, new = disk.state(), disk.served()
    disk.close()
    disk = Disk(before, site)
    old, first_events = disk.served(), disk.log.size()
    disk.close()

    seen = set()
    for batch in batched(range(1, steps + 1)):
        folders = {last: before.parent / f"killed-{last}" for last in batch}
        for folder in folders.values():
            shutil.copytree(before, folder)
        arguments = [(folder, encode(site), envelope, last) for last, folder in folders.items()]
        assert run_all(carry_out, *arguments) == [-signal.SIGKILL] * len(batch)
        for last, folder in folders.items():
            disk = Disk(folder, site)
            left = disk.served()
            assert left in (old, new), f"step {last}"
            disk.log.verify()
            disk.gate.recover()
            seen.add((left == new, disk.served() == new))
            disk.gate.execute(envelope)
            assert disk.state() == wanted, f"step {last}"
            assert disk.served() == new
            disk.blobs.sweep()
            assert list(disk.side.home.blobs.glob("incoming/*")) == []
            checkpoint = disk.log.verify()
            assert checkpoint.size > first_events
            assert disk.log.event(checkpoint.size - 1)["status"] == "done"
            disk.close()
            shutil.rmtree(folder)
    if old != new:
        assert seen == {(False, False), (False, True), (True, True)}, "kills before, between and after"


def test_carrying_it_out_twice_or_with_other_approvals_changes_nothing(
    case: tuple[Path, Root, bytes],
) -> None:
    before, site, envelope = case
    folder = before.parent / "twice"
    shutil.copytree(before, folder)
    disk = Disk(folder, site)
    disk.gate.execute(envelope)
    state = disk.state()
    disk.gate.execute(envelope)
    assert disk.gate.recover() == ["stable"]
    assert disk.state() == state
    disk.log.verify()
    disk.close()
