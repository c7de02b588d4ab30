"""What the gateway asks of an engine: a request, an answer in pieces, what is loaded, how it is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.wire import Document
from lockgate.infer.errors import NotServedError

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""A number of tokens, or the index of a leaf in the audit log."""


class Enforcement(StrEnum):
    """What stands behind the digest of a loaded file."""

    SEALED = "hashed, enforced (sealed memfd)"
    PRIVATE = "hashed, enforced (private read-only copy)"
    HASHED = "hashed, not enforced"
    DECLARED = "declared by the operator, not seen by the gateway"


class Usage(Document, frozen=True):
    """Tokens that the engine counted."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class LoadedModel(Document, frozen=True):
    """What an engine holds in memory, and what is known about it.

    `engine` names the program, `engine_sha256` is the digest of its executable as admitted, and
    `engine_enforcement` tells whether its files could have changed after they were hashed.
    """

    sha256: Digest
    size: Size
    enforcement: Enforcement
    loaded: datetime
    engine: str
    engine_sha256: Digest
    engine_enforcement: Enforcement


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: the role and its text.

    `calls` are the tool calls of an assistant's turn; `call_id` names the one that a turn of the role
    ``tool`` answers. `looked_up` are the spans of the text (first character, and the one after the last)
    that come from documents, as the caller says.
    """

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    looked_up: tuple[tuple[int, int], ...] = ()


class EngineRequest(msgspec.Struct, frozen=True):
    """What an engine is asked: the turns, the most tokens to make, and options in the OpenAI API's names.

    With a `prompt` that text is continued as it stands, without the model's chat template, and there are
    no turns. `salt` separates prefix caches of tenants where an engine shares one.
    """

    messages: Sequence[Message]
    max_tokens: int
    options: Mapping[str, object] = msgspec.field(default_factory=dict)
    prompt: str | None = None
    salt: str = ""


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A part of a tool call as it arrives: `index` tells calls apart, the texts are appended."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Piece(msgspec.Struct, frozen=True):
    """A part of an answer as it arrives. `finish` says why it ended, on the last one with text.

    `logprobs` holds one object for each token of `text`, in the OpenAI API's shape. `parts` says how many of
    the engine's own parts it was made of. `stopped_by` is the stop text that ended the answer, if it is told.
    """

    text: str = ""
    finish: str | None = None
    usage: Usage | None = None
    calls: tuple[CallDelta, ...] = ()
    logprobs: tuple[Mapping[str, Any], ...] = ()
    parts: int = 1
    stopped_by: str = ""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of texts in their order, and the tokens that were read."""

    vectors: tuple[tuple[float, ...], ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """The score of each document in its order (more is better), and the tokens that were read."""

    scores: tuple[float, ...]
    tokens: int


class EngineState(StrEnum):
    """Where an engine is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """What an engine says of itself, and how often it had to be started again."""

    state: EngineState
    restarts: int = 0
    detail: str = ""


class Engine(ABC):
    """A program that turns a conversation into text."""

    @property
    def instances(self) -> int:
        """Return how many programs stand behind it."""
        return 1

    @property
    @abstractmethod
    def loaded(self) -> LoadedModel | None:
        """What the engine holds; nothing before it started."""

    @abstractmethod
    async def start(self) -> None:
        """Load the model and return when the engine takes requests.

        Raises:
            ModelMismatchError: The model's bytes are not the admitted ones; nothing was started.
            EngineFilesError: The engine's files are not the admitted ones; nothing was started.
            EngineStartError: It did not come up in time.

        """

    @abstractmethod
    async def health(self) -> EngineHealth:
        """Return how the engine is, asking it."""

    @abstractmethod
    async def stop(self) -> None:
        """End the engine and free what it holds; harmless when it does not run."""

    @abstractmethod
    def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Yield the answer piece by piece. Closing the generator cancels the work at once.

        Raises:
            EngineRefusedError: The request itself is at fault.
            EngineUnavailableError, EngineTimeoutError, EngineGarbageError, EngineBrokenOffError,
            AnswerTooLargeError: The engine failed.

        """

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts.

        Raises:
            NotServedError: The engine makes none.

        """
        what = f"The engine makes no vectors of {len(texts)} texts: it serves chat alone."
        raise NotServedError(what)

    async def rerank(self, query: str, documents: Sequence[str]) -> Ranked:
        """Return how well each document answers a query.

        Raises:
            NotServedError: The engine cannot.

        """
        what = f"The engine ranks no {len(documents)} documents for {query[:40]!r}: it serves chat alone."
        raise NotServedError(what)

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text.

        Raises:
            NotServedError: The engine does not tell.

        """
        what = f"The engine does not tell the tokens of a text of {len(text)} characters."
        raise NotServedError(what)
