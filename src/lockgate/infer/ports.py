"""What the gateway needs of others: engines, admitted models, knowledge, the audit log, stores."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, BinaryIO, Protocol

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.statement import Statement
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


class GuardFinding(Document, frozen=True):
    """What a guard met, without the text: where, which rule or kind, what was done, how often."""

    where: str
    what: str
    action: str
    count: Count = 1


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


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What an engine is asked: the turns, the most tokens to make, and options in the OpenAI API's names.

    With a `prompt` that text is continued as it stands, without the model's chat template, and there are
    no turns. `salt` separates prefix caches of tenants where an engine shares one.
    """

    messages: Sequence[Message]
    max_tokens: int
    options: Mapping[str, object] = field(default_factory=dict)
    prompt: str | None = None
    salt: str = ""


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A part of a tool call as it arrives: `index` tells calls apart, the texts are appended."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer as it arrives. `finish` says why it ended, on the last one with text.

    `logprobs` holds one object for each token of `text`, in the OpenAI API's shape. `parts` says how many of
    the engine's own parts it was made of.
    """

    text: str = ""
    finish: str | None = None
    usage: Usage | None = None
    calls: tuple[CallDelta, ...] = ()
    logprobs: tuple[Mapping[str, Any], ...] = ()
    parts: int = 1


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


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of an admitted model."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class AdmittedModel:
    """A chat model that the channel's approvers admitted, and the crossing that brought it.

    `name` is what callers ask for; `weights` is the file that the engine loads. `version` is its revision and
    `full_name` what it is called upstream. Of an adapter (LoRA) the weights are its own, and `base` is the
    file that it is laid over; `files` has both. `attributes` are those of the lock.
    """

    name: str
    purl: str
    label: str
    licence: str
    weights: ModelFile
    files: tuple[ModelFile, ...]
    crossing: int
    crate_sha256: str
    version: str = ""
    full_name: str = ""
    base: ModelFile | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelModels:
    """The models of one verified channel statement.

    `owed` are the emergencies in effect that one operator signed and no second person yet.
    """

    channel: str
    channel_version: int
    snapshot_sha256: str
    created: datetime
    models: tuple[AdmittedModel, ...]
    owed: tuple[Statement, ...] = ()

    def named(self, name: str) -> AdmittedModel | None:
        """Return the model of that name, if the channel has it."""
        return next((model for model in self.models if model.name == name), None)


class ModelSource(ABC):
    """The models that may be served now, by the approvers' signatures."""

    @abstractmethod
    def current(self) -> ChannelModels:
        """Return the models of the channel as verified last; quick, called for each request."""

    @abstractmethod
    def open(self, sha256: str) -> BinaryIO:
        """Open a model's file for reading; what is read is hashed by the caller."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence has its support: a span of a document's recorded extraction.

    `start` and `end` count characters of the extraction's text; `quote` is that span.
    """

    number: int
    document_sha256: str
    title: str
    path: str
    extractor: str
    extraction_sha256: str
    heading: str
    page: int | None
    start: int
    end: int
    quote: str
    quote_sha256: str


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A finished sentence of an answer, as it was fed, with its citations (none: unsupported)."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a knowledge base found for a question.

    `handle` is the knowledge base's own and is handed back to it unread; `blocked` names what guards
    met in passages that were left out.
    """

    supported: bool
    documents: tuple[str, ...]
    handle: object = None
    blocked: tuple[GuardFinding, ...] = ()


class Citer(ABC):
    """Follows one answer and attaches citations, sentence by sentence. Blocking; one caller."""

    @abstractmethod
    def feed(self, text: str) -> Sequence[CitedSentence]:
        """Take more text and return the sentences that it finished."""

    @abstractmethod
    def finish(self) -> Sequence[CitedSentence]:
        """Return what is left as last sentences."""


class Knowledge(ABC):
    """One knowledge base. Its methods block and are called in threads."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return what callers write behind the ``@``."""

    @property
    @abstractmethod
    def index_sha256(self) -> str:
        """Return the digest of the index's manifest."""

    @abstractmethod
    def retrieve(self, question: str, labels: frozenset[str]) -> Evidence:
        """Return what a holder of these labels may see about a question."""

    @abstractmethod
    def messages(self, question: str, evidence: Evidence) -> Sequence[Message]:
        """Return the conversation that puts the question and its evidence to a model."""

    @abstractmethod
    def citer(self, evidence: Evidence) -> Citer:
        """Return a citer for one answer."""


class Ledger(Protocol):
    """The audit log (`lockgate.audit.AuditLog` is one). It blocks until the events are durable."""

    def append_all(self, events: Sequence[dict[str, Any]]) -> int:
        """Record events side by side, all or none, and return the index of the first one's leaf."""


class ReceiptStore(ABC):
    """Keeps receipts by id; a receipt is written once. Its methods block."""

    @abstractmethod
    def put(self, receipt_id: str, data: bytes, key: bytes) -> None:
        """Keep a receipt and, apart from it, the key of its digests."""

    def put_all(self, receipts: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Keep several receipts (id, receipt, key); durable on return."""
        for receipt_id, data, key in receipts:
            self.put(receipt_id, data, key)

    @abstractmethod
    def get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Return a receipt and the key of its digests (empty once it was erased)."""


class Principal(Protocol):
    """Who asks: an API key, or a person or program that an identity source vouched for.

    Quotas, receipts and caches go by `id`, which no two sources share. `source` names who vouched; it is
    empty for API keys.
    """

    @property
    def id(self) -> str:
        """Return what tells callers apart, for good."""

    @property
    def name(self) -> str:
        """Return what people call the caller."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels that the caller may see."""

    @property
    def roles(self) -> frozenset[str]:
        """Return what the caller may do beside asking models."""

    @property
    def source(self) -> str:
        """Return who vouched for the caller."""


class ApiKey(Document, frozen=True):
    """Who may call: the digest of a secret that is shown once, and the labels its holder has."""

    id: str
    name: str
    sha256: Digest
    labels: tuple[str, ...]
    created: datetime

    @property
    def roles(self) -> frozenset[str]:
        """Return none: a key asks models, and nothing more."""
        return frozenset()

    @property
    def source(self) -> str:
        """Return nothing: the key speaks for itself."""
        return ""


class KeyStore(ABC):
    """The API keys on record."""

    @abstractmethod
    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with that id."""
