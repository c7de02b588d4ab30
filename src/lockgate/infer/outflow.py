"""Streamed answers on their way to a caller: head and first part in one packet, every part in one write.

Format: RFC 9112, section 7.1 (chunked coding). aiohttp serves the connection; its own stream of a response
would cost each answer a table of headers, a packet for the head alone, and a timer for each part.
"""

import asyncio
import time
from collections.abc import Awaitable
from email.utils import formatdate
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion11

RECEIPT_HEADER = "X-Lockgate-Receipt"
_END = b"0\r\n\r\n"
_date = (0, "")


class ClientGoneError(Exception):
    """The caller stopped reading."""


async def patiently(sending: Awaitable[Any], seconds: float) -> None:
    """Send something, and give up on a caller that does not take it in so many seconds.

    Raises:
        ClientGoneError: The connection is gone, or nothing moved in time.

    """
    try:
        async with asyncio.timeout(seconds):
            await sending
    except (TimeoutError, ConnectionError) as error:
        raise ClientGoneError from error


class EventStream(web.StreamResponse):
    """The response of a streamed answer.

    Args:
        request: What it answers.
        media: Its media type.
        receipt: The id of the answer's receipt.
        stall_seconds: How long its caller may take nothing.

    """

    def __init__(self, request: web.Request, media: str, receipt: str, stall_seconds: float) -> None:
        """Begin; nothing is sent before the first part."""
        super().__init__()
        self._writer = request.writer
        self._transport = request.transport
        self._stall_seconds = stall_seconds
        self._chunked = request.version >= HttpVersion11
        self._keep_alive = request.keep_alive and self._chunked
        self._pending = self._head(media, receipt)
        self._ended = False

    def _head(self, media: str, receipt: str) -> bytes:
        kept = "" if self._keep_alive else "Connection: close\r\n"
        coding = "Transfer-Encoding: chunked\r\n" if self._chunked else ""
        charset = "; charset=utf-8" if media.startswith("text/") else ""
        return (
            f"HTTP/1.{int(self._chunked)} 200 OK\r\nContent-Type: {media}{charset}\r\n{coding}{kept}"
            f"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\n"
            f"{RECEIPT_HEADER}: {receipt}\r\nDate: {_now()}\r\n\r\n"
        ).encode("ascii")

    @property
    def prepared(self) -> bool:
        """Tell that the head is made: nothing is to be added to it."""
        return True

    @property
    def begun(self) -> bool:
        """Tell whether anything was sent."""
        return not self._pending

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Return where the response is written; the head is made already."""
        return request.writer

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a part.

        Raises:
            ClientGoneError: The caller left, or took nothing for too long.

        """
        if data:
            await self._send(b"%x\r\n%b\r\n" % (len(data), bytes(data)) if self._chunked else bytes(data))

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the last part with the end of the response; without effect once that was done."""
        if self._ended:
            return
        self._ended = True
        last = b"%x\r\n%b\r\n" % (len(data), data) if data and self._chunked else data
        await self._send(last + (_END if self._chunked else b""))

    async def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ClientGoneError
        transport.write(self._pending + data if self._pending else data)
        self._pending = b""
        if transport.get_write_buffer_size():  # the system did not take all: it may be the caller's fault
            await patiently(self._writer.drain(), self._stall_seconds)


def _now() -> str:
    """Return the present moment as HTTP's ``Date`` tells it."""
    global _date  # noqa: PLW0603  # one text a second for all answers
    second = int(time.time())
    if _date[0] != second:
        _date = second, formatdate(second, usegmt=True)
    return _date[1]
