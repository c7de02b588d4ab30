"""Writes answers of ``/v1/responses``. Format: OpenAI API reference, "Responses" and "Streaming events"."""

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.infer.engines.ports import ToolCall
from lockgate.infer.forms.anthropic import encode_any
from lockgate.infer.forms.base import Delta, Ended, Head, Said, Shape


class ResponseShape(Shape):
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

    def _close(self, status: str = "completed") -> bytes:
        if self._said is None:
            return b""
        text, self._said = "".join(self._said), None
        out = self._event("response.output_text.done", **self._part(), text=text, logprobs=[])
        out += self._event("response.content_part.done", **self._part(), part=_part(text))
        item = self._message(text, status)
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
        status = _status(ended)
        out = self._close(status)
        return out + self._event(f"response.{status}", response=self._response(status, self._items, ended))

    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""
        status = _status(ended)
        self.delta(Delta(said[0].text))
        self._close(status)
        for call in said[0].calls:
            self._call(call)
        return encode_any(self._response(status, self._items, ended))

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
            "max_output_tokens": chat.max_tokens,
            "model": self.head.model,
            "output": items,
            "previous_response_id": None,
            "store": False,
            "temperature": chat.options.get("temperature"),
            "top_p": chat.options.get("top_p"),
            "truncation": "disabled",
            "usage": usage,
            **chat.repeated,
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
