"""What is asked of ``/v1/responses``. Format: OpenAI API reference, "Responses".

The gateway keeps no conversations: each request carries its whole input, and what would refer to an earlier
one is refused.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.errors import BadRequestError, UnsupportedParameterError
from lockgate.infer.forms.base import Form, Head, Shape
from lockgate.infer.forms.openai_response import ResponseShape
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import (
    CallId,
    CallName,
    ChatRequest,
    ModelName,
    Positive,
    Tokens,
    Unit,
    checked_choice,
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
    metadata: dict[str, str] | None = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    include: list[str] | None = None  # of kinds of items that answers here do not have, but for one
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
_LOGPROBS = "message.output_text.logprobs"


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
            repeated=_repeated(body),
        )

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return ResponseShape(head)

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


def _repeated(body: _Body) -> dict[str, Any]:
    """Return the fields of a request that its response repeats."""
    form = body.text.format if body.text and body.text.format else _Format("text")
    choice = body.tool_choice or "auto"
    return {
        "instructions": body.instructions,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "text": {"format": _given(form)},
        "tool_choice": choice if isinstance(choice, str) else _given(choice),
        "tools": [{"parameters": None, "strict": None, **_given(tool)} for tool in body.tools or ()],
    }


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    """Return a struct's fields that were given."""
    return {name: value for name, value in msgspec.structs.asdict(struct).items() if value is not None}


def _options(body: _Body, limits: GatewayLimits) -> dict[str, object]:
    if _LOGPROBS in (body.include or ()):
        what = f"{_LOGPROBS} is not served in this form."
        raise UnsupportedParameterError(what, param="include")
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
    else:
        checked_choice(body.tool_choice)
    form = body.text.format if body.text else None
    if form is not None and form.type == "json_object":
        options["response_format"] = {"type": "json_object"}
    elif form is not None and form.type == "json_schema":
        if form.name is None or form.schema is None:
            what = "A format of type 'json_schema' has a name and a schema."
            raise BadRequestError(what, param="text")
        schema = {name: value for name, value in _given(form).items() if name != "type"}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options


def _tool(tool: _Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or {"type": "object"}}
    for name in ("description", "strict"):
        if (value := getattr(tool, name)) is not None:
            function[name] = value
    return {"type": "function", "function": function}
