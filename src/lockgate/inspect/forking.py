"""Forking a process that holds much and whose children live for milliseconds.

A child of a few milliseconds spends most of them in the kernel, on pages that are copied when it first writes
to them; in CPython that is whenever an object is merely looked at (its count of references).
"""

import ctypes
import os
from functools import cache


def fork() -> int:
    """Make a child, without what `os.fork` has one do for the sake of other threads.

    `os.fork` renews locks that a thread may have held, and runs the hooks of `threading`, `logging` and
    `random`; they touch 200 pages, each of which is copied then. None of it is needed where the caller is
    the only thread, as it has to be. Numbers that `random` makes are the same in every child: what inspects
    must not use them, and does not.

    Returns:
        The number of the child's process; 0 in the child.

    Raises:
        OSError: There can be no other process.

    """
    pid = int(_libc().fork())
    if pid < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return pid


def give_back() -> None:
    """Give memory that compiling has used and left back to the system: each page held makes a fork dearer."""
    libc = _libc()
    if hasattr(libc, "malloc_trim"):  # of the GNU C library alone
        libc.malloc_trim(0)


@cache
def _libc() -> ctypes.PyDLL:
    """Return the C library; it is called without letting go of the interpreter, which a child then has."""
    return ctypes.PyDLL(None, use_errno=True)
