"""Where the quotas of keys are written."""

from abc import ABC, abstractmethod
from pathlib import Path

import msgspec

from lockgate.core.errors import about
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.keys import KEYS_LIMIT, replace_file
from lockgate.infer.quotas import Quota

QUOTAS_FORMAT = "lockgate-quotas/1"


class QuotaSource(ABC):
    """The quota of each key."""

    @abstractmethod
    def find(self, key_id: str) -> Quota | None:
        """Return a key's quota; None where it has no bounds."""


class MemoryQuotas(QuotaSource):
    """Quotas in memory: the double of `FileQuotas`."""

    def __init__(self, quotas: dict[str, Quota] | None = None) -> None:
        """Begin with some quotas, by the keys' ids."""
        self._quotas = dict(quotas or {})

    def find(self, key_id: str) -> Quota | None:
        """Return a key's quota."""
        return self._quotas.get(key_id)

    def put(self, key_id: str, quota: Quota | None) -> None:
        """Set a key's quota, or take it away."""
        self._quotas.pop(key_id, None)
        if quota is not None:
            self._quotas[key_id] = quota


class _Quotas(Document, frozen=True):
    format: str
    quotas: dict[str, Quota] = msgspec.field(default_factory=dict)


class FileQuotas(QuotaSource):
    """Quotas in one canonical file (mode 0600); changes by others are seen at once."""

    def __init__(self, path: Path) -> None:
        """Name the file; it may not exist yet."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._quotas: dict[str, Quota] = {}

    def find(self, key_id: str) -> Quota | None:
        """Return a key's quota."""
        return self._current().get(key_id)

    def put(self, key_id: str, quota: Quota | None) -> None:
        """Set a key's quota, or take it away."""
        quotas = dict(self._current())
        quotas.pop(key_id, None)
        if quota is not None:
            quotas[key_id] = quota
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, encode(_Quotas(format=QUOTAS_FORMAT, quotas=quotas)))
        self._seen = None

    def _current(self) -> dict[str, Quota]:
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._seen, self._quotas = None, {}
            return self._quotas
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            data = self._path.read_bytes()
            with about(self._path):
                self._quotas = decode(_Quotas, data, limit=KEYS_LIMIT, name="The file of quotas").quotas
            self._seen = seen
        return self._quotas
