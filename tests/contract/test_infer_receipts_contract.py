"""Receipts: both stores keep the same promises, and the real audit log proves what they say."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from infer_doubles import NOW, Counting, MemorySource, admitted, loaded, make_key
from lockgate.audit import AuditLog
from lockgate.core.errors import NotCanonicalError
from lockgate.core.wire import digest_of
from lockgate.infer import (
    FileReceipts,
    MemoryReceipts,
    MemoryRings,
    Message,
    ReceiptStore,
    RecordReceipts,
    Usage,
)
from lockgate.infer.errors import LedgerUnavailableError, UnknownReceiptError
from lockgate.infer.receipts import Asked, Status
from lockgate.infer.recording import ReceiptBook
from lockgate.store import MemoryRecords, open_records


@pytest.fixture(params=["memory", "files", "records"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReceiptStore]:
    if request.param == "memory":
        yield MemoryReceipts()
    elif request.param == "files":
        yield FileReceipts(tmp_path / "receipts")
    else:
        with closing(open_records(f"sqlite:///{tmp_path / 'receipts.sqlite'}")) as records:
            yield RecordReceipts(records, MemoryRings(lambda: NOW))


ID = "ab" * 16


def test_a_receipt_is_kept_once(store: ReceiptStore) -> None:
    assert store.get(ID) is None
    store.put(ID, b"{}", b"key")
    assert store.get(ID) == (b"{}", b"key")
    with pytest.raises(FileExistsError):
        store.put(ID, b"other", b"key")
    assert store.get(ID) == (b"{}", b"key")


def test_files_are_private_and_the_key_can_be_erased_alone(tmp_path: Path) -> None:
    store = FileReceipts(tmp_path)
    store.put(ID, b"{}", b"key")
    files = sorted((tmp_path / "ab").iterdir())
    assert [f.suffix for f in files] == [".json", ".key"]
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    files[1].unlink()
    assert store.get(ID) == (b"{}", b"")


def test_several_are_kept_together_or_not_at_all(store: ReceiptStore) -> None:
    other = "cd" * 16
    store.put_all([(ID, b"1", b"k"), (other, b"2", b"l")])
    assert (store.get(ID), store.get(other)) == ((b"1", b"k"), (b"2", b"l"))
    with pytest.raises(FileExistsError):
        store.put_all([(ID, b"3", b"k")])
    assert store.get(ID) == (b"1", b"k")


def test_receipts_of_earlier_versions_are_found(tmp_path: Path) -> None:
    older = FileReceipts(tmp_path)
    older.put(ID, b"{}", b"key")
    rings = MemoryRings(lambda: NOW)
    assert RecordReceipts(MemoryRecords(), rings, older).get(ID) == (b"{}", b"key")
    assert RecordReceipts(MemoryRecords(), rings).get(ID) is None


def asked(entropy: Counting) -> Asked:
    _, key = make_key(entropy)
    return Asked(key, MemorySource().view, admitted(), loaded(), [Message("user", "Hi")], None)


def test_the_audit_log_binds_the_receipt(store: ReceiptStore) -> None:
    async def run() -> None:
        audit = AuditLog(MemoryRecords(), "lockgate/tests/high", lambda: NOW)
        entropy = Counting()
        with ThreadPoolExecutor(1) as executor:
            book = ReceiptBook(audit, store, lambda: NOW, entropy, executor)
            request = asked(entropy)
            record = book.record(request)
            assert await record.opened() == 0
            record.add("Hello")
            usage = Usage(prompt_tokens=1, completion_tokens=2)
            record.close(Status.ANSWERED, usage=usage)
            stored = await record.closed()
            record.close(Status.FAILED, usage=Usage())
            assert await record.closed() == stored
            found = await book.find(record.id, request.key)
        assert found["receipt"] == stored.receipt
        assert audit.size() == 2
        audit.verify()
        event = audit.event(stored.outcome_leaf)
        assert event["status"] == "answered"
        assert event["facts"]["receipt_sha256"] == digest_of(stored.receipt)
        assert audit.event(stored.receipt.intent_leaf)["facts"]["receipt"] == record.id

    asyncio.run(run())


def test_receipts_of_one_time_lie_side_by_side(store: ReceiptStore) -> None:
    moments = [NOW + timedelta(seconds=second) for second in (0, 0, 1, 300, 1 << 31)]
    with ThreadPoolExecutor(1) as executor:
        clock = iter(moments).__next__
        entropy = Counting()
        request = asked(entropy)
        audit = AuditLog(MemoryRecords(), "lockgate/tests/high", lambda: NOW)
        book = ReceiptBook(audit, store, clock, entropy, executor)
        ids = [book.record(request).id for _ in moments]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert sorted(ids[1:]) == ids[1:]
    assert ids[0] < ids[2]
    assert ids[0][:10] == ids[1][:10]
    assert len({each[10:] for each in ids}) == len(ids), "what follows the time is random"


def test_a_record_that_is_closed_unopened_is_opened_first(store: ReceiptStore) -> None:
    async def run() -> None:
        audit = AuditLog(MemoryRecords(), "lockgate/tests/high", lambda: NOW)
        entropy = Counting()
        with ThreadPoolExecutor(1) as executor:
            book = ReceiptBook(audit, store, lambda: NOW, entropy, executor)
            book.record(asked(entropy)).close(Status.CANCELLED, usage=Usage())
            await book.settled()
        assert [event["kind"] for _, event in audit.events()] == ["intent", "outcome"]

    asyncio.run(run())


class FullReceipts(MemoryReceipts):
    """A store whose disk is full."""

    def put(self, receipt_id: str, data: bytes, key: bytes) -> None:
        raise OSError(28, "full")


def test_a_receipt_that_cannot_be_kept_fails_its_own_answer_alone() -> None:
    async def run() -> None:
        audit = AuditLog(MemoryRecords(), "lockgate/tests/high", lambda: NOW)
        entropy = Counting()
        with ThreadPoolExecutor(1) as executor:
            book = ReceiptBook(audit, FullReceipts(), lambda: NOW, entropy, executor)
            request = asked(entropy)
            ended, begun = book.record(request), book.record(request)
            await ended.opened()
            ended.close(Status.ANSWERED, usage=Usage())
            begun.begin()  # its intent is written beside the other's outcome
            with pytest.raises(LedgerUnavailableError):
                await ended.closed()
            assert await begun.opened() == 2
            await book.settled()
        assert [event["kind"] for _, event in audit.events()] == ["intent", "outcome", "intent"]

    asyncio.run(run())


def test_a_damaged_receipt_is_not_shown(tmp_path: Path) -> None:
    async def run() -> None:
        store = FileReceipts(tmp_path)
        audit = AuditLog(MemoryRecords(), "lockgate/tests/high", lambda: NOW)
        entropy = Counting()
        with ThreadPoolExecutor(1) as executor:
            book = ReceiptBook(audit, store, lambda: NOW, entropy, executor)
            request = asked(entropy)
            record = book.record(request)
            record.close(Status.ANSWERED, usage=Usage())
            await record.closed()
            path = tmp_path / record.id[:2] / f"{record.id}.json"
            path.write_bytes(path.read_bytes() + b" ")
            with pytest.raises(NotCanonicalError):
                await book.find(record.id, request.key)
            with pytest.raises(UnknownReceiptError):
                await book.find("A" * 32, request.key)

    asyncio.run(run())
