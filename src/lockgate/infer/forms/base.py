"""What every form of the API is made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from lockgate.infer.engines.ports import ToolCall, Usage
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import ChatRequest


class Delta(msgspec.Struct, frozen=True):
    """A part of an answer as it may leave: text, or one whole tool call. `choice` tells answers apart."""

    text: str = ""
    choice: int = 0
    call: ToolCall | None = None
    logprobs: tuple[Mapping[str, Any], ...] = ()


class Head(msgspec.Struct, frozen=True):
    """What every part of one answer repeats: its id, the model as it was asked for, and the moment."""

    id: str
    model: str
    created: datetime
    chat: ChatRequest


class Ended(msgspec.Struct, frozen=True):
    """How an answer ended: the reason of each choice, the tokens, and what stands behind it.

    `seconds` is the time that it took, `stopped_by` the caller's stop text that ended it, if the engine says.
    """

    finishes: Sequence[str]
    usage: Usage
    lockgate: dict[str, Any]
    seconds: float = 0.0
    stopped_by: str = ""


@dataclass(slots=True)
class Said:
    """One choice of an answer, gathered."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)


def gathered(deltas: Sequence[Delta], choices: int) -> list[Said]:
    """Return each choice as a whole."""
    found = [Said() for _ in range(choices)]
    texts: list[list[str]] = [[] for _ in range(choices)]
    for delta in deltas:
        texts[delta.choice].append(delta.text)
        found[delta.choice].logprobs.extend(delta.logprobs)
        if delta.call is not None:
            found[delta.choice].calls.append(delta.call)
    for said, parts in zip(found, texts, strict=True):
        said.text = "".join(parts)
    return found


class Shape(ABC):
    """Writes one answer. Streams are begun, fed and ended; whole answers are written at once.

    Args:
        head: What every part repeats.

    """

    def __init__(self, head: Head) -> None:
        """Keep the head."""
        self.head = head

    def begin(self) -> bytes:
        """Return what a stream begins with, before any text."""
        return b""

    @abstractmethod
    def delta(self, delta: Delta) -> bytes:
        """Return what carries a part of the answer."""

    @abstractmethod
    def end(self, ended: Ended) -> bytes:
        """Return what ends a stream."""

    @abstractmethod
    def whole(self, said: Sequence[Said], ended: Ended) -> bytes:
        """Return the answer in one object."""

    @abstractmethod
    def broken(self, status: int, error: Mapping[str, Any]) -> bytes:
        """Return what ends a stream that failed."""


class Form(ABC):
    """One API for answers with text."""

    media = "text/event-stream"
    """Media type of a streamed answer."""

    @abstractmethod
    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body.

        Raises:
            BadRequestError, UnsupportedParameterError: It cannot be served.

        """

    @abstractmethod
    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""

    @abstractmethod
    def error(self, status: int, error: Mapping[str, Any]) -> bytes:
        """Return an error in the API's shape.

        Args:
            status: The HTTP status that it goes with.
            error: The fields ``message``, ``type``, ``code`` and ``param`` of the OpenAI API.

        """
