"""Records in a SQL database through SQLAlchemy Core: SQLite (WAL) here, PostgreSQL past one machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from lockgate.store.errors import RecordExistsError, RecordsUnavailableError, StaleRecordError
from lockgate.store.ports import Records, Transaction

_metadata = sa.MetaData()
_records = sa.Table(
    "records",
    _metadata,
    sa.Column("collection", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(1024), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
BUSY_SECONDS = 30
"""How long a writer waits for another one."""


class _SqlTransaction(Transaction):
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @staticmethod
    def _at(collection: str, key: str) -> sa.ColumnElement[bool]:
        return (_records.c.collection == collection) & (_records.c.key == key)

    def get(self, collection: str, key: str) -> bytes | None:
        query = sa.select(_records.c.value).where(self._at(collection, key))
        value = self._connection.execute(query).scalar_one_or_none()
        return None if value is None else bytes(value)

    def put(self, collection: str, key: str, value: bytes) -> None:
        change = sa.update(_records).where(self._at(collection, key)).values(value=value)
        if self._connection.execute(change).rowcount == 0:
            self.insert(collection, key, value)

    def insert(self, collection: str, key: str, value: bytes) -> None:
        row = {"collection": collection, "key": key, "value": value}
        try:
            self._connection.execute(sa.insert(_records), row)
        except IntegrityError as error:
            raise RecordExistsError("A record is there already.", collection=collection, key=key) from error

    def swap(self, collection: str, key: str, old: bytes | None, new: bytes) -> None:
        if old is None:
            if self.get(collection, key) is not None:
                raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)
            self.insert(collection, key, new)
            return
        same = self._at(collection, key) & (_records.c.value == old)
        if self._connection.execute(sa.update(_records).where(same).values(value=new)).rowcount == 0:
            raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)

    def delete(self, collection: str, key: str) -> None:
        self._connection.execute(sa.delete(_records).where(self._at(collection, key)))

    def scan(self, collection: str, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        begins = _records.c.key.startswith(prefix, autoescape=True)
        query = (
            sa.select(_records.c.key, _records.c.value)
            .where((_records.c.collection == collection) & begins)
            .order_by(_records.c.key)
        )
        for key, value in self._connection.execute(query):
            if key.startswith(prefix):  # SQL's LIKE may ignore case
                yield key, bytes(value)


class SqlRecords(Records):
    """Records behind a database address such as ``sqlite:///…/records.sqlite``."""

    def __init__(self, url: str) -> None:
        """Connect and make the table when it is missing.

        Raises:
            RecordsUnavailableError: The database cannot be opened.

        """
        connect = {"timeout": BUSY_SECONDS} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=connect)
        if url.startswith("sqlite"):
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        try:
            _metadata.create_all(self._engine)
        except DBAPIError as error:
            what = f"The records cannot be opened: {error.orig}."
            raise RecordsUnavailableError(what) from error

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction; it commits when the block ends without an error."""
        try:
            with self._engine.begin() as connection:
                yield _SqlTransaction(connection)
        except DBAPIError as error:
            what = f"The records refused a change: {error.orig}."
            raise RecordsUnavailableError(what) from error

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
