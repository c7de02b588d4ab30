"""What an engine prints: kept in a file of bounded size, its end kept for errors."""

import asyncio
import contextlib
from pathlib import Path

LOG_LIMIT = 8 << 20
"""Length at which a log is put aside (one older log is kept), in bytes."""

END_LIMIT = 4096
"""Bytes of the end that errors may show."""


class EngineLog:
    """One engine's log file.

    Args:
        path: The file; its older part gets the suffix ``.1``.
        limit: Longest file in bytes.

    """

    def __init__(self, path: Path, limit: int = LOG_LIMIT) -> None:
        """Name the file; it is opened when there is something to write."""
        self.path = path
        self._limit = limit
        self._end = b""
        self._task: asyncio.Task[None] | None = None

    def follow(self, stream: asyncio.StreamReader) -> None:
        """Copy a stream into the log until it ends."""
        self._end = b""
        self._task = asyncio.create_task(self._copy(stream))

    def end(self) -> str:
        """Return the last lines, without control characters."""
        text = self._end.decode(errors="replace")
        return "".join(c if c.isprintable() else " " for c in text).strip()[-600:]

    async def drained(self, seconds: float = 2.0) -> None:
        """Wait until the stream ended, at most that long (a grandchild may hold it open)."""
        if self._task is not None:
            task, self._task = self._task, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await task

    async def _copy(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(1 << 16):
            self._end = (self._end + data)[-END_LIMIT:]
            await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
            full = file.tell() >= self._limit
        if full:
            self.path.replace(self.path.with_suffix(self.path.suffix + ".1"))
