"""The receiving end: takes what the kernel gives, keeps sessions apart, and never sends a packet."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.core.ports import Progress, Silent
from lockgate.crossing.diode.arrival import PARTIAL_FOLDER, Arrival
from lockgate.crossing.diode.errors import DiodeLimitError
from lockgate.crossing.diode.history import EndedSessions
from lockgate.crossing.diode.report import Report, Useless, report
from lockgate.crossing.diode.session import Session, restore
from lockgate.crossing.diode.table import Table
from lockgate.crossing.diode.udp import Inlet, receive_errors
from lockgate.crossing.diode.wire import MAGIC, OVERHEAD, DiodeKey, Front, Packet, read_front
from lockgate.crossing.diode.writer import Pool, Writer
from lockgate.crossing.disk import alone, free_bytes

BUSY_FILE = ".receiving"
TICK_SECONDS = 0.25
"""How often the receiver looks up when nothing comes."""

LINGER_SECONDS = 2.0
"""How long packets are taken at most after everything is done."""

END_SILENCE_SECONDS = 0.5
"""How long a session that has said its end is waited for when something is missing."""

RETIRE_SECONDS = 1.0
"""How long a session has to be silent until another one may take its place."""


@dataclass(frozen=True, slots=True)
class ReceiveSettings:
    """Bounds of a receiver.

    Attributes:
        memory: Most bytes of blocks that wait for shards, over all sessions.
        sessions: Most sessions at once; each has its share of the memory.
        content: Largest crate that is taken, in bytes.
        silence: Seconds without a packet after which a session counts as ended.

    """

    memory: int = 512 * 1024 * 1024
    sessions: int = 4
    content: int = 1 << 40
    silence: float = 30.0


@dataclass(frozen=True, slots=True)
class ReceiverParts:
    """Everything that a receiver is joined from.

    Attributes:
        key: What both ends share.
        inbox: Where crates appear.
        inlet: The socket.
        free: Tells the free bytes below a folder.
        now: Seconds that only ever grow.
        overflows: Counts the packets that the kernel dropped for want of room.

    """

    key: DiodeKey
    inbox: Path
    inlet: Inlet
    free: Callable[[Path], int] = free_bytes
    now: Callable[[], float] = time.monotonic
    overflows: Callable[[], int] = receive_errors


@dataclass(slots=True)
class _Live:
    """What the receiver holds between packets."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    useless: Useless = field(default_factory=Useless)


