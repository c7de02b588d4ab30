"""``/v1/messages``. Format: Anthropic's API reference, "Messages" and "Streaming messages"."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.errors import BadRequestError
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Said, Shape
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import (
    CallId,
    CallName,
    ChatRequest,
    ModelName,
    Stop,
    Tokens,
    Unit,
    checked_calls,
    checked_choice,
    checked_count,
    decoded,
    joined,
    stops_of,
    tokens_of,
    tools_of,
)


class _Text(msgspec.Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    text: str
    cache_control: Any = None
    citations: Any = None


class _Use(msgspec.Struct, tag="tool_use", tag_field="type", forbid_unknown_fields=True):
    id: CallId
    name: CallName
    input: dict[str, Any]
    cache_control: Any = None
    caller: Any = None


class _Result(msgspec.Struct, tag="tool_result", tag_field="type", forbid_unknown_fields=True):
    tool_use_id: CallId
    content: str | list[_Text] = ""
    is_error: bool = False
    cache_control: Any = None


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Text | _Use | _Result]


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    cache_control: Any = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["auto", "any", "tool", "none"]
    name: CallName | None = None
    disable_parallel_tool_use: bool = False


class _Thinking(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["disabled"]


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    messages: list[_Turn]
    max_tokens: Tokens
    system: str | list[_Text] | None = None
    stop_sequences: list[Stop] | None = None
    stream: bool | None = None
    temperature: Unit | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    # describe the caller, change nothing in the answer
    metadata: Any = None
    service_tier: Any = None
    cache_control: Any = None
    inference_geo: Any = None
    # would change the answer and are not served: only null is taken
    container: None = None
    context_management: None = None
    mcp_servers: None = None
    output_config: None = None


_bodies = msgspec.json.Decoder(_Body)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_FAILED = "The tool reported an error."
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class AnthropicForm(Form):
    """Anthropic's form of chat."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        body = decoded(_bodies, data, _Body)
        checked_count(len(body.messages), limits)
        system = body.system if isinstance(body.system, str) else _texts(body.system or [], limits)
        turns = [Message("system", system)] if system else []
        for turn in body.messages:
            turns += _turns(turn, limits)
        checked_count(len(turns), limits)
        return ChatRequest(
            model=body.model,
            messages=tuple(turns),
            stream=bool(body.stream),
            include_usage=True,
            max_tokens=tokens_of(body.max_tokens, limits),
            options=_options(body, limits),
        )

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return _MessageShape(head)

    def error(self, status: int, error: Mapping[str, Any]) -> bytes:
        """Return an error in the API's shape."""
        kind = _KINDS.get(status, "api_error")
        body = {"type": kind, "message": error["message"]}
        return encode({"type": "error", "error": body, "request_id": None})


def _texts(blocks: Sequence[_Text], limits: GatewayLimits) -> str:
    return joined([block.text for block in blocks], limits)


def _turns(turn: _Turn, limits: GatewayLimits) -> list[Message]:
    """Return a turn as the OpenAI API has it: results of tools are turns of their own."""
    if isinstance(turn.content, str):
        return [Message(turn.role, turn.content)]
    results = [block for block in turn.content if isinstance(block, _Result)]
    uses = [block for block in turn.content if isinstance(block, _Use)]
    texts = [block for block in turn.content if isinstance(block, _Text)]
    if (results and turn.role != "user") or (uses and turn.role != "assistant"):
        what = "Results of tools stand in turns of the user, uses in those of the assistant."
        raise BadRequestError(what, param="messages")
    checked_calls(max(len(results), len(uses)), limits)
    calls = tuple(ToolCall(use.id, use.name, encode_input(use.input)) for use in uses)
    found = [Message("tool", _result(block, limits), call_id=block.tool_use_id) for block in results]
    if texts or calls or not found:
        found.append(Message(turn.role, _texts(texts, limits), calls))
    return found


def _result(block: _Result, limits: GatewayLimits) -> str:
    """Return what a tool answered; engines are told of its failure in words, having no field for it."""
    text = block.content if isinstance(block.content, str) else _texts(block.content, limits)
    return f"{_FAILED}\n{text}" if block.is_error else text


def encode_input(value: Mapping[str, Any]) -> str:
    """Return the arguments of a call as JSON text."""
    return msgspec.json.encode(value).decode()


