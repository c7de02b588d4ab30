"""Forking a process that holds much and whose children live for milliseconds.

A child of a few milliseconds spends most of them in the kernel, on pages that are copied when it first writes
to them; in CPython that is whenever an object is merely looked at (its count of references).
"""

import ctypes
import os
from functools import cache

_HUGE = 2 << 20
"""Bytes of a huge page where pages are of 4 KiB; where they are not, nothing is gathered."""
_COLLAPSE = 25


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


def gather() -> int:
    """Gather the heap of this process into huge pages, of which a fork copies one entry in the place of 512.

    Most of what a warm parent has there is rules that nobody writes to again. A child that does write copies
    pages of the usual size: Linux splits a huge one that is shared.

    Returns:
        How many bytes are gathered, from the heap's end down to what is none, or cannot be gathered: nothing
        where the kernel or the C library has no way to (before Linux 6.1; ``madvise(2)``, ``MADV_COLLAPSE``).

    """
    libc = _libc()
    if not (hasattr(libc, "sbrk") and hasattr(libc, "madvise")):
        return 0
    libc.sbrk.restype = ctypes.c_void_p
    end = (libc.sbrk(ctypes.c_ssize_t(0)) or 0) // _HUGE * _HUGE
    done = 0
    while done < end and not libc.madvise(
        ctypes.c_void_p(end - done - _HUGE), ctypes.c_size_t(_HUGE), _COLLAPSE
    ):
        done += _HUGE
    return done


@cache
def _libc() -> ctypes.PyDLL:
    """Return the C library; it is called without letting go of the interpreter, which a child then has."""
    return ctypes.PyDLL(None, use_errno=True)
