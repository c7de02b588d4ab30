"""One client, one snapshot: who began with a table goes on with it while the channel moves.

A client asks several times: for an index, for the files that it names, for what those need. If the
channel moved in between, the answers would be of two snapshots. So the requests of one connection are
answered from the table that its first request saw, for a bounded time; and addresses that name their
content (a file by its digest, a model's commit) are answered for a while longer, so that downloads end.

An emergency ends all of that at once: what one operator took away is given to nobody.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from lockgate.core.statement import EMERGENCIES
from lockgate.mirror.tables import Table

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


@dataclass(slots=True)
class _Pin:
    table: Table
    began: float
    last: float


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
        self._retained: list[tuple[float, Table]] = []

    def table(self, newest: Table, client: str | None) -> Table:
        """Return the table that a client goes on with; None: one that nobody can tell apart."""
        if client is None:
            return newest
        with self._lock:
            now = self._elapsed()
            pin = self._pins.get(client)
            if pin is None or now - pin.last > IDLE_SECONDS or now - pin.began > PIN_SECONDS:
                pin = self._pins[client] = _Pin(newest, now, now)
            pin.last = now
            self._pins.move_to_end(client)
            while len(self._pins) > PINS_LIMIT:
                self._pins.popitem(last=False)
            return pin.table

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
                self._retained.clear()
                return
            self._retained.append((self._elapsed() + PIN_SECONDS, before))
            del self._retained[:-RETAINED_LIMIT]


def client_of(scope_client: tuple[str, int] | None, session: str | None) -> str | None:
    """Return who asks: a session that the client names on several connections, or its connection.

    npm names one session for each run (``npm-session``); others are told apart by their connection.
    """
    if scope_client is None:
        return None
    host, port = scope_client
    if session and len(session) <= SESSION_LIMIT and session.isascii() and session.isalnum():
        return f"{host} session {session}"
    return f"{host} {port}"
