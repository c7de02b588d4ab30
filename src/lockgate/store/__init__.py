"""Bytes by SHA-256 and records, behind two small ports."""

from pathlib import Path

from lockgate.store.blobs import FileBlobs
from lockgate.store.memory import MemoryBlobs, MemoryRecords
from lockgate.store.ports import BlobStore, Records, Transaction

__all__ = [
    "BlobStore",
    "FileBlobs",
    "MemoryBlobs",
    "MemoryRecords",
    "Records",
    "Transaction",
    "migrate_records",
    "open_records",
]


def open_records(url: str, password_file: Path | None = None) -> Records:
    """Return the records behind a database address (SQLAlchemy is loaded only now)."""
    from lockgate.store.records import SqlRecords  # noqa: PLC0415  # heavy; keep --help fast

    return SqlRecords(url, password_file)


def migrate_records(url: str, password_file: Path | None = None) -> tuple[str, str]:
    """Move a database to the present schema; return the old and the new version."""
    from lockgate.store.records import migrate_database  # noqa: PLC0415  # the same

    return migrate_database(url, password_file)
