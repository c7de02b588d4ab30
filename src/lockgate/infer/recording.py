"""Recording answers: an intent before the first token leaves, outcome and receipt at the end."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

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
_KEY_BYTES, _TIME_BYTES, _DRAWN_BYTES = 32, 5, 11
_T = TypeVar("_T")
_log = structlog.get_logger("lockgate.infer")

_Kept = tuple[str, bytes, bytes]
"""A receipt: its id, its bytes, and the key of its digests."""

_Entry = tuple[dict[str, Any], _Kept | None]
"""An event of the log, and the receipt that it binds, if it is an outcome."""


def timed_id(requested: datetime, drawn: bytes) -> str:
    """Return a receipt's id: the second of the request since 1970, then random bytes, in hexadecimal digits.

    Receipts of one time so lie side by side in the database, which writes a few pages for many of them. An id
    tells no more than its receipt, and opens nothing: whoever asks for a receipt shows a key.
    """
    return (int(requested.timestamp()).to_bytes(_TIME_BYTES, "big") + drawn).hex()


class Record:
    """The record of one answer: opened before its first token leaves, closed once.

    Whoever waits has a future of its own, so that one who leaves takes nothing from the others.
    """

    def __init__(self, book: "ReceiptBook", asked: Asked) -> None:
        """Begin; nothing is written yet."""
        self._book = book
        self._asked = asked
        drawn = book.entropy(_KEY_BYTES + _DRAWN_BYTES)
        self.requested = whole_second(book.clock())
        self._key, self.id = drawn[:_KEY_BYTES], timed_id(self.requested, drawn[_KEY_BYTES:])
        self._answer = hmac.new(self._key, digestmod="sha256")
        self._prompt = prompt_hmac(self._key, asked.messages, asked.tools)
        self._begun = False
        self._intent: int | Exception | None = None
        self._opening: list[asyncio.Future[int]] = []
        self._ended: Outcome | None = None
        self._kept: StoredReceipt | Exception | None = None
        self._closing: list[asyncio.Future[StoredReceipt]] = []

    def add(self, text: str) -> None:
        """Take text that leaves into the answer's digest."""
        self._answer.update(text.encode())

    def add_bytes(self, data: bytes) -> None:
        """Take what leaves and is no text into the answer's digest."""
        self._answer.update(data)

    def begin(self) -> None:
        """Start writing the intent, without waiting for it; without effect once that was done."""
        if self._begun:
            return
        self._begun = True
        asked = self._asked
        facts: dict[str, str | int | bool] = {
            "receipt": self.id,
            "api_key": asked.key.id,
            "model": asked.model.purl,
            "model_sha256": asked.loaded.sha256,
            "enforcement": asked.loaded.enforcement,
            "engine_enforcement": asked.loaded.engine_enforcement,
            "crossing": asked.model.crossing,
            "snapshot_sha256": asked.view.snapshot_sha256,
            "channel_version": asked.view.channel_version,
            "prompt_hmac": self._prompt,
        }
        if asked.key.source:
            facts["identity_source"] = asked.key.source
        if asked.grounds:
            facts["knowledge_sha256"] = asked.grounds.index_sha256
        self._book.append_then({"kind": "intent", "action": "answer", "facts": facts}, self._opened)

    def _opened(self, leaf: int | Exception) -> None:
        """Take the intent's leaf, now that it is durable, or the error that it ended with."""
        self._intent = leaf
        _tell(self._opening, leaf)
        if self._ended is not None:
            self._intended(self._ended, leaf)

    def opened(self) -> Awaitable[int]:
        """Return what gives the intent's leaf once it is durable; nothing may leave before.

        Raises:
            LedgerUnavailableError: It could not be written.

        """
        if not self._begun:
            self.begin()
        return _waiting(self._opening, self._intent)

    def close(
        self,
        status: Status,
        *,
        usage: Usage,
        cited: Sequence[Citation] = (),
        guards: Sequence[GuardFinding] = (),
        reason: str = "",
    ) -> None:
        """Start writing the outcome and the receipt, once; it is written whether or not somebody waits."""
        if self._ended is not None:
            return
        self._ended = Outcome(status, reason, usage, tuple(cited), tuple(guards))
        self._book.closes(self)
        if not self._begun:
            self.begin()
        if self._intent is not None:
            self._intended(self._ended, self._intent)

    def closed(self) -> Awaitable[StoredReceipt]:
        """Return what gives what `close` writes, once it is durable.

        Raises:
            LedgerUnavailableError: It could not be written.

        """
        return _waiting(self._closing, self._kept)

    def _intended(self, ended: Outcome, intent: int | Exception) -> None:
        """Write the outcome, now that the intent is durable."""
        if isinstance(intent, Exception):
            self._closed(intent)
            return
        try:
            answer = self._answer.hexdigest()
            told = Told(self.requested, whole_second(self._book.clock()), self._prompt, answer, intent)
            receipt = receipt_of(self.id, self._asked, ended, told)
            data = encode(receipt)
            facts = {
                "receipt": self.id,
                "receipt_sha256": hashlib.sha256(data).hexdigest(),
                "completion_tokens": ended.usage.completion_tokens,
            }
            event = {"kind": "outcome", "intent": intent, "status": ended.status, "facts": facts}
            self._book.bind_then(event, (self.id, data, self._key), partial(self._bound, receipt))
        except Exception as error:  # noqa: BLE001  # whoever waits raises it
            self._closed(error)

    def _bound(self, receipt: Receipt, leaf: int | Exception) -> None:
        """Take the leaf that binds the receipt, now that both are durable, or the error."""
        if isinstance(leaf, Exception):
            self._closed(leaf)
        else:
            self._closed(StoredReceipt(receipt=receipt, outcome_leaf=leaf))

    def _closed(self, result: StoredReceipt | Exception) -> None:
        """Tell whoever waits how it went."""
        self._kept = result
        _tell(self._closing, result)
        self._book.closed(self)


