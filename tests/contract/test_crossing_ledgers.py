"""Both ledgers over every record store, and supply roots over every keeper: the same behaviour."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from crossing_lane import NOW
from lockgate.core.receipt import Ending, Receipt
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.crossing import (
    FileSupplyRoots,
    MemorySupplyRoots,
    RecordLedger,
    RecordSealLedger,
    Sent,
    Standing,
    SupplyRoots,
    mark,
)
from lockgate.crossing.errors import CrossingStateError, ReceiptConflictError, ReceiptReplayedError
from lockgate.crossing.ports import Held, Recorded, Slot
from lockgate.store import MemoryRecords, Records, open_records
from lockgate.store.errors import RecordExistsError

ONE, TWO = "1" * 64, "2" * 64
TUF = {name: name.encode() for name in ("timestamp.json", "snapshot.json", "targets.json")}


@pytest.fixture(params=["memory", "sqlite"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    held: Records = (
        MemoryRecords() if request.param == "memory" else open_records(f"sqlite:///{tmp_path / 'r.sqlite'}")
    )
    yield held
    held.close()


@pytest.fixture(params=["memory", "folder"])
def roots(request: pytest.FixtureRequest, tmp_path: Path) -> SupplyRoots:
    if request.param == "memory":
        return MemorySupplyRoots(b"first")
    (tmp_path / "1.root.json").write_bytes(b"first")
    (tmp_path / "site.dsse.json").write_bytes(b"another document")
    return FileSupplyRoots(tmp_path)


def entry(sequence: int, digest: str, state: CrossingState = CrossingState.RECORDED) -> LedgerEntry:
    return LedgerEntry(sequence=sequence, crate_sha256=digest, state=state, previous_sha256="0" * 64)


def recorded(sequence: int, digest: str) -> Recorded:
    return Recorded(sequence=sequence, crate_sha256=digest, recorded=NOW)


def test_numbers_are_consumed_once(records: Records) -> None:
    ledger = RecordLedger(records)
    assert ledger.entries() == {}
    ledger.record([entry(1, ONE)], recorded(1, ONE), NOW)
    with pytest.raises(RecordExistsError):
        ledger.record([entry(2, TWO), entry(1, TWO)], recorded(2, TWO), NOW)
    assert ledger.entries() == {1: entry(1, ONE)}
    assert ledger.recorded(1) == recorded(1, ONE)
    assert ledger.recorded(2) is None


def test_the_floor_only_rises(records: Records) -> None:
    ledger = RecordLedger(records)
    assert ledger.floor() is None
    ledger.record([entry(1, ONE)], recorded(1, ONE), NOW)
    ledger.record([entry(2, TWO)], recorded(2, TWO), NOW - timedelta(days=1))
    assert ledger.floor() == NOW
    ledger.record([entry(3, ONE)], recorded(3, ONE), NOW + timedelta(days=1))
    assert ledger.floor() == NOW + timedelta(days=1)


def test_metadata_is_promoted_with_the_state(records: Records) -> None:
    ledger = RecordLedger(records)
    held = Held(sequence=1, crate_sha256=ONE, meta={"meta/lock.json": TWO})
    with pytest.raises(CrossingStateError):
        ledger.quarantined(held, TUF)
    assert ledger.tuf() == {}
    assert ledger.held(1) is None
    ledger.record([entry(1, ONE)], recorded(1, ONE), NOW)
    with pytest.raises(KeyError):
        ledger.quarantined(held, {"timestamp.json": b""})
    assert ledger.entries()[1].state is CrossingState.RECORDED
    ledger.quarantined(held, TUF)
    assert ledger.tuf() == TUF
    assert ledger.held(1) == held
    assert ledger.entries()[1].state is CrossingState.QUARANTINED


def test_a_final_state_stays(records: Records) -> None:
    RecordLedger(records).record([entry(1, ONE)], recorded(1, ONE), NOW)
    with records.transaction() as tx:
        mark(tx, 1, CrossingState.INSPECTED)
        mark(tx, 1, CrossingState.REJECTED)
        mark(tx, 1, CrossingState.REJECTED)
    with pytest.raises(CrossingStateError), records.transaction() as tx:
        mark(tx, 1, CrossingState.PUBLISHED)
    assert RecordLedger(records).entries()[1].state is CrossingState.REJECTED


def test_a_number_that_was_not_used_is_used_again(records: Records) -> None:
    ledger = RecordSealLedger(records)
    first = Slot(sequence=1, previous_sha256="0" * 64, void={})
    assert ledger.peek() == first
    assert ledger.begin() == first
    assert ledger.sealed(1) is None
    assert ledger.begin() == first
    ledger.finish(1, ONE, TUF)
    assert ledger.sealed(1) == ONE
    assert ledger.begin() == Slot(sequence=2, previous_sha256=ONE, void={})


def test_a_used_number_is_bound_for_ever(records: Records) -> None:
    ledger = RecordSealLedger(records)
    with pytest.raises(CrossingStateError):
        ledger.finish(1, ONE, TUF)
    ledger.begin()
    ledger.finish(1, ONE, TUF)
    with pytest.raises(CrossingStateError):
        ledger.finish(1, TWO, TUF)
    assert ledger.sealed(1) == ONE


def test_void_numbers_are_listed_until_a_crate_follows(records: Records) -> None:
    ledger = RecordSealLedger(records)
    for number, digest in ((1, ONE), (2, TWO)):
        ledger.begin()
        ledger.finish(number, digest, TUF)
    for refused in (1, 3):
        with pytest.raises(CrossingStateError):
            ledger.declare_void(refused)
    ledger.declare_void(2)
    with pytest.raises(CrossingStateError):
        ledger.declare_void(2)
    assert ledger.sealed(2) == TWO
    assert ledger.peek() == Slot(sequence=3, previous_sha256=TWO, void={"2": TWO})
    ledger.declare_void(1)
    assert ledger.begin().void == {"1": ONE, "2": TWO}
    ledger.finish(3, ONE, TUF)
    assert ledger.peek() == Slot(sequence=4, previous_sha256=ONE, void={})


def receipt(crossing: int, digest: str, ending: Ending = Ending.PUBLISHED, log: int = 0) -> Receipt:
    snapshot = "5" * 64 if ending is Ending.PUBLISHED else "0" * 64
    root = "a" * 64 if log else "0" * 64
    return Receipt(
        lane="test",
        crossing=crossing,
        crate_sha256=digest,
        ending=ending,
        snapshot_sha256=snapshot,
        log_size=log,
        log_root=root,
    )


def sealed(records: Records, *digests: str) -> RecordSealLedger:
    ledger = RecordSealLedger(records)
    for number, digest in enumerate(digests, 1):
        ledger.begin()
        ledger.finish(number, digest, TUF)
    return ledger


def test_a_receipt_settles_a_crossing_for_good(records: Records) -> None:
    ledger = sealed(records, ONE, TWO)
    ledger.begin()
    waiting = {n: Sent(sequence=n, crate_sha256=d) for n, d in ((1, ONE), (2, TWO))}
    assert ledger.sent() == waiting
    told = ledger.acknowledge(receipt(2, TWO))
    assert (told.standing, told.snapshot_sha256) == (Standing.ACKNOWLEDGED, "5" * 64)
    assert ledger.sent() == {1: waiting[1], 2: told}
    with pytest.raises(ReceiptReplayedError):
        ledger.acknowledge(receipt(2, TWO))
    for other in (Ending.REJECTED, Ending.INCOMPLETE, Ending.VOID):
        with pytest.raises(ReceiptConflictError):
            ledger.acknowledge(receipt(2, TWO, other))
    assert ledger.acknowledge(receipt(1, ONE, Ending.REJECTED)).standing is Standing.REJECTED
    assert [s.standing for s in ledger.sent().values()] == [Standing.REJECTED, Standing.ACKNOWLEDGED]


def test_a_receipt_for_what_was_not_sealed_changes_nothing(records: Records) -> None:
    ledger = sealed(records, ONE)
    ledger.begin()
    for foreign in (receipt(1, TWO), receipt(2, "0" * 64), receipt(3, ONE)):
        with pytest.raises(ReceiptConflictError):
            ledger.acknowledge(foreign)
    assert ledger.sent() == {1: Sent(sequence=1, crate_sha256=ONE)}


def test_what_arrived_is_not_given_up_and_what_was_given_up_did_not_arrive(records: Records) -> None:
    ledger = sealed(records, ONE, TWO)
    ledger.declare_void(2)
    for ending in (Ending.PUBLISHED, Ending.REJECTED):
        with pytest.raises(ReceiptConflictError, match="given up"):
            ledger.acknowledge(receipt(2, TWO, ending))
    assert ledger.acknowledge(receipt(2, TWO, Ending.VOID)).standing is Standing.LOST
    ledger.acknowledge(receipt(1, ONE))
    with pytest.raises(CrossingStateError, match="acknowledged"):
        ledger.declare_void(1)
    assert ledger.sent()[2].void


def test_receipts_that_show_two_logs_of_one_size_are_refused(records: Records) -> None:
    ledger = sealed(records, ONE, TWO)
    ledger.acknowledge(receipt(1, ONE, log=7))
    forked = structs.replace(receipt(2, TWO, log=7), log_root="b" * 64)
    with pytest.raises(ReceiptConflictError, match="two logs"):
        ledger.acknowledge(forked)
    assert ledger.acknowledge(receipt(2, TWO, log=7)).log_size == 7


def test_roots_come_back_in_the_order_of_their_versions(roots: SupplyRoots) -> None:
    for version in range(2, 12):
        roots.add(version, str(version).encode())
    assert roots.versions() == [b"first", *(str(v).encode() for v in range(2, 12))]
