"""Uploads in progress: sessions that take bytes in order, hash them, and end by themselves."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from lockgate.mirror.errors import PushDigestError, PushLimitError, UploadOrderError, UploadUnknownError

ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class PushLimits:
    """Bounds on what clients can push; sizes in bytes, times in seconds.

    `total_bytes` counts everything that open namespaces hold and what is on its way there; `tags`
    and `manifests` count those of one repository.
    """

    blob_bytes: int = 1 << 36
    total_bytes: int = 1 << 38
    sessions: int = 256
    session_seconds: float = 3600.0
    repositories: int = 10_000
    tags: int = 100_000
    manifests: int = 100_000


@dataclass(slots=True)
class Upload:
    """One session: the bytes that came so far lie in `file`."""

    name: str
    repository: str
    file: Path
    touched: float
    size: int = 0
    busy: bool = False
    hashes: dict[str, "hashlib._Hash"] = field(
        default_factory=lambda: {algorithm: hashlib.new(algorithm) for algorithm in ALGORITHMS}
    )

    def digest(self, algorithm: str) -> str:
        """Return the digest of the bytes that came so far."""
        return f"{algorithm}:{self.hashes[algorithm].hexdigest()}"


class Uploads:
    """The sessions of one server; they end with it.

    Args:
        folder: Where partial content lies; what an earlier server left there is removed.
        elapsed: Seconds on a clock that never goes back.
        limits: Bounds.
        held: Bytes that are held already.

    """

    def __init__(
        self, folder: Path, elapsed: Callable[[], float], limits: PushLimits, held: Callable[[], int]
    ) -> None:
        """Start with no session."""
        self._folder = folder
        self._elapsed = elapsed
        self._limits = limits
        self._held = held
        self._lock = Lock()
        self._open: dict[str, Upload] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    def start(self, repository: str) -> Upload:
        """Open a session.

        Raises:
            PushLimitError: Too many are open.

        """
        with self._lock:
            self._expire()
            if len(self._open) >= self._limits.sessions:
                what = f"{self._limits.sessions} uploads are in progress; no more are taken."
                raise PushLimitError(what, limit="sessions")
            name = secrets.token_hex(16)
            upload = Upload(name, repository, self._folder / name, self._elapsed())
            upload.file.touch(mode=0o600)
            self._open[name] = upload
        return upload

    def find(self, repository: str, name: str) -> Upload:
        """Return a session of a repository.

        Raises:
            UploadUnknownError: There is none.

        """
        with self._lock:
            self._expire()
            upload = self._open.get(name)
        if upload is None or upload.repository != repository:
            raise UploadUnknownError("No such upload is in progress.")
        return upload

    @contextmanager
    def writing(self, upload: Upload, start: int | None) -> Iterator[BinaryIO]:
        """Take the next bytes of a session; nobody else writes to it meanwhile.

        Args:
            upload: The session.
            start: Where the client believes that the bytes belong; `None` where it does not say.

        Raises:
            UploadOrderError: They belong elsewhere, or another part is being written.

        """
        with self._lock:
            if upload.busy or (start is not None and start != upload.size):
                what = f"The upload goes on at byte {upload.size}."
                raise UploadOrderError(what, size=upload.size)
            upload.busy = True
        try:
            with upload.file.open("ab") as file:
                yield file
        finally:
            upload.busy = False
            upload.touched = self._elapsed()

    def write(self, upload: Upload, file: BinaryIO, data: bytes) -> None:
        """Add bytes to the session that is being written.

        Raises:
            PushLimitError: More than a blob, or all of them together, may have.

        """
        size = upload.size + len(data)
        if size > self._limits.blob_bytes:
            what = f"A blob is longer than {self._limits.blob_bytes} bytes."
            raise PushLimitError(what, limit="blob_bytes")
        if self._held() + self._pending() + len(data) > self._limits.total_bytes:
            what = f"Internal namespaces hold at most {self._limits.total_bytes} bytes."
            raise PushLimitError(what, limit="total_bytes")
        file.write(data)
        for state in upload.hashes.values():
            state.update(data)
        upload.size = size
        upload.touched = self._elapsed()

    def demand(self, upload: Upload, digest: str) -> None:
        """Demand that the session's bytes have a digest; where they have not, the session ends.

        Raises:
            PushDigestError: They have another one.

        """
        algorithm = digest.partition(":")[0]
        if upload.digest(algorithm) != digest:
            self.end(upload)
            raise PushDigestError("The bytes that came have another digest.", expected=digest)

    def end(self, upload: Upload) -> None:
        """Close a session and remove its bytes."""
        with self._lock:
            self._open.pop(upload.name, None)
        upload.file.unlink(missing_ok=True)

    def _pending(self) -> int:
        with self._lock:
            return sum(upload.size for upload in self._open.values())

    def _expire(self) -> None:
        """End the sessions that nothing came to for too long."""
        oldest = self._elapsed() - self._limits.session_seconds
        for name in [n for n, u in self._open.items() if u.touched < oldest and not u.busy]:
            self._open.pop(name).file.unlink(missing_ok=True)
