"""One session on the receiver's side: packets become blocks, blocks go to the writer."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lockgate.core.errors import LockgateError
from lockgate.crossing.diode.arrival import Arrival
from lockgate.crossing.diode.table import TABLE_LIMIT, Cut, Table, read_table
from lockgate.crossing.diode.window import Rates, Window
from lockgate.crossing.diode.wire import (
    HEADER_SIZE,
    OVERHEAD,
    TABLE_STREAM,
    TAG_SIZE,
    Header,
    Kind,
    SessionKey,
)
from lockgate.crossing.diode.writer import FinishedBlock, Pool, Writer
from lockgate.crossing.erasure import SHARDS_LIMIT, code, rows_of

DIGEST_SIZE = 32

Adopt = Callable[[Table], Arrival]
"""Returns the crate that a table announces, or raises what speaks against it."""


class _Open:
    """A block of which shards are there, and more are waited for."""

    __slots__ = ("buffer", "count", "there")

    def __init__(self, buffer: bytearray, shards: int) -> None:
        self.buffer = buffer
        self.there = bytearray(shards)
        self.count = 0


class _Stream:
    """What is known of the blocks of one file: shards that came, and which are done with."""

    __slots__ = ("came", "cut", "done", "last", "size")

    def __init__(self, cut: Cut, size: int) -> None:
        self.cut = cut
        self.size = size
        blocks = cut.blocks(size)
        self.came = bytearray(blocks)
        self.done = bytearray(blocks)
        self.last = cut.shape(size, blocks - 1)

    def shape(self, block: int) -> tuple[int, int]:
        return self.last if block == len(self.came) - 1 else (self.cut.data, self.cut.parity)


@dataclass(slots=True)
class Tally:
    """Packets of a session that were of no use, and blocks that had to go."""

    forged: int = 0
    replayed: int = 0
    contradictory: int = 0
    early: int = 0
    evicted: int = 0


@dataclass(frozen=True, slots=True)
class Margin:
    """How near a session came to losing a block, over the blocks of which anything came.

    `share` is how much of its parity the worst block had left: 1 is all of it, below 0 is too little.
    `blocks` came; `lost` of them could not be restored.
    """

    blocks: int
    share: float
    lost: int


@dataclass(slots=True)
class Session:
    """One session.

    Attributes:
        key: Checks tags.
        adopt: Finds the crate for an announcement.
        writer: Takes finished blocks.
        pool: Lends memory for blocks, up to this session's share.

    """

    key: SessionKey
    adopt: Adopt
    writer: Writer
    pool: Pool
    window: Window = field(default_factory=Window)
    tally: Tally = field(default_factory=Tally)
    table: Table | None = None
    arrival: Arrival | None = None
    rates: Rates | None = None
    fault: LockgateError | None = None
    ended: bool = False
    total: int = 0
    packet_bytes: int = 0
    content: int = 0
    first: float = 0.0
    latest: float = 0.0
    _open: dict[tuple[int, int], _Open] = field(default_factory=dict)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _parts: dict[int, bytes] = field(default_factory=dict)
    _form: tuple[int, int, int, int] = (0, 0, 0, 0)

    def take(self, packet: memoryview, header: Header, now: float) -> None:
        """Take a packet that names this session."""
        if not self.window.fresh(header.number):
            self.tally.replayed += 1
            return
        if not self.key.genuine(packet):
            self.tally.forged += 1
            return
        self.window.note(header.number)
        self.first = self.first or now
        self.latest = now
        self.packet_bytes += len(packet)
        if self.fault is not None:
            self.ended = self.ended or header.kind == Kind.END
            return
        if header.kind == Kind.DATA:
            self._data(packet, header)
        elif header.kind == Kind.TABLE:
            self._announcement(packet, header)
        elif header.kind == Kind.DIGEST:
            self._digest(packet, header)
        elif header.kind == Kind.END:
            self.ended, self.total = True, header.length

    def _data(self, packet: memoryview, header: Header) -> None:
        if self.table is None:
            self.tally.early += 1
            return
        stream = self._streams.get(header.stream) or self._known(header.stream)
        number = header.block
        if (
            stream is None
            or number >= len(stream.came)
            or header.length != stream.size
            or (header.data, header.parity) != stream.shape(number)
            or header.shard >= header.data + header.parity
            or len(packet) != self.table.shard + OVERHEAD
        ):
            self.tally.contradictory += 1
            return
        stream.came[number] += stream.came[number] < SHARDS_LIMIT
        if stream.done[number]:
            return
        block = self._collect((header.stream, number), packet, header)
        if block is not None:
            stream.done[number] = 1
            self._hand_on(stream, header, block)

    def _known(self, number: int) -> _Stream | None:
        """Return what is known of a file's blocks; what came before this session is done."""
        if self.table is None or self.arrival is None or not 1 <= number <= len(self.table.files):
            return None
        stream = _Stream(self.table.cut, self.table.files[number - 1].size)
        self.writer.wait()  # so that nobody else changes what is looked at
        file = self.arrival.files[number - 1]
        for block in range(len(stream.done)):
            offset, length = stream.cut.span(stream.size, block)
            stream.done[block] = file.whole or file.have.covers(offset, offset + length)
        self._streams[number] = stream
        return stream

    def _collect(self, place: tuple[int, int], packet: memoryview, header: Header) -> _Open | None:
        """Keep a shard; return its block when that is enough of them."""
        shards, size = header.data + header.parity, len(packet) - OVERHEAD
        block = self._open.get(place)
        if block is None:
            block = self._new(place, shards, size)
        shard = header.shard
        if block.there[shard]:
            return None
        block.buffer[shard * size : (shard + 1) * size] = packet[HEADER_SIZE:-TAG_SIZE]
        block.there[shard] = 1
        block.count += 1
        if block.count < header.data:
            return None
        del self._open[place]
        return block

    def _new(self, place: tuple[int, int], shards: int, size: int) -> _Open:
        while (buffer := self.pool.lend(shards * size)) is None:
            if not self._open:
                self.writer.wait()  # all of the memory waits to be written
                continue
            oldest = next(iter(self._open))
            self.pool.take_back(self._open.pop(oldest).buffer)
            self.tally.evicted += 1
        block = self._open[place] = _Open(buffer, shards)
        return block

    def _hand_on(self, stream: _Stream, header: Header, block: _Open) -> None:
        if self.arrival is None:
            return
        offset, length = stream.cut.span(stream.size, header.block)
        self.content += length
        self.writer.put(
            FinishedBlock(
                self.arrival,
                header.stream - 1,
                offset,
                length,
                stream.cut.shard,
                header.data,
                block.there,
                block.buffer,
                self.pool,
            )
        )

    def _announcement(self, packet: memoryview, header: Header) -> None:
        if self.table is not None:
            return
        size = len(packet) - OVERHEAD
        form = (header.length, header.data, header.parity, size)
        if not self._form[0]:
            self._form = form
        full = size * self._form[1]
        blocks = -(-header.length // full) if full else 0
        if (
            not 1 <= header.length <= TABLE_LIMIT
            or header.length != self._form[0]
            or size != self._form[3]
            or header.block >= blocks
            or not header.data
            or header.data + header.parity > SHARDS_LIMIT
            or header.shard >= header.data + header.parity
        ):
            self.tally.contradictory += 1
            return
        if header.block in self._parts:
            return
        block = self._collect((TABLE_STREAM, header.block), packet, header)
        if block is None:
            return
        restore(block.buffer, block.there, header.data, size)
        self._parts[header.block] = bytes(memoryview(block.buffer)[: header.data * size])
        self.pool.take_back(block.buffer)
        if len(self._parts) == blocks:
            self._adopt(b"".join(self._parts[n] for n in range(blocks))[: header.length])
            self._parts.clear()

    def _adopt(self, data: bytes) -> None:
        try:
            table = read_table(data)
            self.writer.wait()
            self.arrival = self.adopt(table)
        except LockgateError as error:
            self.fault = error
            self.drop()
            return
        self.table = table
        share = table.parity / (table.data + table.parity)
        self.rates = Rates(table.cut.packet, share / 2)

    def _digest(self, packet: memoryview, header: Header) -> None:
        if self.table is None or self.arrival is None:
            self.tally.early += 1
        elif len(packet) != OVERHEAD + DIGEST_SIZE or not 1 <= header.stream <= len(self.table.files):
            self.tally.contradictory += 1
        else:
            digest = bytes(packet[HEADER_SIZE:-TAG_SIZE])
            self.writer.expect(self.arrival, header.stream - 1, digest)

    def drop(self) -> None:
        """Let go of every block that waits for shards."""
        for block in self._open.values():
            self.pool.take_back(block.buffer)
        self._open.clear()

    def margin(self) -> Margin:
        """Return how near the session came to losing a block."""
        blocks, share, lost = 0, 1.0, 0
        for stream in self._streams.values():
            came = np.frombuffer(stream.came, np.uint8).astype(np.int64)
            shapes = np.tile(np.array([[stream.cut.data, stream.cut.parity]]), (len(came), 1))
            shapes[-1] = stream.last
            touched = came > 0
            left = (came - shapes[:, 0]) / np.maximum(shapes[:, 1], 1)
            if touched.any():
                blocks += int(touched.sum())
                share = min(share, float(left[touched].min()))
                lost += int((touched & ~np.frombuffer(stream.done, np.bool_)).sum())
        return Margin(blocks, share if blocks else 0.0, lost)


def restore(buffer: bytearray, there: bytearray, data: int, shard: int) -> None:
    """Compute the data shards of a block that are not there; enough others are."""
    if there.find(0, 0, data) < 0:
        return
    lost = [n for n in range(data) if not there[n]]
    parity = [n - data for n in range(data, len(there)) if there[n]][: len(lost)]
    array = np.frombuffer(buffer, np.uint8)[: len(there) * shard].reshape(len(there), shard)
    code(data, len(there) - data).restore(rows_of(array), lost, parity, shard)
