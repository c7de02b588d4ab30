"""Records in a SQL database: SQLite (WAL) here, PostgreSQL past one machine.

SQLAlchemy connects, pools and makes the table, and speaks to PostgreSQL; statements for SQLite go straight to
its driver (`records_sqlite.py`).

Transactions are serial on both: SQLite begins each one with the write lock, PostgreSQL with a lock
on the table, taken before the transaction's snapshot is. So a block never has to run twice, and
only the beginning is tried again.
"""

import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from lockgate.store.address import database
from lockgate.store.errors import (
    RecordExistsError,
    RecordsConflictError,
    RecordsUnavailableError,
    StaleRecordError,
    StoreAddressError,
    damaged,
)
from lockgate.store.ports import Records, Transaction, checked_key
from lockgate.store.records_sqlite import SqliteTransaction
from lockgate.store.schema import migrate, prepare, records

BUSY_SECONDS = 30
"""How long a writer waits for another one."""
IDLE_SECONDS = 600
"""How long a transaction may do nothing before PostgreSQL ends it."""
BEGIN_ATTEMPTS = 5
"""How often a transaction is begun that the database refuses because of another one."""
PAGE = 256
"""Records that a scan reads at a time."""

_CONFLICTS = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_MAKING = 0x4C474D4B  # names the advisory lock under which a schema is made or changed


