"""The throw-away high side from outside: a folder, a network without route, mirrors; gone when it ends."""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.rehearsal.errors import RehearsalBusyError, ThrowAwayError
from lockgate.app.rehearsal.far import APT_SOURCES, URL
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import utc_now
from lockgate.core.artifact import Lock
from lockgate.core.ports import Progress
from lockgate.inspect.tally import printable
from lockgate.isolate import IsolatedNetwork
from lockgate.isolate.errors import NetworkGoneError
from lockgate.isolate.process import tool
from lockgate.store import BlobStore, FileBlobs

START_SECONDS = 600.0
"""Longest time until the throw-away mirrors serve: they hash large blobs first."""

_SAID = 400
_ASK = (
    "import sys, time, urllib.request\n"
    "end = time.monotonic() + float(sys.argv[2])\n"
    "while True:\n"
    "    try:\n"
    "        urllib.request.urlopen(sys.argv[1], timeout=20).read(); break\n"
    "    except OSError as error:\n"
    "        if time.monotonic() > end: sys.exit(str(error))\n"
    "        time.sleep(0.1)\n"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A throw-away high side that serves: its folder, its home, its network, and a folder for clients."""

    folder: Path
    home: Path
    clients: Path
    network: IsolatedNetwork

    @property
    def apt_sources(self) -> str:
        """Return what apt has to be told; empty where nothing is served to it."""
        file = self.home / APT_SOURCES
        return file.read_text() if file.is_file() else ""


@contextmanager
def staged(side: Side, lock: Lock, data: bytes, progress: Progress) -> Iterator[Stage]:
    """Make a throw-away high side that serves a lock, and remove every trace of it afterwards.

    What an earlier rehearsal left that was killed is removed first.

    Args:
        side: The low side.
        lock: What is published.
        data: The lock's bytes.
        progress: Told about the files that are put in place.

    Raises:
        RehearsalBusyError: Another one runs.
        ThrowAwayError: It cannot be made, or does not serve.

    """
    place = side.home.root / "work" / "rehearsal"
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        sweep(place)
        folder = place / secrets.token_hex(6)
        folder.mkdir(mode=0o700)
        try:
            lane = make_demo_lane(folder / "lane", side.lane, utc_now())
            _place_blobs(blobs_of(side), lane.high / "blobs", lock, progress)
            (folder / "lock.json").write_bytes(data)
            (folder / "clients").mkdir()
            with (
                IsolatedNetwork.create("rehearsal", folder / "network.json", clock=utc_now) as network,
                _serving(network, folder, lane),
            ):
                yield Stage(folder, lane.high, folder / "clients", network)
        finally:
            remove(folder)


def sweep(place: Path) -> int:
    """Remove what killed rehearsals left; return how many."""
    left = [path for path in place.iterdir() if path.is_dir()]
    for folder in left:
        with suppress(NetworkGoneError):
            IsolatedNetwork.sweep(folder / "network.json")
        remove(folder)
    return len(left)


def remove(folder: Path) -> None:
    """Remove a folder whatever modes clients gave what lies in it.

    Raises:
        ThrowAwayError: Something of it stays.

    """
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        what = f"What the rehearsal made cannot be removed: {folder}."
        raise ThrowAwayError(what)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with (place / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RehearsalBusyError("Another rehearsal of this side runs.") from None
        yield


def _place_blobs(blobs: BlobStore, folder: Path, lock: Lock, progress: Progress) -> None:
    """Give the throw-away side the files of a lock: as second names, or as copies where that cannot be."""
    own = FileBlobs(folder)
    wanted = {file.sha256: file.size for artifact in lock.artifacts for file in artifact.files}
    progress.start("placing", sum(wanted.values()))
    for digest, size in wanted.items():
        target = folder / digest[:2] / digest
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blobs.path(digest), target)
        except OSError:
            with blobs.open(digest) as stream:
                own.put_stream(stream, expected=digest)
        progress.advance(size)
    progress.finish()


@contextmanager
def _serving(network: IsolatedNetwork, folder: Path, lane: NewLane) -> Iterator[None]:
    """Publish and serve inside the network; whatever ends this process ends the mirrors."""
    log = folder / "mirror.log"
    far = [sys.executable, "-I", "-m", "lockgate.app.rehearsal.far"]
    words = [*far, str(lane.high), str(folder / "lock.json"), str(folder / "lane" / "people")]
    tied = [tool("setpriv"), "--pdeathsig", "KILL", "--", *words]
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603  # our own program
            network.command(tied),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": str(folder)},
        ) as child,
    ):
        try:
            _demand_answer(network, child, log)
            yield
        finally:
            child.kill()


def _demand_answer(network: IsolatedNetwork, child: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    ask = network.command([sys.executable, "-I", "-c", _ASK, f"{URL}/healthz", "5"])
    while True:
        done = subprocess.run(ask, capture_output=True, check=False)  # noqa: S603  # our own command
        if done.returncode == 0:
            return
        if child.poll() is not None or time.monotonic() > end:
            lines = log.read_bytes()[-8192:].decode("utf-8", "replace").strip().splitlines()
            what = f"The throw-away mirrors do not serve: {printable((lines or ['no word'])[-1], _SAID)}"
            raise ThrowAwayError(what)
