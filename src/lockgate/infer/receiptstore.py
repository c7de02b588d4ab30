"""Where receipts are kept."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.infer.digestkeys import KEY, DigestRing, DigestRings
from lockgate.infer.keys import replace_file
from lockgate.infer.ports import ReceiptStore
from lockgate.store.errors import RecordExistsError
from lockgate.store.ports import Records

RECEIPT_LIMIT = 1 << 20
"""Largest receipt that is read, in bytes."""


class MemoryReceipts(ReceiptStore):
    """Receipts in memory: the double of `FileReceipts`."""

    def __init__(self) -> None:
        """Begin empty."""
        self._held: dict[str, tuple[bytes, bytes]] = {}

    def put(self, receipt_id: str, data: bytes, key: bytes) -> None:
        """Keep a receipt."""
        if receipt_id in self._held:
            raise FileExistsError(receipt_id)
        self._held[receipt_id] = (data, key)

    def get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Return a receipt and its key."""
        return self._held.get(receipt_id)


class FileReceipts(ReceiptStore):
    """Receipts as files below one folder: ``ab/<id>.json``, and ``ab/<id>.key`` beside it.

    Keys lie as they are given: `seal_all` encrypts those that an earlier version left.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made when the first receipt comes."""
        self._root = root

    def _path(self, receipt_id: str) -> Path:
        return self._root / receipt_id[:2] / f"{receipt_id}.json"

    def put(self, receipt_id: str, data: bytes, key: bytes) -> None:
        """Keep a receipt; its key is written first, so that no receipt lacks one."""
        path = self._path(receipt_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            raise FileExistsError(path.name)
        replace_file(path.with_suffix(".key"), key)
        replace_file(path, data)

    def get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Return a receipt and its key."""
        path = self._path(receipt_id)
        try:
            with path.open("rb") as stream:
                data = stream.read(RECEIPT_LIMIT + 1)
        except FileNotFoundError:
            return None
        try:
            return data, path.with_suffix(".key").read_bytes()
        except FileNotFoundError:
            return data, b""

    def seal_all(self, ring: DigestRing) -> int:
        """Encrypt keys that are bare, or under an older key, under the newest; return how many."""
        done = 0
        for path in sorted(self._root.glob("??/*.key")):
            kept = path.read_bytes()
            if not ring.newest(kept) and (key := ring.open(path.stem, kept)):
                replace_file(path, ring.seal(path.stem, key))
                done += 1
        return done


RECEIPT = "receipt"
"""The collection of receipts; the keys of their digests have one of their own."""


class RecordReceipts(ReceiptStore):
    """Receipts in a database of their own; many are made durable together.

    Args:
        records: The database. Receipts and the keys of their digests lie in two collections, so that a
            key can be erased alone.
        rings: What those keys are encrypted under.
        older: Where receipts of earlier versions lie; they are read only.

    """

    def __init__(self, records: Records, rings: DigestRings, older: ReceiptStore | None = None) -> None:
        """Keep the parts."""
        self._records = records
        self._rings = rings
        self._older = older

    def put(self, receipt_id: str, data: bytes, key: bytes) -> None:
        """Keep a receipt."""
        self.put_all([(receipt_id, data, key)])

    def put_all(self, receipts: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Keep several receipts in one transaction."""
        if not receipts:
            return
        try:
            with self._records.transaction() as tx:
                ring = self._rings.ring()  # within the transaction: a rotation waits for its end
                keys = ring.seal_each([(receipt_id, key) for receipt_id, _, key in receipts])
                sealed = [(KEY, receipt[0], key) for receipt, key in zip(receipts, keys, strict=True)]
                tx.insert_all(sealed + [(RECEIPT, receipt_id, data) for receipt_id, data, _ in receipts])
        except RecordExistsError as error:
            raise FileExistsError(receipts[0][0]) from error

    def get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Return a receipt and its key."""
        with self._records.transaction() as tx:
            data, kept = tx.get(RECEIPT, receipt_id), tx.get(KEY, receipt_id)
            ring = self._rings.ring()
        found = (data, kept or b"") if data is not None else None
        if found is None and self._older is not None:
            found = self._older.get(receipt_id)
        return None if found is None else (found[0], ring.open(receipt_id, found[1]))
