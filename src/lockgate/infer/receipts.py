"""Receipts: what stands behind one answer, bound to two leaves of the audit log.

The intent's leaf is durable before the first token leaves; the outcome's leaf carries the digest
of the whole receipt. Texts appear as HMAC-SHA256 under a random key of this receipt's own, since
plain hashes of short texts can be guessed; the key is kept apart and given to the asker alone.
"""

import hmac
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document, encode
from lockgate.infer.engines.ports import Count, LoadedModel, Message, Usage
from lockgate.infer.ports import AdmittedModel, ChannelModels, Citation, GuardFinding, Principal
from lockgate.infer.requests import ChatRequest

RECEIPT_FORMAT = "lockgate-receipt/1"
AUDITOR = "auditor"
"""The role of those who may read what stands behind others' answers."""


class Status(StrEnum):
    """How an answer ended."""

    ANSWERED = "answered"
    ABSTAINED = "abstained"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    FAILED = "failed"


class FileEvidence(Document, frozen=True):
    """One admitted file of the model."""

    path: str
    sha256: Digest


class ModelEvidence(Document, frozen=True):
    """Which model answered, where it came from, how its load was checked, and which share chose it."""

    name: str
    purl: str
    files: tuple[FileEvidence, ...]
    loaded: LoadedModel
    crossing: int
    crate_sha256: Digest
    share: str | msgspec.UnsetType = msgspec.UNSET


class Span(Document, frozen=True):
    """A cited span of a document's recorded extraction, without its text."""

    number: int
    document_sha256: Digest
    extraction_sha256: Digest
    path: str
    start: int
    end: int
    quote_sha256: Digest


class KnowledgeEvidence(Document, frozen=True):
    """Which knowledge base was asked, what it found, and what the answer cites."""

    name: str
    index_sha256: Digest
    retrieved: tuple[Digest, ...]
    cited: tuple[Span, ...]


class Asker(Document, frozen=True):
    """Who asked, where no API key did: the name for people, and which identity source vouched."""

    name: str
    source: str


class Receipt(Document, frozen=True):
    """What stands behind one answer. The audit log's outcome leaf carries its digest.

    `api_key` is the id of the key that asked, or of the caller whom `asker` says more about.
    """

    format: str
    id: str
    status: Status
    reason: str
    api_key: str
    requested: datetime
    finished: datetime
    channel: str
    channel_version: int
    snapshot_sha256: Digest
    model: ModelEvidence
    knowledge: KnowledgeEvidence | None
    guards: tuple[GuardFinding, ...]
    prompt_hmac: Digest
    answer_hmac: Digest
    usage: Usage
    intent_leaf: Count
    asker: Asker | msgspec.UnsetType = msgspec.UNSET


class StoredReceipt(Document, frozen=True):
    """A receipt with the leaf that binds it."""

    receipt: Receipt
    outcome_leaf: Count


def stored_bytes(receipt: bytes, outcome_leaf: int) -> bytes:
    """Return the canonical bytes of a `StoredReceipt` whose receipt is encoded already."""
    return b'{"outcome_leaf":%d,"receipt":%b}' % (outcome_leaf, receipt)


class Grounds(msgspec.Struct, frozen=True):
    """What a knowledge base contributed: name, index, documents, and what guards left out of it."""

    name: str
    index_sha256: str
    retrieved: tuple[str, ...]
    blocked: tuple[GuardFinding, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What is known of a request before its answer begins.

    `tools` are the canonical bytes of tools and schemas that it came with; `share` says which share of a name
    the model answers for.
    """

    key: Principal
    view: ChannelModels
    model: AdmittedModel
    loaded: LoadedModel
    messages: Sequence[Message]
    grounds: Grounds | None
    tools: bytes = b""
    share: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How an answer ended, as its receipt says."""

    status: Status
    reason: str
    usage: Usage
    cited: tuple[Citation, ...]
    guards: tuple[GuardFinding, ...]


class Told(msgspec.Struct, frozen=True):
    """What the record of an answer adds: when, the digests of its texts, and the leaf of its intent."""

    requested: datetime
    finished: datetime
    prompt_hmac: str
    answer_hmac: str
    intent_leaf: int


def receipt_of(receipt_id: str, asked: Asked, ended: Outcome, told: Told) -> Receipt:
    """Return the receipt of an answer that has ended."""
    model = asked.model
    return Receipt(
        format=RECEIPT_FORMAT,
        id=receipt_id,
        status=ended.status,
        reason=ended.reason,
        api_key=asked.key.id,
        requested=told.requested,
        finished=told.finished,
        channel=asked.view.channel,
        channel_version=asked.view.channel_version,
        snapshot_sha256=asked.view.snapshot_sha256,
        model=ModelEvidence(
            name=model.name,
            purl=model.purl,
            files=tuple(FileEvidence(path=f.path, sha256=f.sha256) for f in model.files),
            loaded=asked.loaded,
            crossing=model.crossing,
            crate_sha256=model.crate_sha256,
            share=asked.share or msgspec.UNSET,
        ),
        knowledge=_knowledge(asked.grounds, ended.cited),
        guards=ended.guards,
        prompt_hmac=told.prompt_hmac,
        answer_hmac=told.answer_hmac,
        usage=ended.usage,
        intent_leaf=told.intent_leaf,
        asker=Asker(name=asked.key.name, source=asked.key.source) if asked.key.source else msgspec.UNSET,
    )


def prompt_hmac(key: bytes, messages: Sequence[Message], tools: bytes) -> str:
    """Return the digest of what was asked: its turns, and the canonical bytes of what came beside them."""
    turns = encode([turn_of(message) for message in messages])
    return hmac.new(key, turns + tools, "sha256").hexdigest()  # `digest` gives the interpreter's lock away


def tools_of(chat: ChatRequest) -> bytes:
    """Return the canonical bytes of what was asked beside the turns; nothing for plain chat."""
    found = {name: chat.options[name] for name in ("tools", "response_format") if name in chat.options}
    return encode(found) if found else b""


def turn_of(message: Message) -> dict[str, Any]:
    """Return a turn as its digest covers it."""
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        turn["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.calls]
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    return turn


def _knowledge(grounds: Grounds | None, cited: Sequence[Citation]) -> KnowledgeEvidence | None:
    if grounds is None:
        return None
    spans = tuple(
        Span(
            number=c.number,
            document_sha256=c.document_sha256,
            extraction_sha256=c.extraction_sha256,
            path=c.path,
            start=c.start,
            end=c.end,
            quote_sha256=c.quote_sha256,
        )
        for c in cited
    )
    return KnowledgeEvidence(
        name=grounds.name, index_sha256=grounds.index_sha256, retrieved=grounds.retrieved, cited=spans
    )
