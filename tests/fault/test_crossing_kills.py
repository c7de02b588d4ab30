"""Killed before every durable step of sealing and receiving, the next run ends in the same state."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossing_lane import Lane, filler, tree
from lockgate.crossing import Opener, Received, RecordLedger, RecordSealLedger, Sealer
from lockgate.crossing.ports import Aead
from lockgate.crossing.volumes import aes_gcm
from lockgate.store import FileBlobs, MemoryBlobs, MemoryRecords, Records, Transaction, open_records

STEPS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
"""Calls of the operating system that change what a later run finds."""

SMALL = {"files/a": filler("a", 5000), "files/b": b"b", "files/c": filler("c", 900)}
MOST = 200
VOLUME = 4096


class Fuse:
    """Kills its own process before the step with the given number."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def burn(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def attach(self) -> None:
        for name in STEPS:
            setattr(os, name, self._before(getattr(os, name)))

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            self.burn()
            return call(*args, **kwargs)

        return step


class FusedRecords(Records):
    """Records whose transactions are steps: one before the commit, one after it."""

    def __init__(self, inner: Records, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._inner.transaction() as tx:
            yield tx
            self._fuse.burn()
        self._fuse.burn()

    def close(self) -> None:
        self._inner.close()


def killed_after(steps: int, work: Callable[[Fuse], object]) -> bool:
    """Do the work in a child that dies before a step; tell whether it died."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            fuse = Fuse(steps)
            fuse.attach()
            work(fuse)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return False


@contextmanager
def records(home: Path) -> Iterator[Records]:
    opened = open_records(f"sqlite:///{home / 'records.sqlite'}")
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves the kernel's buffers alive; only a power cut needs the real thing."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


# --- receiving ---------------------------------------------------------------------------------


def opener(lane: Lane, home: Path, held: Records) -> Opener:
    return lane.opener(home / "staging", ledger=RecordLedger(held), quarantine=FileBlobs(home / "blobs"))


def end_state(home: Path) -> dict[str, object]:
    with records(home) as held, held.transaction() as tx:
        names = ("ledger", "ledger-recorded", "ledger-held", "ledger-tuf", "ledger-time")
        rows = {name: dict(tx.scan(name)) for name in names}
    return {"rows": rows, "blobs": tree(home / "blobs"), "staging": tree(home / "staging")}


def test_receiving_killed_at_every_step_ends_in_the_same_state(tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox", SMALL, volume_bytes=VOLUME)
    assert len(crate.manifest.volumes) > 2
    inbox = tree(crate.path)

    def receive(home: Path, fuse: Fuse | None = None) -> object:
        home.mkdir(exist_ok=True)
        with records(home) as held:
            used = FusedRecords(held, fuse) if fuse else held
            FileBlobs(home / "blobs").sweep()
            return opener(lane, home, used).receive(crate.path)

    assert isinstance(receive(tmp_path / "undisturbed"), Received)
    expected = end_state(tmp_path / "undisturbed")
    assert expected["staging"] == {}
    for steps in range(MOST):
        home = tmp_path / f"killed-{steps}"
        if not killed_after(steps, lambda fuse, home=home: receive(home, fuse)):  # type: ignore[misc]
            break
        assert isinstance(receive(home), Received)
        assert end_state(home) == expected, f"killed before step {steps}"
    else:
        pytest.fail("receiving never came to its end")
    assert steps > 25
    assert tree(crate.path) == inbox


# --- sealing -----------------------------------------------------------------------------------


class Witness:
    """AES-256-GCM that writes every (key, nonce) into a file before it is used."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __call__(self, key: bytes) -> Aead:
        return _Witnessed(key, self._log)


class _Witnessed:
    def __init__(self, key: bytes, log: Path) -> None:
        self._key = hashlib.sha256(key).hexdigest()
        self._inner = aes_gcm(key)
        self._log = log

    def encrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        with self._log.open("ab", buffering=0) as log:
            log.write(f"{self._key} {nonce.hex()}\n".encode())
        return self._inner.encrypt_into(nonce, data, associated_data, buf)

    def decrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        return self._inner.decrypt_into(nonce, data, associated_data, buf)


def sealer(lane: Lane, home: Path, held: Records, log: Path) -> Sealer:
    ledger = RecordSealLedger(held)
    return lane.sealer(home / "outbox", ledger=ledger, volume_bytes=VOLUME, cipher=Witness(log))


def test_sealing_killed_at_every_step_leaves_whole_crates_and_no_repeated_nonce(tmp_path: Path) -> None:
    lane = Lane()
    log = tmp_path / "nonces"

    def seal(home: Path, files: dict[str, bytes], fuse: Fuse | None = None) -> None:
        home.mkdir(exist_ok=True)
        with records(home) as held:
            used = FusedRecords(held, fuse) if fuse else held
            sealer(lane, home, used, log).seal(lane.request(files))

    sequences = set()
    for steps in range(MOST):
        home = tmp_path / f"killed-{steps}"
        changed = SMALL | {"files/b": f"changed {steps}".encode()}
        if not killed_after(steps, lambda fuse, home=home: seal(home, SMALL, fuse)):  # type: ignore[misc]
            break
        for early in (home / "outbox").glob("crate-*"):
            assert (early / "crate.json").is_file()
        seal(home, changed)
        crates = sorted((home / "outbox").glob("crate-*"))
        assert not list((home / "outbox").glob(".partial-*"))
        sequences.add(len(crates))
        side = lane.opener(home / "staging", ledger=RecordLedger(MemoryRecords()), quarantine=MemoryBlobs())
        for number, crate in enumerate(crates, 1):
            received = side.receive(crate)
            assert isinstance(received, Received)
            assert received.manifest.sequence == number
    else:
        pytest.fail("sealing never came to its end")
    # Killed before the number was bound to the digest: one crate. Killed after: both are whole.
    assert sequences == {1, 2}
    used = log.read_text().splitlines()
    assert len(used) > 3 * steps
    assert len(used) == len(set(used))