class Receiver:
    """Receives crates into an inbox. Use `open`."""

    def __init__(self, parts: ReceiverParts, settings: ReceiveSettings, writer: Writer) -> None:
        """Join it."""
        self._parts = parts
        self._settings = settings
        self._writer = writer
        self._live = _Live()
        self._ended = EndedSessions(parts.inbox / PARTIAL_FOLDER)
        self._overflows = parts.overflows()
        self._pools: list[Pool] = []

    @classmethod
    @contextmanager
    def open(cls, parts: ReceiverParts, settings: ReceiveSettings | None = None) -> Iterator["Receiver"]:
        """Give a receiver that has its inbox for itself.

        Raises:
            CrossingBusyError: Another one receives into the same inbox.

        """
        folder = parts.inbox / PARTIAL_FOLDER
        with alone(folder / BUSY_FILE), Writer(restore) as writer:
            receiver = cls(parts, settings or ReceiveSettings(), writer)
            try:
                yield receiver
            finally:
                receiver.close()
                receiver.linger()

    def receive(self, progress: Progress | None = None) -> Report:
        """Receive until one session has ended or fallen silent, and say what became of it.

        Raises:
            DiodeTableError, DiodeConflictError, DiodeLimitError, NoSpaceError: The session was refused;
                nothing of it is in the inbox.
            CrateIoError: The disk fails.
            DiodeSocketError: The kernel refused.

        """
        shown = progress or Silent()
        watched: Session | None = None
        while True:
            packets = self._parts.inlet.receive(TICK_SECONDS)
            now = self._parts.now()
            self._take(packets, now)
            for live in self._live.sessions.values():
                if live.rates is not None:
                    live.rates.look(now, live.window.newest, live.window.count)
            session = self._newest()
            if session is not None and session.table is not None:
                if session is not watched:
                    watched, done = session, 0
                    shown.start(f"Receiving {session.table.crate}", sum(f.size for f in session.table.files))
                shown.advance(session.content - done)
                done = session.content
            if finished := self._finished(now):
                shown.finish()
                return self._finish(finished)

    def close(self) -> None:
        """Keep in mind on disk what is there of every crate."""
        try:
            self._writer.wait()
        finally:
            for arrival in self._live.arrivals.values():
                arrival.close()
            self._live.arrivals.clear()

    def linger(self) -> None:
        """Take what is still on its way and do nothing with it.

        A packet that finds no socket makes the kernel answer with an ICMP message, and nothing may
        leave this end.
        """
        until = self._parts.now() + LINGER_SECONDS
        while self._parts.inlet.receive(TICK_SECONDS) and self._parts.now() < until:
            pass

    @property
    def peak_memory(self) -> int:
        """Return the most bytes of blocks that one session held at once."""
        return max((pool.peak for pool in self._pools), default=0)

    def _take(self, packets: list[Packet], now: float) -> None:
        """Give packets to their sessions, those that follow one another in one session together."""
        sessions, useless = self._live.sessions, self._live.useless
        session: Session | None = None
        name, run = b"", list[tuple[Packet, Front]]()
        for packet in packets:
            whole = packet[0]
            if len(whole) < OVERHEAD or (front := read_front(whole))[0] != MAGIC:
                useless.foreign += 1
                continue
            if front[1] != name or session is None:
                if session is not None:
                    session.take(run, now)
                name, run = front[1], []
                session = sessions.get(name) or self._admit(packet, name, now)
            run.append((packet, front))
        if session is not None:
            session.take(run, now)

    def _admit(self, packet: Packet, name: bytes, now: float) -> Session | None:
        """Return a new session, if somebody with the key began it and there is room."""
        useless = self._live.useless
        if name in self._ended:
            useless.ended += 1
            return None
        key = self._parts.key.session(name)
        if key is None or not key.genuine(packet):
            useless.forged += 1
            return None
        if len(self._live.sessions) >= self._settings.sessions and not self._retire(now):
            useless.crowded += 1
            return None
        pool = Pool(self._settings.memory // self._settings.sessions)
        self._pools = [*(s.pool for s in self._live.sessions.values()), pool]
        session = Session(key, self._adopt, self._writer, pool)
        self._live.sessions[name] = session
        return session

    def _retire(self, now: float) -> bool:
        """Let go of the session that was silent longest, if it was silent long enough."""
        name, session = min(self._live.sessions.items(), key=lambda item: item[1].latest)
        if now - session.latest < RETIRE_SECONDS:
            return False
        session.drop()
        del self._live.sessions[name]
        return True

    def _adopt(self, table: Table) -> Arrival:
        held = 2 * table.interleave
        share = self._settings.memory // self._settings.sessions
        if held > share:
            what = f"A sender interleaves over {table.interleave} bytes; {share // 2} can be held."
            raise DiodeLimitError(what, limit="memory")
        size = sum(file.size for file in table.files)
        if size > self._settings.content:
            what = (
                f"{table.crate} is announced with {size} bytes; at most {self._settings.content} are taken."
            )
            raise DiodeLimitError(what, limit="content")
        self._parts.inlet.expect(table.cut.packet)
        arrival = Arrival(self._parts.inbox, table, self._parts.free)
        other = self._live.arrivals.get(table.crate)
        if other is None:
            self._live.arrivals[table.crate] = arrival
            return arrival
        return other.demand_same(arrival)

    def _newest(self) -> Session | None:
        return max(self._live.sessions.values(), key=lambda s: s.latest, default=None)

    def _finished(self, now: float) -> Session | None:
        for session in self._live.sessions.values():
            silent = now - session.latest
            if session.ended:
                if silent > END_SILENCE_SECONDS or session.fault is not None or self._whole(session):
                    return session
            elif silent > self._settings.silence:
                return session
        return None

    def _whole(self, session: Session) -> bool:
        """Tell whether nothing is missing. While something is, a repeated digest may still bring it."""
        if session.arrival is None:
            return False
        self._writer.wait()
        return not session.arrival.missing()

    def _finish(self, session: Session) -> Report:
        del self._live.sessions[session.key.session]
        session.drop()
        self._writer.wait()
        if session.ended:
            self._ended.add(session.key.session)
        if session.fault is not None:
            raise session.fault
        if session.rates is not None:
            session.rates.look(session.latest, session.window.newest, session.window.count, last=True)
        arrival = session.arrival
        if arrival is not None and not any(s.arrival is arrival for s in self._live.sessions.values()):
            arrival.close()
            self._live.arrivals.pop(arrival.crate, None)
        overflows = self._parts.overflows() - self._overflows
        useless, self._live.useless = self._live.useless, Useless()
        self._overflows += overflows
        return report(session, useless, overflows, self._parts.inlet.buffer)
