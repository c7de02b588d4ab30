"""``/v1/chat/completions``. Format: OpenAI API reference, "Chat completions" and "Streaming".

The field ``lockgate`` is ours; clients ignore fields that they do not know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.core.wire import encode
from lockgate.infer.engines.ports import ToolCall
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Said, Shape
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import ChatRequest, parse
from lockgate.infer.shapes import usage_object
from lockgate.infer.sse import DONE, event


class OpenAiChatForm(Form):
    """The OpenAI API's chat."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        return parse(data, limits)

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return ChatShape(head)

    def error(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return an error in the API's shape."""
        return encode({"error": error})


class ChatShape(Shape):
    """Chunks and whole answers of chat."""

    prefix = "chatcmpl"
    chunk_object = "chat.completion.chunk"
    whole_object = "chat.completion"

    def __init__(self, head: Head) -> None:
        """Keep what every chunk repeats, most of it as bytes."""
        super().__init__(head)
        self._fields: dict[str, Any] = {
            "id": f"{self.prefix}-{head.id}",
            "created": int(head.created.timestamp()),
            "model": head.model,
        }
        self._tail = b"],%b\n\n" % encode({**self._fields, "object": self.chunk_object})[1:]
        self._opened = [False] * head.chat.choices
        self._calls = [0] * head.chat.choices

    def delta(self, delta: Delta) -> bytes:
        """Return the event that carries a part of the answer: as `_chunk` would write it, at less cost."""
        return b'data: {"choices":[%b%b' % (encode(self.part(delta)), self._tail)

    def part(self, delta: Delta) -> dict[str, Any]:
        """Return the choice of a chunk."""
        body: dict[str, Any] = {"content": delta.text}
        if delta.call is not None:
            at, self._calls[delta.choice] = self._calls[delta.choice], self._calls[delta.choice] + 1
            body = {"tool_calls": [{"index": at, **call_object(delta.call)}]}
        if not self._opened[delta.choice]:
            self._opened[delta.choice] = True
            body = {"role": "assistant", **body}
        choice: dict[str, Any] = {"index": delta.choice, "delta": body, "finish_reason": None}
        if delta.logprobs:
            choice["logprobs"] = {"content": delta.logprobs, "refusal": None}
        return choice

    def end(self, ended: Ended) -> bytes:
        """Return the events that end the answer: reasons with what stands behind it, tokens, ``[DONE]``."""
        last = [self.last(at, finish) for at, finish in enumerate(ended.finishes)]
        out = self._chunk(last, lockgate=ended.lockgate)
        if self.head.chat.include_usage:
            out += self._chunk([], usage=usage_object(ended.usage))
        return out + DONE

    def last(self, at: int, finish: str) -> dict[str, Any]:
        """Return the choice that says why an answer ended."""
        return {"index": at, "delta": {}, "finish_reason": finish}

    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""
        pairs = zip(said, ended.finishes, strict=True)
        return encode(
            {
                **self._fields,
                "object": self.whole_object,
                "choices": [self.choice(at, one, finish) for at, (one, finish) in enumerate(pairs)],
                "usage": usage_object(ended.usage),
                "lockgate": ended.lockgate,
            }
        )

    def choice(self, at: int, said: Said, finish: str) -> dict[str, Any]:
        """Return one choice of a whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
        if said.calls:
            message["content"] = said.text or None
            message["tool_calls"] = [call_object(call) for call in said.calls]
        logprobs = {"content": said.logprobs, "refusal": None} if said.logprobs else None
        return {"index": at, "message": message, "finish_reason": finish, "logprobs": logprobs}

    def broken(self, _status: int, error: Mapping[str, Any]) -> bytes:
        """Return the event that ends a stream that failed; no ``[DONE]`` follows."""
        return event(encode({"error": error}))

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event(encode({**self._fields, "object": self.chunk_object, "choices": choices, **more}))


def call_object(call: ToolCall) -> dict[str, Any]:
    """Return a tool call as the API shows it."""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
