"""One log that several threads and processes write, over every record store."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.processes import run_all
from lockgate.audit import AuditLog, check_proof
from lockgate.audit.errors import AuditUnavailableError, NoSuchLeafError
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.roots import Purpose
from lockgate.store import MemoryRecords, Records, open_records
from lockgate.trust.keys import new_signer

ORIGIN = "lockgate/test/high"


def open_log(records: Records) -> AuditLog:
    return AuditLog(records, ORIGIN, lambda: datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def records(
    request: pytest.FixtureRequest, open_again: Callable[[str], Callable[[], Records]]
) -> Iterator[Records]:
    store = MemoryRecords() if request.param == "memory" else open_again(request.param)()
    yield store
    store.close()


def demand_all(log: AuditLog, writers: int, each: int) -> None:
    """Demand that every writer's events are there, in that writer's order, in a log that verifies."""
    assert log.verify() == log.checkpoint()
    assert log.size() == writers * each
    events = [event["facts"] for _, event in log.events()]
    for writer in range(writers):
        assert [f["n"] for f in events if f["writer"] == writer] == list(range(each))
    signer = new_signer(Purpose.LOG, "log")
    for index in (0, log.size() // 2, log.size() - 1):
        assert check_proof(log.prove(index, signer), ORIGIN, signer.public).size == log.size()


def write(log: AuditLog, writer: int, each: int) -> list[int]:
    return [log.intent("write", writer=writer, n=n) for n in range(each)]


def test_threads_share_one_log(records: Records) -> None:
    log = open_log(records)
    indices: list[int] = []
    threads = [threading.Thread(target=lambda w=w: indices.extend(write(log, w, 12))) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(indices) == list(range(48))
    demand_all(log, 4, 12)


def write_apart(url: str, writer: int, each: int) -> None:
    records = open_records(url)
    write(open_log(records), writer, each)
    records.close()


def test_processes_share_one_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'audit.sqlite'}"
    assert run_all(write_apart, *[(url, writer, 15) for writer in range(3)]) == [0, 0, 0]
    records = open_records(url)
    demand_all(open_log(records), 3, 15)
    records.close()


def test_an_empty_log_holds_and_has_no_leaves(records: Records) -> None:
    log = open_log(records)
    assert log.verify() == log.checkpoint()
    assert (log.size(), log.events(), log.consistency(0)) == (0, [], [])
    for index in (0, -1, 1):
        with pytest.raises(NoSuchLeafError):
            log.event(index)
    with pytest.raises(NoSuchLeafError):
        log.consistency(-1)


def test_an_event_that_could_not_be_read_again_is_not_written(records: Records) -> None:
    log = open_log(records)
    with pytest.raises(MalformedDocumentError, match="fraction"):
        log.intent("measure", seconds=1.5)
    assert log.size() == 0
    assert log.intent("measure", milliseconds=1500) == 0
    demand = log.verify()
    assert demand.size == 1


def test_a_failed_append_leaves_the_log_whole(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(records)
    write(log, 0, 3)
    before = log.checkpoint()
    original = records.transaction

    def broken():
        manager = original()

        class Fails:
            def __enter__(self):
                tx = manager.__enter__()
                monkeypatch.setattr(
                    tx, "put", lambda *_: (_ for _ in ()).throw(OSError("full")), raising=False
                )
                return tx

            def __exit__(self, *exception):
                return manager.__exit__(*exception)

        return Fails()

    with monkeypatch.context() as patch:
        patch.setattr(records, "transaction", broken)
        with pytest.raises(AuditUnavailableError, match="full"):
            log.append({"n": 4})
    assert log.verify() == before
    assert log.append({"n": 4}) == 3


def test_logs_that_take_turns_at_one_store_go_on_from_each_other(records: Records) -> None:
    logs = [open_log(records) for _ in range(3)]
    for n in range(40):
        assert logs[n * n % 3].append({"n": n}) == n
    assert logs[0].verify().size == 40


def test_a_log_that_was_put_back_meanwhile_is_gone_on_with_as_it_is(records: Records) -> None:
    def append(log: AuditLog, *names: str) -> None:
        for name in names:
            log.append({"name": name})

    log, others = open_log(records), MemoryRecords()
    append(log, "a", "b", "c", "d", "e", "f", "g")
    append(open_log(others), "a", "b", "c", "D", "E", "F", "G")
    with records.transaction() as tx, others.transaction() as older:
        for collection in older.collections():
            for key, value in older.scan(collection):
                tx.put(collection, key, value)
    append(log, "h")
    assert log.verify().size == 8
    assert [event["name"] for _, event in log.events()] == ["a", "b", "c", "D", "E", "F", "G", "h"]
