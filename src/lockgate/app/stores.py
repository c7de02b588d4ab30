"""Joining the stores of a side: records and log by their addresses, blobs in a folder or a bucket."""

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from lockgate.app.settings import SettingsError, Side
from lockgate.core.digests import checked
from lockgate.store import BlobStore, FileBlobs, Records, migrate_records, open_records
from lockgate.store.errors import BlobMissingError
from lockgate.store.marks import MarkKeyFile
from lockgate.store.ports import DiscardingBlobs

if TYPE_CHECKING:
    from lockgate.store.objects import ObjectBlobs


MARK_KEY = "store-marks.key"
"""File of the key of a low side's marks, among its keys."""


def _secret(side: Side, name: str) -> Path | None:
    """Return a secret's file; a relative path is one below the home."""
    return side.home.root / name if name else None


def records_url(side: Side) -> str:
    """Return the address of a side's records."""
    return side.settings.store.records or side.home.records_url


def audit_url(side: Side) -> str:
    """Return the address of a side's log."""
    return side.settings.store.audit or side.home.audit_url


def records_of(side: Side) -> Records:
    """Return a side's records."""
    return open_records(records_url(side), _secret(side, side.settings.store.password_file))


def audit_records_of(side: Side) -> Records:
    """Return the records that a side's log is kept in."""
    return open_records(audit_url(side), _secret(side, side.settings.store.password_file))


def migrate_side(side: Side) -> list[tuple[str, str, str]]:
    """Move both databases of a side to the present schema; return name, old and new version of each."""
    password = _secret(side, side.settings.store.password_file)
    addresses = {"records": records_url(side), "audit log": audit_url(side)}
    return [(name, *migrate_records(url, password)) for name, url in addresses.items()]


def blobs_of(side: Side) -> BlobStore:
    """Return a side's blobs: the folder in its home, or the bucket that the settings name.

    Raises:
        SettingsError: The address is not ``s3://bucket/prefix``, or the key or endpoint is missing.
        StoreAddressError: The endpoint or key cannot be used.

    """
    return stored_blobs(side)


def stored_blobs(side: Side) -> DiscardingBlobs:
    """Return a side's blobs for garbage collection, which alone takes any of them back; see `blobs_of`."""
    address = side.settings.store.blobs
    if address:
        return _bucket(side, address)
    # Only sealing reads its own blobs again; the high side hashes what it serves.
    low = side.settings.lane.side == "low"
    return FileBlobs(side.home.blobs, MarkKeyFile(side.home.keys / MARK_KEY) if low else None)


def _bucket(side: Side, address: str) -> "ObjectBlobs":
    store = side.settings.store
    parts = urlsplit(address)
    key_file = _secret(side, store.s3_key_file)
    if parts.scheme != "s3" or not parts.netloc or not store.s3_endpoint or key_file is None:
        what = "store.blobs is s3://bucket/prefix, with store.s3_endpoint and store.s3_key_file beside it."
        raise SettingsError(what, key="store.blobs")
    try:
        from lockgate.store.objects import (  # noqa: PLC0415  # needs the extra `s3`
            ObjectBlobs,
            S3Address,
            s3_store,
        )
    except ModuleNotFoundError as error:
        what = f"The driver for object stores is not installed: {error.name}."
        raise SettingsError(what, advice="Install lockgate with the extra `s3`.") from error
    bucket = S3Address(parts.netloc, parts.path.strip("/"), store.s3_endpoint, store.s3_region, key_file)
    return ObjectBlobs(
        s3_store(bucket),
        side.home.run / "objects",
        spool_bytes=store.spool_bytes,
        copies_bytes=store.copies_bytes,
    )


class FileOf(Protocol):
    """Gives the file of a blob."""

    def path(self, digest: str) -> Path:
        """Return the path of a blob's file, whether or not it is there."""


class BlobFolder:
    """Where the blobs of a folder lie, by digest."""

    def __init__(self, root: Path) -> None:
        """Use a blob store's folder."""
        self._root = root

    def path(self, digest: str) -> Path:
        """Return the path of a blob's file, whether or not it is there."""
        return self._root / checked(digest)[:2] / digest


class BucketFiles:
    """Local copies of a bucket's blobs, hashed while they were written."""

    def __init__(self, blobs: BlobStore) -> None:
        """Use the bucket's blobs."""
        self._blobs = blobs

    def path(self, digest: str) -> Path:
        """Return the path of a blob's copy.

        Raises:
            FileNotFoundError: The bucket does not hold it.

        """
        try:
            return self._blobs.path(digest)
        except BlobMissingError as error:
            raise FileNotFoundError(errno.ENOENT, "not held", digest) from error


def blob_files(side: Side) -> FileOf:
    """Return what gives a server the file of a blob."""
    address = side.settings.store.blobs
    return BucketFiles(_bucket(side, address)) if address else BlobFolder(side.home.blobs)
