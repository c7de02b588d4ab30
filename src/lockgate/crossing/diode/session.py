"""One session on the receiver's side: packets become blocks, blocks go to the writer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.exceptions import InvalidTag

from lockgate.core.errors import LockgateError
from lockgate.crossing.diode.arrival import Arrival
from lockgate.crossing.diode.sums import SUM_SIZE, FileSum
from lockgate.crossing.diode.table import TABLE_LIMIT, Cut, Table, read_table
from lockgate.crossing.diode.window import Rates, Window
from lockgate.crossing.diode.wire import (
    TABLE_STREAM,
    Front,
    Kind,
    Packet,
    Place,
    SessionKey,
    read_place,
)
from lockgate.crossing.diode.writer import FinishedBlock, Pool, Writer
from lockgate.crossing.erasure import SHARDS_LIMIT, code, rows_of

_DATA, _END = Kind.DATA.value, Kind.END.value
"""Compared with for each packet."""

Adopt = Callable[[Table], Arrival]
"""Returns the crate that a table announces, or raises what speaks against it."""


class _Open:
    """A block of which shards are there, and more are waited for."""

    __slots__ = ("buffer", "count", "needed", "number", "size", "stream", "there")

    def __init__(self, buffer: memoryview, place: Place, size: int, stream: "_Stream | None") -> None:
        self.buffer = buffer
        self.there = bytearray(place.data + place.parity)
        self.count = 0
        self.needed = place.data
        self.number = place.block
        self.size = size
        self.stream = stream

    def add(self, shard: int, payload: memoryview) -> bool:
        """Keep a shard; tell whether it was of use."""
        there = self.there
        if shard >= len(there) or there[shard]:
            return False
        at = shard * self.size
        self.buffer[at : at + self.size] = payload
        there[shard] = 1
        self.count += 1
        return True

    def close(self, *, done: bool) -> None:
        """Note in its file's books how many shards came."""
        if self.stream is not None:
            self.stream.came[self.number] = self.count
            self.stream.done[self.number] = done


