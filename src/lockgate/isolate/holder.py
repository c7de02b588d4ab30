"""A process that does nothing but keep a network namespace alive."""

import os
import select
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.isolate.errors import CommandLimitError, RightMissingError
from lockgate.isolate.ports import COMMAND_SECONDS
from lockgate.isolate.process import end, start_time, tool

_WAIT_FOR_PARENT = "echo ready $$; exec cat >/dev/null"
_STAY = "echo ready $$; exec sleep infinity >/dev/null"


@dataclass(slots=True)
class Holder:
    """A holder process: number, start time (ticks since boot), and the pipe that keeps it alive.

    A holder that was not told to stay ends when its parent does, however that ends: the kernel
    closes the pipe. Holders that another process started have no `process` here.
    """

    pid: int
    started: int
    process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Return whether it still runs, and is not another process under the same number."""
        return start_time(self.pid) == self.started

    def kill(self) -> None:
        """End it, and wait for it if it is a child."""
        end(self.pid, self.started)
        if self.process is not None:
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process.wait()


def start_holder(enter: Sequence[str], *, user: bool, stay: bool) -> Holder:
    """Start a holder in a fresh network namespace.

    Args:
        enter: What to put before the command so that it starts in another holder's namespaces.
        user: Whether to make a user namespace too, so that no right on the machine is needed.
        stay: Whether the holder outlives this process.

    Raises:
        RightMissingError: The kernel refused.
        CommandLimitError: It did not start in time.

    """
    detach = [tool("setsid"), "--fork"] if stay else []
    unshare = [*detach, tool("unshare"), *(["--user", "--map-root-user"] if user else []), "--net", "--"]
    process = subprocess.Popen(  # noqa: S603  # a list of our own making
        [*enter, *unshare, "/bin/sh", "-c", _STAY if stay else _WAIT_FOR_PARENT],
        stdin=subprocess.DEVNULL if stay else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    try:
        pid, started = _await_ready(process)
    except BaseException:
        process.kill()
        process.wait()
        _close(process)
        raise
    _close(process, keep_stdin=True)
    if stay:
        process.wait()  # only the one that detached the holder
    return Holder(pid, started, None if stay else process)


def _await_ready(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Return the holder's number and start time when it says that it stands."""
    if process.stdout is None or process.stderr is None:
        raise RightMissingError("The holder was started without pipes.")
    ready, _, _ = select.select([process.stdout], [], [], COMMAND_SECONDS)
    if not ready:
        what = f"The network namespace was not there within {COMMAND_SECONDS:.0f} seconds."
        raise CommandLimitError(what, limit="COMMAND_SECONDS")
    said = process.stdout.readline().split()
    if said[:1] != [b"ready"]:
        why = process.stderr.read(400).decode(errors="replace").strip()
        what = f"The kernel refused a network namespace: {why or 'no message'}."
        raise RightMissingError(what)
    pid = int(said[1])
    started = start_time(pid)
    if started is None:
        raise RightMissingError("The process that holds the network namespace ended at once.")
    return pid, started


def _close(process: subprocess.Popen[bytes], *, keep_stdin: bool = False) -> None:
    for pipe in (process.stdout, process.stderr, None if keep_stdin else process.stdin):
        if pipe is not None:
            pipe.close()
