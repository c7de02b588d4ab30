"""Rehearsals that are interrupted, killed or lose their mirrors: nothing stays of the throw-away side."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.rehearsals import Rehearsing
from lockgate.app.rehearsal.stage import sweep
from lockgate.isolate.process import network_of

MANIFEST = """
[[documents]]
collection = "notes"
folder = "documents"

[[python]]
requirements = ["shop"]
find_links = ["wheels"]
"""
SECONDS = 240


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = Rehearsing.make(tmp_path_factory.mktemp("kills") / "made")
    made.collect(MANIFEST)
    made.host()
    return made


def until(condition, what):
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {SECONDS} s: {what}"
        time.sleep(0.02)
    return found


def words_of(pid):
    """Return the command line of a process; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def running(folder):
    """Return the processes whose command line names the folder of throw-away sides."""
    named = str(folder / "work" / "rehearsal").encode()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and any(named in word for word in words_of(pid))]


def mirrors(folder):
    """Return the processes that publish or serve, and are past their start."""
    told = {pid: words_of(pid) for pid in running(folder)}
    return [
        pid for pid, words in told.items() if b"lockgate.app.rehearsal.far" in words and b"python" in words[0]
    ]


def begun(made):
    """Start a rehearsal and return it once a client of it runs."""
    words = ["rehearse", str(made.manifest), "--host", str(made.folder / "host.profile.json")]
    words += ["--home", str(made.lane.low), "--json"]
    own = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "lockgate.cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, own)
    until(lambda: child.poll() is not None or any_client(made), "a client runs")
    assert child.poll() is None, child.communicate()
    return child


def any_client(made):
    return any(b"bwrap" in (words_of(pid) or [b""])[0] for pid in running(made.lane.low))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_rehearsal_leaves_no_folder_no_network_and_no_process(made, number):
    child = begun(made)
    networks = {network_of(pid) for pid in running(made.lane.low)} - {network_of(os.getpid()), None}
    assert networks
    child.send_signal(number)
    child.communicate(timeout=SECONDS)
    assert child.returncode != 0
    assert made.left() == []
    assert running(made.lane.low) == []
    assert not networks & {network_of(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()}


@pytest.mark.slow
def test_a_killed_rehearsal_leaves_no_process_and_its_folder_goes_with_the_next(made):
    child = begun(made)
    child.kill()
    child.communicate(timeout=SECONDS)
    until(lambda: running(made.lane.low) == [], "everything that it started ended")
    assert len(made.left()) == 1
    assert sweep(made.lane.low / "work" / "rehearsal") == 1
    assert made.left() == []


def test_mirrors_that_are_killed_make_it_fail_and_leave_nothing(made):
    child = begun(made)
    found = mirrors(made.lane.low)
    assert found
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    out, _ = child.communicate(timeout=SECONDS)
    assert child.returncode == 1
    assert b'"passed": false' in out
    assert made.left() == []
    assert running(made.lane.low) == []


@pytest.mark.slow
def test_only_one_rehearsal_of_a_side_runs_at_a_time(made):
    child = begun(made)
    try:
        place = ("--home", made.lane.low)
        status, error = Commands().refused(
            "rehearse", made.manifest, *place, "--host", made.folder / "host.profile.json"
        )
        assert (status, error["code"]) == (2, "LG-1fc3")
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=SECONDS)
