"""The OpenAI API as llama.cpp, vLLM and others serve it.

Format: OpenAI API reference, "Create chat completion", "Create completion", "Create embeddings"; for
``/rerank`` and ``/tokenize`` the forms that llama.cpp and vLLM share (Jina's for ranking).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lockgate.infer.engines.ports import (
    CallDelta,
    Count,
    Embedded,
    EngineRequest,
    Message,
    Piece,
    Ranked,
    Usage,
)
from lockgate.infer.engines.wire import (
    FAILURES,
    FINISHES,
    Call,
    Reader,
    Wire,
    demand_vectors,
    no_chunk,
    reported,
)


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: Count = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Logprobs(msgspec.Struct):
    content: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: int = 0
    logprobs: _Logprobs | None = None
    stop_reason: Any = None  # vLLM's: the stop text, or the id of a token


class _Usage(msgspec.Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Reported(msgspec.Struct):
    message: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Reported | str | None = None


class _Vector(msgspec.Struct):
    index: Count
    embedding: list[float]


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: _Usage | None = None


class _Score(msgspec.Struct):
    index: Count
    relevance_score: float


class _Scores(msgspec.Struct):
    results: list[_Score]
    usage: _Usage | None = None


class _Tokens(msgspec.Struct):
    tokens: list[Count]


_chunks = msgspec.json.Decoder(_Chunk)
_vectors = msgspec.json.Decoder(_Vectors)
_scores = msgspec.json.Decoder(_Scores)
_tokens = msgspec.json.Decoder(_Tokens)
_DONE = b"[DONE]"


class OpenAiWire(Wire):
    """Any server of the OpenAI API."""

    salted = False
    """Whether the engine separates prefix caches by a ``cache_salt`` (vLLM does)."""

    def chat(self, request: EngineRequest) -> Call:
        """Return what is sent for an answer."""
        body: dict[str, Any] = {
            **request.options,
            "model": self.model,
            "max_tokens": request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.salted and request.salt:
            body["cache_salt"] = request.salt
        if request.prompt is not None:
            return Call("/v1/completions", {**body, "prompt": request.prompt})
        body["messages"] = [_turn(message) for message in request.messages]
        return Call("/v1/chat/completions", body)

    def reader(self, _request: EngineRequest) -> Reader:
        """Return what reads the answer."""
        return _Chunks()

    def embed(self, texts: Sequence[str]) -> tuple[Call, Callable[[bytes], Embedded]]:
        """Return what is sent for the vectors of texts, and what reads the answer."""

        def read(data: bytes) -> Embedded:
            found = _decoded(_vectors.decode, data)
            if sorted(v.index for v in found.data) != list(range(len(texts))):
                raise no_chunk()
            rows = {vector.index: tuple(vector.embedding) for vector in found.data}
            demand_vectors(rows.values())
            tokens = found.usage.prompt_tokens if found.usage else 0
            return Embedded(tuple(rows[at] for at in range(len(texts))), tokens)

        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        return Call("/v1/embeddings", body), read

    def rerank(self, query: str, documents: Sequence[str]) -> tuple[Call, Callable[[bytes], Ranked]]:
        """Return what is sent to rank documents, and what reads the answer."""

        def read(data: bytes) -> Ranked:
            found = _decoded(_scores.decode, data)
            rows = {score.index: score.relevance_score for score in found.results}
            if sorted(rows) != list(range(len(documents))) or len(rows) != len(found.results):
                raise no_chunk()
            tokens = found.usage.prompt_tokens if found.usage else 0
            return Ranked(tuple(rows[at] for at in range(len(documents))), tokens)

        body = {"model": self.model, "query": query, "documents": list(documents), "top_n": len(documents)}
        return Call("/v1/rerank", body), read

    def tokenize(self, text: str) -> tuple[Call, Callable[[bytes], tuple[int, ...]]]:
        """Return what is sent for the tokens of a text, and what reads the answer.

        llama.cpp reads ``content`` and vLLM ``prompt``; both take unknown fields.
        """
        body = {"model": self.model, "content": text, "prompt": text, "add_special_tokens": False}
        return Call("/tokenize", body), lambda data: tuple(_decoded(_tokens.decode, data).tokens)


class VllmWire(OpenAiWire):
    """vLLM, which keeps prefix caches of tenants apart."""

    salted = True


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        turn["content"] = message.text or None
        turn["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.calls
        ]
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    return turn


class _Chunks(Reader):
    """Reads chat chunks, and those of plain completions."""

    def feed(self, payload: bytes) -> Piece | None:
        """Return what a chunk holds."""
        if payload == _DONE:
            self.done = True
            return None
        return _piece(_decoded(_chunks.decode, payload))

    def feed_all(self, payloads: Sequence[bytes]) -> Piece | None:
        """Return what chunks that came together hold, as one piece; they are decoded together."""
        if len(payloads) == 1:
            return self.feed(payloads[0])
        ended = _DONE in payloads
        given = payloads[: payloads.index(_DONE)] if ended else payloads
        chunks = _decoded(_chunks.decode_lines, b"\n".join(given))
        if len(chunks) != len(given):
            raise no_chunk()
        piece = _together(chunks)
        self.done = ended
        return piece


def _together(chunks: Sequence[_Chunk]) -> Piece:
    """Return what chunks hold as one piece: what `joined` makes of them, without a piece for each text."""
    texts: list[str] = []
    calls: tuple[CallDelta, ...] = ()
    logprobs: tuple[Mapping[str, Any], ...] = ()
    finish, usage, stopped_by = None, None, ""
    for chunk in chunks:
        choices = chunk.choices
        if len(choices) == 1 and chunk.usage is None and chunk.error is None:
            choice = choices[0]
            said = choice.delta
            more = choice.finish_reason is not None or choice.logprobs is not None or choice.index
            if said is not None and not more and not said.tool_calls:
                if said.content:
                    texts.append(said.content)
                continue
        piece = _piece(chunk)
        if piece.text:
            texts.append(piece.text)
        finish, usage = piece.finish or finish, piece.usage or usage
        stopped_by = piece.stopped_by or stopped_by
        calls += piece.calls
        logprobs += piece.logprobs
    return Piece("".join(texts), finish, usage, calls, logprobs, len(texts) + len(calls), stopped_by)


def _piece(chunk: _Chunk) -> Piece:
    if chunk.error is not None:
        raise reported(chunk.error if isinstance(chunk.error, str) else chunk.error.message or "")
    said, usage = chunk.usage, None
    if said is not None:
        usage = Usage(prompt_tokens=said.prompt_tokens, completion_tokens=said.completion_tokens)
    if not chunk.choices:
        return Piece(usage=usage)
    choice = chunk.choices[0]
    if len(chunk.choices) > 1 or choice.index != 0:
        raise no_chunk()
    finish, delta = choice.finish_reason, choice.delta
    if finish is not None and finish not in FINISHES:
        if finish in FAILURES:
            raise reported(finish)
        finish = "stop"
    stopped_by = choice.stop_reason if finish is not None and isinstance(choice.stop_reason, str) else ""
    if delta is None:
        return Piece(choice.text or "", finish, usage, stopped_by=stopped_by)
    logprobs = tuple(choice.logprobs.content or ()) if choice.logprobs else ()
    calls = tuple([_call(call) for call in delta.tool_calls]) if delta.tool_calls else ()
    return Piece(delta.content or "", finish, usage, calls, logprobs, stopped_by=stopped_by)


def _call(call: _Call) -> CallDelta:
    function = call.function or _Function()
    return CallDelta(call.index, call.id or "", function.name or "", function.arguments or "")


def _decoded(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_chunk(error) from error
