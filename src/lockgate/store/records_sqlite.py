"""One transaction of records in SQLite, over its driver.

Statements are few and fixed, and the driver keeps them compiled: an expression language in between costs ten
times what the database itself takes for a record, which logs and receipts pay for every answer.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain

from lockgate.store.errors import RecordExistsError, StaleRecordError
from lockgate.store.ports import KEY_LIMIT, Transaction, checked_key

PAGE = 256
"""Records that a scan reads at a time."""

_GET = "SELECT value FROM records WHERE collection = ? AND key = ?"
_PUT = (
    "INSERT INTO records (collection, key, value) VALUES (?, ?, ?)"
    " ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value"
)
_INSERT = "INSERT INTO records (collection, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TOGETHER = tuple(  # for 256, 128, … 1 rows: few enough that each stays compiled
    (1 << n, _INSERT.replace("(?, ?, ?)", ", ".join(["(?, ?, ?)"] * (1 << n)))) for n in range(8, -1, -1)
)
_SWAP = "UPDATE records SET value = ? WHERE collection = ? AND key = ? AND value = ?"
_DELETE = "DELETE FROM records WHERE collection = ? AND key = ?"
_FROM = "SELECT key, value FROM records WHERE collection = ? AND key >= ? ORDER BY key LIMIT ?"
_BEHIND = "SELECT key, value FROM records WHERE collection = ? AND key > ? ORDER BY key LIMIT ?"
_COLLECTIONS = "SELECT DISTINCT collection FROM records"


class SqliteTransaction(Transaction):
    """The records within one transaction, which whoever made the connection begins and ends.

    Args:
        connection: It has begun, with the write lock.

    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use the connection."""
        self._connection = connection

    def get(self, collection: str, key: str) -> bytes | None:
        """Return a record's value, or None."""
        checked_key(collection, key)
        row = self._connection.execute(_GET, (collection, key)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, collection: str, key: str, value: bytes) -> None:
        """Write a record, new or not."""
        checked_key(collection, key)
        self._connection.execute(_PUT, (collection, key, bytes(value)))

    def insert(self, collection: str, key: str, value: bytes) -> None:
        """Write a record that must be new."""
        checked_key(collection, key)
        if self._connection.execute(_INSERT, (collection, key, bytes(value))).rowcount != 1:
            raise RecordExistsError("A record is there already.", collection=collection, key=key)

    def insert_all(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """Write records that must not exist yet, many by one statement.

        The driver gives the interpreter's lock back around each step of a statement, and other threads that
        are busy keep it for a while: a statement for each row cost a server more than the database.
        """
        given = list(rows)
        known: str | None = None  # a collection that was looked at
        for collection, key, _ in given:
            if collection != known or not key.isascii() or len(key) > KEY_LIMIT:
                checked_key(collection, key)
                known = collection
        values = list(chain.from_iterable(given))
        at = written = 0
        for count, statement in _TOGETHER:
            while len(given) - at >= count:
                bound = values[3 * at : 3 * (at + count)]
                written += self._connection.execute(statement, bound).rowcount
                at += count
        if written != len(given):
            raise RecordExistsError("One of several records is there already.")

    def swap(self, collection: str, key: str, old: bytes | None, new: bytes) -> None:
        """Replace a record only if it still has the value `old`."""
        if old is None:
            if self.get(collection, key) is not None:
                raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)
            self.insert(collection, key, new)
            return
        checked_key(collection, key)
        changed = self._connection.execute(_SWAP, (bytes(new), collection, key, bytes(old)))
        if changed.rowcount != 1:
            raise StaleRecordError("A record changed meanwhile.", collection=collection, key=key)

    def delete(self, collection: str, key: str) -> None:
        """Remove a record; absent ones are no fault."""
        checked_key(collection, key)
        self._connection.execute(_DELETE, (collection, key))

    def scan(self, collection: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, bytes]]:
        """Yield the records whose keys begin with a prefix, in the order of their UTF-8 bytes."""
        checked_key(collection, prefix)
        checked_key(collection, after)
        begin = (_BEHIND, after) if after and after >= prefix else (_FROM, prefix)
        page = self._connection.execute(begin[0], (collection, begin[1], PAGE)).fetchall()
        while page:
            for key, value in page:
                if not key.startswith(prefix):
                    return
                yield key, bytes(value)
            page = self._connection.execute(_BEHIND, (collection, page[-1][0], PAGE)).fetchall()

    def collections(self) -> list[str]:
        """Return the names of all collections that hold a record, sorted."""
        return sorted(name for (name,) in self._connection.execute(_COLLECTIONS))
