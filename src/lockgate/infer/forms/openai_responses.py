"""``/v1/responses``. Format: OpenAI API reference, "Responses" and "Streaming events".

The gateway keeps no conversations: each request carries its whole input, and what would refer to an earlier
one is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.errors import BadRequestError
from lockgate.infer.forms.anthropic import encode_any
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Said, Shape
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import (
    CallId,
    CallName,
    ChatRequest,
    ModelName,
    Positive,
    Tokens,
    Unit,
    checked_count,
    decoded,
    joined,
    tokens_of,
    tools_of,
)


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: Any = None
    logprobs: Any = None
    parsed: Any = None  # the client's own reading of the text


class _Turn(msgspec.Struct, tag="message", tag_field="type", forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Text]
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _Call(msgspec.Struct, tag="function_call", tag_field="type", forbid_unknown_fields=True):
    call_id: CallId
    name: CallName
    arguments: str
    id: str | None = None
    status: str | None = None
    parsed_arguments: Any = None  # the client's own reading of the arguments
    caller: Any = None
    namespace: None = None


class _Result(msgspec.Struct, tag="function_call_output", tag_field="type", forbid_unknown_fields=True):
    call_id: CallId
    output: str | list[_Text]
    id: str | None = None
    status: str | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: CallName
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: CallName


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    name: CallName | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _TextOptions(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None
    verbosity: None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    input: str | list[msgspec.Raw]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    stream: bool | None = None
    temperature: Positive | None = None
    top_p: Unit | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Choice | None = None
    parallel_tool_calls: bool | None = None
    text: _TextOptions | None = None
    # describe the caller, change nothing in the answer
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    include: Any = None
    truncation: Literal["disabled"] | None = None
    stream_options: Any = None
    # would change the answer and are not served: only null is taken
    background: Literal[False] | None = None
    conversation: None = None
    max_tool_calls: None = None
    previous_response_id: None = None
    prompt: None = None
    reasoning: None = None
    top_logprobs: None = None


_bodies = msgspec.json.Decoder(_Body)
_items = msgspec.json.Decoder(_Turn | _Call | _Result)
_easy = msgspec.json.Decoder(dict[str, msgspec.Raw])


class OpenAiResponsesForm(Form):
    """The OpenAI API's newer form."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        body = decoded(_bodies, data, _Body)
        turns = [Message("system", body.instructions)] if body.instructions else []
        if isinstance(body.input, str):
            turns.append(Message("user", body.input))
        else:
            checked_count(len(body.input), limits)
            for raw in body.input:
                _add(turns, _item(bytes(raw)), limits)
        checked_count(len(turns), limits)
        return ChatRequest(
            model=body.model,
            messages=tuple(turns),
            stream=bool(body.stream),
            include_usage=True,
            max_tokens=tokens_of(body.max_output_tokens, limits, "max_output_tokens"),
            options=_options(body, limits),
        )

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return _ResponseShape(head)

    def error(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return an error in the API's shape."""
        return encode({"error": error})


def _item(raw: bytes) -> _Turn | _Call | _Result:
    """Read an item; one without a type is a message."""
    try:
        fields = _easy.decode(raw)
        if "type" not in fields:
            fields["type"] = msgspec.Raw(b'"message"')
            raw = msgspec.json.encode(fields)
        item: _Turn | _Call | _Result = _items.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"An item of the input does not fit: {str(error)[:200]}."
        raise BadRequestError(what, param="input") from error
    return item


def _add(turns: list[Message], item: _Turn | _Call | _Result, limits: GatewayLimits) -> None:
    """Add an item to the turns; calls that follow one another are one turn's."""
    if isinstance(item, _Call):
        call = ToolCall(item.call_id, item.name, item.arguments)
        last = turns[-1] if turns else None
        if last is not None and last.role == "assistant":
            turns[-1] = Message("assistant", last.text, (*last.calls, call))
        else:
            turns.append(Message("assistant", "", (call,)))
    elif isinstance(item, _Result):
        turns.append(Message("tool", _text(item.output, limits), call_id=item.call_id))
    else:
        role = "system" if item.role == "developer" else item.role
        turns.append(Message(role, _text(item.content, limits)))


def _text(content: str | list[_Text], limits: GatewayLimits) -> str:
    return content if isinstance(content, str) else joined([part.text for part in content], limits)


def _options(body: _Body, limits: GatewayLimits) -> dict[str, object]:
    options: dict[str, object] = {
        name: value for name in ("temperature", "top_p") if (value := getattr(body, name)) is not None
    }
    if body.tools:
        options["tools"] = tools_of([_tool(tool) for tool in body.tools], limits)
        if body.parallel_tool_calls is not None:
            options["parallel_tool_calls"] = body.parallel_tool_calls
        if isinstance(body.tool_choice, _Choice):
            options["tool_choice"] = {"type": "function", "function": {"name": body.tool_choice.name}}
        elif body.tool_choice is not None:
            options["tool_choice"] = body.tool_choice
    form = body.text.format if body.text else None
    if form is not None and form.type == "json_object":
        options["response_format"] = {"type": "json_object"}
    elif form is not None and form.type == "json_schema":
        if form.name is None or form.schema is None:
            what = "A format of type 'json_schema' has a name and a schema."
            raise BadRequestError(what, param="text")
        schema = {"name": form.name, "schema": form.schema, "strict": form.strict}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options


def _tool(tool: _Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or {"type": "object"}}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


class _ResponseShape(Shape):
    """Writes responses; a stream is a series of numbered events about output items."""

    def __init__(self, head: Head) -> None:
        """Begin with no item."""
        super().__init__(head)
        self._number = -1
        self._items: list[dict[str, Any]] = []
        self._said: list[str] | None = None  # the message that is being written

    def begin(self) -> bytes:
        """Return the events that open a response."""
        response = self._response("in_progress", [], None)
        opened = self._event("response.created", response=response)
        return opened + self._event("response.in_progress", response=response)

    def delta(self, delta: Delta) -> bytes:
        """Return the events that carry a part of the answer."""
        if delta.call is not None:
            return self._close() + self._call(delta.call)
        if not delta.text:
            return b""
        out = b""
        if self._said is None:
            self._said = []
            out = self._event(
                "response.output_item.added", **self._at(), item=self._message("", "in_progress")
            )
            out += self._event("response.content_part.added", **self._part(), part=_part(""))
        self._said.append(delta.text)
        return out + self._event("response.output_text.delta", **self._part(), delta=delta.text, logprobs=[])

    def _at(self) -> dict[str, Any]:
        return {"output_index": len(self._items)}

    def _part(self) -> dict[str, Any]:
        return {**self._at(), "item_id": self._message_id(), "content_index": 0}

    def _message_id(self) -> str:
        return f"msg_{self.head.id}_{len(self._items)}"

    def _message(self, text: str, status: str) -> dict[str, Any]:
        content = [_part(text)] if text else []
        return {
            "type": "message",
            "id": self._message_id(),
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _close(self) -> bytes:
        if self._said is None:
            return b""
        text, self._said = "".join(self._said), None
        out = self._event("response.output_text.done", **self._part(), text=text, logprobs=[])
        out += self._event("response.content_part.done", **self._part(), part=_part(text))
        item = self._message(text, "completed")
        out += self._event("response.output_item.done", **self._at(), item=item)
        self._items.append(item)
        return out

    def _call(self, call: ToolCall) -> bytes:
        item = {
            "type": "function_call",
            "id": f"fc_{self.head.id}_{len(self._items)}",
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
            "status": "in_progress",
        }
        at = {**self._at(), "item_id": item["id"]}
        out = self._event("response.output_item.added", **self._at(), item=item)
        out += self._event("response.function_call_arguments.delta", **at, delta=call.arguments)
        out += self._event(
            "response.function_call_arguments.done", **at, arguments=call.arguments, name=call.name
        )
        item = {**item, "arguments": call.arguments, "status": "completed"}
        out += self._event("response.output_item.done", **self._at(), item=item)
        self._items.append(item)
        return out

    def end(self, ended: Ended) -> bytes:
        """Return the events that end the answer."""
        out = self._close()
        status = _status(ended)
        return out + self._event(f"response.{status}", response=self._response(status, self._items, ended))

    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""
        self.delta(Delta(said[0].text))
        self._close()
        for call in said[0].calls:
            self._call(call)
        return encode_any(self._response(_status(ended), self._items, ended))

    def broken(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return the event that ends a stream that failed."""
        fields = {"message": error["message"], "code": error["code"], "param": error.get("param")}
        return self._event("error", **fields)

    def _response(self, status: str, items: list[dict[str, Any]], ended: Ended | None) -> dict[str, Any]:
        usage = None
        if ended is not None:
            spent = ended.usage
            usage = {
                "input_tokens": spent.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": spent.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": spent.prompt_tokens + spent.completion_tokens,
            }
        reason = {"reason": _reason(ended)} if ended is not None and status == "incomplete" else None
        chat = self.head.chat
        return {
            "id": f"resp_{self.head.id}",
            "object": "response",
            "created_at": int(self.head.created.timestamp()),
            "status": status,
            "error": None,
            "incomplete_details": reason,
            "instructions": None,
            "max_output_tokens": chat.max_tokens,
            "model": self.head.model,
            "output": items,
            "parallel_tool_calls": bool(chat.options.get("parallel_tool_calls", True)),
            "previous_response_id": None,
            "store": False,
            "temperature": chat.options.get("temperature"),
            "tool_choice": "auto",
            "tools": [],
            "top_p": chat.options.get("top_p"),
            "truncation": "disabled",
            "usage": usage,
            "metadata": {},
            **({"lockgate": ended.lockgate} if ended is not None else {}),
        }

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        body = encode_any({"type": kind, "sequence_number": self._number, **fields})
        return f"event: {kind}\ndata: ".encode() + body + b"\n\n"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _status(ended: Ended) -> str:
    return "incomplete" if ended.finishes[0] in {"length", "content_filter"} else "completed"


def _reason(ended: Ended) -> str:
    return "max_output_tokens" if ended.finishes[0] == "length" else "content_filter"
