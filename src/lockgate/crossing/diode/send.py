"""The sending end: reads a crate's files, encodes, paces, repeats what must arrive; hears nothing back."""

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.ports import Entropy, Progress, Silent
from lockgate.core.wire import encode
from lockgate.crossing.diode.errors import DiodeSettingError
from lockgate.crossing.diode.groups import Block, Group, GroupMaker, Numbers, Stream, blocks_of, gathered
from lockgate.crossing.diode.journal import SendJournal
from lockgate.crossing.diode.pace import Pace
from lockgate.crossing.diode.sums import FileSum
from lockgate.crossing.diode.table import Cut, Table, TableFile, sending_order
from lockgate.crossing.diode.udp import Outlet, shard_size
from lockgate.crossing.diode.wire import DIODE_FORMAT, OVERHEAD, TABLE_STREAM, DiodeKey, Kind, SessionKey
from lockgate.crossing.erasure import SHARDS_LIMIT
from lockgate.crossing.folder import CrateFolder
from lockgate.crossing.format import ROOTS_FOLDER
from lockgate.crossing.pipeline import Stage
from lockgate.trust.roots import ROOT_LIMIT

PREAMBLE = 64
"""Packets of nothing that are sent first: losses cluster where a link wakes up."""

TABLE_DATA = 64
"""Data shards in a block of the announcement at most; it has as many parity shards."""

TABLE_ROUNDS = 3
"""How often the announcement is sent before the first file."""

TABLE_SHARE = 64
"""Bytes of files that are sent for each byte of a repeated announcement, at least."""

END_ROUNDS = 5
"""How often all digests and an end marker are sent after the last file."""

END_SECONDS = 0.02
"""Pause between those rounds, so that one outage does not take all of them."""


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How a sender sends.

    Attributes:
        address: IP address of the receiver.
        port: UDP port of the receiver.
        rate: Bytes of packets per second.
        mtu: Largest IP packet of the link in bytes.
        data: Data shards in a block.
        parity: Parity shards in a block: as many losses of a block are made good.
        interleave: Bytes of packets that blocks are interleaved over: a burst of losses is made good
            up to its share of parity. Sender and receiver hold about three times as much in memory.

    """

    address: str
    port: int = 7411
    rate: int = 100_000_000
    mtu: int = 1500
    data: int = 200
    parity: int = 40
    interleave: int = 32 * 1024 * 1024

    def checked(self) -> "SendSettings":
        """Return itself.

        Raises:
            DiodeSettingError: A value is out of its range.

        """
        ranges = (
            ("port", self.port, 1, 65535),
            ("rate", self.rate, 10_000, 100_000_000_000),
            ("mtu", self.mtu, 576, 65535),
            ("data", self.data, 1, SHARDS_LIMIT),
            ("parity", self.parity, 0, SHARDS_LIMIT - self.data),
            ("interleave", self.interleave, 65536, 1 << 32),
        )
        for name, value, least, most in ranges:
            if not least <= value <= most:
                what = f"The diode's {name} is {value}; it can be from {least} to {most}."
                raise DiodeSettingError(what)
        return self


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: content and packets in bytes, time in seconds, and where it began."""

    crate: str
    files: tuple[str, ...]
    content: int
    packets: int
    packet_bytes: int
    seconds: float
    resumed: bool


@dataclass(frozen=True, slots=True)
class SenderParts:
    """Everything that a sender is joined from.

    Attributes:
        key: What both ends share.
        journal: Where the place is kept that an interrupted sending had reached.
        entropy: Randomness for the session's name.
        now: Seconds that only ever grow.
        sleep: Waits for that many seconds.

    """

    key: DiodeKey
    journal: SendJournal
    entropy: Entropy = os.urandom
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class _Ready:
    """A group that is ready to be sent, and the digests of the files that end in it."""

    group: Group
    digests: tuple[tuple[Stream, bytes], ...]


