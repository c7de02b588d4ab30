"""Bubblewrap's own process, which is ended together with the one that it made. Linux only."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


class Outer(subprocess.Popen[bytes]):
    """Bubblewrap as it was started, outside of the namespaces that it makes.

    Its ``--die-with-parent`` holds only once the process inside runs. Who kills bubblewrap before, while that
    process still waits to be told its users, leaves it waiting for good, with every descriptor it was given.
    """

    def kill(self) -> None:
        """End it and the processes that it made; with the first of those, its whole namespace ends."""
        if self.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
            # Stopped, it makes no more of them, and reaps none: their numbers cannot become another's.
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for made in _made_by(self.pid):
                with suppress(ProcessLookupError):
                    os.kill(made, signal.SIGKILL)
            os.kill(self.pid, signal.SIGKILL)


def _made_by(pid: int) -> list[int]:
    """Return the children of a process with one thread (proc(5), ``task/TID/children``)."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # it ended, or the kernel does not tell
        return []
