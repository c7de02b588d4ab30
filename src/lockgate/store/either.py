"""Reading from two stores: what is new lies in quarantine, what was admitted before in the store."""

from lockgate.store.ports import BlobStore


class Either:
    """Reads what one store has, or another one."""

    def __init__(self, first: BlobStore, second: BlobStore) -> None:
        """Look into the first one first."""
        self._first = first
        self._second = second

    def holds(self, digest: str) -> bool:
        """Tell whether one of them has a blob."""
        return self._first.has(digest) or self._second.has(digest)

    def read(self, digest: str, *, limit: int) -> bytes:
        """Return the bytes of a blob, hashed again.

        Raises:
            BlobMissingError: Neither has it.
            BlobTooLargeError: Longer than `limit` bytes.
            BlobMismatchError: The stored bytes were altered.

        """
        store = self._first if self._first.has(digest) else self._second
        return store.read(digest, limit=limit)
