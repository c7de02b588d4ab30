"""Keeping a process small that takes and gives back large blocks. Planning only (low side)."""

import ctypes
from functools import cache
from typing import Final

from lockgate.crossing.delta.bounds import MIB

_M_MMAP_THRESHOLD: Final = -3
"""mallopt(3), malloc.h of glibc."""

_LARGE: Final = 12 * MIB


@cache
def return_large_blocks() -> None:
    """Have the C library give blocks of 12 MiB and more back to the system as soon as they are freed.

    glibc raises that bound to 32 MiB by itself once such blocks are freed, and then keeps them: planning,
    whose windows, tables and segments are that large, took 170 MB more. Other C libraries do not need it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
