"""Answers that are kept ready: whole pages of the newest table, by the very request that asked for them.

What a page answers depends on the table and on the request alone. So an answer is given again where both are
the same: path, query and every header of the request, byte by byte, and the table that its client goes on
with. Another table throws all of them away. Mirrors that ask who reads keep none.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lockgate.mirror.continuity import Peer, client_of
from lockgate.mirror.entries import Table
from lockgate.mirror.view import SignedView

READY = "lockgate.http.response.ready"
"""The ASGI extension that writes an answer at once: a callable that takes a `ReadyAnswer` (`door`)."""

READY_LIMIT = 1024
"""Most answers that are kept; beyond it the one that was not asked for longest goes."""

READY_BYTES = 64 * 1024 * 1024
"""Most bytes of bodies that are kept; beyond it the one that was not asked for longest goes."""

READY_REQUEST = 2048
"""Longest request, in bytes of its address and headers, whose answer is kept."""

_OFFER = "lockgate.offer"

Pairs = Iterable[tuple[bytes, bytes]]
Give = Callable[["ReadyAnswer"], Awaitable[None]]
Offer = Callable[[Scope, Table, Pairs, bytes], None]
Key = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]


@dataclass(frozen=True, slots=True)
class ReadyAnswer:
    """An answer with 200: its headers, as pairs and as the bytes of a head's lines, and its whole body."""

    protocol: str
    session: str | None
    headers: list[tuple[bytes, bytes]]
    lines: bytes
    body: bytes

    async def give(self, scope: Scope, send: Send) -> None:
        """Send it, in one piece where the server can do that."""
        give: Give | None = scope.get("extensions", {}).get(READY)
        if give is not None:
            await give(self)
            return
        await send(
            {"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": list(self.headers)}
        )
        await send({"type": "http.response.body", "body": self.body})


class Ready:
    """Keeps answers to requests for pages of the newest table.

    Args:
        view: What is served.

    """

    def __init__(self, view: SignedView) -> None:
        """Keep nothing yet."""
        self._view = view
        self._table: Table | None = None
        self._answers: OrderedDict[Key, ReadyAnswer] = OrderedDict()
        self._bytes = 0

    def find(self, scope: Scope) -> ReadyAnswer | None:
        """Return the answer to a request, where the same one was answered from the same table before."""
        if not self._answers or scope["method"] != "GET":
            return None
        newest = self._view.table
        if newest is not self._table:
            self._start(newest)
            return None
        key = _key(scope)
        answer = self._answers.get(key)
        if answer is None or self._view.stale():
            return None
        client = client_of(scope, answer.session)
        if self._view.continuity.table(newest, client, Peer(scope)) is not newest:
            return None
        self._answers.move_to_end(key)
        return answer

    def hear(self, scope: Scope, protocol: str, session: str | None, added: Pairs) -> None:
        """Let whoever answers a request offer the answer to be kept.

        Args:
            scope: The request's.
            protocol: What it is counted as.
            session: The session that its client names.
            added: Headers that the shell adds to every answer; an answer's own of these names are dropped.

        """
        if scope["method"] != "GET":
            return
        names = {name for name, _ in added}

        # The scope is given anew: one that held itself would be left to the garbage collector.
        def offer(heard: Scope, table: Table, headers: Pairs, body: bytes) -> None:
            kept = [*(pair for pair in headers if pair[0] not in names), *added]
            lines = b"".join(b"%s: %s\r\n" % pair for pair in kept)
            self._keep(_key(heard), table, ReadyAnswer(protocol, session, kept, lines, body))

        scope[_OFFER] = offer

    def _start(self, table: Table) -> None:
        """Keep nothing but what will be answered from another table."""
        self._table = table
        self._answers.clear()
        self._bytes = 0

    def _keep(self, key: Key, table: Table, answer: ReadyAnswer) -> None:
        path, query, headers = key
        length = len(path) + len(query) + sum(len(name) + len(value) for name, value in headers)
        if length > READY_REQUEST or table is not self._view.table:
            return
        if table is not self._table:
            self._start(table)
        before = self._answers.pop(key, None)
        self._bytes += len(answer.body) - (len(before.body) if before else 0)
        self._answers[key] = answer
        while len(self._answers) > READY_LIMIT or self._bytes > READY_BYTES:
            self._bytes -= len(self._answers.popitem(last=False)[1].body)


def offer(scope: Scope, table: Table | None, headers: Pairs, body: bytes) -> None:
    """Offer the answer with 200 to a request, whole, to be kept; `table` is what it was answered from."""
    taker: Offer | None = scope.get(_OFFER)
    if taker is not None and table is not None:
        taker(scope, table, headers, body)


class PageResponse(Response):
    """An answer with bytes that follow from a table and the request alone."""

    def __init__(self, table: Table, body: bytes, **facts: Any) -> None:
        """Answer with a body; more facts are those of any response."""
        super().__init__(body, **facts)
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Offer the answer, and send it."""
        offer(scope, self._table, self.raw_headers, bytes(self.body))
        await super().__call__(scope, receive, send)


def _key(scope: Scope) -> Key:
    path = scope.get("raw_path") or scope["path"].encode()
    return path, scope.get("query_string", b""), tuple(scope["headers"])
