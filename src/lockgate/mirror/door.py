"""The mirror's HTTP connections: uvicorn's, within bounds of size and time, and files lent to the kernel.

Answers that are kept ready (`ready`) are written as they are, head and body at once.

Beside what ASGI knows, an application may send ``{"type": LENT, "lease": …, "start": …, "count": …}`` in
place of a body, where `scope["extensions"][LENT]` gave it a lease. What is kept within bounds here and not by
uvicorn: the length of a request's head, how long it may take to come, and for how long a client may take
nothing of an answer. A request that asks for another protocol as well (``Upgrade``) is answered as if it did
not (RFC 9110, section 7.8), and its body is its body.
"""

import asyncio
import weakref
from dataclasses import dataclass
from functools import partial
from typing import Any

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lockgate.mirror.continuity import CERTIFICATE, CONNECTION, Connection
from lockgate.mirror.lease import LENT, STALL_SECONDS, Lease, Leases
from lockgate.mirror.ready import READY, ReadyAnswer

HEAD_LIMIT = 64 * 1024
"""Longest head of a request, in bytes."""

HEADER_SECONDS = 15.0
"""How long a client may take to send its request's head, and how long it may wait with the first."""

DRAIN_SECONDS = 600.0
"""How long the rest of a body may come whose request is answered already; the client may read only then."""

