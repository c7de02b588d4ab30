"""Forking a process that holds much and whose children live for milliseconds.

A child of a few milliseconds spends most of them in the kernel, on pages that are copied when it first writes
to them; in CPython that is whenever an object is merely looked at (its count of references).
"""

import ctypes
import errno
import os
from collections.abc import Iterable
from functools import cache

_HUGE = 2 << 20
"""Bytes of a huge page where pages are of 4 KiB; where they are not, nothing is gathered."""
_COLLAPSE = 25
_LONG = 1 << 16
"""Bytes of the longest piece that a hole is filled with."""
_SHORT = 24
"""Bytes of the shortest that the GNU C library gives."""


class _Usage(ctypes.Structure):
    """``struct mallinfo2`` (mallinfo(3)): bytes, and numbers of pieces."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
            "keepcost",
        )
    )  # fmt: skip


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


def fill() -> int:
    """Fill the holes of the heap for good, so that what a child allocates lies together behind its end.

    Holes are everywhere after compiling rules and importing modules; a child that uses them copies a page for
    each, and two more for their neighbours in the list of what is free.

    Returns:
        How many pieces were put into holes: none where the C library does not tell what is free
        (mallinfo(3)).

    """
    libc = _libc()
    if not hasattr(libc, "mallinfo2"):
        return 0
    usage, libc.malloc.restype = libc.mallinfo2, ctypes.c_void_p
    usage.restype = _Usage
    pieces, size = 0, _LONG
    while size >= _SHORT:
        before = usage()
        if before.fordblks - before.keepcost < size:
            size //= 2
            continue
        piece = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
        if usage().keepcost == before.keepcost:
            pieces += 1
            continue
        libc.free(piece)  # it came from behind the heap's end: there is no such hole left
        size = size * 3 // 4
    return pieces


def gather(objects: Iterable[object] = ()) -> int:
    """Gather this process's memory into huge pages, of which a fork copies one entry in the place of 512.

    Most of what a warm parent has there is rules and modules that nobody writes to again. A child that does
    write copies pages of the usual size: Linux splits a huge one that is shared.

    Args:
        objects: What lies in memory that is to be gathered beside the heap.

    Returns:
        How many bytes are gathered: nothing where the kernel or the C library has no way to (before Linux
        6.1; ``madvise(2)``, ``MADV_COLLAPSE``).

    """
    libc = _libc()
    if not (hasattr(libc, "sbrk") and hasattr(libc, "madvise")):
        return 0
    libc.sbrk.restype = ctypes.c_void_p
    place = (libc.sbrk(ctypes.c_ssize_t(0)) or 0) // _HUGE
    elsewhere = {id(each) // _HUGE for each in objects} - {place}
    gathered = 0
    while place and (error := _collapse(libc, place := place - 1)) != errno.ENOMEM:  # where the heap begins
        elsewhere.discard(place)
        gathered += not error
    return _HUGE * (gathered + sum(not _collapse(libc, each) for each in sorted(elsewhere)))


def _collapse(libc: ctypes.PyDLL, place: int) -> int:
    """Have one piece of memory in one huge page; return the number of the error (0: none)."""
    failed = libc.madvise(ctypes.c_void_p(place * _HUGE), ctypes.c_size_t(_HUGE), _COLLAPSE)
    return ctypes.get_errno() if failed else 0


@cache
def _libc() -> ctypes.PyDLL:
    """Return the C library; it is called without letting go of the interpreter, which a child then has."""
    return ctypes.PyDLL(None, use_errno=True)
