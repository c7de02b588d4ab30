"""``/api/chat`` and ``/api/generate`` for tools that speak only Ollama's API: answers are lines of JSON.

Format: Ollama's API reference (docs/api.md of its repository). Settings of an engine (context, threads,
how long a model stays loaded) are the operator's: such options are taken and change nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

import msgspec

from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.errors import BadRequestError
from lockgate.infer.forms.anthropic import encode_any, encode_input
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Said, Shape
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import (
    CallName,
    ChatRequest,
    ModelName,
    Penalty,
    Positive,
    Seed,
    Stop,
    Unit,
    checked_calls,
    checked_count,
    decoded,
    stops_of,
    tokens_of,
    tools_of,
    unserved_field,
)


class _Function(msgspec.Struct):
    name: CallName
    arguments: dict[str, Any] = {}


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = ""
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    thinking: str | None = None
    images: None = None


class _Schema(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    function: _Schema
    type: str | None = "function"


class _Options(msgspec.Struct):
    num_predict: Annotated[int, msgspec.Meta(ge=-2, le=1 << 31)] | None = None
    temperature: Positive | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    min_p: Unit | None = None
    seed: Seed | None = None
    stop: Stop | list[Stop] | None = None
    repeat_penalty: Positive | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    # would change the answer and are not served: only what leaves it as it is
    mirostat: int | None = None
    repeat_last_n: int | None = None
    tfs_z: float | None = None
    typical_p: float | None = None


class _Common(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    stream: bool | None = None
    options: _Options | None = None
    format: str | dict[str, Any] | None = None
    keep_alive: Any = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None


class _Chat(_Common):
    messages: list[_Message]
    tools: list[_Tool] | None = None


class _Generate(_Common):
    prompt: str = ""
    system: str | None = None
    raw: bool | None = None
    # would change the answer and are not served: only null or nothing is taken
    context: list[int] | None = None
    template: str | None = None
    suffix: str | None = None
    images: None = None
    width: None = None
    height: None = None
    steps: None = None


_chats = msgspec.json.Decoder(_Chat)
_generates = msgspec.json.Decoder(_Generate)
_SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_NEUTRAL = {"mirostat": 0, "repeat_last_n": 64, "tfs_z": 1, "typical_p": 1}
"""What Ollama takes where such an option is not given."""

_NS = 1_000_000_000


def plain_name(name: str) -> str:
    """Return a model's name without the tag that Ollama's clients add."""
    return name.removesuffix(":latest")


class _OllamaForm(Form):
    media = "application/x-ndjson"

    def error(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return an error in the API's shape."""
        return encode({"error": error["message"]})


class OllamaChatForm(_OllamaForm):
    """``/api/chat``."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        body = decoded(_chats, data, _Chat)
        checked_count(len(body.messages), limits)
        options = _options(body, limits)
        if body.tools:
            options["tools"] = tools_of([_tool(tool) for tool in body.tools], limits)
        return _request(body, tuple(_turns(body.messages, limits)), options, limits)

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return _Lines(head)


class OllamaGenerateForm(_OllamaForm):
    """``/api/generate``."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        body = decoded(_generates, data, _Generate)
        for name in ("context", "template", "suffix"):
            if getattr(body, name):
                raise unserved_field(name)
        options = _options(body, limits)
        user = Message("user", body.prompt)
        if body.raw:
            return _request(body, (user,), options, limits, raw=True)
        turns = (Message("system", body.system), user) if body.system else (user,)
        return _request(body, turns, options, limits)

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return _GenerateLines(head)


def _request(
    body: _Common,
    turns: tuple[Message, ...],
    options: dict[str, object],
    limits: GatewayLimits,
    *,
    raw: bool = False,
) -> ChatRequest:
    wanted = body.options.num_predict if body.options else None
    return ChatRequest(
        model=plain_name(body.model),
        messages=turns,
        stream=body.stream is not False,
        include_usage=True,
        max_tokens=tokens_of(wanted if wanted and wanted > 0 else None, limits, "options.num_predict"),
        options=options,
        raw=raw,
    )


