"""Carries requests to an engine and its answers back within every bound, and trusts none of it."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import msgspec

from lockgate.infer.errors import (
    AnswerTooLargeError,
    EngineBrokenOffError,
    EngineGarbageError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import CallDelta, EngineRequest, Piece
from lockgate.infer.sse import EventParser, LineParser
from lockgate.infer.wire import Call, Reader, Wire
from lockgate.infer.wire_openai import OpenAiWire

_T = TypeVar("_T")
_OK = 200
_CLIENT_FAULTS = frozenset({400, 413, 422})
_BUSY = frozenset({429, 503})
_SAID = 300
"""Characters of an engine's own words that are passed on."""
_LINES = "application/x-ndjson"


class _Refusal(msgspec.Struct):
    message: str = ""
    type: str = ""


class _RefusalBody(msgspec.Struct):
    error: _Refusal | str


_refusals = msgspec.json.Decoder(_RefusalBody)


@dataclass(slots=True)
class _Used:
    """Tells whether a request went over a connection that had carried another one before."""

    before: bool = False


def _tracing() -> aiohttp.TraceConfig:
    async def again(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.before = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(again)
    return config


class ChatClient:
    """One engine's address.

    Args:
        base_url: Scheme, host and port, without a path.
        model: The name under which the engine serves its model.
        secret: What the engine wants as bearer token; empty for none.
        limits: Bounds on times and sizes.
        wire: The kind of engine.
        socket: Where the engine listens instead (unix(7)), if it listens there; its folder must exist.

    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        secret: str = "",
        limits: EngineLimits,
        wire: type[Wire] = OpenAiWire,
        socket: Path | None = None,
    ) -> None:
        """Keep the address; nothing is connected yet."""
        self._base = base_url
        self._wire = wire(model)
        self._secret = secret
        self._limits = limits
        self._socket = socket
        self._folder = -1
        self._session: aiohttp.ClientSession | None = None

    def _connector(self) -> aiohttp.BaseConnector:
        """Return what connects. A socket is named below its folder's descriptor: its path may be too long."""
        if self._socket is None:
            return aiohttp.TCPConnector(limit=0)
        self._folder = os.open(self._socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return aiohttp.UnixConnector(f"/proc/self/fd/{self._folder}/{self._socket.name}", limit=0)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
            self._session = aiohttp.ClientSession(
                base_url=self._base,
                headers=headers,
                connector=self._connector(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_tracing()],
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            if self._folder >= 0:
                os.close(self._folder)
                self._folder = -1

    @property
    def wire(self) -> Wire:
        """Return the kind of engine, as it is asked."""
        return self._wire

    async def ready(self) -> bool:
        """Tell whether the engine says that it takes requests (its health address answers 200)."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                async with self._open().get(self._wire.health, allow_redirects=False) as response:
                    return response.status == _OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Ask the engine and yield its answer; see `Engine.chat` for what it raises."""
        limits = self._limits
        finished, total = False, 0
        reader = self._wire.reader(request)
        parser = (LineParser if self._wire.streams == _LINES else EventParser)(limits.event_bytes)
        async with self._posted(self._wire.chat(request), self._wire.streams) as response:
            watch = _Silence(response.content, limits)
            try:
                while data := await watch.read():
                    total += len(data)
                    if total > limits.answer_bytes:
                        what = f"The engine sent more than {limits.answer_bytes} bytes for one answer."
                        raise AnswerTooLargeError(what)
                    payloads = parser.feed(data)
                    piece = _merged(reader, payloads) if payloads else None
                    if piece is not None:
                        watch.began = True
                        finished = finished or piece.finish is not None
                        yield piece
                    if reader.done:
                        return
            finally:
                watch.close()
        if not finished:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what)

    async def call(self, asked: tuple[Call, Callable[[bytes], _T]]) -> _T:
        """Ask for something that comes whole, and return what its reader makes of it.

        Raises:
            EngineRefusedError, EngineUnavailableError, EngineTimeoutError, EngineGarbageError,
            EngineBrokenOffError, AnswerTooLargeError: The engine failed.

        """
        call, read = asked
        async with self._posted(call, "application/json") as response:
            return read(await self._all(response))

    async def get(self, path: str) -> bytes:
        """Return what the engine says at an address of its own; see `call` for what it raises."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                response = await self._open().get(path, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error
        async with response:
            if response.status != _OK:
                await self._refuse(response)
            return await self._all(response)

    async def _all(self, response: aiohttp.ClientResponse) -> bytes:
        """Return a whole body within its bounds of time and size."""
        limit = self._limits.answer_bytes
        try:
            async with asyncio.timeout(self._limits.first_seconds):
                data = await _at_most(response.content, limit + 1)
        except TimeoutError as error:
            what = "The engine took too long for its answer."
            raise EngineTimeoutError(what) from error
        except (aiohttp.ClientError, OSError) as error:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what, reason=type(error).__name__) from error
        if len(data) > limit:
            what = f"The engine sent more than {limit} bytes for one answer."
            raise AnswerTooLargeError(what)
        return data

    @asynccontextmanager
    async def _posted(self, call: Call, accepted: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and hold its response; leaving early cuts the connection at once."""
        response = await self._post(call, accepted)
        try:
            if response.status != _OK:
                await self._refuse(response)
            if response.content_type != accepted:
                what = f"The engine answered with {response.content_type[:60]!r}, not {accepted!r}."
                raise EngineGarbageError(what)
            yield response
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()

    async def _post(self, call: Call, accepted: str) -> aiohttp.ClientResponse:
        """Send a request and return its response once its head is there.

        An engine may close a connection just as it is used again. Nothing came on it, so the request is sent
        once more on another one; a connection that was new and broke is the engine's failure.
        """
        headers = {"Content-Type": "application/json", "Accept": accepted}
        body = msgspec.json.encode(call.body)
        try:
            async with asyncio.timeout(self._limits.first_seconds):
                while True:
                    used = _Used()
                    try:
                        return await self._open().post(
                            call.path,
                            data=body,
                            headers=headers,
                            allow_redirects=False,
                            trace_request_ctx=used,
                        )
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                        if not used.before:
                            raise
        except TimeoutError as error:
            what = f"The engine did not answer within {self._limits.first_seconds:g} seconds."
            raise EngineTimeoutError(what) from error
        except (aiohttp.ClientError, OSError) as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error

    async def _refuse(self, response: aiohttp.ClientResponse) -> None:
        """Turn an engine's error status into ours."""
        status = response.status
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                said = await _at_most(response.content, self._limits.error_bytes)
        except (TimeoutError, aiohttp.ClientError, OSError):
            said = b""
        if status in _CLIENT_FAULTS:
            try:
                told = _refusals.decode(said).error
                refusal = _Refusal(message=told) if isinstance(told, str) else told
            except (msgspec.DecodeError, UnicodeDecodeError):
                refusal = _Refusal(message="The engine refused the request.")
            message = "".join(c for c in refusal.message if c.isprintable())[:_SAID]
            raise EngineRefusedError(
                message or "The engine refused the request.", engine_type=refusal.type[:60]
            )
        if status in _BUSY:
            what = f"The engine takes no requests now (status {status})."
            raise EngineUnavailableError(what, status=status)
        what = f"The engine failed with status {status}."
        raise EngineGarbageError(what, status=status)


class _Silence:
    """Reads a stream and ends a read that waits for too long, with one timer for the whole stream.

    Args:
        stream: An answer's body.
        limits: Bounds on the silence before the first piece, between pieces, and on the whole.

    """

    def __init__(self, stream: aiohttp.StreamReader, limits: EngineLimits) -> None:
        """Begin to count."""
        self._stream = stream
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + limits.answer_seconds
        self._until = self._end
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        self.began = False

    async def read(self) -> bytes:
        """Return what came; nothing at the end.

        Raises:
            EngineTimeoutError: Nothing came in time.
            EngineBrokenOffError: The connection broke.

        """
        limits = self._limits
        now = self._loop.time()
        self._until = min(self._end, now + (limits.idle_seconds if self.began else limits.first_seconds))
        if self._timer is None or self._timer.when() > self._until:
            self.close()
            self._timer = self._loop.call_at(self._until, self._look)
        self._reading = True
        try:
            return await self._stream.readany()
        except TimeoutError as error:
            what = "The engine went silent in the middle of the answer, or took too long for it."
            raise EngineTimeoutError(what) from error
        except (aiohttp.ClientError, OSError) as error:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what, reason=type(error).__name__) from error
        finally:
            self._reading = False

    def _look(self) -> None:
        """End the read that is due, or look again when the present one is."""
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        elif self._reading:
            self._timer = None
            self._stream.set_exception(TimeoutError())
        else:  # who reads is busy elsewhere: the next read sets the timer again
            self._timer = None

    def close(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _merged(reader: Reader, payloads: list[bytes]) -> Piece | None:
    """Read payloads that came together and return what they hold as one piece.

    Under load an engine's small parts pile up in the socket; they are worked on and sent on as one.
    """
    if len(payloads) == 1:
        return reader.feed(payloads[0])
    texts: list[str] = []
    finish, usage = None, None
    calls: list[CallDelta] = []
    logprobs: list[Mapping[str, Any]] = []
    for payload in payloads:
        piece = reader.feed(payload)
        if piece is not None:
            texts.append(piece.text)
            calls += piece.calls
            logprobs += piece.logprobs
            finish, usage = piece.finish or finish, piece.usage or usage
        if reader.done:
            break
    parts = sum(1 for text in texts if text) + len(calls)
    return Piece("".join(texts), finish, usage, tuple(calls), tuple(logprobs), parts)


async def _at_most(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Return the rest of a stream, cut after `limit` bytes."""
    data = b""
    while len(data) < limit and (part := await stream.read(limit - len(data))):
        data += part
    return data
