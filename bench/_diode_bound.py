"""What both ends of a diode must do at least for each GB, piece by piece, measured in the same run.

A piece is the call of the kernel or of the library that does the work, again and again in one thread; the
least of several passes counts. A tag is made and a tag is checked for each packet, each end marks each block,
parity is computed, content is read and written once. Packets leave in another order than that of the file, so
that each end copies content once: the sender out of a block into the packets of a group, which is more than
the caches hold, and the receiver back. To read straight into the packets costs as much as this copy does.

Not counted are handing on from thread to thread, waiting, and all of Python but the call.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lockgate.crossing.diode.groups import Group, GroupMaker, Numbers, Stream, blocks_of, gathered
from lockgate.crossing.diode.table import Cut
from lockgate.crossing.diode.udp import SLOTS
from lockgate.crossing.diode.wire import HEADER_SIZE, OVERHEAD, DiodeKey, taken_apart
from lockgate.crossing.erasure import code, rows_of

DATA = 200
"""Data shards of a block, as the sender's default is."""

GROUP = 32 * 1024 * 1024
"""Bytes of packets that lie between the first and the last shard of a block, as the sender's default is."""

PASSES = 3
GB = 1_000_000_000


def link_share(packet: int, parity: int) -> float:
    """Return how many bytes of packets cross the link for a byte of content."""
    return packet / (packet - OVERHEAD) * (DATA + parity) / DATA


def least_seconds(source: Path, target: Path, packet: int, parity: int) -> dict[str, float]:
    """Return the least processor seconds per GB of content of each piece but the link itself.

    Args:
        source: The content, at least a group of it.
        target: A file that as much is written to; it goes away again.
        packet: Length of a packet in bytes.
        parity: Parity shards for each block.

    """
    with source.open("rb", buffering=0) as file, target.open("wb", buffering=0) as out:
        least = _Pieces(Cut(packet - OVERHEAD, DATA, parity), file.fileno(), out.fileno(), source)
        pieces = {
            "read": least.each_block(least.read),
            "parity": least.each_block(least.encode),
            "marks": 2 * least.each_block(least.mark),
            "tags": least.each_packet(least.tag),
            "checks": least.each_packet(least.check),
            "copies": least.each_packet(least.copy),
            "write": least.each_block(least.write),
        }
    target.unlink()
    return pieces


class _Pieces:
    """The pieces, and what they work on."""

    def __init__(self, cut: Cut, handle: int, target: int, source: Path) -> None:
        self._cut = cut
        self._handle = handle
        self._target = target
        self._blocks = source.stat().st_size // cut.block_bytes
        self._key = DiodeKey(bytes(32)).new_session(os.urandom)
        self._block = np.empty((cut.data, cut.shard), np.uint8)
        self._view = self._block.reshape(-1).data
        self._spare = np.empty((cut.parity, cut.shard), np.uint8)
        self._group = self._make()
        self._packets = self._group.room.packets(0, len(self._group.packets))

    def _make(self) -> Group:
        """Make a group whose packets have their tags."""
        cut = self._cut
        stream = Stream(1, self._blocks * cut.block_bytes, self._handle)
        maker = GroupMaker(cut, self._key, Numbers())
        group = maker.make(next(gathered(blocks_of([stream], cut), cut, GROUP)), maker.room())
        maker.sealing(group)(0, len(group.packets))
        return group

    def each_block(self, work: Callable[[int], None]) -> float:
        """Return the seconds per GB of work that is told the number of each block of the content."""

        def whole() -> None:
            for number in range(self._blocks):
                work(number)

        return _least(whole, self._blocks * self._cut.block_bytes)

    def each_packet(self, work: Callable[[], None]) -> float:
        """Return the seconds per GB of work on all packets of one group."""
        return _least(work, len(self._group.blocks) * self._cut.block_bytes)

    def read(self, number: int) -> None:
        os.preadv(self._handle, [self._view], number * len(self._view))

    def write(self, number: int) -> None:
        if not number:
            os.ftruncate(self._target, 0)
        os.pwrite(self._target, self._view, number * len(self._view))

    def encode(self, _: int) -> None:
        rows = rows_of(self._block), rows_of(self._spare)
        code(self._cut.data, self._cut.parity).encode(*rows, self._cut.shard)

    def mark(self, number: int) -> None:
        self._key.mark(1, number, self._view)

    def tag(self) -> None:
        self._key.tag(self._packets)

    def check(self) -> None:
        """Check as many packets, those of one call of the kernel again and again: they are in the cache."""
        step, check = self._cut.packet, self._key.check
        few = [taken_apart(self._group.packets[n * step : (n + 1) * step]) for n in range(SLOTS)]
        for _ in range(len(self._packets) // SLOTS):
            for _, nonce, tagged, tag, _ in few:
                check(nonce, tag, tagged)

    def copy(self) -> None:
        """Spread blocks over the packets of a group, and gather them again."""
        blocks, step, data = len(self._group.blocks), self._cut.packet, self._cut.data
        packets = np.frombuffer(self._group.packets, np.uint8).reshape(-1, step)
        shards = packets[:, HEADER_SIZE : HEADER_SIZE + self._cut.shard]
        for number in range(blocks):
            shards[number::blocks][:data] = self._block
        for number in range(blocks):
            self._block[:] = shards[number::blocks][:data]


def _least(work: Callable[[], None], size: int) -> float:
    """Return the least processor seconds per GB over all passes of work that covers that many bytes."""
    seconds = []
    for _ in range(PASSES):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds) * GB / size
