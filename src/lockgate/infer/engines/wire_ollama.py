"""Ollama's own API (``/api/chat``, ``/api/generate``, ``/api/embed``): answers are lines of JSON.

Format: Ollama's API reference (docs/api.md of its repository).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lockgate.infer.engines.ports import CallDelta, Count, Embedded, EngineRequest, Message, Piece, Usage
from lockgate.infer.engines.wire import FAILURES, Call, Reader, Wire, demand_vectors, no_chunk, reported
from lockgate.infer.errors import BadRequestError, NotServedError

TAGS = "/api/tags"
"""Lists the models of a server; one that has a ``remote_host`` runs on another machine."""

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "repeat_penalty": "repeat_penalty",
}
_NO_ANSWER = FAILURES | {"load", "unload"}
"""Reasons for ending without an answer: Ollama loaded the model, or let go of it, and did nothing else."""

_REST = frozenset({"tools", "tool_choice", "response_format", "logprobs", "top_logprobs"})


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(msgspec.Struct):
    function: _Function
    id: str = ""


class _Message(msgspec.Struct):
    content: str = ""
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Count = 0
    eval_count: Count = 0
    logprobs: list[dict[str, Any]] | None = None
    error: str | None = None


class _Vectors(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: Count = 0


class _Tag(msgspec.Struct):
    name: str = ""
    model: str = ""
    remote_host: str = ""
    remote_model: str = ""


class _Tags(msgspec.Struct):
    models: list[_Tag] | None = None


_lines = msgspec.json.Decoder(_Line)
_vectors = msgspec.json.Decoder(_Vectors)
_tags = msgspec.json.Decoder(_Tags)


def elsewhere(data: bytes, model: str) -> str | None:
    """Return where a model runs when that is another machine; nothing when it runs on the server.

    Raises:
        EngineGarbageError: The list of models cannot be read.
        NotServedError: The server has no such model.

    """
    try:
        tags = _tags.decode(data).models or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_chunk(error) from error
    wanted = {model, f"{model}:latest"}
    for tag in tags:
        if tag.name in wanted or tag.model in wanted:
            return tag.remote_host or tag.remote_model or None
    what = f"The server has no model {model!r}."
    raise NotServedError(what)


class OllamaWire(Wire):
    """One model of an Ollama server."""

    health = "/api/version"
    streams = "application/x-ndjson"

    def chat(self, request: EngineRequest) -> Call:
        """Return what is sent for an answer."""
        options = request.options
        for name in options.keys() - _OPTIONS.keys() - _REST:
            what = f"Ollama has no option {name!r}."
            raise NotServedError(what)
        if options.get("tool_choice", "auto") not in {"auto", "none"}:
            what = "Ollama cannot be told which tool to call."
            raise NotServedError(what)
        body: dict[str, Any] = {
            "model": self.model,
            "stream": True,
            "options": {
                **{_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS},
                "num_predict": request.max_tokens,
            },
        }
        for name in ("logprobs", "top_logprobs"):
            if name in options:
                body[name] = options[name]
        if (form := _format(options.get("response_format"))) is not None:
            body["format"] = form
        if request.prompt is not None:
            return Call("/api/generate", {**body, "prompt": request.prompt, "raw": True})
        if "tools" in options and options.get("tool_choice") != "none":
            body["tools"] = options["tools"]
        return Call("/api/chat", {**body, "messages": _turns(request.messages)})

    def reader(self, _request: EngineRequest) -> Reader:
        """Return what reads the answer."""
        return _Lines()

    def embed(self, texts: Sequence[str]) -> tuple[Call, Callable[[bytes], Embedded]]:
        """Return what is sent for the vectors of texts, and what reads the answer."""

        def read(data: bytes) -> Embedded:
            try:
                found = _vectors.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise no_chunk(error) from error
            if len(found.embeddings) != len(texts):
                raise no_chunk()
            demand_vectors(found.embeddings)
            return Embedded(tuple(tuple(row) for row in found.embeddings), found.prompt_eval_count)

        return Call("/api/embed", {"model": self.model, "input": list(texts), "truncate": False}), read


def _format(asked: object) -> object:
    if not isinstance(asked, Mapping) or asked.get("type") == "text":
        return None
    if asked.get("type") == "json_object":
        return "json"
    schema = asked.get("json_schema")
    return schema.get("schema") if isinstance(schema, Mapping) else None


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    turns: list[dict[str, Any]] = []
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.text}
        for call in message.calls:
            names[call.id] = call.name
        if message.calls:
            turn["tool_calls"] = [
                {"function": {"name": call.name, "arguments": _object(call.arguments)}}
                for call in message.calls
            ]
        if message.call_id:
            turn["tool_name"] = names.get(message.call_id, message.call_id)
        turns.append(turn)
    return turns


def _object(arguments: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        what = "The arguments of a tool call are no JSON object."
        raise BadRequestError(what, param="messages") from error


class _Lines(Reader):
    """Reads the lines of an answer. Tool calls come whole, without ids."""

    def __init__(self) -> None:
        """Begin with no call."""
        self._calls = 0

    def feed(self, payload: bytes) -> Piece | None:
        """Return what a line holds."""
        try:
            line = _lines.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise no_chunk(error) from error
        if line.error is not None:
            raise reported(line.error)
        if line.done_reason in _NO_ANSWER:
            raise reported(line.done_reason)
        text = line.response or ""
        calls: tuple[CallDelta, ...] = ()
        if line.message is not None:
            text, calls = line.message.content, self._taken(line.message.tool_calls or [])
        logprobs = tuple(line.logprobs or ())
        if not line.done:
            return Piece(text, calls=calls, logprobs=logprobs)
        self.done = True
        finish = "length" if line.done_reason == "length" else "stop"
        if self._calls:
            finish = "tool_calls"
        usage = Usage(prompt_tokens=line.prompt_eval_count, completion_tokens=line.eval_count)
        return Piece(text, finish, usage, calls, logprobs)

    def _taken(self, calls: list[_Call]) -> tuple[CallDelta, ...]:
        first, self._calls = self._calls, self._calls + len(calls)
        try:
            return tuple(
                CallDelta(at, call.id, call.function.name, bytes(call.function.arguments).decode())
                for at, call in enumerate(calls, first)
            )
        except UnicodeDecodeError as error:  # the arguments' bytes are taken as they came
            raise no_chunk(error) from error