class _Stream:
    """What is known of the blocks of one file: shards that came, which are done with, and their sum."""

    __slots__ = ("came", "cut", "done", "last", "number", "size", "total")

    def __init__(self, key: SessionKey, cut: Cut, number: int, size: int) -> None:
        self.cut = cut
        self.number = number
        self.size = size
        blocks = cut.blocks(size)
        self.came = bytearray(blocks)
        self.done = bytearray(blocks)
        self.last = cut.shape(size, blocks - 1)
        self.total = FileSum(key, number, size, cut)

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
    _open: dict[bytes, _Open] = field(default_factory=dict)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _parts: dict[int, bytes] = field(default_factory=dict)
    _form: tuple[int, int, int, int] = (0, 0, 0, 0)

    def take(self, run: Sequence[tuple[Packet, Front]], now: float) -> None:
        """Take packets that name this session."""
        window, check = self.window, self.key.check
        fresh, note, came = window.fresh, window.note, window.count
        for (whole, nonce, tagged, tag, payload), (_, _, number, kind, shard, place) in run:
            if number <= window.newest and not fresh(number):
                self.tally.replayed += 1
                continue
            try:
                check(nonce, tag, tagged)
            except InvalidTag:
                self.tally.forged += 1
                continue
            note(number)
            self.packet_bytes += len(whole)
            if kind == _DATA and self.fault is None:
                self._data(payload, shard, place)
            else:
                self._other(kind, payload, shard, place)
        if window.count > came:
            self.first = self.first or now
            self.latest = now

    def _other(self, kind: int, payload: memoryview, shard: int, place: bytes) -> None:
        if self.fault is not None:
            self.ended = self.ended or kind == _END
        elif kind == Kind.TABLE:
            self._announcement(payload, shard, place)
        elif kind == Kind.DIGEST:
            self._digest(payload, place)
        elif kind == _END:
            self.ended, self.total = True, read_place(place).length

    def _data(self, payload: memoryview, shard: int, place: bytes) -> None:
        block = self._open.get(place)
        if block is None:
            block = self._begun(payload, shard, place)
            if block is None:
                return
        elif len(payload) != block.size or shard >= len(block.there) or block.stream is None:
            self.tally.contradictory += 1
            return
        if block.add(shard, payload) and block.count == block.needed and block.stream is not None:
            del self._open[place]
            block.close(done=True)
            self._hand_on(block.stream, block)

    def _begun(self, payload: memoryview, shard: int, place: bytes) -> _Open | None:
        """Return a new block for the first of its shards that is wanted."""
        if self.table is None:
            self.tally.early += 1
            return None
        said = read_place(place)
        stream = self._streams.get(said.stream) or self._known(said.stream)
        number = said.block
        if (
            stream is None
            or number >= len(stream.came)
            or said.length != stream.size
            or (said.data, said.parity) != stream.shape(number)
            or shard >= said.data + said.parity
            or len(payload) != self.table.shard
        ):
            self.tally.contradictory += 1
            return None
        if stream.done[number]:
            stream.came[number] += stream.came[number] < SHARDS_LIMIT
            return None
        return self._new(place, said, self.table.shard, stream)

    def _known(self, number: int) -> _Stream | None:
        """Return what is known of a file's blocks; what came before this session is done."""
        if self.table is None or self.arrival is None or not 1 <= number <= len(self.table.files):
            return None
        stream = _Stream(self.key, self.table.cut, number, self.table.files[number - 1].size)
        self.writer.wait()  # so that nobody else changes what is looked at
        file = self.arrival.files[number - 1]
        for block in range(len(stream.done)):
            offset, length = stream.cut.span(stream.size, block)
            stream.done[block] = file.whole or file.have.covers(offset, offset + length)
        self._streams[number] = stream
        return stream

    def _new(self, place: bytes, said: Place, size: int, stream: _Stream | None) -> _Open:
        """Return a new block. Where memory is short, the oldest has to go, and may begin again."""
        while (buffer := self.pool.lend((said.data + said.parity) * size)) is None:
            if not self._open:
                self.writer.wait()  # all of the memory waits to be written
                continue
            oldest = self._open.pop(next(iter(self._open)))
            oldest.close(done=False)
            self.pool.take_back(oldest.buffer)
            self.tally.evicted += 1
        block = self._open[place] = _Open(buffer, said, size, stream)
        return block

    def _hand_on(self, stream: _Stream, block: _Open) -> None:
        if self.arrival is None:
            return
        offset, length = stream.cut.span(stream.size, block.number)
        self.content += length
        self.writer.put(
            FinishedBlock(
                self.arrival,
                stream.number - 1,
                block.number,
                stream.total,
                offset,
                length,
                block.size,
                block.needed,
                block.there,
                block.buffer,
                self.pool,
            )
        )

    def _announcement(self, payload: memoryview, shard: int, place: bytes) -> None:
        if self.table is not None:
            return
        said = read_place(place)
        size = len(payload)
        form = (said.length, said.data, said.parity, size)
        if not self._form[0]:
            self._form = form
        full = size * self._form[1]
        blocks = -(-said.length // full) if full else 0
        if (
            not 1 <= said.length <= TABLE_LIMIT
            or said.length != self._form[0]
            or size != self._form[3]
            or said.block >= blocks
            or not said.data
            or said.data + said.parity > SHARDS_LIMIT
            or shard >= said.data + said.parity
            or said.stream != TABLE_STREAM
        ):
            self.tally.contradictory += 1
            return
        if said.block in self._parts:
            return
        block = self._open.get(place) or self._new(place, said, size, None)
        if not block.add(shard, payload) or block.count < block.needed:
            return
        del self._open[place]
        restore(block.buffer, block.there, said.data, size)
        self._parts[said.block] = bytes(block.buffer[: said.data * size])
        self.pool.take_back(block.buffer)
        if len(self._parts) == blocks:
            self._adopt(b"".join(self._parts[n] for n in range(blocks))[: said.length])
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

    def _digest(self, payload: memoryview, place: bytes) -> None:
        if self.table is None or self.arrival is None:
            self.tally.early += 1
            return
        number = read_place(place).stream
        stream = self._streams.get(number) or self._known(number)
        if len(payload) != SUM_SIZE or stream is None:
            self.tally.contradictory += 1
        else:
            self.writer.expect(self.arrival, number - 1, bytes(payload), stream.total)

    def drop(self) -> None:
        """Let go of every block that waits for shards."""
        for block in self._open.values():
            block.close(done=False)
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


def restore(buffer: bytearray | memoryview, there: bytearray, data: int, shard: int) -> None:
    """Compute the data shards of a block that are not there; enough others are."""
    if there.find(0, 0, data) < 0:
        return
    lost = [n for n in range(data) if not there[n]]
    parity = [n - data for n in range(data, len(there)) if there[n]][: len(lost)]
    array = np.frombuffer(buffer, np.uint8)[: len(there) * shard].reshape(len(there), shard)
    code(data, len(there) - data).restore(rows_of(array), lost, parity, shard)
