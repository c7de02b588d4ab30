"""What the gateway keeps is in backups: whole while it is used, never given back, never revived."""

import threading
from pathlib import Path

import pytest

from corpora.homes import HighSide
from infer_doubles import NOW
from lockgate.app.high.quotas import spending_of
from lockgate.app.high.receipts import receipts_of
from lockgate.app.record import gateway_record
from lockgate.app.record.backup import BackupAlteredError, open_backup
from lockgate.app.record.gateway_record import DatabaseCopyError, copy_database
from lockgate.infer import Quota, Usage
from lockgate.infer.digestkeys import KEY, MemoryRings
from lockgate.infer.quotas import Settled, Spent, Wanted
from lockgate.infer.receiptstore import RECEIPT, RecordReceipts
from lockgate.infer.restoring import ReceiptDiffersError, restore_receipts
from lockgate.store import MemoryRecords, open_records

BOUND = Quota(completion_tokens=1_000_000)


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.publish(1, "first")
    return made


def spend(high: HighSide, key: str, tokens: int, *, settle: bool = True) -> None:
    quotas = spending_of(high.side)
    name = quotas.work([Wanted(key, BOUND, tokens, tokens)])[0]
    assert isinstance(name, str)
    if settle:
        quotas.work([Settled(name, Usage(prompt_tokens=tokens, completion_tokens=tokens))])


def spent(high: HighSide, key: str) -> Spent:
    return spending_of(high.side).spent(key)[0]


def test_receipts_and_quotas_that_were_lost_come_back(high: HighSide) -> None:
    without = high.backup("before")
    assert not {"receipts.sqlite", "quotas.sqlite"} & {file.path for file in without.manifest.files}
    receipts_of(high.side).put("a" * 32, b"receipt", b"k" * 32)
    spend(high, "anna", 100)
    spend(high, "anna", 7, settle=False)
    made = high.backup()
    assert {"receipts.sqlite", "quotas.sqlite"} <= {file.path for file in made.manifest.files}
    high.lose("receipts.sqlite", "quotas.sqlite")
    assert receipts_of(high.side).get("a" * 32) is None
    high.restore()
    assert receipts_of(high.side).get("a" * 32) == (b"receipt", b"k" * 32)
    quotas = spending_of(high.side)
    assert quotas.spent("anna") == (Spent(requests=2, prompt_tokens=107, completion_tokens=107), 0)
    with open_records(f"sqlite:///{high.side.home.root / 'receipts.sqlite'}").transaction() as tx:
        tx.delete(KEY, "a" * 32)
    high.restore()
    assert receipts_of(high.side).get("a" * 32) == (b"receipt", b""), "a key that was erased came back"
    copy = high.folder / "backup" / gateway_record.QUOTAS
    copy.write_bytes(copy.read_bytes().replace(b"anna", b"otto"))
    with pytest.raises(BackupAlteredError, match="quotas"):
        open_backup(high.side, high.folder / "backup")


def test_what_was_spent_never_goes_back(high: HighSide) -> None:
    spend(high, "anna", 100)
    spend(high, "ben", 5)
    high.backup()
    spend(high, "anna", 50)
    high.restore()
    assert spent(high, "anna") == Spent(requests=2, prompt_tokens=150, completion_tokens=150)
    high.lose("quotas.sqlite")
    spend(high, "anna", 1)
    high.ask_to_restore()
    high.restore()
    assert spent(high, "anna") == Spent(requests=1, prompt_tokens=100, completion_tokens=100)
    assert spent(high, "ben") == Spent(requests=1, prompt_tokens=5, completion_tokens=5)


def test_a_receipt_that_differs_is_refused_and_the_present_one_stays() -> None:
    here, saved = MemoryRecords(), MemoryRecords()
    rings = MemoryRings(lambda: NOW)
    RecordReceipts(here, rings).put("a" * 32, b"here", b"1")
    RecordReceipts(saved, rings).put_all([("a" * 32, b"there", b"2"), ("b" * 32, b"more", b"3")])
    with pytest.raises(ReceiptDiffersError):
        restore_receipts(here, saved, rings.ring())
    with here.transaction() as tx:
        assert dict(tx.scan(RECEIPT)) == {"a" * 32: b"here"}


def test_a_copy_is_whole_while_others_write(tmp_path: Path) -> None:
    source = tmp_path / "receipts.sqlite"
    receipts = RecordReceipts(open_records(f"sqlite:///{source}"), MemoryRings(lambda: NOW))
    begun, stop, written = threading.Event(), threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            number = len(written)
            receipts.put_all([(f"{number:031}{part}", bytes(2000), b"k") for part in "ab"])
            written.append(number)
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(120)
        for at in range(5):
            assert copy_database(source, tmp_path / f"copy-{at}.sqlite")
            copied = open_records(f"sqlite:///{tmp_path / f'copy-{at}.sqlite'}")
            with copied.transaction() as tx:
                found = [name for name, _ in tx.scan(RECEIPT)]
                keys = [name for name, _ in tx.scan(KEY)]
            copied.close()
            assert found == keys
            assert len(found) % 2 == 0, "half of a transaction was copied"
    finally:
        stop.set()
        writer.join()


def test_what_is_no_database_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseCopyError):
        copy_database(tmp_path / "x.sqlite", tmp_path / "y.sqlite")
    assert not (tmp_path / "y.sqlite").exists()
    assert not copy_database(tmp_path / "none.sqlite", tmp_path / "y.sqlite")
