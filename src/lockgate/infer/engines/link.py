"""Connections to an engine: HTTP/1.1 with one request at a time on each, kept for the next one.

Format: RFC 9112; heads and chunked coding are read by llhttp. Just what a gateway needs of an HTTP client,
since its general form costs a request more than all else that is done for it: no redirects, no cookies, no
proxies, no compression. What comes is untrusted: heads have a bound, and reading pauses while a body waits to
be taken.
"""

import asyncio
import os
import ssl
from collections import deque
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httptools

from lockgate.infer.errors import EngineOptionError

HEAD_BYTES = 64 * 1024
"""Longest head of an answer, in bytes."""

WAITING_BYTES = 128 * 1024
"""How much of a body waits to be taken before reading pauses, in bytes."""

AROUND_BYTES = 4 * 1024 * 1024
"""How much may come without a part of the body, in bytes: extensions of chunks, and fields behind the body.

The parser gathers such a field whole and copies it with every packet."""

IDLE_SECONDS = 15.0
"""How long a connection is kept without a request; engines close theirs after some time of their own."""

IDLE_LINKS = 1024
"""Most connections that are kept without a request."""

LINGER_SECONDS = 1.0
"""How long an engine has to end the body of an answer whose last part came; then its connection is cut."""

_PORTS = {"http": 80, "https": 443}
_INFORMATIONAL = 200


class LinkError(ConnectionError):
    """A connection broke, or what came on it is no HTTP."""


class Link(asyncio.Protocol):
    """One connection.

    After `send`, `headed` ends once the head of the answer is there; then `status` and `media` hold.
    """

    def __init__(self, links: "Links") -> None:
        """Begin without a connection."""
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._body: deque[bytes] = deque()
        self.on_body = self._body.append  # the parser's parts, one for each token, go there at once
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._lingers: asyncio.TimerHandle | None = None
        self.used = 0
        self.idle_since = 0.0
        self.error: Exception | None = None
        self._begin()

    def _begin(self) -> None:
        """Expect an answer."""
        self._body.clear()
        self._size = 0
        self._head = 0
        self._bounded = False
        self.status = 0
        self.media = ""
        self.headed = False
        self.complete = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # create_connection's

    def send(self, data: bytes) -> None:
        """Send a whole request."""
        self._begin()
        self.used += 1
        self._transport.write(data)

    @property
    def untouched(self) -> bool:
        """Tell whether nothing at all of an answer has come."""
        return not self._head and not self.headed

    async def head(self) -> None:
        """Return once the answer's head is there.

        Raises:
            LinkError: The connection broke before.
            TimeoutError: It was given up.

        """
        while not self.headed:
            await self.news()

    async def read(self) -> bytes:
        """Return what came of the body; nothing at its end.

        Raises:
            LinkError: The connection broke in the middle.
            TimeoutError: It was given up.

        """
        while not self._body and not self.complete:
            await self.news()
        if not self._body:
            return b""
        data = self._body.popleft() if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def news(self) -> asyncio.Future[None]:
        """Return what ends with the next bytes, or with the connection; one waits at a time.

        Raises:
            LinkError, TimeoutError: It broke, or was given up, already.

        """
        if self.error is not None:
            raise self.error
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def give_up(self, error: Exception) -> None:
        """Cut the connection; whoever waits gets the error, once it has what came before."""
        if self.error is None and not (self.complete and self.headed):
            self.error = error
        self.cut()
        self._wake()

    def cut(self) -> None:
        """Cut the connection at once."""
        self._end_linger()
        self._transport.abort()

    def release(self, *, ended: bool) -> None:
        """Take no more of this answer. The connection is kept where the body has ended, or is about to."""
        if self.complete:
            self._body.clear()
            self._size = 0
            self._links.keep(self)
        elif ended and self.error is None and not self._transport.is_closing():
            self._lingers = self._loop.call_later(LINGER_SECONDS, self.cut)
        else:
            self.cut()

    def _end_linger(self) -> None:
        if self._lingers is not None:
            self._lingers.cancel()
            self._lingers = None

    @property
    def closed(self) -> bool:
        """Tell whether the connection is gone."""
        return self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if not self.used or (self.complete and self._lingers is None):
            self.cut()  # nobody asked
            return
        self._size += len(data)  # with what the coding of the body takes: no less than waits
        if not self.headed:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.give_up(LinkError(f"no HTTP: {error}"))
            return
        if not self.headed and self._head > HEAD_BYTES:
            self.give_up(LinkError(f"a head of more than {HEAD_BYTES} bytes"))
        elif self._lingers is not None:
            self._lingered()
        else:
            self._wake()
            if self._size > WAITING_BYTES and not self.complete:
                self._overfull()

    def _overfull(self) -> None:
        """Read no more for now, or give up where nothing comes but what a coding puts around a body."""
        if self._body:
            if not self._paused:
                self._paused = True
                self._transport.pause_reading()
        elif self._size > AROUND_BYTES:
            self.give_up(LinkError(f"more than {AROUND_BYTES} bytes around a body"))

    def _lingered(self) -> None:
        """Keep the connection once the body of an answer that nobody reads any more has ended."""
        self._body.clear()
        if self.complete:
            self._end_linger()
            self._links.keep(self)
        elif self._size > AROUND_BYTES:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end: of the answer too, where its length was not told."""
        self._end_linger()
        self._links.forget(self)
        if self.error is None and self.headed and not self._bounded and exc is None:
            self.complete = True
        elif self.error is None and not self.complete:
            self.error = LinkError(str(exc) if exc else "closed by the engine")
        self._wake()

    def on_message_begin(self) -> None:
        """Refuse an answer to nothing, which would be taken for that to the next request (httptools)."""
        if self.headed:
            what = "an answer behind the answer"
            raise LinkError(what)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head (httptools); those behind a chunked body tell nothing."""
        if self.headed:
            return
        field = name.lower()
        if field == b"content-type":
            self.media = value.decode("latin-1").partition(";")[0].strip().lower()
        elif field in {b"content-length", b"transfer-encoding"}:
            self._bounded = True

    def on_headers_complete(self) -> None:
        """Note that the head is there (httptools); one that only informs is followed by another."""
        self.status = self._parser.get_status_code()
        self.headed = self.status >= _INFORMATIONAL
        self._keeps = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """Note the end of the answer (httptools)."""
        if self.headed:
            self.complete = True

    @property
    def keeps(self) -> bool:
        """Tell whether the engine lets the connection be used again."""
        return self.complete and self._keeps and self.error is None and not self.closed


