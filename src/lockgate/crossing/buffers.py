"""Buffers that are used again: fresh memory for every record would cost more than sealing it."""

import contextlib
import mmap
import os
from collections import deque


def large(size: int) -> memoryview:
    """Return zeroed memory in large pages, where the system has them: each small one costs a fault."""
    memory = mmap.mmap(-1, max(1, size), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:size]


class Loan:
    """A buffer on loan; `view` is the part that is in use."""

    __slots__ = ("_buffer", "_home", "view")

    def __init__(self, home: "Buffers", buffer: bytearray, length: int) -> None:
        """Lend the first bytes of a buffer."""
        self._home = home
        self._buffer = buffer
        self.view = memoryview(buffer)[:length]

    def give_back(self) -> None:
        """Let the buffer be used again; `view` must not be used after this."""
        self._home.take_back(self._buffer)


class Buffers:
    """Lends buffers of one size. How many there are follows from how many are on loan at once."""

    def __init__(self, size: int) -> None:
        """Begin with none.

        Args:
            size: Length of every buffer in bytes.

        """
        self._size = size
        self._free: deque[bytearray] = deque()

    def lend(self, length: int) -> Loan:
        """Lend a buffer of which `length` bytes are needed."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(self._size)
        return Loan(self, buffer, length)

    def take_back(self, buffer: bytearray) -> None:
        """Keep a buffer for the next loan."""
        self._free.append(buffer)


def write_all(handle: int, view: memoryview) -> None:
    """Write every byte of a buffer to a descriptor."""
    while view:
        view = view[os.write(handle, view) :]


def write_all_at(handle: int, view: memoryview, offset: int) -> None:
    """Write every byte of a buffer to a place in a file, in bytes from its start."""
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
