"""The thread that restores blocks and writes them, with bounded memory between it and the receiver."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from threading import Lock, Thread
from typing import Self

from lockgate.crossing.buffers import large
from lockgate.crossing.diode.arrival import Arrival
from lockgate.crossing.diode.sums import FileSum

QUEUE = 16
"""Blocks that wait to be written at most; then the kernel's buffer fills."""

SLAB = 16 * 1024 * 1024
"""Bytes of memory that are taken from the system at once."""


class Pool:
    """Lends memory for blocks, up to a bound, and the same memory again."""

    def __init__(self, most: int) -> None:
        """Begin with none.

        Args:
            most: Bytes on loan at once.

        """
        self.most = most
        self.used = 0
        self.peak = 0
        self._kept = 0
        self._free: dict[int, deque[memoryview]] = {}
        self._lock = Lock()

    def lend(self, size: int) -> memoryview | None:
        """Lend memory of that many bytes; None while too much is on loan."""
        with self._lock:
            if self.used + size > self.most and self.used:
                return None
            self.used += size
            free = self._free.get(size)
            if free:
                self._kept -= size
                return free.pop()
            if self.used + self._kept > self.most:
                self._free, self._kept = {}, 0
            return self._fresh(size)

    def _fresh(self, size: int) -> memoryview:
        """Return one of several buffers that are taken from the system together, and keep the others."""
        room = min(SLAB, self.most - self.used - self._kept)
        others = max(0, room // size - 1)
        slab = large((1 + others) * size)
        buffers = [slab[at : at + size] for at in range(0, len(slab), size)]
        self._free.setdefault(size, deque()).extend(buffers[1:])
        self._kept += others * size
        self.peak = max(self.peak, self.used + self._kept)
        return buffers[0]

    def take_back(self, buffer: memoryview) -> None:
        """Take memory back."""
        size = len(buffer)
        with self._lock:
            self.used -= size
            self._kept += size
            self._free.setdefault(size, deque()).append(buffer)


@dataclass(frozen=True, slots=True)
class FinishedBlock:
    """A block of which enough shards are there, and where its content belongs."""

    arrival: Arrival
    index: int
    block: int
    total: FileSum
    offset: int
    length: int
    shard: int
    data: int
    there: bytearray
    buffer: memoryview
    pool: Pool


class Writer:
    """Does work in the order in which it was given. Only its thread touches an arriving crate meanwhile."""

    def __init__(self, restore: Callable[[memoryview, bytearray, int, int], None]) -> None:
        """Begin; `restore` computes a block's missing data shards in their places."""
        self._restore = restore
        self._queue: Queue[Callable[[], None] | None] = Queue(maxsize=QUEUE)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do what is left and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def put(self, block: FinishedBlock) -> None:
        """Have a block restored and written.

        Raises:
            LockgateError: Earlier work failed.

        """
        self._give(lambda: self._write(block))

    def expect(self, arrival: Arrival, index: int, digest: bytes, total: FileSum) -> None:
        """Have noted what a file adds up to.

        Raises:
            LockgateError: Earlier work failed.

        """
        self._give(lambda: arrival.expect(index, digest, total))

    def wait(self) -> None:
        """Wait until everything is done that was given.

        Raises:
            LockgateError: Some of it failed.

        """
        self._queue.join()
        if self._error is not None:
            raise self._error

    def _give(self, work: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(work)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                if self._error is None:
                    work()
            except BaseException as error:  # noqa: BLE001  # raised where work is given
                self._error = error
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _write(self, block: FinishedBlock) -> None:
        try:
            self._restore(block.buffer, block.there, block.data, block.shard)
            content = block.buffer[: block.length]
            block.arrival.write(block.index, block.offset, content, block.block, block.total)
            block.arrival.finish(block.index)
        finally:
            block.pool.take_back(block.buffer)
