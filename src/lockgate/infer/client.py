"""Talks to an engine that speaks the OpenAI chat protocol with streams, and trusts none of it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

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
from lockgate.infer.ports import Count, EngineRequest, Piece, Usage
from lockgate.infer.sse import EventParser

_FINISHES = frozenset({"stop", "length", "content_filter"})
_OK = 200
_CLIENT_FAULTS = frozenset({400, 413, 422})
_BUSY = frozenset({429, 503})
_SAID = 300
"""Characters of an engine's own words that are passed on."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Refusal(msgspec.Struct):
    message: str = ""
    type: str = ""


class _RefusalBody(msgspec.Struct):
    error: _Refusal


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


_chunks = msgspec.json.Decoder(_Chunk)
_refusals = msgspec.json.Decoder(_RefusalBody)


class ChatClient:
    """One engine's address.

    Args:
        base_url: Scheme, host and port, without a path.
        model: The name under which the engine serves its model.
        secret: What the engine wants as bearer token; empty for none.
        limits: Bounds on times and sizes.

    """

    def __init__(self, base_url: str, model: str, *, secret: str = "", limits: EngineLimits) -> None:
        """Keep the address; nothing is connected yet."""
        self._base = base_url
        self._model = model
        self._secret = secret
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
            self._session = aiohttp.ClientSession(
                base_url=self._base,
                headers=headers,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def ready(self) -> bool:
        """Tell whether the engine says that it takes requests (``/health`` answers 200)."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                async with self._open().get("/health", allow_redirects=False) as response:
                    return response.status == _OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Ask the engine and yield its answer; see `Engine.chat` for what it raises."""
        body = {
            **request.options,
            "model": self._model,
            "messages": [{"role": m.role, "content": m.text} for m in request.messages],
            "max_tokens": request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        finished = False
        async with self._posted(msgspec.json.encode(body)) as response:
            async for payload in self._events(response):
                if payload == b"[DONE]":
                    return
                piece = _piece(payload)
                finished = finished or piece.finish is not None
                yield piece
        if not finished:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what)

    @asynccontextmanager
    async def _posted(self, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and hold its response; leaving early cuts the connection at once."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        try:
            async with asyncio.timeout(self._limits.first_seconds):
                response = await self._open().post(
                    "/v1/chat/completions", data=body, headers=headers, allow_redirects=False
                )
        except TimeoutError as error:
            what = f"The engine did not answer within {self._limits.first_seconds:g} seconds."
            raise EngineTimeoutError(what) from error
        except (aiohttp.ClientError, OSError) as error:
            what = "The engine cannot be reached."
            raise EngineUnavailableError(what, reason=type(error).__name__) from error
        try:
            if response.status != _OK:
                await self._refuse(response)
            if response.content_type != "text/event-stream":
                what = f"The engine answered with {response.content_type[:60]!r} in place of a stream."
                raise EngineGarbageError(what)
            yield response
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield payloads as they arrive, within every bound of time and size."""
        limits = self._limits
        parser = EventParser(limits.event_bytes)
        total = 0
        silence = limits.first_seconds
        until = time.monotonic() + limits.answer_seconds
        while True:
            try:
                async with asyncio.timeout(max(0.0, min(silence, until - time.monotonic()))):
                    data = await response.content.readany()
            except TimeoutError as error:
                what = "The engine went silent in the middle of the answer, or took too long for it."
                raise EngineTimeoutError(what) from error
            except (aiohttp.ClientError, OSError) as error:
                what = "The engine ended in the middle of the answer."
                raise EngineBrokenOffError(what, reason=type(error).__name__) from error
            if not data:
                return
            total += len(data)
            if total > limits.answer_bytes:
                what = f"The engine sent more than {limits.answer_bytes} bytes for one answer."
                raise AnswerTooLargeError(what)
            for payload in parser.feed(data):
                silence = limits.idle_seconds
                yield payload

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
                refusal = _refusals.decode(said).error
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


async def _at_most(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Return the rest of a stream, cut after `limit` bytes."""
    data = b""
    while len(data) < limit and (part := await stream.read(limit - len(data))):
        data += part
    return data


def _piece(payload: bytes) -> Piece:
    """Read one chunk of the protocol.

    Raises:
        EngineGarbageError: It is not one, or it reports an error.

    """
    try:
        chunk = _chunks.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "The engine sent something that is no chat chunk."
        raise EngineGarbageError(what) from error
    if chunk.error is not None:
        what = "The engine reported an error in the middle of the answer."
        raise EngineGarbageError(what)
    said = chunk.usage
    usage = (
        Usage(prompt_tokens=said.prompt_tokens, completion_tokens=said.completion_tokens) if said else None
    )
    if not chunk.choices:
        return Piece(usage=usage)
    choice = chunk.choices[0]
    if len(chunk.choices) > 1 or choice.index != 0:
        what = "The engine sent several answers where one was asked for."
        raise EngineGarbageError(what)
    finish = choice.finish_reason
    if finish is not None and finish not in _FINISHES:
        finish = "stop"
    text = choice.delta.content if choice.delta and choice.delta.content else ""
    return Piece(text=text, finish=finish, usage=usage)
