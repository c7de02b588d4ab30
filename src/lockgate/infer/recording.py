"""Recording answers: an intent before the first token leaves, outcome and receipt at the end."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import structlog

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.infer.batches import Batches
from lockgate.infer.engines.ports import Usage
from lockgate.infer.errors import LedgerUnavailableError, UnknownReceiptError
from lockgate.infer.ports import Citation, GuardFinding, Ledger, Principal, ReceiptStore
from lockgate.infer.receipts import (
    AUDITOR,
    Asked,
    Outcome,
    Receipt,
    Status,
    StoredReceipt,
    Told,
    prompt_hmac,
    receipt_of,
    stored_bytes,
)
from lockgate.infer.receiptstore import RECEIPT_LIMIT

_ID = re.compile(r"[0-9a-f]{32}")
_KEY_BYTES = 32
_log = structlog.get_logger("lockgate.infer")

_Kept = tuple[str, bytes, bytes]
"""A receipt as it is kept: its id, its bytes, and the key of its digests."""


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
        self._prompt = prompt_hmac(self._key, asked.messages, asked.tools)
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
        self._opening = self._book.append({"kind": "intent", "action": "answer", "facts": facts})
        return self._opening

    async def opened(self) -> int:
        """Return the intent's leaf once it is durable; nothing may leave before.

        Raises:
            LedgerUnavailableError: It could not be written.

        """
        opening = self._opening or self.begin()
        return opening.result() if opening.done() else await asyncio.shield(opening)

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
            self._closing = self._book.pending()
            ended = Outcome(status, reason, usage, tuple(cited), tuple(guards))
            opening = self._opening or self.begin()
            if opening.done():
                self._intended(ended, opening)
            else:
                opening.add_done_callback(partial(self._intended, ended))
        return asyncio.shield(self._closing)

    def _intended(self, ended: Outcome, opening: "asyncio.Future[int]") -> None:
        """Write the outcome, now that the intent is durable."""
        try:
            told = Told(
                self._requested,
                whole_second(self._book.clock()),
                self._prompt,
                self._answer.hexdigest(),
                opening.result(),
            )
            receipt = receipt_of(self.id, self._asked, ended, told)
            data = encode(receipt)
            facts = {
                "receipt": self.id,
                "receipt_sha256": hashlib.sha256(data).hexdigest(),
                "completion_tokens": ended.usage.completion_tokens,
            }
            event = {
                "kind": "outcome",
                "intent": told.intent_leaf,
                "status": ended.status.value,
                "facts": facts,
            }
            self._book.append_then(event, partial(self._bound, receipt, data))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # whoever waits raises it
            self._closed(error)

    def _bound(self, receipt: Receipt, data: bytes, leaf: int | Exception) -> None:
        """Keep the receipt, now that the outcome that binds it is durable."""
        if isinstance(leaf, Exception):
            self._closed(leaf)
            return
        stored = StoredReceipt(receipt=receipt, outcome_leaf=leaf)
        kept = self.id, stored_bytes(data, leaf), self._key
        self._book.keep_then(kept, lambda error: self._closed(error or stored))

    def _closed(self, result: StoredReceipt | BaseException) -> None:
        """Tell whoever waits how it went."""
        closing = self._closing
        if closing is None or closing.done():
            return
        if isinstance(result, asyncio.CancelledError):
            closing.cancel()
        elif isinstance(result, BaseException):
            closing.set_exception(result)
            closing.exception()  # it was logged: nobody has to wait for it
        else:
            closing.set_result(result)
        self._book.closed(closing)


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
        self._receipts: Batches[_Kept, None] = Batches(self._put, executor)
        self._work: set[asyncio.Future[StoredReceipt]] = set()

    def append(self, event: dict[str, Any]) -> asyncio.Future[int]:
        """Start writing an event; the future is its leaf, once that is durable."""
        return self._events.submit(event)

    def append_then(self, event: dict[str, Any], done: Callable[[int | Exception], None]) -> None:
        """Start writing an event; `done` is called with its leaf, once that is durable, or with the error."""
        self._events.put(event, done)

    def keep_then(self, receipt: _Kept, done: Callable[[Exception | None], None]) -> None:
        """Start keeping a receipt; `done` is called once it is durable, or with the error."""
        self._receipts.put(receipt, done)

    def _append(self, events: Sequence[dict[str, Any]]) -> list[int | Exception]:
        """Write events in one transaction of the log. Blocking; runs in a thread."""
        try:
            first = self._ledger.append_all(events)
        except (LockgateError, OSError) as error:
            return [_unrecorded(error)] * len(events)
        return list(range(first, first + len(events)))

    def _put(self, receipts: Sequence[_Kept]) -> list[Exception | None]:
        """Keep receipts in one transaction of their store. Blocking; runs in a thread."""
        try:
            self._store.put_all(receipts)
        except (LockgateError, OSError) as error:
            return [_unrecorded(error)] * len(receipts)
        return [None] * len(receipts)

    def pending(self) -> asyncio.Future[StoredReceipt]:
        """Return what stands for a record that is being closed, which `settled` waits for."""
        closing: asyncio.Future[StoredReceipt] = asyncio.get_running_loop().create_future()
        self._work.add(closing)
        return closing

    def closed(self, closing: asyncio.Future[StoredReceipt]) -> None:
        """Forget a record that was closed."""
        self._work.discard(closing)

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
