"""HTTP answers of the mirrors: blobs with ranges and ETags, errors with codes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from lockgate.core.errors import LockgateError
from lockgate.mirror.blobs import CHUNK, KEPT_PAGE, OpenBlob, VerifiedBlobs
from lockgate.mirror.entries import Entry, Table
from lockgate.mirror.lease import LENT, Lease
from lockgate.mirror.ranges import Slice, Unsatisfiable, http_date, parse_range, range_holds, unchanged
from lockgate.mirror.ready import offer

_FOR_EVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


class BlobResponse(Response):
    """Answers GET and HEAD with a blob: 200, 206, 304 or 416.

    Args:
        blobs: Opens the blob, hashed.
        entry: Which one.
        etag: The entity tag without quotes; the blob's SHA-256 when left out.
        headers: More headers for every status.
        media_type: Sent instead of the entry's own.
        announce_length: Whether HEAD says how long the content is.
        strict_ranges: Whether a range that ends before it begins is refused.
        modified: Sent as ``Last-Modified``, for clients that know no entity tags.
        table: The table that alone, with the request, decided what is answered; the answer may then be kept.

    """

    def __init__(
        self,
        blobs: VerifiedBlobs,
        entry: Entry,
        *,
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        announce_length: bool = True,
        strict_ranges: bool = False,
        modified: datetime | None = None,
        table: Table | None = None,
    ) -> None:
        """Keep what to send; nothing is opened yet."""
        self.status_code = HTTPStatus.OK
        self.background = None
        self.body = b""
        self._blobs = blobs
        self._entry = entry
        self._table = table
        self._etag = f'"{etag or entry.sha256}"'
        self._announce_length = announce_length
        self._strict_ranges = strict_ranges
        self._media_type = media_type or entry.media_type
        self._fixed = {
            "ETag": self._etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": _FOR_EVER if entry.immutable else _REVALIDATE,
            **(headers or {}),
        }
        self._modified = http_date(modified) if modified else None
        if self._modified:
            self._fixed["Last-Modified"] = self._modified

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide by method and headers, and send."""
        asked = Headers(scope=scope)
        if unchanged(asked.get("if-none-match"), self._etag) or unmodified(asked, self._modified):
            await self._head(send, HTTPStatus.NOT_MODIFIED, {})
            return
        if scope["method"] == "HEAD":
            await asyncio.to_thread(self._blobs.present, self._entry.sha256, self._entry.size)
            length = {"Content-Length": str(self._entry.size)} if self._announce_length else {}
            await self._head(send, HTTPStatus.OK, {**length, "Content-Type": self._media_type})
            return
        part = None
        if range_holds(asked.get("if-range"), self._etag, self._modified):
            part = parse_range(asked.get("range"), self._entry.size, strict=self._strict_ranges)
        if isinstance(part, Unsatisfiable):
            extra = {"Content-Range": f"bytes */{self._entry.size}", "Content-Length": "0"}
            await self._head(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, extra)
            return
        if self._entry.page and self._entry.size <= KEPT_PAGE:
            await self._send_page(part, scope, send)
            return
        lend = scope.get("extensions", {}).get(LENT)
        await self._send_part(part, receive, send, lend)

    async def _send_page(self, part: Slice | None, scope: Scope, send: Send) -> None:
        """Send a page that memory keeps, in one piece."""
        body = await self._blobs.page(self._entry.sha256, self._entry.size)
        status, extra = self._described(part)
        if part is None:
            offer(scope, self._table, MutableHeaders({**self._fixed, **extra}).raw, body)
        await self._start(send, status, extra)
        wanted = body if part is None else body[part.start : part.stop]
        await send({"type": "http.response.body", "body": wanted})

    def _described(self, part: Slice | None) -> tuple[HTTPStatus, dict[str, str]]:
        """Return status and headers of an answer with the whole content, or with a part."""
        size = self._entry.size
        if part is None:
            return HTTPStatus.OK, {"Content-Length": str(size), "Content-Type": self._media_type}
        extra = {"Content-Length": str(part.length), "Content-Type": self._media_type}
        extra["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        return HTTPStatus.PARTIAL_CONTENT, extra

    async def _send_part(
        self, part: Slice | None, receive: Receive, send: Send, lend: Callable[[int], Lease | None] | None
    ) -> None:
        async with self._blobs.streams:
            blob = await self._blobs.open(self._entry.sha256, self._entry.size)
            if not self._entry.page and (part is None or part.start == 0):
                self._blobs.used(self._entry.sha256)
            lease = lend(blob.descriptor) if lend and self._entry.size > CHUNK else None
            if lease is not None:
                try:
                    if blob.unchanged:  # the last look at it: from here on nobody writes
                        await self._send_lent(lease, part, send)
                        return
                finally:
                    lease.give_back()
                    blob.close()
                blob = await self._blobs.open(self._entry.sha256, self._entry.size)
            # The server goes on accepting chunks for a client that has left: listen for it.
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                await self._stream(blob, part, gone, send)
            finally:
                gone.cancel()
                blob.close()

    async def _send_lent(self, lease: Lease, part: Slice | None, send: Send) -> None:
        """Have the kernel send the content, or a part of it."""
        wanted = part or Slice(0, self._entry.size)
        await self._start(send, *self._described(part))
        await send({"type": LENT, "lease": lease, "start": wanted.start, "count": wanted.length})
        await send({"type": "http.response.body", "body": b""})

    async def _stream(
        self, blob: OpenBlob, part: Slice | None, gone: "asyncio.Future[None]", send: Send
    ) -> None:
        """Send chunk after chunk; the next is read while the one before it leaves."""
        wanted = part or Slice(0, self._entry.size)
        status, extra = self._described(part)
        at = wanted.start
        chunk = await self._blobs.part(blob, at, min(CHUNK, wanted.length))
        await self._start(send, status, extra)
        while not gone.done():
            at += len(chunk)
            ahead = asyncio.ensure_future(self._next(blob, at, wanted.stop))
            try:
                await send({"type": "http.response.body", "body": chunk, "more_body": at < wanted.stop})
            except BaseException:
                await _settled(ahead)
                raise
            chunk = await ahead
            if not chunk:
                return

    async def _next(self, blob: OpenBlob, at: int, stop: int) -> bytes:
        return await self._blobs.part(blob, at, min(CHUNK, stop - at)) if at < stop else b""

    async def _head(self, send: Send, status: HTTPStatus, extra: Mapping[str, str]) -> None:
        await self._start(send, status, extra)
        await send({"type": "http.response.body", "body": b""})

    async def _start(self, send: Send, status: HTTPStatus, extra: Mapping[str, str]) -> None:
        headers = MutableHeaders({**self._fixed, **extra})
        await send({"type": "http.response.start", "status": int(status), "headers": headers.raw})


def unmodified(asked: Headers, modified: str | None) -> bool:
    """Tell whether a client holds what was last modified at a date, by the very date that it was told.

    An entity tag in the request decides alone (RFC 9110, section 13.1.3).
    """
    return (
        modified is not None and "if-none-match" not in asked and asked.get("if-modified-since") == modified
    )


def problem(error: LockgateError, status: HTTPStatus, protocol: str = "") -> JSONResponse:
    """Return an error's code and sentence; facts and paths stay in the log.

    Clients of container registries read a list of errors (distribution spec, "Error Codes").
    """
    body: dict[str, object] = {"code": error.code, "error": error.what, "advice": error.what_to_do}
    if protocol == "oci":
        body["errors"] = [{"code": "UNAVAILABLE", "message": error.what, "detail": {"code": error.code}}]
    return JSONResponse(
        body,
        status,
        {"X-Error-Code": error.code},
    )


async def _settled(task: "asyncio.Future[bytes]") -> None:
    """Wait until a read is over, whose descriptor may be closed only then; what it gave is not wanted."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