_TOGETHER = 16 * 1024  # longest body, in bytes, that is copied behind its head to be written with it
_OK = b"HTTP/1.1 200 OK\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_BAD_HOST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_BAD_VERSION = b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_VERSIONS = frozenset({"1.0", "1.1"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Door(HttpToolsProtocol):
    """One connection."""

    leases: Leases | None = None
    """The leases of this process's server; set when it starts."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._own = Connection()
        self._head = 0
        self._reading_head = True
        self._refused = False
        self._stalled: asyncio.TimerHandle | None = None
        self._drain: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell whoever asks that this connection is no more."""
        self._own.open = False
        self._end_wait()
        self._end_drain()
        self.resume_writing()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that will send no more, where it asked for something whole; TLS cannot.

        Returns:
            Whether the connection stays open until the last answer is given.

        """
        cycle = self.cycle
        if self.scheme != "http" or self._reading_head or cycle is None:
            return False
        if cycle.more_body or cycle.response_complete:
            return False
        cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse a head that is too long, and one that takes too long."""
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._read_on(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
            return
        if not self._reading_head:
            self._end_wait()
            self._head = 0
            self._expect()
            return
        self._head += len(data)
        if self._head > HEAD_LIMIT:
            self._refuse(_TOO_LONG)
        elif self._slow is None:
            self._slow = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _read_on(self, data: bytes) -> None:
        """Parse what stands behind a request for another protocol.

        The parser ends such a request with its head: it takes all that follows for the other protocol. A
        fresh one reads on, from a head that says no more than how the body is framed.
        """
        while True:
            head = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] in _FRAMING]
            behind = _Behind(self)
            self.parser = httptools.HttpRequestParser(behind)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"".join([b"POST / HTTP/1.1\r\n", *head, b"\r\n"]))
            behind.framing = False
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._reading_head = True
        if self._drain is not None:
            self._end_drain()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole; refuse it, if it came at once and is too long.

        A request has one host (RFC 9112, section 3.2), but for those of HTTP/1.0, which may have none.
        """
        if self._refused:
            return
        self._reading_head = False
        length, hosts = len(self.url), 0
        for name, value in self.headers:
            length += len(name) + len(value)
            hosts += name == b"host"
        version = self.parser.get_http_version()
        if length > HEAD_LIMIT:
            self._refuse(_TOO_LONG)
        elif version not in _VERSIONS:
            self._refuse(_BAD_VERSION)
        elif hosts > 1 or (hosts == 0 and version == "1.1"):
            self._refuse(_BAD_HOST)
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next request, if there was one."""
        if not (self._refused or self.parser.should_upgrade()):
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless its request was refused."""
        if not self._refused:
            super().on_body(body)

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes nothing."""
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Stop waiting for it."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Go on with what was asked for meanwhile; a head that was cut in two has its time from here."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._slow is not None:
            self._wait_anew()
        if self._drain is None and self.cycle.response_complete and self.cycle.more_body:
            self._drain = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def _expect(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody reads, no longer than always."""
        if self._refused or self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.timeout_keep_alive_task is None:
            after, end = self.timeout_keep_alive, self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(after, end)

    def _end_drain(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    def _too_slow(self) -> None:
        """End the connection, unless the rest of the head is not read yet for the answers before it.

        apt sends its next requests ahead, and a packet may end in the middle of one.
        """
        if self.flow.read_paused:
            self._wait_anew()
        else:
            self.transport.abort()

    def _wait_anew(self) -> None:
        self._end_wait()
        self._slow = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _end_wait(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, answer: bytes) -> None:
        self._refused = True
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Run the application with the extensions."""
        scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]
        # Weakly, since the request holds its scope: in a circle, each would be left to the garbage collector.
        give = partial(self._give, weakref.ref(cycle))
        extensions = scope["extensions"] = {READY: give, CONNECTION: self._own}
        if self.leases is not None:
            extensions[LENT] = partial(self._lend, self.leases)
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None and (shown := tls.getpeercert(binary_form=True)):
            certified: dict[str, Any] = cycle.scope  # type: ignore[assignment]
            certified[CERTIFICATE] = shown
        super()._start_asgi_task(cycle, _Sending(app, self, cycle))  # type: ignore[arg-type]

    def left(self, cycle: RequestResponseCycle) -> bool:
        """Tell whether the client is gone, which the request learns a little later by itself."""
        cycle.disconnected |= self.transport.is_closing()
        return cycle.disconnected

    async def _give(self, asked: "weakref.ref[RequestResponseCycle]", answer: ReadyAnswer) -> None:
        """Write an answer that is kept ready, and end the request."""
        if self.flow.write_paused:
            await self.flow.drain()
        cycle = asked()
        if cycle is None or self.left(cycle):
            return
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        head = [_OK, *(b"%s: %s\r\n" % pair for pair in cycle.default_headers), answer.lines]
        head.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        if len(answer.body) > _TOGETHER:
            self.transport.write(b"".join(head))
            self.transport.write(answer.body)
        else:
            head.append(answer.body)
            self.transport.write(b"".join(head))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def _lend(self, leases: Leases, descriptor: int) -> Lease | None:
        """Return a lease on an open file for this connection; none where there can be none."""
        if self.transport.is_closing():
            return None
        lease = leases.take(descriptor, self.transport.get_extra_info("socket").fileno())
        if lease is not None:
            # What is written now stands before what is lent; TLS does by itself, and waits for the socket.
            self.transport.set_write_buffer_limits(0 if self.scheme == "http" else 1)
        return lease

    async def hand_over(self, cycle: RequestResponseCycle, message: Message) -> None:
        """Have the kernel send what a message lends, behind everything that was written before.

        Over TLS it is read, while nobody can write to it, and encrypted.
        """
        try:
            if self.flow.write_paused:
                await self.flow.drain()
            if not self.left(cycle):
                lease, start, count = message["lease"], message["start"], message["count"]
                if self.scheme == "http":
                    await lease.send(start, count)
                else:
                    await lease.copy(start, count, partial(self._encrypt, cycle))
                cycle.expected_content_length -= count
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
        finally:
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()

    async def _encrypt(self, cycle: RequestResponseCycle, piece: memoryview) -> None:
        """Write a piece to a connection with TLS, which encrypts it at once; wait while it is not taken.

        Raises:
            ConnectionResetError: The client has left.

        """
        self.transport.write(piece)
        if self.flow.write_paused:
            await self.flow.drain()
        else:
            await asyncio.sleep(0)  # others have their turn
        if self.left(cycle):
            raise ConnectionResetError


class _Behind:
    """What a connection hears of a parser that begins in the middle of a request: all but that one's head."""

    def __init__(self, door: Door) -> None:
        self.framing = True
        self._door = door
        self.on_body = door.on_body
        self.on_message_complete = door.on_message_complete

    def on_message_begin(self) -> None:
        if not self.framing:
            self._door.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.framing:
            self._door.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.framing:
            self._door.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self.framing:
            self._door.on_headers_complete()


@dataclass(frozen=True, slots=True)
class _Sending:
    """An application whose messages may lend files, and go nowhere once the client has left."""

    app: ASGIApp
    door: Door
    cycle: RequestResponseCycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if self.door.left(self.cycle):
                return
            if message["type"] == LENT:
                await self.door.hand_over(self.cycle, message)
            else:
                await send(message)

        await self.app(scope, receive, sending)
