"""The mirror's HTTP connections: uvicorn's, within bounds of size and time, and files lent to the kernel.

Answers that are kept ready (`ready`) are written as they are, head and body at once.

Beside what ASGI knows, an application may send ``{"type": LENT, "lease": …, "start": …, "count": …}`` in
place of a body, where `scope["extensions"][LENT]` gave it a lease. What is kept within bounds here and not by
uvicorn: the length of a request's head, how long it may take to come, and for how long a client may take
nothing of an answer.
"""

import asyncio
import weakref
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lockgate.mirror.continuity import CERTIFICATE, CONNECTION, Connection
from lockgate.mirror.lease import LENT, STALL_SECONDS, Lease, Leases
from lockgate.mirror.ready import READY, ReadyAnswer

HEAD_LIMIT = 64 * 1024
"""Longest head of a request, in bytes."""

HEADER_SECONDS = 15.0
"""How long a client may take to send its request's head, and how long it may wait with the first."""

_TOGETHER = 16 * 1024  # longest body, in bytes, that is copied behind its head to be written with it
_OK = b"HTTP/1.1 200 OK\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


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
        self._stalled: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = self.loop.call_later(HEADER_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell whoever asks that this connection is no more."""
        self._own.open = False
        self._end_wait()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse a head that is too long, and one that takes too long."""
        super().data_received(data)
        if not self._reading_head:
            self._end_wait()
            self._head = 0
            return
        self._head += len(data)
        if self._head > HEAD_LIMIT:
            self._refuse()
        elif self._slow is None:
            self._slow = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._reading_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole; refuse it, if it came at once and is too long."""
        self._reading_head = False
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > HEAD_LIMIT:
            self._refuse()
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next request, if there was one."""
        if self.cycle is not None:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless its request was refused."""
        if self.cycle is not None:
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

    def _end_wait(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Run the application with the extensions; TLS cannot lend."""
        scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]
        # Weakly, since the request holds its scope: in a circle, each would be left to the garbage collector.
        give = partial(self._give, weakref.ref(cycle))
        extensions = scope["extensions"] = {READY: give, CONNECTION: self._own}
        if self.leases is not None and self.scheme == "http":
            extensions[LENT] = partial(self._lend, self.leases)
            app = _Lending(app, self, cycle)
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None and (shown := tls.getpeercert(binary_form=True)):
            certified: dict[str, Any] = cycle.scope  # type: ignore[assignment]
            certified[CERTIFICATE] = shown
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    async def _give(self, asked: "weakref.ref[RequestResponseCycle]", answer: ReadyAnswer) -> None:
        """Write an answer that is kept ready, and end the request."""
        if self.flow.write_paused:
            await self.flow.drain()
        cycle = asked()
        if cycle is None or cycle.disconnected:
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
            self.transport.set_write_buffer_limits(0)  # what is written now stands before what is lent
        return lease

    async def hand_over(self, cycle: RequestResponseCycle, message: Message) -> None:
        """Have the kernel send what a message lends, behind everything that was written before."""
        try:
            if self.flow.write_paused:
                await self.flow.drain()
            if not cycle.disconnected:
                await message["lease"].send(message["start"], message["count"])
                cycle.expected_content_length -= message["count"]
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
        finally:
            self.transport.set_write_buffer_limits()


@dataclass(frozen=True, slots=True)
class _Lending:
    """An application whose messages may lend files."""

    app: ASGIApp
    door: Door
    cycle: RequestResponseCycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == LENT:
                await self.door.hand_over(self.cycle, message)
            else:
                await send(message)

        await self.app(scope, receive, sending)
