"""Where clients and packages of a rehearsal run: the network without route, and nothing of this side to read.

Installing runs what packages bring: build scripts, engines, readers of models. They see the system's programs
read-only, one folder of their own, and the throw-away mirrors: no key, home, blob store or other process, and
nothing of what ran before.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import lockgate
from lockgate.app.rehearsal.errors import ThrowAwayError
from lockgate.inspect.launch import PROCESSES
from lockgate.inspect.tally import printable
from lockgate.isolate import IsolatedNetwork

STEP_SECONDS = 1800
"""Longest time that one client may take, in seconds."""

SAID_BYTES = 256 * 1024
"""Most that is kept of what one client said, in bytes; the last of it."""

_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/passwd", "/etc/group", "/etc/ssl/certs")
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Ran:
    """How a client ended and the last of what it said; `late` where it was stopped."""

    status: int
    out: str
    said: str
    late: bool = False

    @property
    def well(self) -> bool:
        """Tell whether it ended well."""
        return self.status == 0 and not self.late

    @property
    def reason(self) -> str:
        """Return in one line why it did not."""
        if self.late:
            return f"It did not end within {STEP_SECONDS} seconds."
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        told = [line for line in lines if "error" in line.lower() or line.startswith("E:")]
        return printable((told or lines or [f"status {self.status}"])[-1], _SHOWN)


class Box:
    """Runs programs beside the throw-away mirrors, each confined to a folder."""

    def __init__(self, network: IsolatedNetwork, readable: Sequence[Path] = ()) -> None:
        """Use a network, and places that what runs may read besides the system's.

        Raises:
            ThrowAwayError: There is no bubblewrap here.

        """
        program = shutil.which("bwrap")
        if program is None:
            raise ThrowAwayError("The program bwrap is not installed, so nothing foreign is run.")
        self._network = network
        self._layout = [program, *_layout(readable)]

    def run(self, folder: Path, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Ran:
        """Run a program to its end; it dies with this process, and so does whatever it started.

        Args:
            folder: What it may write, and where it starts.
            argv: The program and its arguments.
            environment: Variables beside those that every client gets.

        """
        words = self._command(folder, argv, environment or {})
        with subprocess.Popen(  # noqa: S603  # confined, in the network without route
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_OWN
        ) as child:
            kept = [_Kept(child.stdout), _Kept(child.stderr)]
            late = False
            try:
                child.wait(STEP_SECONDS)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                child.kill()  # bubblewrap's process namespace ends with it, and everything inside
                for each in kept:
                    each.join()
        out, said = (each.text for each in kept)
        return Ran(child.returncode, out, f"{out}\n{said}", late)

    def _command(self, folder: Path, argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        values = {**_ENVIRONMENT, "HOME": str(folder), **environment}
        named = [word for name, value in values.items() for word in ("--setenv", name, value)]
        place = ["--bind", str(folder), str(folder), "--chdir", str(folder)]
        return self._network.command([*self._layout, *place, *named, "--", *argv])


_ENVIRONMENT = {
    "PATH": os.pathsep.join(
        (str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
    ),
    "TMPDIR": "/tmp",  # noqa: S108  # a file system of the sandbox's own
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
}
"""What every client gets: nothing of this side's own configuration."""

_OWN = {"PATH": os.defpath, "LC_ALL": "C"}


class _Kept:
    """Reads a pipe to its end and keeps the last of it."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._data = b""
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while self._pipe is not None and (data := self._pipe.read(65536)):
            self._data = (self._data + data)[-SAID_BYTES:]

    def join(self) -> None:
        self._thread.join()

    @property
    def text(self) -> str:
        return self._data.decode("utf-8", "replace")


def _layout(readable: Sequence[Path]) -> Iterator[str]:
    """Yield bubblewrap's arguments; the network is the one that it was started in."""
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "rehearsal")
    yield "--clearenv"
    for name in _FOLDERS:
        if Path(name).is_symlink():
            yield from ("--symlink", str(Path(name).readlink()), name)
        else:
            yield from ("--ro-bind-try", name, name)
    for name in _FILES:
        yield from ("--ro-bind-try", name, name)
    yield from (*PROCESSES, "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108  # the sandbox's own
    for path in (*_own_python(), *readable):
        if path.exists() and not path.is_relative_to("/usr"):
            yield from ("--ro-bind", str(path), str(path))


def _own_python() -> Iterator[Path]:
    """Yield what this Lockgate runs from: its environment, its code, and the interpreter below."""
    yield Path(sys.base_prefix)
    yield Path(sys.prefix)
    yield Path(lockgate.__file__).resolve().parent
    yield Path(sysconfig.get_path("stdlib"))
