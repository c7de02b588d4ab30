"""Where receipts are kept."""

from collections.abc import Sequence
from pathlib import Path

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
    """Receipts as files below one folder: ``ab/<id>.json``, and ``ab/<id>.key`` beside it."""

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


RECEIPT, KEY = "receipt", "receipt-key"
"""Collections of receipts, and of the keys of their digests."""


class RecordReceipts(ReceiptStore):
    """Receipts in a database of their own; many are made durable together.

    Args:
        records: The database. Receipts and the keys of their digests lie in two collections, so that a
            key can be erased alone.
        older: Where receipts of earlier versions lie; they are read only.

    """

    def __init__(self, records: Records, older: ReceiptStore | None = None) -> None:
        """Keep the parts."""
        self._records = records
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
                tx.insert_all((KEY, receipt_id, key) for receipt_id, _, key in receipts)
                tx.insert_all((RECEIPT, receipt_id, data) for receipt_id, data, _ in receipts)
        except RecordExistsError as error:
            raise FileExistsError(receipts[0][0]) from error

    def get(self, receipt_id: str) -> tuple[bytes, bytes] | None:
        """Return a receipt and its key."""
        with self._records.transaction() as tx:
            data, key = tx.get(RECEIPT, receipt_id), tx.get(KEY, receipt_id)
        if data is None:
            return self._older.get(receipt_id) if self._older is not None else None
        return data, key or b""
