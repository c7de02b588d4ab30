"""Sealing, receiving and publishing killed, by the commands that people type, over real files and databases.

Before every durable step (counted by the interpreter and the database's driver, see `corpora.kills`)
and at random moments. After each kill the previous snapshot is verified as a mirror verifies it, the
same command is given again, and the result is compared with that of a run that nobody disturbed.
"""

import hashlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from corpora.kills import fast_folder, killed_after, killed_before
from corpora.wholelane import OPERATIONS, WholeLane
from lockgate.crossing import volumes

INSTANTS = {"seal": 40, "receive": 80, "publish": 80}
"""Kills at random moments, 200 together; sealing is followed by two crossings each time, so it has fewer."""

SAMPLE = 8
"""Kills in the run that is not `slow`."""

FOLDERS = 8
"""Steps by which two runs may differ: a blob that holds a moment gets another name each second, and the
folder of its first two digits is made (two steps) or is there already."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder(tmp_path_factory.getbasetemp())) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def made(folder: Path) -> WholeLane:
    return WholeLane.make(folder / "made")


class Case:
    """A lane where one operation is next; each try works on a copy of it."""

    def __init__(self, made: WholeLane, operation: str) -> None:
        self.operation = operation
        self.root = made.folder.parent / operation
        shutil.copytree(made.folder, self.root / "before")
        self.before = WholeLane(self.root / "before")
        self.before.before(operation)
        self.old = self.before.served()
        whole = self.copy("undisturbed")
        steps = killed_before(0, lambda: whole.demand(whole.run(operation)))
        assert steps is not None
        self.steps = steps
        self.new, self.wanted = whole.served(), whole.state()
        self.work(self.copy("preloading"))  # what the command imports is there for every child from now on

    def copy(self, name: str) -> WholeLane:
        shutil.copytree(self.before.folder, self.root / name)
        return WholeLane(self.root / name)

    def work(self, lane: WholeLane) -> None:
        lane.demand(lane.run(self.operation))

    def settle(self, lane: WholeLane, name: object) -> None:
        """Demand what must hold after a kill, then end the operation and compare."""
        left = lane.served()
        assert left in (self.old, self.new), f"killed at {name}: neither the old nor the new is served"
        if self.operation == "seal":
            self._settle_sealing(lane)
        else:
            self.work(lane)
            assert lane.state() == self.wanted, f"killed at {name}"
            assert lane.served() == self.new
        shutil.rmtree(lane.folder)

    def _settle_sealing(self, lane: WholeLane) -> None:
        """What was sealed before the kill and is sealed now opens on the high side, one after the other."""
        lane.collect("03-late.md", "Collected between the kill and the next try.")
        self.work(lane)
        crates = lane.crates()
        assert len(crates) in {2, 3}, "the first one, the second one, and one that the kill came too late for"
        assert len(lane.sealed()) == len(crates)
        assert not list((lane.low / "outbox").glob(".partial-*"))
        for number in range(2, len(crates) + 1):
            lane.carry(number)
            lane.demand(lane.run("receive"))


class Witnessed:
    """AES-256-GCM that writes every (key, nonce) into a file before it is used for sealing."""

    log = Path()

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(key).hexdigest()
        self._inner = AESGCM(key)

    def encrypt_into(self, nonce: bytes, *arguments: Any) -> int:
        with self.log.open("ab", buffering=0) as log:
            log.write(f"{self._key} {nonce.hex()}\n".encode())
        return self._inner.encrypt_into(nonce, *arguments)

    def decrypt_into(self, *arguments: Any) -> int:
        return self._inner.decrypt_into(*arguments)


@pytest.fixture(scope="module", params=OPERATIONS)
def case(request: pytest.FixtureRequest, made: WholeLane) -> Iterator[Case]:
    """Return a case; over all of its runs no key meets a nonce twice."""
    with pytest.MonkeyPatch.context() as patch:
        Witnessed.log = made.folder.parent / f"nonces-{request.param}"
        patch.setattr(volumes, "AESGCM", Witnessed)
        case = Case(made, request.param)
        yield case
        used = Witnessed.log.read_text().splitlines() if Witnessed.log.exists() else []
        assert len(used) == len(set(used)), "a nonce was used twice under one key"
        assert (case.operation != "seal") or len(used) > SAMPLE
        shutil.rmtree(case.root)


def kill_before(case: Case, last: int) -> list[str] | None:
    """Kill a run before a step, and demand what must hold; return the steps of one that ended before."""
    lane = case.copy(f"step-{last}")
    steps = killed_before(last, lambda: case.work(lane))
    case.settle(lane, f"step {last}")
    return steps


def test_the_steps_are_those_of_the_interpreter_and_the_database(
    case: Case, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """What is enumerated: files made, written, made durable, renamed and removed; rows and commits."""
    kinds = Counter(case.steps)
    assert {"open", "write", "fsync", "os.rename", "os.mkdir", "commit", "insert", "update"} <= set(kinds)
    assert len(case.steps) > 50
    record_testsuite_property("steps", f"{case.operation}: {len(case.steps)}, {dict(kinds)}")


def test_killed_before_some_steps(case: Case) -> None:
    rng = random.Random(case.operation)  # noqa: S311  # which steps, not a secret
    for last in sorted(rng.sample(range(1, len(case.steps) - FOLDERS), SAMPLE)):
        assert kill_before(case, last) is None, "it came to its end before that step"


@pytest.mark.slow
def test_killed_before_every_step(case: Case) -> None:
    """Up to a run that comes to its end before its step; runs differ by a few steps (`FOLDERS`)."""
    last, steps = 1, None
    while steps is None:
        steps = kill_before(case, last)
        last += 1
    assert last - 2 - FOLDERS <= len(steps) <= last - 2
    assert abs(len(steps) - len(case.steps)) <= FOLDERS
    differ = (Counter(steps) - Counter(case.steps)) + (Counter(case.steps) - Counter(steps))
    assert set(differ) <= {"os.mkdir", "fsync"}


@pytest.mark.slow
def test_killed_at_random_instants(
    case: Case, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """From outside, wherever it is: in the database's own code and in the kernel too."""
    rng = random.Random(f"{case.operation} instants")  # noqa: S311  # when, not a secret
    rehearsal = case.copy("rehearsal")
    lasts = killed_after(None, lambda: case.work(rehearsal))
    shutil.rmtree(rehearsal.folder)
    killed = tries = 0
    wanted = INSTANTS[case.operation]
    while killed < wanted:
        assert lasts is not None
        assert tries < 5 * wanted, f"only {killed} of {tries} were still at it"
        lane, seconds = case.copy(f"instant-{tries}"), rng.uniform(0, lasts)
        took = killed_after(seconds, lambda lane=lane: case.work(lane))  # type: ignore[misc]
        if took is None:
            killed += 1
            case.settle(lane, f"instant {tries}, {seconds:.4f} s of {lasts:.4f} s")
        else:
            lasts = min(lasts, took)
            shutil.rmtree(lane.folder)
        tries += 1
    record_testsuite_property("instants", f"{case.operation}: {killed} of {tries} killed at work")
