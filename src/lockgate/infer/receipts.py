"""Receipts: what stands behind one answer, bound to two leaves of the audit log.

The intent's leaf is durable before the first token leaves; the outcome's leaf carries the digest
of the whole receipt. Texts appear as HMAC-SHA256 under a random key of this receipt's own, since
plain hashes of short texts can be guessed; the key is kept apart and given to the asker alone.
"""

import asyncio
import hmac
import re
from collections.abc import Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
import structlog

from lockgate.core.artifact import Digest
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, decode, digest_of, encode, whole_second
from lockgate.infer.batches import Batches
from lockgate.infer.errors import LedgerUnavailableError, UnknownReceiptError
from lockgate.infer.ports import (
    AdmittedModel,
    ChannelModels,
    Citation,
    Count,
    GuardFinding,
    Ledger,
    LoadedModel,
    Message,
    Principal,
    ReceiptStore,
    Usage,
)
from lockgate.infer.receiptstore import RECEIPT_LIMIT

RECEIPT_FORMAT = "lockgate-receipt/1"
AUDITOR = "auditor"
"""The role of those who may read what stands behind others' answers."""

_ID = re.compile(r"[0-9a-f]{32}")
_KEY_BYTES = 32
_T = TypeVar("_T")
_log = structlog.get_logger("lockgate.infer")


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


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a knowledge base contributed: name, index, documents, and what guards left out of it."""

    name: str
    index_sha256: str
    retrieved: tuple[str, ...]
    blocked: tuple[GuardFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended, as its receipt says."""

    status: Status
    reason: str
    usage: Usage
    cited: tuple[Citation, ...]
    guards: tuple[GuardFinding, ...]


class Record:
    """The record of one answer: opened before its first token leaves, closed once."""

    def __init__(self, book: "ReceiptBook", asked: Asked) -> None:
        """Begin; nothing is written yet."""
        self._book = book
        self._asked = asked
        self._key = book.entropy(_KEY_BYTES)
        self.id = book.entropy(16).hex()
        self._requested = whole_second(book.clock())
        self._answer = hmac.new(self._key, digestmod="sha256")
        prompt = encode([_turn(message) for message in asked.messages]) + asked.tools
        self._prompt = hmac.digest(self._key, prompt, "sha256").hex()
        self._opening: asyncio.Future[int] | None = None
        self._closing: asyncio.Future[StoredReceipt] | None = None

    def add(self, text: str) -> None:
        """Take text that leaves into the answer's digest."""
        self._answer.update(text.encode())

    def add_bytes(self, data: bytes) -> None:
        """Take what leaves and is no text into the answer's digest."""
        self._answer.update(data)

    def begin(self) -> asyncio.Future[int]:
        """Start writing the intent, without waiting for it."""
        asked = self._asked
        facts: dict[str, str | int | bool] = {
            "receipt": self.id,
            "api_key": asked.key.id,
            "model": asked.model.purl,
            "model_sha256": asked.loaded.sha256,
            "enforcement": asked.loaded.enforcement.value,
            "engine_enforcement": asked.loaded.engine_enforcement.value,
            "crossing": asked.model.crossing,
            "snapshot_sha256": asked.view.snapshot_sha256,
            "channel_version": asked.view.channel_version,
            "prompt_hmac": self._prompt,
        }
        if asked.key.source:
            facts["identity_source"] = asked.key.source
        if asked.grounds:
            facts["knowledge_sha256"] = asked.grounds.index_sha256
        self._opening = self._book.open({"kind": "intent", "action": "answer", "facts": facts})
        return self._opening

    async def opened(self) -> int:
        """Return the intent's leaf once it is durable; nothing may leave before.

        Raises:
            LedgerUnavailableError: It could not be written.

        """
        return await asyncio.shield(self._opening or self.begin())

    def close(
        self,
        status: Status,
        *,
        usage: Usage,
        cited: Sequence[Citation] = (),
        guards: Sequence[GuardFinding] = (),
        reason: str = "",
    ) -> asyncio.Future[StoredReceipt]:
        """Start writing the outcome and the receipt; a second call returns what the first one writes.

        It is written whether or not somebody waits. The future raises `LedgerUnavailableError`
        when it could not be written.
        """
        if self._closing is None:
            ended = Outcome(status, reason, usage, tuple(cited), tuple(guards))
            self._closing = self._book.spawn(self._settle(ended))
        return asyncio.shield(self._closing)

    async def _settle(self, ended: Outcome) -> StoredReceipt:
        leaf = await self.opened()
        receipt = self._receipt(ended, leaf)
        facts = {
            "receipt": self.id,
            "receipt_sha256": digest_of(receipt),
            "completion_tokens": ended.usage.completion_tokens,
        }
        event = {"kind": "outcome", "intent": leaf, "status": ended.status.value, "facts": facts}
        return await self._book.end(event, receipt, self._key)

    def _receipt(self, ended: Outcome, leaf: int) -> Receipt:
        asked = self._asked
        model = asked.model
        return Receipt(
            format=RECEIPT_FORMAT,
            id=self.id,
            status=ended.status,
            reason=ended.reason,
            api_key=asked.key.id,
            requested=self._requested,
            finished=whole_second(self._book.clock()),
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
            prompt_hmac=self._prompt,
            answer_hmac=self._answer.hexdigest(),
            usage=ended.usage,
            intent_leaf=leaf,
            asker=Asker(name=asked.key.name, source=asked.key.source) if asked.key.source else msgspec.UNSET,
        )