def _waiting(waiting: list[asyncio.Future[_T]], result: _T | Exception | None) -> asyncio.Future[_T]:
    """Return a future of a result, which waits among others where there is none yet."""
    future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    if result is None:
        waiting.append(future)
    else:
        _tell([future], result)
    return future


def _tell(waiting: list[asyncio.Future[_T]], result: _T | Exception) -> None:
    """Give a result to all who wait for it, but for those who left."""
    for future in waiting:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


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
        executor: A thread for both.

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
        self._entries: Batches[_Entry, int] = Batches(self._write, executor)
        self._work: set[Record] = set()

    def append_then(self, event: dict[str, Any], done: Callable[[int | Exception], None]) -> None:
        """Start writing an event; `done` is called with its leaf, once that is durable, or with the error."""
        self._entries.put((event, None), done)

    def bind_then(
        self, event: dict[str, Any], receipt: _Kept, done: Callable[[int | Exception], None]
    ) -> None:
        """Start writing an outcome and keeping its receipt; `done` is called as by `append_then`."""
        self._entries.put((event, receipt), done)

    def _write(self, entries: Sequence[_Entry]) -> list[int | Exception]:
        """Write events in one transaction of the log, then the receipts that they bind in one of the store.

        Blocking; runs in a thread.
        """
        try:
            first = self._ledger.append_all([event for event, _ in entries])
        except (LockgateError, OSError) as error:
            return [_unrecorded(error)] * len(entries)
        results: list[int | Exception] = list(range(first, first + len(entries)))
        bound = [
            (receipt[0], stored_bytes(receipt[1], leaf), receipt[2])
            for leaf, (_, receipt) in enumerate(entries, first)
            if receipt is not None
        ]
        try:
            self._store.put_all(bound)
        except (LockgateError, OSError) as error:
            failed = _unrecorded(error)
            results = [failed if entry[1] else leaf for leaf, entry in zip(results, entries, strict=True)]
        return results

    def closes(self, record: Record) -> None:
        """Note a record that is being closed, which `settled` waits for."""
        self._work.add(record)

    def closed(self, record: Record) -> None:
        """Forget a record that was closed."""
        self._work.discard(record)

    async def settled(self) -> None:
        """Wait until everything that was started is written."""
        for record in tuple(self._work):
            with suppress(Exception):  # it was logged
                await record.closed()
        await self._entries.settled()

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