class Links:
    """The connections to one address.

    Args:
        base_url: Scheme, host and port, without a path.
        secret: What the engine wants as bearer token; empty for none.
        socket: Where the engine listens instead (unix(7)), if it listens there; its folder must exist.
        connect_seconds: How long a new connection may take.

    """

    def __init__(
        self, base_url: str, secret: str = "", socket: Path | None = None, *, connect_seconds: float
    ) -> None:
        """Keep the address; nothing is connected yet."""
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS.get(parts.scheme, 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._socket = socket
        self._connect_seconds = connect_seconds
        self._folder = -1
        self._idle: deque[Link] = deque()
        self._open: set[Link] = set()
        fields = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        if secret:
            if not secret.isascii() or not secret.isprintable():
                what = "The token for the engine has characters that no header may have."
                raise EngineOptionError(what)
            fields += f"Authorization: Bearer {secret}\r\n"
        self._fields = fields.encode("ascii")

    @property
    def port(self) -> int:
        """Return the TCP port; 0 where connections go to a socket of the file system."""
        return 0 if self._socket else self._port

    def request(self, path: str, accepted: str, body: bytes) -> bytes:
        """Return the bytes of a request that posts a body."""
        head = f"POST {path} HTTP/1.1\r\nAccept: {accepted}\r\nContent-Type: application/json\r\n".encode()
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, self._fields, len(body), body)

    def question(self, path: str) -> bytes:
        """Return the bytes of a request that has no body."""
        return b"GET %b HTTP/1.1\r\nAccept: */*\r\n%b\r\n" % (path.encode("ascii"), self._fields)

    async def take(self) -> Link:
        """Return a connection: one that was kept, or a new one.

        Raises:
            OSError: None can be had.

        """
        if self._idle:
            self._drop_old()
        while self._idle:
            link = self._idle.pop()
            if not link.closed:
                return link
        try:
            async with asyncio.timeout(self._connect_seconds):
                return await self._connected()
        except TimeoutError as error:
            what = f"no connection within {self._connect_seconds:g} seconds"
            raise LinkError(what) from error

    async def _connected(self) -> Link:
        loop = asyncio.get_running_loop()
        if self._socket is None:
            _, link = await loop.create_connection(lambda: Link(self), self._host, self._port, ssl=self._tls)
        else:
            if self._folder < 0:
                self._folder = os.open(self._socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            # named below its folder's descriptor: its path may be longer than such addresses can be
            place = f"/proc/self/fd/{self._folder}/{self._socket.name}"
            _, link = await loop.create_unix_connection(lambda: Link(self), place)
        self._open.add(link)
        return link

    def keep(self, link: Link) -> None:
        """Take back a connection whose answer was taken whole."""
        if not link.keeps or len(self._idle) >= IDLE_LINKS:
            link.cut()
            return
        link.idle_since = monotonic()
        self._idle.append(link)

    def _drop_old(self) -> None:
        oldest = monotonic() - IDLE_SECONDS
        while self._idle and (self._idle[0].idle_since < oldest or self._idle[0].closed):
            self._idle.popleft().cut()

    def forget(self, link: Link) -> None:
        """Let go of a connection that is gone."""
        self._open.discard(link)

    def close(self) -> None:
        """Cut every connection."""
        self._idle.clear()
        for link in tuple(self._open):
            link.give_up(LinkError("closed"))
        self._open.clear()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
