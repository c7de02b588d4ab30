"""Reads the body of a chat request: strict, bounded, nothing passed on that is not understood.

Format: OpenAI API reference, "Create chat completion". A field that would change the answer and
is not served is refused, never dropped in silence; fields that only describe the caller are
taken and ignored.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.errors import BadRequestError, UnsupportedParameterError
from lockgate.infer.limits import CALL_ID_CHARACTERS, GatewayLimits

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Positive = Annotated[float, msgspec.Meta(ge=0, le=2)]
Seed = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 32) - 1)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
CallName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
CallId = Annotated[str, msgspec.Meta(min_length=1, max_length=CALL_ID_CHARACTERS)]

_B = TypeVar("_B", bound=msgspec.Struct)


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str
    lockgate_channel: Literal["user", "retrieved"] = "user"  # ours: what the caller found in documents


class _CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName
    arguments: str


class _Called(msgspec.Struct, forbid_unknown_fields=True):
    id: CallId
    function: _CalledFunction
    type: Literal["function"] = "function"
    index: int = 0


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Called] | None = None
    tool_call_id: CallId | None = None
    annotations: Any = None
    audio: None = None
    function_call: None = None


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool = False
    include_obfuscation: bool = False


class _FunctionSchema(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _FunctionSchema


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _Named


class _Schema(msgspec.Struct, forbid_unknown_fields=True):
    name: CallName
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class Sampling(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields that the OpenAI API's routes have in common."""

    model: ModelName
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: Stop | list[Stop] | None = None
    # passed on to the engine
    temperature: Positive | None = None
    top_p: Unit | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=1000)] | None = None
    min_p: Unit | None = None
    repeat_penalty: Positive | None = None
    # describe the caller, change nothing in the answer
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    cache_salt: Any = None  # the gateway sets its own for each tenant


class _Body(Sampling):
    messages: list[_Message]
    max_completion_tokens: Tokens | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Choice | None = None
    parallel_tool_calls: bool | None = None
    # would change the answer and are not served: only null is taken
    audio: None = None
    function_call: None = None
    functions: None = None
    logit_bias: None = None
    modalities: None = None
    prediction: None = None
    reasoning_effort: None = None
    verbosity: None = None
    web_search_options: None = None


_FORWARDED = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repeat_penalty",
)
_bodies = msgspec.json.Decoder(_Body)
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ChatRequest(msgspec.Struct, frozen=True):
    """What a caller asks, checked. `options` holds what is passed on to the engine.

    With `raw` the one message is a text to be continued as it stands, without the model's chat template.
    `repeated` holds the fields of the request that answers of its form repeat.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool
    include_usage: bool
    max_tokens: int
    options: dict[str, object]
    choices: int = 1
    raw: bool = False
    repeated: Mapping[str, Any] = {}

    @property
    def question(self) -> str:
        """Return the text of the last turn of the user, or nothing."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def parse(data: bytes, limits: GatewayLimits) -> ChatRequest:
    """Read a request's body.

    Raises:
        BadRequestError: It is not JSON in UTF-8, too deep, or not what the protocol says.
        UnsupportedParameterError: It asks for something that is not served.

    """
    body = decoded(_bodies, data, _Body)
    return ChatRequest(
        model=body.model,
        messages=_turns(body.messages, limits),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        max_tokens=tokens_of(body.max_completion_tokens or body.max_tokens, limits),
        options={**options_of(body, limits), **_abilities(body, limits)},
        choices=choices_of(body.n, limits),
    )


