"""System tools on this machine, and facts about processes."""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lockgate.isolate.errors import CommandFailedError, CommandLimitError, ToolMissingError
from lockgate.isolate.ports import COMMAND_SECONDS, OUTPUT_LIMIT, Commands

_PATH = f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"
_START_TIME = 19  # field 22 of /proc/PID/stat, counted from the state, which is field 3


def tool(name: str) -> str:
    """Return the path of a system tool.

    Raises:
        ToolMissingError: It is not installed.

    """
    found = shutil.which(name, path=_PATH)
    if found is None:
        what = f"The program {name} is not installed."
        raise ToolMissingError(what, tool=name)
    return found


class HostCommands(Commands):
    """Runs the tools of this machine with a fixed, small environment."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
        """Run a tool and return what it printed."""
        name = Path(argv[0]).name
        try:
            done = subprocess.run(  # noqa: S603  # a list of our own making, no shell
                [tool(argv[0]) if "/" not in argv[0] else argv[0], *argv[1:]],
                input=stdin,
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
                env={"PATH": _PATH, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            what = f"{name} took longer than {COMMAND_SECONDS:.0f} seconds."
            raise CommandLimitError(what, limit="COMMAND_SECONDS") from error
        except OSError as error:
            what = f"{name} cannot be started: {error.strerror}."
            raise CommandFailedError(what, tool=name) from error
        if len(done.stdout) > OUTPUT_LIMIT:
            what = f"{name} printed {len(done.stdout)} bytes; at most {OUTPUT_LIMIT} are read."
            raise CommandLimitError(what, limit="OUTPUT_LIMIT")
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            what = f"{name} ended with status {done.returncode}: {said[0][:200] if said else 'no message'}."
            raise CommandFailedError(what, command=" ".join(argv)[:300])
        return done.stdout.decode(errors="replace")


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none.

    With the number it names a process for good: numbers are used again, the pair is not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[_START_TIME])


def network_of(pid: int) -> int | None:
    """Return the inode of a process's network namespace; None when it ended or may not be seen."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def members(network: int) -> list[int]:
    """Return the processes inside a network namespace, as far as this user may see them."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted(pid for pid in pids if network_of(pid) == network and start_time(pid) is not None)


def end(pid: int, started: int) -> None:
    """Kill a process if it is still the one that started then, and wait until it is gone.

    Raises:
        CommandLimitError: It did not go within `COMMAND_SECONDS`.

    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_time(pid) != started:
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], COMMAND_SECONDS)[0]:
            what = f"Process {pid} did not end within {COMMAND_SECONDS:.0f} seconds."
            raise CommandLimitError(what, limit="COMMAND_SECONDS")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