def _options(body: _Body, limits: GatewayLimits) -> dict[str, object]:
    options: dict[str, object] = {
        name: value
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(body, name)) is not None
    }
    if body.stop_sequences:
        options["stop"] = stops_of(body.stop_sequences, limits)
    chosen = body.tool_choice
    choice: object = None if chosen is None else _CHOICES.get(chosen.type)
    if chosen is not None and choice is None:
        choice = {"type": "function", "function": {"name": chosen.name or ""}}
    if not body.tools:
        checked_choice(choice)
        return options
    options["tools"] = tools_of([_tool(tool) for tool in body.tools], limits)
    if chosen is not None:
        options["tool_choice"] = choice
        if chosen.disable_parallel_tool_use:
            options["parallel_tool_calls"] = False
    return options


def _tool(tool: _Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    for name in ("description", "strict"):
        if (value := getattr(tool, name)) is not None:
            function[name] = value
    return {"type": "function", "function": function}


class _MessageShape(Shape):
    """Writes messages; a stream is a series of content blocks."""

    def __init__(self, head: Head) -> None:
        """Begin with no block."""
        super().__init__(head)
        self._block = -1
        self._open = False

    def begin(self) -> bytes:
        """Return the event that opens a message."""
        message = {**self._message([]), "usage": {"input_tokens": 0, "output_tokens": 0}}
        return _event("message_start", message=message)

    def delta(self, delta: Delta) -> bytes:
        """Return the events that carry a part of the answer."""
        if delta.call is not None:
            return self._close() + self._use(delta.call)
        if not delta.text:
            return b""
        out = b"" if self._open else self._start({"type": "text", "text": ""})
        self._open = True
        return out + self._piece({"type": "text_delta", "text": delta.text})

    def _use(self, call: ToolCall) -> bytes:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        piece = {"type": "input_json_delta", "partial_json": call.arguments}
        out = self._start(block) + self._piece(piece)
        self._open = True
        return out + self._close()

    def _start(self, block: dict[str, Any]) -> bytes:
        self._block += 1
        return _event("content_block_start", index=self._block, content_block=block)

    def _piece(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._block, delta=delta)

    def _close(self) -> bytes:
        was, self._open = self._open, False
        return _event("content_block_stop", index=self._block) if was else b""

    def end(self, ended: Ended) -> bytes:
        """Return the events that end the answer."""
        last = _event(
            "message_delta",
            delta=_stopped(ended),
            usage=_usage(ended),
            lockgate=ended.lockgate,
        )
        return self._close() + last + _event("message_stop")

    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""
        blocks: list[dict[str, Any]] = [{"type": "text", "text": said[0].text}] if said[0].text else []
        blocks += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}
            for call in said[0].calls
        ]
        message = self._message(blocks)
        return encode_any({**message, **_stopped(ended), "usage": _usage(ended), "lockgate": ended.lockgate})

    def _message(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"msg_{self.head.id}",
            "type": "message",
            "role": "assistant",
            "model": self.head.model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
        }

    def broken(self, status: int, error: Mapping[str, Any]) -> bytes:
        """Return the event that ends a stream that failed."""
        kind = _KINDS.get(status, "api_error")
        return _event("error", error={"type": kind, "message": error["message"]})


def _input(arguments: str) -> dict[str, Any]:
    """Return a call's arguments as an object; what a model wrote that is none stays visible as text."""
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"_arguments": arguments}


def _stopped(ended: Ended) -> dict[str, str | None]:
    """Return why an answer ended, and the caller's stop text that ended it."""
    finish = ended.finishes[0]
    if finish == "stop" and ended.stopped_by:
        return {"stop_reason": "stop_sequence", "stop_sequence": ended.stopped_by}
    return {"stop_reason": _REASONS[finish], "stop_sequence": None}


def _usage(ended: Ended) -> dict[str, int]:
    return {
        "input_tokens": ended.usage.prompt_tokens,
        "output_tokens": ended.usage.completion_tokens,
    }


def encode_any(value: Any) -> bytes:
    """Return JSON of values that may hold fractions."""
    return msgspec.json.encode(value)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + encode_any({"type": kind, **fields}) + b"\n\n"
