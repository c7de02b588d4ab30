"""Killed in the middle and started again, either end goes on where it was."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corpora import diode_ends
from corpora.diode import HERE, NAME, content, fake_crate, transfer
from corpora.diode_ends import Dying, Moment, Waiting
from corpora.processes import children
from lockgate.crossing.diode import SendSettings
from lockgate.crossing.diode.arrival import STATE_FILE

VOLUMES = (3_000_000, 3_000_000, 2_500_000)
TOTAL = sum(VOLUMES) + 5900
SETTINGS = {"data": 20, "parity": 6, "rate": 30_000_000, "interleave": 200_000}
SILENCE = 5.0
"""Seconds after which a receiver gives up a sender that was killed."""

WAIT = 120


class Child:
    """A process that says something now and then, and may be killed."""

    def __init__(self, target: Callable[..., None], *words: object) -> None:
        self._here, there = children.Pipe()
        self.process = children.Process(target=target, args=(there.send, *words))
        self.process.start()
        there.close()

    def said(self) -> dict[str, Any]:
        assert self._here.poll(WAIT), "nothing was said"
        found: dict[str, Any] = self._here.recv()
        return found

    def end(self) -> int | None:
        """Wait for its end; return its status, below 0 for a signal."""
        self.process.join(WAIT)
        return self.process.exitcode

    def last(self) -> dict[str, Any]:
        """Return what it says last, when it has ended."""
        found = self.said()
        assert self.end() == 0
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


class Ends:
    """Starts both ends over loopback."""

    def __init__(self, tmp_path: Path) -> None:
        self.crate = fake_crate(tmp_path / "out", *VOLUMES)
        self.inbox = tmp_path / "in"
        self.journal = tmp_path / "journal"
        self.started: list[Child] = []

    def child(self, target: Callable[..., None], *words: object) -> Child:
        child = Child(target, *words)
        self.started.append(child)
        return child

    def receiver(self, *, port: int = 0, dies_after: int = 0, silence: float = WAIT) -> tuple[Child, int]:
        child = self.child(diode_ends.receive, HERE, port, self.inbox, silence, Dying(dies_after))
        return child, int(child.said()["port"])

    def sender(self, port: int, *only: str, progress: Moment | None = None) -> Child:
        settings = SendSettings(HERE, port, **SETTINGS)
        return self.child(diode_ends.send, settings, (self.crate, self.journal), only, progress or Moment(0))

    def send(self, port: int, *only: str) -> dict[str, Any]:
        child = self.sender(port, *only)
        said = child.said()
        assert child.end() == 0
        return said

    def send_and_die(self, port: int, after: int) -> None:
        assert self.sender(port, progress=Dying(after)).end() == -signal.SIGKILL


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    for child in made.started:
        child.stop()


@pytest.mark.parametrize("after", [1, 2_000_000, 5_500_000, TOTAL - 1])
def test_a_sender_that_was_killed_sends_only_the_rest(ends: Ends, after: int) -> None:
    there, port = ends.receiver(silence=SILENCE)
    ends.send_and_die(port, after)
    first = there.last()
    assert (first["whole"], first["ended"]) == (False, False)
    there, port = ends.receiver()
    sent, second = ends.send(port), there.last()
    assert (sent["resumed"], second["whole"]) == (after > 1, True)
    assert sent["content"] <= TOTAL - after + 2 * SETTINGS["interleave"]
    assert content(ends.inbox / NAME) == content(ends.crate)
    assert list(ends.journal.iterdir()) == []


def test_both_sessions_of_a_killed_sender_reach_one_receiver(ends: Ends) -> None:
    there, port = ends.receiver()
    ends.send_and_die(port, 4_000_000)
    ends.send(port)
    assert there.last()["whole"]
    assert content(ends.inbox / NAME) == content(ends.crate)


@pytest.mark.parametrize("after", [1, 1_000_000, 6_000_000])
def test_a_receiver_that_was_killed_needs_only_the_rest(ends: Ends, after: int) -> None:
    there, port = ends.receiver(dies_after=after)
    ends.send(port)
    assert there.end() == -signal.SIGKILL
    done = set(content(ends.inbox / NAME)) if (ends.inbox / NAME).exists() else set()
    there, port = ends.receiver()
    missing = sorted(set(content(ends.crate)) - done)
    sent = ends.send(port, *missing)
    assert there.last()["whole"]
    assert sent["content"] == sum(len(data) for name, data in content(ends.crate).items() if name in missing)
    assert content(ends.inbox / NAME) == content(ends.crate)


def test_a_receiver_started_again_during_a_session_names_what_it_missed(ends: Ends) -> None:
    there, port = ends.receiver(dies_after=2_000_000)
    go_on = children.Event()
    sending = ends.sender(port, progress=Waiting(3_000_000, go_on))
    assert there.end() == -signal.SIGKILL
    there, _ = ends.receiver(port=port)
    go_on.set()
    assert sending.end() == 0
    found = there.last()
    assert found["missing"]
    there, port = ends.receiver()
    ends.send(port, *found["missing"])
    assert there.last()["whole"]
    assert content(ends.inbox / NAME) == content(ends.crate)


def test_a_state_file_that_was_cut_short_costs_only_another_sending(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 300_000)
    transfer(crate, tmp_path / "in", "crate.json")
    state = tmp_path / "in" / ".diode" / NAME / STATE_FILE
    state.write_bytes(state.read_bytes()[:-5])
    _, report = transfer(crate, tmp_path / "in")
    assert (report.whole, content(tmp_path / "in" / NAME)) == (True, content(crate))


@pytest.mark.parametrize("what", ["shorter", "other", "gone"])
def test_a_partial_file_that_changed_is_begun_again(ends: Ends, what: str) -> None:
    there, port = ends.receiver(silence=SILENCE)
    ends.send_and_die(port, 2_000_000)
    there.last()
    partial = ends.inbox / ".diode" / NAME / "vol-0001.lgv"
    data = partial.read_bytes()
    if what == "gone":
        partial.unlink()
    else:
        partial.write_bytes(data[:1000] if what == "shorter" else bytes(1000) + data[1000:])
    there, port = ends.receiver()
    ends.send(port)
    assert there.last()["missing"] == ("vol-0001.lgv",)
    there, port = ends.receiver()
    ends.send(port, "vol-0001.lgv")
    assert there.last()["whole"]
    assert content(ends.inbox / NAME) == content(ends.crate)


def test_a_full_disk_is_said_and_leaves_the_inbox_as_it_was(tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    crate = fake_crate(tmp_path / "out", 3_000_000)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(inbox)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(Exception, match=r"LG-57.*(free|No space)"):
            transfer(crate, inbox)
        assert not (inbox / NAME).exists()
    finally:
        subprocess.run(["umount", str(inbox)], check=True)
