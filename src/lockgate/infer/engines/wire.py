"""How one kind of engine is asked and what it answers, apart from sockets: bytes in, pieces out.

A wire decides nothing about time or connections. `client.py` carries what it makes; each kind of engine
has one file: `wire_openai.py` (llama.cpp, vLLM and every OpenAI-compatible server), `wire_ollama.py`,
`wire_tgi.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from lockgate.infer.engines.ports import Embedded, EngineRequest, Piece, Ranked, Usage
from lockgate.infer.errors import EngineGarbageError, NotServedError

FLOAT32_MAX = 3.4028234663852886e38
"""Largest 32-bit float (IEEE 754 binary32)."""

FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls"})
"""Why an answer may have ended, in the OpenAI API's words."""

FAILURES = frozenset({"abort", "error"})
"""What engines say in place of a reason where they did not come to an end (vLLM and SGLang do)."""


class Call(msgspec.Struct, frozen=True):
    """One request to an engine: where, and the body that is sent as JSON."""

    path: str
    body: dict[str, Any]


class Reader(ABC):
    """Reads one streamed answer, payload by payload."""

    done = False
    """Whether the answer has ended, as the engine itself says."""

    @abstractmethod
    def feed(self, payload: bytes) -> Piece | None:
        """Return what a payload holds.

        Raises:
            EngineGarbageError: It is none of the protocol, or reports an error.

        """

    def feed_all(self, payloads: Sequence[bytes]) -> Piece | None:
        """Return what payloads that came together hold, as one piece; see `feed` for what it raises.

        Under load an engine's small parts pile up in the socket; they are worked on and sent on as one.
        """
        if len(payloads) == 1:
            return self.feed(payloads[0])
        pieces: list[Piece] = []
        for payload in payloads:
            piece = self.feed(payload)
            if piece is not None:
                pieces.append(piece)
            if self.done:
                break
        return joined(pieces)


def joined(pieces: Sequence[Piece]) -> Piece:
    """Return pieces as one."""
    finish, usage = None, None
    for piece in pieces:
        finish, usage = piece.finish or finish, piece.usage or usage
    texts = [piece.text for piece in pieces if piece.text]
    calls = tuple(call for piece in pieces for call in piece.calls)
    logprobs = tuple(one for piece in pieces for one in piece.logprobs)
    stopped_by = next((piece.stopped_by for piece in reversed(pieces) if piece.stopped_by), "")
    return Piece("".join(texts), finish, usage, calls, logprobs, len(texts) + len(calls), stopped_by)


class Wire(ABC):
    """One kind of engine.

    Args:
        model: The name under which the engine serves its model.

    """

    health = "/health"
    """Answers 200 when the engine takes requests."""

    streams = "text/event-stream"
    """Media type of a streamed answer: events, or lines of JSON."""

    def __init__(self, model: str) -> None:
        """Keep the name."""
        self.model = model

    @abstractmethod
    def chat(self, request: EngineRequest) -> Call:
        """Return what is sent for an answer.

        Raises:
            NotServedError: The engine has no such option.

        """

    @abstractmethod
    def reader(self, request: EngineRequest) -> Reader:
        """Return what reads the answer."""

    def embed(self, texts: Sequence[str]) -> tuple[Call, Callable[[bytes], Embedded]]:
        """Return what is sent for the vectors of texts, and what reads the answer."""
        what = f"This kind of engine makes no vectors of {len(texts)} texts."
        raise NotServedError(what)

    def rerank(self, query: str, documents: Sequence[str]) -> tuple[Call, Callable[[bytes], Ranked]]:
        """Return what is sent to rank documents, and what reads the answer."""
        what = f"This kind of engine ranks no {len(documents)} documents for {query[:40]!r}."
        raise NotServedError(what)

    def tokenize(self, text: str) -> tuple[Call, Callable[[bytes], tuple[int, ...]]]:
        """Return what is sent for the tokens of a text, and what reads the answer."""
        what = f"This kind of engine does not tell the tokens of {len(text)} characters."
        raise NotServedError(what)


class UsageOnly:
    """Gathers what an engine counts where it counts in parts."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.prompt = 0
        self.completion = 0

    def usage(self) -> Usage:
        """Return the tokens so far."""
        return Usage(prompt_tokens=self.prompt, completion_tokens=self.completion)


def demand_vectors(rows: Collection[Sequence[float]]) -> None:
    """Demand vectors of one length, of numbers that 32-bit floats hold: callers get them as such.

    Raises:
        EngineGarbageError: They are none.

    """
    if len({len(row) for row in rows}) > 1 or not all(rows):
        raise no_chunk()
    if any(max(row) > FLOAT32_MAX or min(row) < -FLOAT32_MAX for row in rows):
        raise no_chunk()


def no_chunk(error: Exception | None = None) -> EngineGarbageError:
    """Return the error about a payload that the protocol does not know."""
    made = EngineGarbageError("The engine sent something that is no part of an answer.")
    made.__cause__ = error
    return made


def reported(what: str = "") -> EngineGarbageError:
    """Return the error about an error that the engine reports in the middle of its answer."""
    said = "".join(c for c in what if c.isprintable())[:200]
    tail = f": {said}" if said else "."
    return EngineGarbageError(f"The engine reported an error in the middle of the answer{tail}")
