"""What every record store promises, over the double, SQLite and PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corpora.processes import run_all
from corpora.servers import Postgres
from lockgate.store import MemoryRecords, Records, Transaction, open_records
from lockgate.store.errors import (
    RecordExistsError,
    RecordKeyError,
    RecordsUnavailableError,
    StaleRecordError,
)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'records.sqlite'}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def records(
    request: pytest.FixtureRequest, open_again: Callable[[str], Callable[[], Records]]
) -> Iterator[Records]:
    store = MemoryRecords() if request.param == "memory" else open_again(request.param)()
    yield store
    store.close()


def all_of(records: Records, collection: str, prefix: str = "") -> list[tuple[str, bytes]]:
    with records.transaction() as tx:
        return list(tx.scan(collection, prefix))


def test_a_record_is_absent_then_there_then_gone(records: Records) -> None:
    with records.transaction() as tx:
        assert tx.get("c", "k") is None
        tx.put("c", "k", b"1")
        assert tx.get("c", "k") == b"1"
        tx.put("c", "k", b"2")
    with records.transaction() as tx:
        assert tx.get("c", "k") == b"2"
        assert tx.get("other", "k") is None
        tx.delete("c", "k")
        tx.delete("c", "never there")
        assert tx.get("c", "k") is None
    assert all_of(records, "c") == []


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 200_000])
def test_values_are_bytes_of_any_kind(records: Records, value: bytes) -> None:
    with records.transaction() as tx:
        tx.insert("c", "k", value)
    with records.transaction() as tx:
        found = tx.get("c", "k")
        assert (type(found), found) == (bytes, value)
        tx.swap("c", "k", value, b"new")


def test_insert_wants_a_new_record(records: Records) -> None:
    with records.transaction() as tx:
        tx.insert("c", "k", b"1")
        with pytest.raises(RecordExistsError) as refused:
            tx.insert("c", "k", b"2")
        tx.insert("other", "k", b"3")
    assert refused.value.where == {"collection": "c", "key": "k"}
    assert all_of(records, "c") == [("k", b"1")]
    assert all_of(records, "other") == [("k", b"3")]


def test_many_are_inserted_together_or_not_at_all(records: Records) -> None:
    with records.transaction() as tx:
        tx.insert_all([])
        tx.insert_all(("c", f"{at:03d}", str(at).encode()) for at in range(300))
    assert [value for _, value in all_of(records, "c")] == [str(at).encode() for at in range(300)]
    with pytest.raises(RecordExistsError), records.transaction() as tx:
        tx.insert_all([("c", "new", b""), ("c", "007", b""), ("d", "new", b"")])
    with pytest.raises(RecordKeyError), records.transaction() as tx:
        tx.insert_all([("c", "new", b""), ("", "k", b"")])
    for bad in ("k" * 1025, "é" * 513, "\ud800"):
        with pytest.raises(RecordKeyError), records.transaction() as tx:
            tx.insert_all([("c", "new", b""), ("c", bad, b"")])
    with pytest.raises(RecordKeyError), records.transaction() as tx:
        tx.insert_all([("", "k", b""), ("", "l", b"")])
    assert len(all_of(records, "c")) == 300
    assert all_of(records, "d") == []


def test_swap_wants_the_value_that_was_read(records: Records) -> None:
    with records.transaction() as tx:
        tx.swap("c", "k", None, b"1")
        tx.swap("c", "k", b"1", b"2")
        for old in (None, b"1", b"", b"22"):
            with pytest.raises(StaleRecordError):
                tx.swap("c", "k", old, b"3")
        with pytest.raises(StaleRecordError):
            tx.swap("c", "absent", b"1", b"3")
    assert all_of(records, "c") == [("k", b"2")]


def fill(tx: Transaction) -> None:
    tx.put("c", "old", b"changed")
    tx.insert("c", "new", b"1")
    tx.delete("c", "gone")
    tx.swap("c", "swapped", b"before", b"after")


def test_what_no_database_could_hold_is_refused(records: Records) -> None:
    bad = [("c", "k" * 1025), ("c", "é" * 513), ("c", "\ud800"), ("", "k"), ("c" * 65, "k"), ("ç", "k")]
    with records.transaction() as tx:
        for collection, key in bad:
            for use in (tx.get, tx.delete, lambda c, k: list(tx.scan(c, k))):
                with pytest.raises(RecordKeyError):
                    use(collection, key)
            for write in (tx.put, tx.insert, lambda c, k, v: tx.swap(c, k, None, v)):
                with pytest.raises(RecordKeyError):
                    write(collection, key, b"1")
        longest = "c" * 64, "é" * 512
        tx.insert(*longest, b"1")
        assert tx.get(*longest) == b"1"
        assert tx.collections() == ["c" * 64]


def test_collections_are_those_that_hold_a_record(records: Records) -> None:
    with records.transaction() as tx:
        assert tx.collections() == []
        for name in ("b", "a", "b"):
            tx.put(name, name, b"1")
        assert tx.collections() == ["a", "b"]
        tx.delete("a", "a")
        assert tx.collections() == ["b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, RecordExistsError])
def test_a_transaction_that_fails_changes_nothing(records: Records, error: type[BaseException]) -> None:
    with records.transaction() as tx:
        for key in ("old", "gone", "swapped"):
            tx.put("c", key, b"before")
    before = all_of(records, "c")
    with pytest.raises(error), records.transaction() as tx:  # noqa: PT012  # the block is the case
        fill(tx)
        if error is RecordExistsError:
            tx.insert("c", "new", b"2")
        raise error
    assert all_of(records, "c") == before
    with records.transaction() as tx:
        fill(tx)
    assert all_of(records, "c") == [("new", b"1"), ("old", b"changed"), ("swapped", b"after")]


ODD = [
    "",
    " ",
    "%",
    "%%",
    "_",
    "a",
    "A",
    "a%b",
    "a_b",
    "aXb",
    "a/b",
    "a\\b",
    "a'b",
    'a"b',
    "a\0b",
    "a\nb",
    "a;--",
    "é",
    "e\u0301",
    "ß",
    "\uffee",
    "\U0001f511",
    "stable:0",
    "stable:00",
]


def test_a_scan_gives_what_begins_with_the_prefix_in_the_order_of_keys(records: Records) -> None:
    with records.transaction() as tx:
        for n, key in enumerate(ODD):
            tx.put("c", key, b"%d" % n)
            tx.put("c2", key, b"other")
    assert [key for key, _ in all_of(records, "c")] == sorted(ODD)
    assert dict(all_of(records, "c")) == {key: b"%d" % n for n, key in enumerate(ODD)}
    for prefix in [*ODD, "stable:", "STABLE", "b", "a\0", "nothing"]:
        found = [key for key, _ in all_of(records, "c", prefix)]
        assert found == sorted(k for k in ODD if k.startswith(prefix)), prefix
    assert all_of(records, "C") == []


def test_a_scan_goes_on_after_a_key(records: Records) -> None:
    with records.transaction() as tx:
        for key in ODD:
            tx.put("c", key, b"")
            tx.put("c2", key, b"")
    with records.transaction() as tx:
        for after in [*ODD, "never there", "zz"]:
            found = [key for key, _ in tx.scan("c", after=after)]
            assert found == sorted(k for k in ODD if not after or k > after), after
            for prefix in ["a", "stable:", "b"]:
                some = [key for key, _ in tx.scan("c", prefix, after)]
                assert some == [k for k in found if k.startswith(prefix)], (prefix, after)
        with pytest.raises(RecordKeyError):
            list(tx.scan("c", after="x" * 1025))


def test_what_a_scan_gave_may_be_changed_on_the_way(records: Records) -> None:
    with records.transaction() as tx:
        for n in range(300):
            tx.put("c", f"{n:03d}", b"0")
    with records.transaction() as tx:
        for key, value in tx.scan("c"):
            tx.swap("c", key, value, b"1")
            if int(key) % 2:
                tx.delete("c", key)
    assert all_of(records, "c") == [(f"{n:03d}", b"1") for n in range(0, 300, 2)]


def test_transactions_of_many_threads_are_serial(records: Records) -> None:
    wrong: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(15):
                with records.transaction() as tx:
                    old = tx.get("c", "n")
                    tx.swap("c", "n", old, b"%d" % (int(old or 0) + 1))
        except BaseException as error:  # noqa: BLE001  # looked at below
            wrong.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all_of(records, "c") == [("n", b"60")]


def count_up(url: str, password_file: Path | None, times: int) -> None:
    records = open_records(url, password_file)
    for _ in range(times):
        with records.transaction() as tx:
            old = tx.get("c", "n")
            tx.put("c", "n", b"%d" % (int(old or 0) + 1))
    records.close()


def test_processes_that_open_a_new_database_at_once_are_serial_too(tmp_path: Path) -> None:
    assert run_all(count_up, *[(sqlite(tmp_path), None, 10)] * 4) == [0, 0, 0, 0]
    records = open_records(sqlite(tmp_path))
    assert all_of(records, "c") == [("n", b"40")]
    records.close()


def test_processes_that_open_a_new_database_of_a_server_at_once_are_serial_too(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.new("made_at_once")
    assert run_all(count_up, *[(url, postgres_server.password_file, 10)] * 4) == [0, 0, 0, 0]
    records = open_records(url, postgres_server.password_file)
    assert all_of(records, "c") == [("n", b"40")]
    records.close()


def test_what_was_committed_is_there_when_opened_again(tmp_path: Path) -> None:
    first = open_records(sqlite(tmp_path))
    with first.transaction() as tx:
        tx.put("c", "k", b"1")
    first.close()
    second = open_records(sqlite(tmp_path))
    assert all_of(second, "c") == [("k", b"1")]
    second.close()


def test_what_is_no_database_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"not a database, but long enough to be looked at " * 40)
    with pytest.raises(RecordsUnavailableError, match="cannot be opened"):
        open_records(sqlite(tmp_path))
    with pytest.raises(RecordsUnavailableError, match="unable to open"):
        open_records(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'r.sqlite'}")


def test_a_database_that_refuses_a_change_says_so(tmp_path: Path) -> None:
    records = open_records(sqlite(tmp_path))
    with records.transaction() as tx:
        tx._connection.execute("DROP TABLE records")  # type: ignore[attr-defined]  # damage
    with pytest.raises(RecordsUnavailableError, match="refused a change"), records.transaction() as tx:
        tx.put("c", "k", b"1")
    records.close()
