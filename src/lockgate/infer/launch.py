"""Starts one program so that it cannot outlive its parent, gain rights, or dump its memory.

Run by path in an isolated interpreter (``python -I -S launch.py PARENT PROGRAM ARGUMENT…``), with
the standard library alone; it replaces itself with the program.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main(arguments: list[str]) -> None:
    """Prepare this process (prctl(2)) and become the program.

    Args:
        arguments: The parent's process id, the program's path, and the program's arguments.

    """
    parent, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, int(value), 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606  # becoming the verified program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