def _options(body: _Common, limits: GatewayLimits) -> dict[str, object]:
    if body.think:
        raise unserved_field("think")
    given = body.options or _Options()
    for name, neutral in _NEUTRAL.items():
        if getattr(given, name) not in {None, neutral}:
            field = f"options.{name}"
            raise unserved_field(field)
    options: dict[str, object] = {
        name: value for name in _SAME if (value := getattr(given, name)) is not None
    }
    if given.stop:
        options["stop"] = stops_of([given.stop] if isinstance(given.stop, str) else given.stop, limits)
    if body.format == "json":
        options["response_format"] = {"type": "json_object"}
    elif isinstance(body.format, dict):
        schema = {"name": "answer", "schema": body.format}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif body.format:
        what = f"The format is 'json' or a JSON schema, not {body.format[:40]!r}."
        raise BadRequestError(what, param="format")
    if body.logprobs:
        options |= {"logprobs": True, "top_logprobs": body.top_logprobs or 0}
    return options


def _tool(tool: _Tool) -> dict[str, Any]:
    schema = tool.function
    function: dict[str, Any] = {"name": schema.name, "parameters": schema.parameters or {"type": "object"}}
    if schema.description is not None:
        function["description"] = schema.description
    return {"type": "function", "function": function}


def _turns(messages: Sequence[_Message], limits: GatewayLimits) -> list[Message]:
    """Return the turns; calls without ids get some, and results are matched with them in order."""
    turns: list[Message] = []
    open_calls: list[ToolCall] = []
    for message in messages:
        checked_calls(len(message.tool_calls or ()), limits)
        calls = tuple(
            _called(call, f"call_{len(turns)}_{at}") for at, call in enumerate(message.tool_calls or ())
        )
        open_calls += calls
        call_id = ""
        if message.role == "tool":
            match = next((c for c in open_calls if message.tool_name in {None, c.name}), None)
            if match is None and not message.tool_call_id:
                what = "A message of the role 'tool' answers no call of a tool."
                raise BadRequestError(what, param="messages")
            if match is not None:
                open_calls.remove(match)
            call_id = message.tool_call_id or (match.id if match else "")
        turns.append(Message(message.role, message.content or "", calls, call_id))
    return turns


def _called(call: _Call, name: str) -> ToolCall:
    return ToolCall(call.id or name, call.function.name, encode_input(call.function.arguments))


class _Lines(Shape):
    """Writes one object for each part, each on a line."""

    def delta(self, delta: Delta) -> bytes:
        """Return the line that carries a part of the answer."""
        more: dict[str, Any] = {"logprobs": delta.logprobs} if delta.logprobs else {}
        calls = [delta.call] if delta.call else []
        return self._line({**self.content(delta.text, calls), "done": False, **more})

    def content(self, text: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        """Return the part of an object that carries text and calls."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": _object(call.arguments)}} for call in calls
            ]
        return {"message": message}

    def end(self, ended: Ended) -> bytes:
        """Return the line that ends the answer."""
        return self._line({**self.content("", []), **self._last(ended)})

    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""
        more: dict[str, Any] = {"logprobs": said[0].logprobs} if said[0].logprobs else {}
        return self._line({**self.content(said[0].text, said[0].calls), **self._last(ended), **more})

    def broken(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return the line that ends a stream that failed."""
        return encode({"error": error["message"]}) + b"\n"

    def _last(self, ended: Ended) -> dict[str, Any]:
        spent = int(ended.seconds * _NS)
        return {
            "done": True,
            "done_reason": "length" if ended.finishes[0] == "length" else "stop",
            "prompt_eval_count": ended.usage.prompt_tokens,
            "eval_count": ended.usage.completion_tokens,
            "total_duration": spent,
            "load_duration": 0,
            "prompt_eval_duration": 0,
            "eval_duration": spent,
            "lockgate": ended.lockgate,
        }

    def _line(self, fields: dict[str, Any]) -> bytes:
        moment = self.head.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return encode_any({"model": self.head.model, "created_at": moment, **fields}) + b"\n"


class _GenerateLines(_Lines):
    def content(self, text: str, _calls: Sequence[ToolCall]) -> dict[str, Any]:
        """Return the part of an object that carries text."""
        return {"response": text}


def _object(arguments: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"_arguments": arguments}