def _turn(message: Message) -> dict[str, Any]:
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


def _unrecorded(error: Exception) -> LedgerUnavailableError:
    _log.error("audit log or receipts failed", error=str(error))
    return LedgerUnavailableError("The answer could not be recorded.")


class ReceiptBook:
    """Opens records and finds receipts again.

    Args:
        ledger: The audit log.
        store: Where receipts are kept.
        clock: The present moment.
        entropy: Random bytes for ids and keys.
        executor: Two threads: the log is used in one, the store in the other.

    """

    def __init__(
        self, ledger: Ledger, store: ReceiptStore, clock: Clock, entropy: Entropy, executor: Executor
    ) -> None:
        """Keep the parts."""
        self.clock = clock
        self.entropy = entropy
        self._ledger = ledger
        self._store = store
        self._executor = executor
        self._events: Batches[dict[str, Any], int] = Batches(self._append, executor)
        self._receipts: Batches[tuple[StoredReceipt, bytes], StoredReceipt] = Batches(self._put, executor)
        self._work: set[asyncio.Task[Any]] = set()

    def open(self, event: dict[str, Any]) -> asyncio.Future[int]:
        """Start writing an intent; the future is its leaf, once that is durable."""
        return self._events.submit(event)

    async def end(self, event: dict[str, Any], receipt: Receipt, key: bytes) -> StoredReceipt:
        """Write an outcome, then the receipt that it binds, which gets the outcome's leaf."""
        leaf = await self._events.submit(event)
        return await self._receipts.submit((StoredReceipt(receipt=receipt, outcome_leaf=leaf), key))

    def _append(self, events: Sequence[dict[str, Any]]) -> list[int | Exception]:
        """Write events in one transaction of the log. Blocking; runs in a thread."""
        try:
            first = self._ledger.append_all(events)
        except (LockgateError, OSError) as error:
            return [_unrecorded(error)] * len(events)
        return list(range(first, first + len(events)))

    def _put(self, receipts: Sequence[tuple[StoredReceipt, bytes]]) -> list[StoredReceipt | Exception]:
        """Keep receipts in one transaction of their store. Blocking; runs in a thread."""
        try:
            self._store.put_all([(stored.receipt.id, encode(stored), key) for stored, key in receipts])
        except (LockgateError, OSError) as error:
            return [_unrecorded(error)] * len(receipts)
        return [stored for stored, _ in receipts]

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start work that ends even when nobody waits for it any more."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Forget work that ended; its error was logged, and is raised to whoever waits."""
        self._work.discard(task)
        if not task.cancelled():
            task.exception()

    async def settled(self) -> None:
        """Wait until everything that was started is written."""
        while self._work:
            await asyncio.wait(self._work)
        await self._events.settled()
        await self._receipts.settled()

    def record(self, asked: Asked) -> Record:
        """Return the record of a new answer."""
        return Record(self, asked)

    async def _get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Read from the store in the thread.

        Raises:
            LedgerUnavailableError: It failed.

        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._store.get, receipt_id)
        except (LockgateError, OSError) as error:
            raise _unrecorded(error) from error

    async def find(self, receipt_id: str, key: Principal) -> dict[str, Any]:
        """Return a receipt and its leaves, for whoever asked, and for auditors.

        The key of its digests, with which texts can be compared, is the asker's alone.

        Raises:
            UnknownReceiptError: There is none by this id that belongs to the caller.

        """
        found = await self._get(receipt_id) if _ID.fullmatch(receipt_id) else None
        stored = decode(StoredReceipt, found[0], limit=RECEIPT_LIMIT, name="The receipt") if found else None
        mine = stored is not None and stored.receipt.api_key == key.id
        if found is None or stored is None or not (mine or AUDITOR in key.roles):
            what = f"There is no receipt {receipt_id[:40]!r} for this key."
            raise UnknownReceiptError(what)
        receipt = stored.receipt
        return {
            "receipt": receipt,
            "audit": {
                "intent_leaf": receipt.intent_leaf,
                "outcome_leaf": stored.outcome_leaf,
                "receipt_sha256": digest_of(receipt),
            },
            "digest_key": found[1].hex() if mine else "",
        }
