"""Joining receipts: where they are kept, and what the keys of their digests are encrypted under."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from lockgate.app.record.gateway_record import BUSY_SECONDS, RECEIPTS
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import HostError
from lockgate.infer import FileReceipts, FileRings, ReceiptStore, RecordReceipts
from lockgate.infer.digestkeys import DigestRings, new_ring_key, seal_anew
from lockgate.store import Records, open_records

RING = "receipt-keys"
"""Name of the file with the keys, in the home's folder of keys; no backup holds it."""

_STATE, _SEALED = "receipt-key-state", "sealed"


class ReceiptsBusyError(HostError):
    """The database of receipts cannot be written anew, so that old bytes of it may lie on."""

    code = "LG-5fa1"
    advice = "Check the disk's space, stop the gateway where it is very busy, and run the command again."


def digest_rings(side: Side) -> DigestRings:
    """Return where the keys are that encrypt keys of digests."""
    return FileRings(side.home.keys / RING, utc_now)


def receipts_of(side: Side) -> ReceiptStore:
    """Return where receipts are kept; those of earlier versions lie in files."""
    return RecordReceipts(receipt_records(side), digest_rings(side), _older(side))


def seal_bare_keys(side: Side) -> int:
    """Encrypt keys of digests that an earlier version left bare; return how many.

    Once it was done nothing is looked through again. A rotation that was stopped goes on here.

    Raises:
        DigestKeyAlteredError: A key was altered.
        ReceiptsBusyError: The database cannot be written anew.

    """
    with closing(receipt_records(side)) as records:
        ring = digest_rings(side).ring()
        newest = ring.keys[0].id.encode()
        with records.transaction() as tx:
            if tx.get(_STATE, _SEALED) == newest:
                return 0
        done = seal_anew(records, ring) + _older(side).seal_all(ring)
        if done:
            _write_anew(_place(side))
        with records.transaction() as tx:
            tx.put(_STATE, _SEALED, newest)
    return done


def rotate_receipt_key(side: Side) -> int:
    """Let a fresh key encrypt keys of digests, encrypt all of them anew, and forget the older keys.

    Gateways go on meanwhile. Recorded before and after.

    Raises:
        DigestKeyAlteredError: A key was altered.
        ReceiptsBusyError: The database cannot be written anew; the older keys stay until it is.

    """
    log, rings = audit_log(side), digest_rings(side)
    intent = log.intent("receipt-key-rotate")
    seal_bare_keys(side)
    rings.add(new_ring_key(utc_now, secrets.token_bytes))
    done = seal_bare_keys(side)
    dropped = rings.drop_older()
    log.outcome(intent, "done", keys=done, dropped=dropped)
    return done


def _place(side: Side) -> Path:
    return side.home.root / RECEIPTS


def receipt_records(side: Side) -> Records:
    """Return the database of receipts."""
    return open_records(f"sqlite:///{_place(side)}")


def _older(side: Side) -> FileReceipts:
    return FileReceipts(side.home.root / "receipts")


def _write_anew(database: Path) -> None:
    """Have SQLite write a database and its log without what was replaced in it (VACUUM, wal_checkpoint)."""
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as live:
            live.execute("VACUUM")
            busy = live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        what = f"{database.name} cannot be written anew: {error}."
        raise ReceiptsBusyError(what) from error
    if busy:
        what = f"{database.name} is read without a pause, so that its log cannot be emptied."
        raise ReceiptsBusyError(what)
