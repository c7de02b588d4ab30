"""What holds for PostgreSQL alone: durability settings, other sessions, lost servers, secrets."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from corpora.servers import Postgres
from lockgate.store import open_records
from lockgate.store.errors import RecordsConflictError, RecordsUnavailableError
from lockgate.store.records import SqlRecords

_numbers = count(1)


@pytest.fixture
def database() -> str:
    return f"alone_{next(_numbers)}"


@pytest.fixture
def records(postgres_server: Postgres, database: str) -> Iterator[SqlRecords]:
    store = SqlRecords(postgres_server.new(database), postgres_server.password_file)
    yield store
    store.close()


def test_what_a_commit_promises_does_not_depend_on_the_servers_defaults(
    postgres_server: Postgres, database: str
) -> None:
    url = postgres_server.new(database)
    with postgres_server.connect(database) as admin:
        admin.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'read committed'")
    store = SqlRecords(url, postgres_server.password_file)
    with store.transaction() as tx:
        show = [
            tx._connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("synchronous_commit", "transaction_isolation", "lock_timeout")
        ]
    assert show == ["on", "serializable", "30s"]
    store.close()


def test_two_transactions_of_one_database_do_not_overlap(
    records: SqlRecords, postgres_server: Postgres
) -> None:
    other = SqlRecords(
        records._engine.url.render_as_string().replace("+psycopg", ""), postgres_server.password_file
    )
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with other.transaction() as tx:
            order.append("second begins")
            assert tx.get("c", "k") == b"first"
            tx.put("c", "k", b"second")

    thread = threading.Thread(target=second)
    thread.start()
    with records.transaction() as tx:
        inside.set()
        tx.put("c", "k", b"first")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with postgres_server.connect() as admin:
            while admin.execute(waiting).fetchone() == (0,):
                pass
        order.append("first ends")
    thread.join()
    with records.transaction() as tx:
        assert tx.get("c", "k") == b"second"
    assert order == ["first ends", "second begins"]
    other.close()


def test_a_session_that_goes_around_the_port_waits_too(
    records: SqlRecords, postgres_server: Postgres, database: str
) -> None:
    with records.transaction() as tx, postgres_server.connect(database) as admin:
        tx.put("c", "k", b"1")
        admin.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            admin.execute("DELETE FROM records")
        assert admin.execute("SELECT count(*) FROM records").fetchone() == (0,)


@pytest.mark.parametrize("refusals", [1, 4, 5])
def test_beginning_is_tried_again_a_bounded_number_of_times(
    records: SqlRecords, refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import Connection

    execute, tried = Connection.exec_driver_sql, []

    def refusing(self, statement, *rest):
        if statement.startswith("LOCK TABLE"):
            tried.append(statement)
            if len(tried) <= refusals:
                raised = "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"
                return execute(self, raised, *rest)
        return execute(self, statement, *rest)

    monkeypatch.setattr(Connection, "exec_driver_sql", refusing)
    if refusals == 5:
        with pytest.raises(RecordsConflictError), records.transaction():
            pytest.fail("the block must not run")
        assert len(tried) == 5
        return
    with records.transaction() as tx:
        tx.put("c", "k", b"1")
    assert len(tried) == refusals + 1


def test_a_server_that_ended_the_session_is_spoken_to_again(
    records: SqlRecords, postgres_server: Postgres, database: str
) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with postgres_server.connect() as admin:
        with pytest.raises(RecordsUnavailableError), records.transaction() as tx:  # noqa: PT012
            tx.put("c", "k", b"1")
            admin.execute(end, (database,))
            tx.put("c", "k", b"2")
        with records.transaction() as tx:
            assert tx.get("c", "k") is None
        admin.execute(end, (database,))
    with records.transaction() as tx:
        tx.put("c", "k", b"3")


def test_a_wrong_password_is_refused_and_never_shown(postgres_server: Postgres, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("another-password\n")
    with pytest.raises(RecordsUnavailableError, match="cannot be opened") as refused:
        open_records(postgres_server.url("postgres"), wrong)
    assert "another-password" not in f"{refused.value} {refused.value.__cause__!r}"
    with pytest.raises(RecordsUnavailableError, match="cannot be opened"):
        open_records(postgres_server.url("no_such_database"), postgres_server.password_file)
