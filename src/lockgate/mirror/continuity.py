"""One client, one snapshot: who began with a table goes on with it while the channel moves.

A client asks several times: for an index, for the files that it names, for what those need. If the
channel moved in between, the answers would be of two snapshots. So the requests of one connection are
answered from the table that its first request saw, for a bounded time; and addresses that name their
content (a file by its digest, a model's commit) are answered for a while longer, so that downloads end.

Some clients (uv, pnpm, yarn) ask over several connections. A connection that begins while another one of the
same host, program and key is in use goes on with what that one sees; the next run, whose connections are all
new, sees the newest. Where many share an address and a program at every moment, that lasts the bounded time.

An emergency ends all of that at once: what one operator took away is given to nobody.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Scope

from lockgate.core.statement import EMERGENCIES
from lockgate.mirror.entries import Table

PIN_SECONDS = 600.0
"""Longest time that one client goes on with an older table, in seconds."""

IDLE_SECONDS = 30.0
"""How long a client may be silent before it is given the newest table, in seconds."""

PINS_LIMIT = 4096
"""Most clients that are remembered; beyond it the one that was silent longest is forgotten."""

RETAINED_LIMIT = 8
"""Most older tables that are kept for addresses that name their content."""

SESSION_LIMIT = 128
"""Longest session name of a client that is read, in characters."""

CLIENT: ContextVar[str | None] = ContextVar("lockgate-mirror-client", default=None)
"""Who asks: the connection, or the session that the client names. Set for each request."""


PEER: ContextVar["Peer | None"] = ContextVar("lockgate-mirror-peer", default=None)
"""What tells which connections belong to one run of a client. Set for each request."""

CONNECTION = "lockgate.connection"
"""The name of the ASGI extension that is a request's connection."""

CERTIFICATE = "lockgate.certificate"
"""Where a request's scope has the certificate (DER) that its connection's client proved to hold."""

_NUMBERS = itertools.count(1)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a client, as its protocol knows it; a port may be another one's a moment later."""

    open: bool = True
    number: int = field(default_factory=_NUMBERS.__next__)


@dataclass(frozen=True, slots=True)
class Peer:
    """The request that asks; what it shares with others is read when a connection is new."""

    scope: Scope

    @property
    def connection(self) -> Connection | None:
        """Return its connection; None where the server tells of none."""
        return _connection_of(self.scope)

    def key(self) -> int:
        """Return what requests of one host, program and key have in common; no secret is kept."""
        said = Headers(scope=self.scope)
        host = (self.scope.get("client") or ("", 0))[0]
        return hash((host, said.get("user-agent", ""), said.get("authorization", "")))


@dataclass(slots=True)
class _Pin:
    table: Table
    began: float
    last: float
    group: int | None = None
    connection: Connection | None = None


class Continuity:
    """Remembers which table each client began with, and the last few tables.

    Args:
        elapsed: Seconds on a clock that never goes back.

    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        """Remember nobody yet."""
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._pins: OrderedDict[str, _Pin] = OrderedDict()
        self._groups: dict[int, list[_Pin]] = {}
        self._retained: list[tuple[float, Table]] = []

    def table(self, newest: Table, client: str | None, peer: Peer | None = None) -> Table:
        """Return the table that a client goes on with; None: one that nobody can tell apart."""
        if client is None:
            return newest
        with self._lock:
            now = self._elapsed()
            pin = self._pins.get(client)
            if pin is None or now - pin.last > IDLE_SECONDS or now - pin.began > PIN_SECONDS:
                self._forget(pin)
                pin = self._pins[client] = self._begin(newest, peer, now)
            pin.last = now
            self._pins.move_to_end(client)
            while len(self._pins) > PINS_LIMIT:
                self._forget(self._pins.popitem(last=False)[1])
            return pin.table

    def _begin(self, newest: Table, peer: Peer | None, now: float) -> _Pin:
        """Return the pin of a connection that begins: with what others of its run see, or the newest."""
        if peer is None or peer.connection is None:
            return _Pin(newest, now, now)
        group = peer.key()
        using = [p for p in self._groups.get(group, ()) if p.connection is not None and p.connection.open]
        joined = next(
            (p for p in using if now - p.last <= IDLE_SECONDS and now - p.began <= PIN_SECONDS), None
        )
        table, began = (joined.table, joined.began) if joined else (newest, now)
        pin = _Pin(table, began, now, group, peer.connection)
        self._groups[group] = [*using, pin]
        return pin

    def _forget(self, pin: _Pin | None) -> None:
        """Let nobody join a pin any more."""
        if pin is None or pin.group is None:
            return
        left = [p for p in self._groups.get(pin.group, ()) if p is not pin]
        if left:
            self._groups[pin.group] = left
        else:
            self._groups.pop(pin.group, None)

    def older(self) -> tuple[Table, ...]:
        """Return tables that may still answer addresses that name their content, newest first."""
        with self._lock:
            now = self._elapsed()
            self._retained = [(until, table) for until, table in self._retained if now < until]
            return tuple(table for _, table in reversed(self._retained))

    def moved(self, before: Table, newest: Table) -> None:
        """Take note that another table is served, before anybody is answered from it.

        Where a version was skipped, there may have been an emergency among what nobody read.
        """
        next_one = newest.statement.channel_version == before.statement.channel_version + 1
        with self._lock:
            if newest.statement.operation in EMERGENCIES or not next_one:
                self._pins.clear()
                self._groups.clear()
                self._retained.clear()
                return
            self._retained.append((self._elapsed() + PIN_SECONDS, before))
            del self._retained[:-RETAINED_LIMIT]


def client_of(scope: Scope, session: str | None) -> str | None:
    """Return who asks: a session that the client names on several connections, or its connection.

    npm names one session for each run (``npm-session``); others are told apart by their connection.
    """
    if scope.get("client") is None:
        return None
    host, port = scope["client"]
    if session and len(session) <= SESSION_LIMIT and session.isascii() and session.isalnum():
        return f"{host} session {session}"
    connection = _connection_of(scope)
    return f"{host} {port}" if connection is None else f"{host} connection {connection.number}"


def _connection_of(scope: Scope) -> Connection | None:
    """Return a request's connection; None where the server tells of none."""
    found = (scope.get("extensions") or {}).get(CONNECTION)
    return found if isinstance(found, Connection) else None
