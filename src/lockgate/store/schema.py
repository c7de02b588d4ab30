"""The table of records, its version, and moving a database from one version to the next."""

import io
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from lockgate.store.errors import SchemaOutdatedError, SchemaUnknownError

SCHEMA = "0001"
"""The version that this code reads and writes: the newest file in `migrations/versions`."""

_scripts = Path(__file__).with_name("migrations")
_running = threading.Lock()  # Alembic keeps its running step in module globals


class KeyText(sa.types.TypeDecorator[str]):
    """Keys: text in SQLite, UTF-8 bytes in PostgreSQL. Both order them by their bytes."""

    impl = sa.String(1024)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the database's own type."""
        own: sa.types.TypeEngine[Any] = (
            postgresql.BYTEA() if dialect.name == "postgresql" else sa.String(1024)
        )
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Encode on the way in."""
        return value.encode() if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Decode on the way out."""
        return bytes(value).decode() if value is not None and dialect.name == "postgresql" else value


metadata = sa.MetaData()
records = sa.Table(
    "records",
    metadata,
    sa.Column("collection", sa.String(64), primary_key=True),
    sa.Column("key", KeyText, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
_versions = sa.table("alembic_version", sa.column("version_num", sa.String))


def version(connection: sa.Connection) -> str | None:
    """Return the version of a database's schema; None where there is no table of ours.

    Raises:
        SchemaUnknownError: There is a table of this name that is not ours.

    """
    look = sa.inspect(connection)
    if look.has_table("alembic_version"):
        found: str | None = connection.execute(sa.select(_versions.c.version_num)).scalar_one_or_none()
        return found
    if not look.has_table("records"):
        return None
    if {c["name"] for c in look.get_columns("records")} != set(records.c.keys()):
        raise SchemaUnknownError("The database has a table `records` that Lockgate did not make.")
    return ""


def prepare(connection: sa.Connection) -> None:
    """Bring a database to the present version where that changes no record, or refuse it.

    A new or empty database is made current. One that was made before versions were written down
    holds the same table as version 0001 and is given that number.

    Raises:
        SchemaOutdatedError: An older version that holds records.
        SchemaUnknownError: A newer version, or not ours.

    """
    found = version(connection)
    if found == SCHEMA:
        return
    if found == "":
        _run("stamp", connection, "0001")
        found = "0001"
    if found is None or (found < SCHEMA and _empty(connection)):
        _run("upgrade", connection, SCHEMA)
    elif found < SCHEMA:
        what = f"The schema of the records is {found}; this version needs {SCHEMA}."
        raise SchemaOutdatedError(what)
    elif found > SCHEMA:
        raise _unknown(found)


def migrate(connection: sa.Connection) -> tuple[str, str]:
    """Move a database to the present version, with all its records; return the old and the new one.

    Raises:
        SchemaUnknownError: A newer version, or not ours.

    """
    found = version(connection)
    if found == "":
        _run("stamp", connection, "0001")
    if found is None or found < SCHEMA:
        _run("upgrade", connection, SCHEMA)
    elif found > SCHEMA:
        raise _unknown(found)
    return found or "", SCHEMA


def _unknown(found: str) -> SchemaUnknownError:
    what = f"The schema of the records is {found[:32]}; this version knows {SCHEMA}."
    return SchemaUnknownError(what)


def _empty(connection: sa.Connection) -> bool:
    return connection.execute(sa.text("SELECT 1 FROM records LIMIT 1")).first() is None


def _run(what: str, connection: sa.Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415  # only when a schema is made or changed
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=io.StringIO(), attributes={"connection": connection})
    config.set_main_option("script_location", str(_scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _running:
        getattr(command, what)(config, revision)
