"""Groups of blocks on the sender's side: read, encoded, and laid out in the order in which they are sent."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lockgate.crossing.buffers import large
from lockgate.crossing.diode.table import Cut
from lockgate.crossing.diode.wire import (
    HEADER,
    HEADER_SIZE,
    MAGIC,
    SESSION_SIZE,
    TAG_SIZE,
    Kind,
    SessionKey,
    Tagging,
    tagging,
)
from lockgate.crossing.erasure import code, rows_of

HEADERS = np.dtype(
    [
        ("magic", f"S{len(MAGIC)}"),
        ("session", f"V{SESSION_SIZE}"),
        ("number", ">u8"),
        ("kind", "u1"),
        ("shard", "u1"),
        ("data", "u1"),
        ("parity", "u1"),
        ("stream", ">u4"),
        ("block", ">u4"),
        ("length", ">u8"),
    ]
)
"""A header as numpy writes it, the same bytes as `wire.HEADER`."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream to send: its number, its length in bytes, and where its bytes come from."""

    number: int
    size: int
    handle: int
    kind: Kind = Kind.DATA


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a stream."""

    stream: Stream
    number: int


Taken = Callable[[Block, memoryview], None]
"""Is told a block and its bytes."""


class Room:
    """Memory for the packets of one group after the other, each place taken apart once."""

    def __init__(self, step: int) -> None:
        """Begin with none; `step` is the length of a packet."""
        self._step = step
        self._memory = memoryview(b"")
        self._packets: list[Tagging] = []

    def fitting(self, count: int) -> memoryview:
        """Return the memory of that many packets."""
        step = self._step
        if len(self._packets) < count:
            self._memory = memory = large(count * step)
            self._packets = [tagging(memory[at : at + step]) for at in range(0, count * step, step)]
        return self._memory[: count * step]

    def packets(self, start: int, end: int) -> list[Tagging]:
        """Return the packets between two offsets in bytes."""
        return self._packets[start // self._step : end // self._step]


@dataclass(frozen=True, slots=True)
class Group:
    """Packets in the order in which they are sent, and the blocks that they carry."""

    packets: memoryview
    blocks: tuple[Block, ...]
    room: Room


@lru_cache(maxsize=8)
def interleaved(sizes: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
    """Return, for blocks of these numbers of shards, the places of each block's shards.

    The shards of every block are spread evenly over the whole group, so that a burst of losses takes
    its share of each block and not all of one.
    """
    spread = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes])
    order = np.argsort(spread, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ends = np.cumsum(sizes)
    return tuple(place[end - n : end] for n, end in zip(sizes, ends, strict=True))


def blocks_of(streams: Sequence[Stream], cut: Cut, first: int = 0) -> Iterator[Block]:
    """Yield the blocks of streams in order, of the first stream from block `first` on."""
    for stream in streams:
        for number in range(first, cut.blocks(stream.size)):
            yield Block(stream, number)
        first = 0


def gathered(blocks: Iterator[Block], cut: Cut, limit: int) -> Iterator[tuple[Block, ...]]:
    """Yield blocks in groups whose packets have at most `limit` bytes, and never less than one block."""
    group: list[Block] = []
    used = 0
    for block in blocks:
        size = sum(cut.shape(block.stream.size, block.number)) * cut.packet
        if group and used + size > limit:
            yield tuple(group)
            group, used = [], 0
        group.append(block)
        used += size
    if group:
        yield tuple(group)


def _headers(packets: memoryview, step: int) -> NDArray[np.void]:
    """Return the headers of packets of one length as an array over them."""
    return np.ndarray((len(packets) // step,), HEADERS, packets, 0, (step,))


class Numbers:
    """The packet numbers of a session; none is given twice, since it is a part of the nonce."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.next = 0

    def take(self, count: int) -> int:
        """Return the first of `count` numbers that are nobody else's."""
        first = self.next
        self.next += count
        return first


class GroupMaker:
    """Makes groups of packets."""

    def __init__(self, cut: Cut, key: SessionKey, numbers: Numbers) -> None:
        """Begin.

        Args:
            cut: How streams are cut.
            key: The session's key.
            numbers: The session's packet numbers.

        """
        self._cut = cut
        self._key = key
        self._numbers = numbers
        # A block is read into one piece once: hashed, encoded and spread over its packets from there.
        self._block = np.empty((cut.data, cut.shard), np.uint8)

    def room(self) -> Room:
        """Return room for groups."""
        return Room(self._cut.packet)

    def make(self, blocks: tuple[Block, ...], room: Room, taken: Taken | None = None) -> Group:
        """Read and encode the blocks of one group. Its packets are numbered and tagged by `sealing`.

        Args:
            blocks: What the group carries.
            room: Where its packets go.
            taken: Told each block and its bytes, in order; they are good during the call.

        Raises:
            EOFError: A file is shorter than was announced.

        """
        shapes = [self._cut.shape(b.stream.size, b.number) for b in blocks]
        places = interleaved(tuple(sum(shape) for shape in shapes))
        count, step = sum(map(len, places)), self._cut.packet
        view = room.fitting(count)
        headers = _headers(view, step)
        headers["magic"], headers["session"] = MAGIC, np.void(self._key.session)
        packets = np.frombuffer(view, np.uint8).reshape(count, step)
        start = packets.ctypes.data
        for block, (data, parity), place in zip(blocks, shapes, places, strict=True):
            rows = self._read(block, data, taken)
            packets[place[:data], HEADER_SIZE : HEADER_SIZE + self._cut.shard] = rows
            where = np.uint64(start + HEADER_SIZE) + place[data:].astype(np.uint64) * np.uint64(step)
            code(data, parity).encode(rows_of(rows), where, self._cut.shard)
            stream = block.stream
            values = (stream.kind, np.arange(data + parity), data, parity, stream.number, block.number)
            for name, value in zip(
                ("kind", "shard", "data", "parity", "stream", "block"), values, strict=True
            ):
                headers[name][place] = value
            headers["length"][place] = stream.size
        return Group(view, blocks, room)

    def sealing(self, group: Group) -> Callable[[int, int], None]:
        """Number the packets of a group that is sent next; return what tags those between two offsets."""
        headers = _headers(group.packets, self._cut.packet)
        first = self._numbers.take(len(headers))
        headers["number"] = np.arange(first, first + len(headers), dtype=np.uint64)
        tag, packets = self._key.tag, group.room.packets
        return lambda start, end: tag(packets(start, end))

    def note(self, kind: Kind, stream: int, length: int, payload: bytes) -> memoryview:
        """Return a short packet of its own."""
        packet = bytearray(HEADER_SIZE + len(payload) + TAG_SIZE)
        number = self._numbers.take(1)
        HEADER.pack_into(packet, 0, MAGIC, self._key.session, number, kind, 0, 1, 0, stream, 0, length)
        packet[HEADER_SIZE:-TAG_SIZE] = payload
        view = memoryview(packet)
        self._key.tag([tagging(view)])
        return view

    def _read(self, block: Block, data: int, taken: Taken | None) -> NDArray[np.uint8]:
        """Read a block's bytes; return them as rows of one shard each, zeros behind the last byte."""
        offset, length = self._cut.span(block.stream.size, block.number)
        rows = self._block[:data]
        view = rows.reshape(-1).data
        view[length:] = bytes(len(view) - length)
        if os.preadv(block.stream.handle, [view[:length]], offset) != length:
            msg = f"stream {block.stream.number} is shorter than announced"
            raise EOFError(msg)
        if taken is not None:
            taken(block, view[:length])
        return rows