def decoded(decoder: msgspec.json.Decoder[_B], data: bytes, kind: type[_B]) -> _B:
    """Read a body of a form.

    Raises:
        BadRequestError: It is not JSON in UTF-8, too deep, or has not the form's fields.
        UnsupportedParameterError: It has a field that takes nothing but null.

    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _unfit(data, error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "The body is not JSON in UTF-8."
        raise BadRequestError(what) from error
    except RecursionError as error:
        what = "The body is nested too deeply."
        raise BadRequestError(what) from error


def _unfit(data: bytes, error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> BadRequestError:
    """Return the error that says which field does not fit."""
    unserved = {field.name for field in msgspec.structs.fields(kind) if field.type is type(None)}
    try:
        given = {name for name, value in _names.decode(data).items() if bytes(value) != b"null"}
        refused = sorted(given & unserved)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        refused = []
    if refused:
        return unserved_field(refused[0])
    said = str(error)[:300]
    _, _, path = said.partition(" - at `$")
    param = path.strip("`.").split(".")[0].split("[")[0] or None
    return BadRequestError(f"The body does not fit: {said}.", param=param)


def unserved_field(name: str) -> UnsupportedParameterError:
    """Return the error about a field that the gateway does not serve."""
    return UnsupportedParameterError(f"The field {name!r} is not served.", param=name)


def _turns(messages: list[_Message], limits: GatewayLimits) -> tuple[Message, ...]:
    checked_count(len(messages), limits)
    return tuple([_turn(message, limits) for message in messages])


def checked_count(count: int, limits: GatewayLimits) -> None:
    """Demand a number of messages within its bound.

    Raises:
        BadRequestError: There are none, or too many.

    """
    if not 1 <= count <= limits.messages:
        what = f"A request has 1 to {limits.messages} messages, not {count}."
        raise BadRequestError(what, param="messages", limit="gateway.messages")


def _turn(message: _Message, limits: GatewayLimits) -> Message:
    role = "system" if message.role == "developer" else message.role
    calls: tuple[ToolCall, ...] = ()
    if message.tool_calls:
        checked_calls(len(message.tool_calls), limits)
        calls = tuple([ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls])
    if (role == "tool") != (message.tool_call_id is not None):
        what = "Messages of the role 'tool', and only those, name the tool_call_id that they answer."
        raise BadRequestError(what, param="messages")
    if calls and role != "assistant":
        what = "Only messages of the role 'assistant' have tool_calls."
        raise BadRequestError(what, param="messages")
    if message.content is None and not calls:
        what = f"A message of the role {message.role!r} has no content."
        raise BadRequestError(what, param="messages")
    if message.content is None or isinstance(message.content, str):
        return Message(role, message.content or "", calls, message.tool_call_id or "")
    texts = [part.text for part in message.content]
    found = [part.lockgate_channel == "retrieved" for part in message.content]
    return Message(role, joined(texts, limits), calls, message.tool_call_id or "", spans(texts, found))


def checked_calls(count: int, limits: GatewayLimits) -> None:
    """Demand a number of tool calls within its bound.

    Raises:
        BadRequestError: There are too many.

    """
    if count > limits.calls:
        what = f"A message has at most {limits.calls} tool calls."
        raise BadRequestError(what, param="messages", limit="gateway.calls")


def joined(parts: Sequence[str], limits: GatewayLimits) -> str:
    """Return the text of a message in parts.

    Raises:
        BadRequestError: There are too many.

    """
    if len(parts) > limits.parts:
        what = f"A message has at most {limits.parts} parts."
        raise BadRequestError(what, param="messages", limit="gateway.parts")
    return "\n".join(parts)


def spans(parts: Sequence[str], chosen: Sequence[bool]) -> tuple[tuple[int, int], ...]:
    """Return where chosen parts lie in the text that `joined` makes of all of them."""
    found, at = [], 0
    for part, wanted in zip(parts, chosen, strict=True):
        if wanted and part:
            found.append((at, at + len(part)))
        at += len(part) + 1
    return tuple(found)


def tokens_of(asked: int | None, limits: GatewayLimits, param: str = "max_tokens") -> int:
    """Return the most tokens of an answer.

    Raises:
        BadRequestError: More are asked for than an answer may have.

    """
    if asked is not None and asked > limits.answer_tokens:
        what = f"An answer has at most {limits.answer_tokens} tokens, not {asked}."
        raise BadRequestError(what, param=param, limit="gateway.answer_tokens")
    return asked or min(limits.default_tokens, limits.answer_tokens)


def choices_of(asked: int | None, limits: GatewayLimits) -> int:
    """Return how many answers are asked for.

    Raises:
        BadRequestError: More than a request may have.

    """
    if (asked or 1) > limits.choices:
        what = f"A request has at most {limits.choices} answers, not {asked}."
        raise BadRequestError(what, param="n", limit="gateway.choices")
    return asked or 1


def options_of(body: Sampling, limits: GatewayLimits) -> dict[str, object]:
    """Return the sampling options that are passed on."""
    options: dict[str, object] = {
        name: value for name in _FORWARDED if (value := getattr(body, name)) is not None
    }
    if body.stop is not None:
        options["stop"] = stops_of([body.stop] if isinstance(body.stop, str) else body.stop, limits)
    return options


def stops_of(stops: list[str], limits: GatewayLimits) -> list[str]:
    """Return stop texts within their bound.

    Raises:
        BadRequestError: There are too many.

    """
    if len(stops) > limits.stops:
        what = f"A request has at most {limits.stops} stop texts."
        raise BadRequestError(what, param="stop", limit="gateway.stops")
    return stops


def _abilities(body: _Body, limits: GatewayLimits) -> dict[str, object]:
    """Return what asks for more than plain text: tools, a schema, log probabilities."""
    options: dict[str, object] = {}
    if body.tools is not None:
        options["tools"] = tools_of([_plain(tool) for tool in body.tools], limits)
        if body.parallel_tool_calls is not None:
            options["parallel_tool_calls"] = body.parallel_tool_calls
        if body.tool_choice is not None:
            options["tool_choice"] = _plain(body.tool_choice)
    else:
        checked_choice(None if body.tool_choice is None else _plain(body.tool_choice))
    if body.response_format is not None and body.response_format.type != "text":
        if (body.response_format.type == "json_schema") != (body.response_format.json_schema is not None):
            what = "A response_format of type 'json_schema', and only that, has a json_schema."
            raise BadRequestError(what, param="response_format")
        options["response_format"] = _plain(body.response_format)
    if body.logprobs:
        options |= {"logprobs": True, "top_logprobs": body.top_logprobs or 0}
    elif body.top_logprobs:
        what = "top_logprobs needs logprobs."
        raise BadRequestError(what, param="top_logprobs")
    return options


def checked_choice(choice: object) -> None:
    """Demand that a request without tools, in whatever form, has none called.

    Args:
        choice: Which tool is to be called, in the OpenAI API's form.

    Raises:
        BadRequestError: It chooses one.

    """
    if choice not in (None, "none", "auto"):
        what = "A choice of tools needs tools."
        raise BadRequestError(what, param="tool_choice")


def tools_of(tools: list[dict[str, Any]], limits: GatewayLimits) -> list[dict[str, Any]]:
    """Return definitions of tools within their bound.

    Raises:
        BadRequestError: There are none, or too many.

    """
    if not 1 <= len(tools) <= limits.tools:
        what = f"A request has 1 to {limits.tools} tools, not {len(tools)}."
        raise BadRequestError(what, param="tools", limit="gateway.tools")
    return tools


def _plain(value: Any) -> Any:
    """Return a struct as plain objects without the fields that were not given."""
    found = msgspec.to_builtins(value)
    return _given(found) if isinstance(found, dict) else found


def _given(found: dict[str, Any]) -> dict[str, Any]:
    return {
        k: v if k in {"parameters", "schema"} or not isinstance(v, dict) else _given(v)
        for k, v in found.items()
        if v is not None
    }
