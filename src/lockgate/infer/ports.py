"""What the gateway needs of others beside engines: admitted models, knowledge, the audit log, stores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from lockgate.core.artifact import Digest
from lockgate.core.statement import Statement
from lockgate.core.wire import Document
from lockgate.infer.engines.ports import Count, Message


class GuardFinding(Document, frozen=True):
    """What a guard met, without the text: where, which rule or kind, what was done, how often."""

    where: str
    what: str
    action: str
    count: Count = 1


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
        for model in self.models:
            if model.name == name:
                return model
        return None


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
