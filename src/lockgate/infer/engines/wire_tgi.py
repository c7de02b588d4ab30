"""Text Generation Inference: its OpenAI routes for chat, its own ``/generate_stream`` for plain text.

Format: docs/openapi.json of its repository (3.x). Its makers archived it in March 2026.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from lockgate.infer.engines.ports import Count, EngineRequest, Piece, Usage
from lockgate.infer.engines.wire import Call, Reader, no_chunk, reported
from lockgate.infer.engines.wire_openai import OpenAiWire
from lockgate.infer.errors import NotServedError

INFO = "/info"
"""Says which model a server has (``model_id``, ``model_sha``)."""

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "repeat_penalty": "repetition_penalty",
}
_FINISHES = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}


class _Token(msgspec.Struct):
    text: str
    logprob: float | None = None
    special: bool = False


class _Details(msgspec.Struct):
    finish_reason: str
    generated_tokens: Count
    input_length: Count = 0


class _Event(msgspec.Struct):
    token: _Token | None = None
    details: _Details | None = None
    error: str | None = None


class _TokenId(msgspec.Struct):
    id: Count


class _Info(msgspec.Struct):
    model_id: str
    model_sha: str | None = None


_events = msgspec.json.Decoder(_Event)
_ids = msgspec.json.Decoder(list[_TokenId])
_info = msgspec.json.Decoder(_Info)


def model_of(data: bytes) -> str:
    """Return the id of the model that a server says it has.

    Raises:
        EngineGarbageError: It cannot be read.

    """
    try:
        return _info.decode(data).model_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_chunk(error) from error


class TgiWire(OpenAiWire):
    """A server with one model."""

    def chat(self, request: EngineRequest) -> Call:
        """Return what is sent for an answer."""
        if request.prompt is None:
            return super().chat(request)
        given = request.options
        for name in given.keys() - _PARAMETERS.keys():
            what = f"TGI has no option {name!r} for plain text."
            raise NotServedError(what)
        parameters: dict[str, Any] = {_PARAMETERS[name]: value for name, value in given.items()}
        parameters |= {"max_new_tokens": request.max_tokens, "details": True, "return_full_text": False}
        if not parameters.get("temperature"):  # zero is not taken: without one it picks the likeliest
            parameters.pop("temperature", None)
        else:
            parameters["do_sample"] = True
        if parameters.get("top_p") == 1:  # must lie below 1; 1 means none
            del parameters["top_p"]
        return Call("/generate_stream", {"inputs": request.prompt, "parameters": parameters})

    def reader(self, request: EngineRequest) -> Reader:
        """Return what reads the answer."""
        return super().reader(request) if request.prompt is None else _Events()

    def tokenize(self, text: str) -> tuple[Call, Callable[[bytes], tuple[int, ...]]]:
        """Return what is sent for the tokens of a text, and what reads the answer."""

        def read(data: bytes) -> tuple[int, ...]:
            try:
                return tuple(token.id for token in _ids.decode(data))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise no_chunk(error) from error

        return Call("/tokenize", {"inputs": text, "parameters": {}}), read


class _Events(Reader):
    """Reads the events of ``/generate_stream``; the last one has details."""

    def feed(self, payload: bytes) -> Piece | None:
        """Return what an event holds."""
        try:
            event = _events.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise no_chunk(error) from error
        if event.error is not None or event.token is None:
            raise reported(event.error or "")
        text = "" if event.token.special else event.token.text
        if event.details is None:
            return Piece(text)
        self.done = True
        said = event.details
        usage = Usage(prompt_tokens=said.input_length, completion_tokens=said.generated_tokens)
        return Piece(text, _FINISHES.get(said.finish_reason, "stop"), usage)
