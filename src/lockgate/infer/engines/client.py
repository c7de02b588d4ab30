"""Carries requests to an engine and its answers back within every bound, and trusts none of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from lockgate.infer.engines.link import Link, Links
from lockgate.infer.engines.ports import EngineRequest, Piece
from lockgate.infer.engines.waits import Silence, Waits, headed
from lockgate.infer.engines.wire import Call, Wire
from lockgate.infer.engines.wire_openai import OpenAiWire
from lockgate.infer.errors import (
    AnswerTooLargeError,
    EngineBrokenOffError,
    EngineGarbageError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from lockgate.infer.limits import EngineLimits
from lockgate.infer.sse import EventParser, LineParser

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
        self._links = Links(base_url, secret, socket, connect_seconds=limits.connect_seconds)
        self._wire = wire(model)
        self._limits = limits
        self._waits = Waits()

    async def close(self) -> None:
        """Close every connection."""
        self._links.close()
        self._waits.stop()

    @property
    def port(self) -> int:
        """Return the TCP port that it asks at; 0 where the engine listens at a socket of the file system."""
        return self._links.port

    @property
    def wire(self) -> Wire:
        """Return the kind of engine, as it is asked."""
        return self._wire

    async def ready(self) -> bool:
        """Tell whether the engine says that it takes requests (its health address answers 200)."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                link = await self._asked(self._links.question(self._wire.health))
        except (TimeoutError, OSError):
            return False
        link.release(ended=False)
        return link.status == _OK

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Ask the engine and yield its answer; see `Engine.chat` for what it raises."""
        limits = self._limits
        finished, said, total = False, False, 0
        reader = self._wire.reader(request)
        parser = (LineParser if self._wire.streams == _LINES else EventParser)(limits.event_bytes)
        watch = await self._begun(self._wire.chat(request), self._wire.streams)
        try:
            while data := await watch.read():
                total += len(data)
                if total > limits.answer_bytes:
                    what = f"The engine sent more than {limits.answer_bytes} bytes for one answer."
                    raise AnswerTooLargeError(what)
                payloads = parser.feed(data)
                piece = reader.feed_all(payloads) if payloads else None
                if piece is not None:
                    watch.began = True
                    finished = finished or piece.finish is not None
                    said = said or bool(piece.text or piece.calls)
                    yield piece
                if reader.done:
                    break
        finally:
            watch.close()
            watch.link.release(ended=reader.done)
        if not finished and not (
            reader.done and said
        ):  # some servers give no reason, but no text either is none
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what)

    async def call(self, asked: tuple[Call, Callable[[bytes], _T]]) -> _T:
        """Ask for something that comes whole, and return what its reader makes of it.

        Raises:
            EngineRefusedError, EngineUnavailableError, EngineTimeoutError, EngineGarbageError,
            EngineBrokenOffError, AnswerTooLargeError: The engine failed.

        """
        call, read = asked
        link = await self._posted(call, "application/json")
        try:
            return read(await self._all(link))
        finally:
            link.release(ended=False)

    async def get(self, path: str) -> bytes:
        """Return what the engine says at an address of its own; see `call` for what it raises."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                link = await self._asked(self._links.question(path))
        except (TimeoutError, OSError) as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error
        try:
            if link.status != _OK:
                await self._refuse(link)
            return await self._all(link)
        finally:
            link.release(ended=False)

    async def _all(self, link: Link) -> bytes:
        """Return a whole body within its bounds of time and size."""
        limit = self._limits.answer_bytes
        try:
            async with asyncio.timeout(self._limits.first_seconds):
                data = await _at_most(link, limit + 1)
        except TimeoutError as error:
            what = "The engine took too long for its answer."
            raise EngineTimeoutError(what) from error
        except OSError as error:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what, reason=type(error).__name__) from error
        if len(data) > limit:
            what = f"The engine sent more than {limit} bytes for one answer."
            raise AnswerTooLargeError(what)
        return data

    async def _begun(self, call: Call, accepted: str) -> Silence:
        """Send a request for an answer in parts, and return what reads it once its head is there."""
        data = self._links.request(call.path, accepted, msgspec.json.encode(call.body))
        try:
            while True:
                watch = Silence(await self._links.take(), self._limits, self._waits)
                if await watch.asked(data):
                    break
        except OSError as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error
        try:
            await self._demand(watch.link, accepted)
        except BaseException:
            watch.close()
            watch.link.release(ended=False)
            raise
        return watch

    async def _posted(self, call: Call, accepted: str) -> Link:
        """Send a request and return the connection on which its answer comes; who takes it releases it."""
        link = await self._post(call, accepted)
        try:
            await self._demand(link, accepted)
        except BaseException:
            link.release(ended=False)
            raise
        return link

    async def _demand(self, link: Link, accepted: str) -> None:
        """Demand an answer of a kind.

        Raises:
            EngineRefusedError, EngineUnavailableError, EngineGarbageError: It is another one.

        """
        if link.status != _OK:
            await self._refuse(link)
        if link.media != accepted:
            what = f"The engine answered with {link.media[:60]!r}, not {accepted!r}."
            raise EngineGarbageError(what)

    async def _post(self, call: Call, accepted: str) -> Link:
        """Send a request and return its connection once the head of the answer is there."""
        data = self._links.request(call.path, accepted, msgspec.json.encode(call.body))
        try:
            async with asyncio.timeout(self._limits.first_seconds):
                return await self._asked(data)
        except TimeoutError as error:
            what = f"The engine did not answer within {self._limits.first_seconds:g} seconds."
            raise EngineTimeoutError(what) from error
        except OSError as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error

    async def _asked(self, data: bytes) -> Link:
        """Send a request over a connection and return it once the head of the answer is there.

        An engine may close a connection just as it is used again. Nothing came on it, so the request is sent
        once more on another one; a connection that was new and broke is the engine's failure.

        Raises:
            OSError: There is no connection, or it broke.

        """
        while True:
            link = await self._links.take()
            if await headed(link, data):
                return link

    async def _refuse(self, link: Link) -> None:
        """Turn an engine's error status into ours."""
        status = link.status
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                said = await _at_most(link, self._limits.error_bytes)
        except OSError:  # a timeout is one
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


async def _at_most(link: Link, limit: int) -> bytes:
    """Return the rest of a body, cut after `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while size < limit and (part := await link.read()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:limit]