class Sender:
    """Sends crates over a link on which nothing comes back."""

    def __init__(self, parts: SenderParts, settings: SendSettings) -> None:
        """Join it.

        Raises:
            DiodeSettingError: A setting is out of its range.

        """
        self._parts = parts
        self._settings = settings.checked()

    def send(self, crate: Path, only: Sequence[str] = (), progress: Progress | None = None) -> Sent:
        """Send a crate's files, or some of them; goes on where an interrupted run ended.

        Args:
            crate: The crate's folder.
            only: Names of the files to send; all when empty.
            progress: Told about bytes of content.

        Raises:
            NotACrateError, CrateGrammarError, CrateIoError: It is no crate's folder, or cannot be read.
            DiodeSettingError: A named file is not in it.
            DiodeSocketError: The link does not take the packets.

        """
        with ExitStack() as stack:
            folder = stack.enter_context(CrateFolder(crate))
            listed = _files(folder)
            chosen = _chosen(listed, only, folder.name)
            streams = [
                Stream(number, file.size, stack.enter_context(folder.open(file.name)).fileno())
                for number, file in enumerate(listed, 1)
                if file.name in chosen
            ]
            table = self._table(folder.name, listed)
            announcement = stack.enter_context(_announcement(table))
            outlet = stack.enter_context(
                Outlet(self._settings.address, self._settings.port, table.cut.packet)
            )
            run = _Run(self._parts, table, announcement, streams, outlet)
            return run.send(progress or Silent())

    def _table(self, crate: str, files: Sequence[TableFile]) -> Table:
        settings = self._settings
        shard = shard_size(settings.address, settings.mtu)
        return Table(
            format=DIODE_FORMAT,
            crate=crate,
            files=tuple(files),
            shard=shard,
            data=settings.data,
            parity=settings.parity,
            interleave=max(settings.interleave, (settings.data + settings.parity) * (shard + OVERHEAD)),
            rate=settings.rate,
        )


@contextmanager
def _announcement(table: Table) -> Iterator[Stream]:
    """Give the announcement as a stream of its own."""
    data = encode(table)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield Stream(TABLE_STREAM, len(data), file.fileno(), Kind.TABLE)


def _files(folder: CrateFolder) -> list[TableFile]:
    names = [name for name in folder.names() if name != ROOTS_FOLDER]
    names += [f"{ROOTS_FOLDER}/{version}.root.json" for version in folder.roots(ROOT_LIMIT)]
    found = []
    for name in sending_order(names):
        with folder.open(name) as file:
            found.append(TableFile(name=name, size=file.size))
    return found


def _chosen(listed: Sequence[TableFile], only: Sequence[str], crate: str) -> frozenset[str]:
    names = {file.name for file in listed}
    for name in only:
        if name not in names:
            what = f"{crate} has no file {name[:80]!r}."
            raise DiodeSettingError(what)
    return frozenset(only or names)


