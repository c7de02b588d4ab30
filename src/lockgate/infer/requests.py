"""Reads the body of a chat request: strict, bounded, nothing passed on that is not understood.

Format: OpenAI API reference, "Create chat completion". A field that would change the answer and
is not served yet is refused, never dropped in silence; fields that only describe the caller are
taken and ignored.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from lockgate.infer.errors import BadRequestError, UnsupportedParameterError
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.ports import Message

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Positive = Annotated[float, msgspec.Meta(ge=0, le=2)]
Seed = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 32) - 1)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    name: str | None = None
    refusal: str | None = None


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Format(msgspec.Struct):
    type: str


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    n: int | None = None
    stop: Stop | list[Stop] | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    # passed on to the engine
    temperature: Positive | None = None
    top_p: Unit | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    min_p: Unit | None = None
    repeat_penalty: Positive | None = None
    # describe the caller, change nothing in the answer
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    # would change the answer and are not served yet: only null is taken
    audio: None = None
    function_call: None = None
    functions: None = None
    logit_bias: None = None
    modalities: None = None
    parallel_tool_calls: None = None
    prediction: None = None
    reasoning_effort: None = None
    tool_choice: None = None
    tools: None = None
    top_logprobs: None = None
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
_NOT_SERVED = frozenset(name for name in _Body.__struct_fields__ if _Body.__annotations__[name] is None)
_bodies = msgspec.json.Decoder(_Body)
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a caller asks, checked. `options` holds what is passed on to the engine."""

    model: str
    messages: tuple[Message, ...]
    stream: bool
    include_usage: bool
    max_tokens: int
    options: dict[str, object]

    @property
    def question(self) -> str:
        """Return the text of the last turn of the user, or nothing."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def parse(data: bytes, limits: GatewayLimits) -> ChatRequest:
    """Read a request's body.

    Raises:
        BadRequestError: It is not JSON in UTF-8, too deep, or not what the protocol says.
        UnsupportedParameterError: It asks for something that is not served yet.

    """
    try:
        body = _bodies.decode(data)
    except msgspec.ValidationError as error:
        raise _unfit(data, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "The body is not JSON in UTF-8."
        raise BadRequestError(what) from error
    except RecursionError as error:
        what = "The body is nested too deeply."
        raise BadRequestError(what) from error
    _refuse_unserved(body)
    return ChatRequest(
        model=body.model,
        messages=_turns(body.messages, limits),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        max_tokens=_tokens(body, limits),
        options=_options(body, limits),
    )


def _unfit(data: bytes, error: msgspec.ValidationError) -> BadRequestError:
    """Return the error that says which field does not fit."""
    try:
        given = {name for name, value in _names.decode(data).items() if bytes(value) != b"null"}
        unserved = sorted(given & _NOT_SERVED)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        unserved = []
    if unserved:
        what = f"The field {unserved[0]!r} is not served yet."
        return UnsupportedParameterError(what, param=unserved[0])
    said = str(error)[:300]
    _, _, path = said.partition(" - at `$")
    param = path.strip("`.").split(".")[0].split("[")[0] or None
    return BadRequestError(f"The body does not fit: {said}.", param=param)


def _refuse_unserved(body: _Body) -> None:
    if body.n not in {None, 1}:
        what = "Only one answer per request (n = 1) is served."
        raise UnsupportedParameterError(what, param="n")
    if body.logprobs:
        what = "Log probabilities are not served yet."
        raise UnsupportedParameterError(what, param="logprobs")
    if body.response_format is not None and body.response_format.type != "text":
        what = "Only response_format of type 'text' is served."
        raise UnsupportedParameterError(what, param="response_format")


def _turns(messages: list[_Message], limits: GatewayLimits) -> tuple[Message, ...]:
    if not 1 <= len(messages) <= limits.messages:
        what = f"A request has 1 to {limits.messages} messages, not {len(messages)}."
        raise BadRequestError(what, param="messages", limit="gateway.messages")
    return tuple(_turn(message, limits) for message in messages)


def _turn(message: _Message, limits: GatewayLimits) -> Message:
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Message(role, message.content)
    if len(message.content) > limits.parts:
        what = f"A message has at most {limits.parts} parts."
        raise BadRequestError(what, param="messages", limit="gateway.parts")
    return Message(role, "\n".join(part.text for part in message.content))


def _tokens(body: _Body, limits: GatewayLimits) -> int:
    asked = body.max_completion_tokens or body.max_tokens
    if asked is not None and asked > limits.answer_tokens:
        what = f"An answer has at most {limits.answer_tokens} tokens, not {asked}."
        raise BadRequestError(what, param="max_tokens", limit="gateway.answer_tokens")
    return asked or min(limits.default_tokens, limits.answer_tokens)


def _options(body: _Body, limits: GatewayLimits) -> dict[str, object]:
    options: dict[str, object] = {
        name: value for name in _FORWARDED if (value := getattr(body, name)) is not None
    }
    if body.stop is not None:
        stops = [body.stop] if isinstance(body.stop, str) else body.stop
        if len(stops) > limits.stops:
            what = f"A request has at most {limits.stops} stop texts."
            raise BadRequestError(what, param="stop", limit="gateway.stops")
        options["stop"] = stops
    return options
