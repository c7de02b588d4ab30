"""The gateway's databases in backups: copied whole while they are used, and merged when they come back."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from lockgate.core.errors import HostError
from lockgate.infer.digestkeys import DigestRings
from lockgate.infer.restoring import restore_quotas, restore_receipts
from lockgate.store import open_records

RECEIPTS, QUOTAS = "receipts.sqlite", "quotas.sqlite"
"""Names of the databases, below the home and in a backup."""

BUSY_SECONDS = 60.0
"""How long a writer may keep the copying of a database waiting."""


class DatabaseCopyError(HostError):
    """A database of the gateway cannot be copied."""

    code = "LG-5fa0"
    advice = "Check the disk, and that the file is a database; then make the backup again."


def copy_database(source: Path, target: Path) -> bool:
    """Copy a database as it is at one moment, while others write it; tell whether there is one.

    SQLite's online backup in one step (sqlite3_backup_step with all pages): it sees one snapshot of a
    database in write-ahead mode. The copy is one file, without a log beside it.

    Raises:
        DatabaseCopyError: SQLite says why.

    """
    if not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        what = f"{source.name} could not be copied: {error}."
        raise DatabaseCopyError(what) from error
    return True


def merge_databases(home: Path, backup: Path, names: frozenset[str], rings: DigestRings) -> dict[str, int]:
    """Bring the gateway's records of a verified backup back; return how many of each database changed.

    Args:
        home: The side's home; a database that is gone is begun anew.
        backup: The backup's folder; its files are only read.
        names: The files that the backup's manifest lists.
        rings: What keys of receipts' digests are encrypted under.

    Raises:
        ReceiptDiffersError: A receipt is there with other bytes.

    """
    changed: dict[str, int] = {}
    for name in (RECEIPTS, QUOTAS):
        if name not in names:
            continue
        with tempfile.TemporaryDirectory(dir=home, prefix=".restore-") as folder:
            copied = Path(shutil.copy(backup / name, folder))
            saved, here = open_records(f"sqlite:///{copied}"), open_records(f"sqlite:///{home / name}")
            try:
                if name == RECEIPTS:
                    changed[name] = restore_receipts(here, saved, rings.ring())
                else:
                    changed[name] = restore_quotas(here, saved)
            finally:
                saved.close()
                here.close()
    return changed