class _Run:
    """One session."""

    def __init__(
        self,
        parts: SenderParts,
        table: Table,
        announcement: Stream,
        streams: Sequence[Stream],
        outlet: Outlet,
    ) -> None:
        self._parts = parts
        self._table = table
        self._announcement = announcement
        self._streams = streams
        self._key: SessionKey = parts.key.new_session(parts.entropy)
        self._numbers = Numbers()
        self._maker = GroupMaker(table.cut, self._key, self._numbers)
        self._pace = Pace(outlet, table.rate, parts.now, parts.sleep)
        self._table_due = 0

    def send(self, progress: Progress) -> Sent:
        began = self._parts.now()
        names = tuple(self._table.files[s.number - 1].name for s in self._streams)
        place = self._parts.journal.find(self._table, names)
        streams, first = self._remaining(place)
        total = sum(s.size for s in streams) - first * self._table.cut.block_bytes
        progress.start(f"Sending {self._table.crate}", total)
        self._begin()
        digests: list[tuple[Stream, bytes]] = self._earlier(streams)
        with Stage(self._groups(streams, first), depth=1) as groups:
            for ready in groups:
                self._pace.send(ready.group.packets, self._maker.sealing(ready.group))
                progress.advance(sum(self._length(block) for block in ready.group.blocks))
                digests += ready.digests
                for stream, digest in ready.digests:
                    self._say_digest(stream, digest)
                self._parts.journal.keep(self._table, names, _after(ready.group.blocks[-1], self._table))
                self._repeat_table(len(ready.group.packets))
        self._finish(digests)
        self._parts.journal.forget(self._table.crate)
        progress.finish()
        return Sent(
            self._table.crate,
            names,
            total,
            self._numbers.next,
            self._pace.packet_bytes,
            self._parts.now() - began,
            place is not None,
        )

    def _remaining(self, place: tuple[str, int] | None) -> tuple[list[Stream], int]:
        """Return the streams that are still to be sent, and the block of the first one to begin with."""
        if place is None:
            return list(self._streams), 0
        name, offset = place
        numbers = {file.name: n for n, file in enumerate(self._table.files, 1)}
        left = [s for s in self._streams if s.number >= numbers[name]]
        # The last block of a file that was finished goes again, and its digest with it.
        cut = self._table.cut
        return left, min(offset // cut.block_bytes, cut.blocks(left[0].size) - 1)

    def _earlier(self, streams: Sequence[Stream]) -> list[tuple[Stream, bytes]]:
        """Return the digests of the files that were sent before an interruption: they are said again."""
        left = {s.number for s in streams}
        return [(s, self._sum(s).complete(s.handle)) for s in self._streams if s.number not in left]

    def _sum(self, stream: Stream) -> FileSum:
        return FileSum(self._key, stream.number, stream.size, self._table.cut)

    def _length(self, block: Block) -> int:
        return self._table.cut.span(block.stream.size, block.number)[1]

    def _begin(self) -> None:
        filler = bytes(self._table.shard)
        for _ in range(PREAMBLE):
            self._pace.send(self._maker.note(Kind.FILLER, TABLE_STREAM, 0, filler))
        for _ in range(TABLE_ROUNDS):
            self._send_table()

    def _send_table(self) -> None:
        stream, shard = self._announcement, self._table.shard
        count = min(TABLE_DATA, -(-stream.size // shard))
        cut = Cut(shard, count, count)
        maker = GroupMaker(cut, self._key, self._numbers)
        sent, room = 0, maker.room()
        for blocks in gathered(blocks_of([stream], cut), cut, self._table.interleave):
            group = maker.make(blocks, room)
            self._pace.send(group.packets, maker.sealing(group))
            sent += len(group.packets)
        self._table_due = sent * TABLE_SHARE

    def _repeat_table(self, sent: int) -> None:
        """Say again what is being sent, for a receiver that was started late or again."""
        self._table_due -= sent
        if self._table_due <= 0:
            self._send_table()

    def _groups(self, streams: Sequence[Stream], first: int) -> Iterator[_Ready]:
        cut, sums = self._table.cut, {s.number: self._sum(s) for s in streams}
        # One group is being sent, one waits, one is being made: its room was sent from before those two.
        rooms = deque(self._maker.room() for _ in range(3))
        digests: list[tuple[Stream, bytes]] = []

        def taken(block: Block, data: memoryview) -> None:
            stream = block.stream
            sums[stream.number].add(block.number, data)
            if block.number + 1 == cut.blocks(stream.size):
                digests.append((stream, sums.pop(stream.number).complete(stream.handle)))

        for blocks in gathered(blocks_of(streams, cut, first), cut, self._table.interleave):
            group = self._maker.make(blocks, rooms[0], taken)
            rooms.rotate(-1)
            yield _Ready(group, tuple(digests))
            digests.clear()

    def _say_digest(self, stream: Stream, digest: bytes) -> None:
        self._pace.send(self._maker.note(Kind.DIGEST, stream.number, stream.size, digest))

    def _finish(self, digests: Sequence[tuple[Stream, bytes]]) -> None:
        for _ in range(END_ROUNDS):
            for stream, digest in digests:
                self._say_digest(stream, digest)
            self._pace.send(self._maker.note(Kind.END, TABLE_STREAM, self._numbers.next, b""))
            self._pace.wait(END_SECONDS)


def _after(block: Block, table: Table) -> tuple[str, int]:
    """Return the file and the offset in it that a block ends at."""
    offset, length = table.cut.span(block.stream.size, block.number)
    return table.files[block.stream.number - 1].name, offset + length
