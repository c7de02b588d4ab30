"""Files that nobody can write to while they are sent: from their pages straight to the socket.

A read lease (fcntl(2), F_SETLEASE) is given only while nobody has the file open for writing, by a
mapping either. Whoever opens it for writing, or cuts it, is made to wait until the lease is given back,
``/proc/sys/fs/lease-break-time`` at most, and we are told by a signal: the answer is cut off and the lease
given back at once. The file is mapped, and send(2) copies from its pages while the lease is whole.
sendfile(2) would save that copy; but what it queues still lies in the file's own pages, where a later
writer changes it under way, as far as into the buffers of clients on the same host.

What TLS sends is encrypted by this process, and is read into its memory before: where a disk gives nothing
any more, reading is an error, while touching such a page would end the process.

Leases are for files of our own account, or for who has CAP_LEASE, on local file systems; others are read
into memory (`blobs`).
"""

import asyncio
import fcntl
import mmap
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from lockgate.mirror.errors import LeaseBrokenError

LENT = "lockgate.http.response.lent"
"""The ASGI extension that gives leases, and the type of its message (`door`)."""

PIECE = 1 << 20
"""Bytes that are handed to the system at a time; others have their turn in between."""

READ = 1 << 18
"""Bytes that are read at a time for TLS: few enough to stay in a processor's cache until they have left."""

STALL_SECONDS = 60.0
"""How long a client may take nothing."""

_BROKEN = "A blob is about to be written to while it is sent."


@dataclass(slots=True)
class _Flow:
    """Bytes on their way: the next one, how many are left, and how often some were taken."""

    view: memoryview
    done: "asyncio.Future[None]"
    at: int
    moved: int = 0


class Lease:
    """A read lease on one open file, and the socket that gets its bytes."""

    def __init__(self, keeper: "Leases", file: int, connection: socket.socket) -> None:
        """Take over both descriptors; made by `Leases.take`."""
        self._keeper = keeper
        self._file = file
        self._connection = connection
        self._flow: _Flow | None = None

    @property
    def intact(self) -> bool:
        """Tell whether nobody waits to write, or wrote."""
        return self._file >= 0 and fcntl.fcntl(self._file, fcntl.F_GETLEASE) == fcntl.F_RDLCK

    async def send(self, start: int, count: int) -> None:
        """Send bytes of the file, at least one; the system has them on return.

        Raises:
            LeaseBrokenError: Somebody wants to write to the file, or it cannot be read.
            ConnectionError: The client has left.
            TimeoutError: It takes nothing.

        """
        loop = asyncio.get_running_loop()
        first = start - start % mmap.ALLOCATIONGRANULARITY
        handle = self._connection.fileno()
        with (
            mmap.mmap(self._file, start + count - first, prot=mmap.PROT_READ, offset=first) as pages,
            memoryview(pages) as view,
        ):
            flow = self._flow = _Flow(view, loop.create_future(), start - first)
            timer = loop.call_later(STALL_SECONDS, self._demand_movement, loop, flow)
            loop.add_writer(handle, self._pump, flow)  # called as long as the socket takes something
            try:
                await flow.done
            finally:
                loop.remove_writer(handle)
                timer.cancel()

    async def copy(self, start: int, count: int, write: Callable[[memoryview], Awaitable[None]]) -> None:
        """Read bytes of the file, at least one, and have them written piece by piece.

        Args:
            start: The first one.
            count: How many.
            write: Writes a piece, which is its only until it waits for something.

        Raises:
            LeaseBrokenError: Somebody wants to write to the file.
            OSError: It cannot be read.

        """
        buffer = memoryview(bytearray(min(READ, count)))
        for at in range(start, start + count, READ):
            with buffer[: start + count - at] as piece:
                await self._fill(piece, at)
                await write(piece)

    async def _fill(self, piece: memoryview, at: int) -> None:
        """Read a piece: at once where memory has it, else on a thread, so that others need not wait."""
        read = 0
        if self.intact:
            with suppress(OSError):  # not in memory, or a file system that cannot say
                read = os.preadv(self._file, [piece], at, os.RWF_NOWAIT)
        if self.intact and read < len(piece):
            data = await asyncio.to_thread(os.pread, self._file, len(piece), at)
            if len(data) == len(piece):
                piece[:] = data
                read = len(piece)
        if not self.intact or read < len(piece):
            raise LeaseBrokenError(_BROKEN)

    def _pump(self, flow: _Flow) -> None:
        """Send a piece."""
        if flow.done.done():
            return
        try:
            flow.at += self._send_piece(flow)
        except BlockingIOError:
            return
        except (OSError, LeaseBrokenError) as error:
            flow.done.set_exception(error)
            return
        flow.moved += 1
        if flow.at == len(flow.view):
            flow.done.set_result(None)

    def _send_piece(self, flow: _Flow) -> int:
        if not self.intact:
            raise LeaseBrokenError(_BROKEN)
        with flow.view[flow.at : flow.at + PIECE] as piece:
            return self._connection.send(piece)

    def _demand_movement(self, loop: asyncio.AbstractEventLoop, flow: _Flow, seen: int = 0) -> None:
        """End what has not moved since the last look."""
        if flow.done.done():
            return
        if flow.moved == seen:
            flow.done.set_exception(TimeoutError())
            return
        loop.call_later(STALL_SECONDS, self._demand_movement, loop, flow, flow.moved)

    def look(self) -> None:
        """Give the lease back and end the answer, if somebody waits to write."""
        if not self.intact:
            if self._flow is not None and not self._flow.done.done():
                self._flow.done.set_exception(LeaseBrokenError(_BROKEN))
            self.give_back()

    def give_back(self) -> None:
        """Give the lease back; a second time does nothing."""
        if self._file >= 0:
            self._keeper.forget(self)
            os.close(self._file)  # the only descriptor of its description: the lease ends with it
            self._file = -1
            self._connection.close()


class Leases:
    """The leases of one server's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen for the signal that somebody wants to write; unheard, it would end the process."""
        self._held: set[Lease] = set()
        loop.add_signal_handler(signal.SIGIO, self._look)

    def take(self, descriptor: int, connection: int) -> Lease | None:
        """Take a lease on an open file for a connection.

        Args:
            descriptor: The file's; it stays the caller's.
            connection: The socket's, which does not block; it stays the caller's.

        Returns:
            The lease; none where the system gives none, or somebody has the file open for writing.

        """
        try:  # a description of our own, since the lease belongs to it
            file = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            os.close(file)
            return None
        lease = Lease(self, file, socket.socket(fileno=os.dup(connection)))
        self._held.add(lease)
        return lease

    def forget(self, lease: Lease) -> None:
        """Hold a lease no longer."""
        self._held.discard(lease)

    def _look(self) -> None:
        for lease in list(self._held):
            lease.look()