class _SqlTransaction(Transaction):
    """One transaction of PostgreSQL."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @staticmethod
    def _at(collection: str, key: str) -> sa.ColumnElement[bool]:
        checked_key(collection, key)
        return (records.c.collection == collection) & (records.c.key == key)

    def get(self, collection: str, key: str) -> bytes | None:
        query = sa.select(records.c.value).where(self._at(collection, key))
        value = self._connection.execute(query).scalar_one_or_none()
        return None if value is None else bytes(value)

    def put(self, collection: str, key: str, value: bytes) -> None:
        change = sa.update(records).where(self._at(collection, key)).values(value=value)
        if self._connection.execute(change).rowcount == 0:
            self.insert(collection, key, value)

    def insert(self, collection: str, key: str, value: bytes) -> None:
        checked_key(collection, key)
        row = postgresql.insert(records).values(collection=collection, key=key, value=value)
        # An error would end PostgreSQL's transaction; doing nothing does not.
        done = self._connection.execute(row.on_conflict_do_nothing().returning(records.c.collection))
        if done.first() is None:
            raise RecordExistsError("A record is there already.", collection=collection, key=key)

    def insert_all(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        given: list[dict[str, Any]] = [{"collection": c, "key": k, "value": v} for c, k, v in rows]
        for row in given:
            checked_key(row["collection"], row["key"])
        if not given:
            return
        insert = postgresql.insert(records).on_conflict_do_nothing().returning(records.c.key)
        if len(self._connection.execute(insert, given).all()) != len(given):
            raise RecordExistsError("One of several records is there already.")

    def swap(self, collection: str, key: str, old: bytes | None, new: bytes) -> None:
        if old is None:
            if self.get(collection, key) is not None:
                raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)
            self.insert(collection, key, new)
            return
        same = self._at(collection, key) & (records.c.value == old)
        if self._connection.execute(sa.update(records).where(same).values(value=new)).rowcount == 0:
            raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)

    def delete(self, collection: str, key: str) -> None:
        self._connection.execute(sa.delete(records).where(self._at(collection, key)))

    def scan(self, collection: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, bytes]]:
        checked_key(collection, prefix)
        checked_key(collection, after)
        query = (
            sa.select(records.c.key, records.c.value)
            .where(records.c.collection == collection)
            .order_by(records.c.key)
            .limit(PAGE)
        )
        begin = records.c.key > after if after and after >= prefix else records.c.key >= prefix
        page = self._connection.execute(query.where(begin)).all()
        while page:
            for key, value in page:
                if not key.startswith(prefix):
                    return
                yield key, bytes(value)
            page = self._connection.execute(query.where(records.c.key > page[-1].key)).all()

    def collections(self) -> list[str]:
        query = sa.select(records.c.collection).distinct()
        return sorted(self._connection.execute(query).scalars())


class SqlRecords(Records):
    """Records behind a database address: ``sqlite:///…/records.sqlite`` or ``postgresql://…``."""

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        """Connect, make the table when the database is new, and demand the present schema.

        Args:
            url: The address, without a password.
            password_file: Holds the password of the address's user, in one line.

        Raises:
            StoreAddressError: The address is not one that can be used.
            SchemaOutdatedError, SchemaUnknownError: The schema is another version's.
            RecordsUnavailableError: The database cannot be opened.

        """
        self._engine = _engine(url, password_file)
        weakref.finalize(self, self._engine.dispose)  # for who forgets to close
        try:
            with _making(self._engine) as connection:
                prepare(connection)
        except DBAPIError as error:
            what = f"The records cannot be opened: {_said(error)}"
            raise damaged(what, self._address) from error

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction; it commits when the block ends without an error.

        Raises:
            RecordsConflictError: The database gave it up in favour of another one.
            RecordsUnavailableError: The database refused a change or is gone.

        """
        try:
            if self._engine.dialect.name == "sqlite":
                with self._begun_sqlite() as own:
                    yield SqliteTransaction(own)
            else:
                with self._begun() as connection:
                    yield _SqlTransaction(connection)
        except (DBAPIError, sqlite3.Error) as error:
            if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS:
                what = f"The records were changed by another session: {_said(error)}"
                raise RecordsConflictError(what) from error
            what = f"The records refused a change: {_said(error)}"
            raise damaged(what, self._address) from error

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        """Begin a transaction that holds the lock; what fails before anything was done is tried again."""
        attempt = 1
        while True:
            with self._engine.connect() as connection, connection.begin():
                try:
                    connection.exec_driver_sql("LOCK TABLE records IN SHARE ROW EXCLUSIVE MODE")
                except DBAPIError as error:
                    state = getattr(error.orig, "sqlstate", None)
                    if state not in _CONFLICTS or attempt == BEGIN_ATTEMPTS:
                        raise
                    attempt += 1
                    continue
                yield connection
                return

    @contextmanager
    def _begun_sqlite(self) -> Iterator[sqlite3.Connection]:
        """Begin a transaction that holds SQLite's write lock, on a connection of the pool."""
        pooled = self._engine.raw_connection()
        try:
            own = cast("sqlite3.Connection", pooled.driver_connection)
            own.execute("BEGIN IMMEDIATE")
            try:
                yield own
                own.execute("COMMIT")
            except BaseException:
                if own.in_transaction:  # some errors of the disk end it by themselves
                    own.execute("ROLLBACK")
                raise
        finally:
            pooled.close()

    @property
    def _address(self) -> str:
        """Return where the database is: its file, or its address without a password."""
        url = self._engine.url
        file = url.database if self._engine.dialect.name == "sqlite" else None
        return file or url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def migrate_database(url: str, password_file: Path | None = None) -> tuple[str, str]:
    """Move a database to the present schema, in one transaction; return the old and the new version.

    Raises:
        StoreAddressError, SchemaUnknownError, RecordsUnavailableError: See `SqlRecords`.

    """
    engine = _engine(url, password_file)
    try:
        with _making(engine) as connection:
            return migrate(connection)
    except DBAPIError as error:
        what = f"The records cannot be migrated: {_said(error)}"
        raise RecordsUnavailableError(what) from error
    finally:
        engine.dispose()


def _engine(url: str, password_file: Path | None) -> sa.Engine:
    address, arguments = database(url, password_file)
    try:
        if address.startswith("sqlite"):
            engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS})
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_immediate)
            return engine
        options = (
            f"-c synchronous_commit=on -c lock_timeout={BUSY_SECONDS}s"
            f" -c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
        )
        arguments["options"] = options
        return sa.create_engine(
            address, connect_args=arguments, isolation_level="SERIALIZABLE", pool_pre_ping=True
        )
    except ModuleNotFoundError as error:
        what = f"The driver for this database is not installed: {error.name}."
        raise StoreAddressError(what, advice="Install lockgate with the extra `postgres`.") from error
    except sa.exc.ArgumentError as error:
        raise StoreAddressError("The address of the database cannot be read.") from error


@contextmanager
def _making(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Begin a transaction in which a schema may be made: one process at a time."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING})")
        yield connection


def _said(error: DBAPIError | sqlite3.Error) -> str:
    text = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    return text if text.endswith(".") else f"{text}."


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
