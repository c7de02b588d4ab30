"""Bytes by SHA-256 and records, behind two small ports."""

from lockgate.store.blobs import FileBlobs
from lockgate.store.memory import MemoryBlobs, MemoryRecords
from lockgate.store.ports import BlobStore, Records, Transaction

__all__ = ["BlobStore", "FileBlobs", "MemoryBlobs", "MemoryRecords", "Records", "Transaction", "open_records"]


def open_records(url: str) -> Records:
    """Return the records behind a database address (SQLAlchemy is loaded only now)."""
    from lockgate.store.records import SqlRecords  # noqa: PLC0415  # heavy; keep --help fast

    return SqlRecords(url)
