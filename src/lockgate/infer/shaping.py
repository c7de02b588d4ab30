"""Traffic shaping: what an observer of the network learns of answers from sizes and times, TLS or not.

Sizes of packets and the times between them tell the topic of a streamed answer ("Whisper Leak", 2025). Four
profiles, each with what it leaves open:

- ``off``: parts leave as they come.
- ``padded``: each part is filled up to a multiple of bytes. Times, and how much there is, stay visible.
- ``paced``: one record of fixed size at fixed times, filled up where there is less to say. Only the number of
  records, so the length of the answer, stays visible.
- ``constant``: paced, begins at the next whole second whatever the engine does, and ends only at the end of a
  bucket of records. What stays visible is the number of buckets; one long bucket leaves nothing, and costs
  the most.

Filler is what a client passes over: comments in server-sent events (WHATWG HTML, 9.2.6), blanks before a
line of JSON (RFC 8259, section 2). A stream ends with what it would have ended with, and no filler after it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

LINES = "application/x-ndjson"
"""Media type of streams whose parts are lines of JSON; all others are server-sent events."""

_COMMENT = 3  # the shortest comment: a colon and two line ends


class Profile(StrEnum):
    """How an answer leaves; later ones hide more."""

    OFF = "off"
    PADDED = "padded"
    PACED = "paced"
    CONSTANT = "constant"


_ORDER = list(Profile)


@dataclass(frozen=True, slots=True)
class Shaping:
    """The measures of the profiles.

    Attributes:
        pad_bytes: ``padded`` fills each part up to a multiple of this.
        record_bytes: Size of a record of ``paced`` and ``constant``.
        interval_seconds: Time from one record to the next.
        bucket_records: ``constant`` sends a multiple of so many records.
        start_seconds: ``constant`` begins at a multiple of this after the request, whatever the engine does.
        whole_bytes: Answers that are not streamed are filled up to a multiple of this, but for ``off``.

    """

    pad_bytes: int = 256
    record_bytes: int = 1024
    interval_seconds: float = 0.05
    bucket_records: int = 600
    start_seconds: float = 1.0
    whole_bytes: int = 16384


@dataclass(frozen=True, slots=True)
class ShapingPolicy:
    """Which profile an answer gets: the strictest of those of its labels."""

    labels: Mapping[str, Profile] = field(default_factory=dict)
    default: Profile = Profile.OFF
    shaping: Shaping = field(default_factory=Shaping)

    def of(self, labels: Iterable[str]) -> Profile:
        """Return the profile for an answer that has something to do with these labels."""
        if not self.labels:
            return self.default
        chosen = [self.labels.get(label, self.default) for label in labels]
        return max([self.default, *chosen], key=_ORDER.index)


def filler(size: int, media: str) -> bytes:
    """Return so many bytes that a client passes over, where a part could begin."""
    if media == LINES:
        return b" " * size
    if size < _COMMENT:
        return b"\n" * size
    return b":" + b" " * (size - _COMMENT) + b"\n\n"


def padded(data: bytes, multiple: int, media: str) -> bytes:
    """Return a part with filler before it, up to a multiple of bytes."""
    return filler(-len(data) % multiple, media) + data if multiple > 1 else data


def padded_whole(body: bytes, multiple: int) -> bytes:
    """Return a JSON object with blanks after it, up to a multiple of bytes (RFC 8259, section 2)."""
    return body + b" " * (-len(body) % multiple)


Write = Callable[[bytes], Awaitable[None]]


class Pipe(ABC):
    """Where the parts of one streamed answer leave; used as a context."""

    kept = b""
    """What was sent and waits for the end."""

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Begin."""

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop whatever runs beside; what was not sent is dropped."""

    @abstractmethod
    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Let parts leave; they are whole events or lines. The last may wait for what ends the stream."""

    @abstractmethod
    async def end(self, data: bytes) -> None:
        """Let the last part leave, and return when all have left."""


class PlainPipe(Pipe):
    """Parts leave as they come, or each filled up to a multiple of bytes.

    Args:
        write: Writes to the caller.
        finish: Writes the last part and ends the stream, in one step where that is possible.
        media: The stream's media type.
        multiple: Each part is filled up to a multiple of so many bytes.

    """

    def __init__(self, write: Write, finish: Write, media: str, multiple: int = 1) -> None:
        """Use what writes to the caller."""
        self._write = write
        self._finish = finish
        self._media = media
        self._multiple = multiple

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing runs beside."""

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Write the part; the last one goes in one packet with the end."""
        data, self.kept = self.kept + data, b""
        if last:
            self.kept = data
        else:
            await self._write(padded(data, self._multiple, self._media))

    async def end(self, data: bytes) -> None:
        """Write the last part."""
        data, self.kept = self.kept + data, b""
        await self._finish(padded(data, self._multiple, self._media))


class PacedPipe(Pipe):
    """One record of fixed size at fixed times, whatever there is to say.

    Args:
        write: Writes to the caller.
        media: The stream's media type.
        shaping: Sizes and times.
        bucket: The number of records is a multiple of this; the last part leaves in the last record.
        wait_seconds: The first record leaves so long after the context is entered, whatever there is to say.
        held_bytes: Most bytes that wait; beyond it whoever brings more waits.

    """

    def __init__(
        self,
        write: Write,
        media: str,
        shaping: Shaping,
        *,
        bucket: int = 1,
        wait_seconds: float = 0.0,
        held_bytes: int = 1 << 20,
    ) -> None:
        """Nothing is sent before the context is entered."""
        self._write = write
        self._media = media
        self._size = shaping.record_bytes
        self._interval = shaping.interval_seconds
        self._bucket = bucket
        self._wait = wait_seconds
        self._held_bytes = held_bytes
        self._waiting = bytearray()
        self._last: bytes | None = None
        self._ending = b""
        self._placed = False
        self._fill = 0
        self._sent = 0
        self._room = asyncio.Event()
        self._room.set()
        self._clock: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the clock."""
        self._clock = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock."""
        clock = self._clock
        if clock is not None and not clock.done():
            clock.cancel()
            await asyncio.wait([clock])

    async def send(self, data: bytes, *, last: bool = False) -> None:  # noqa: ARG002  # paced alike
        """Let parts wait for their records.

        Raises:
            Exception: Whatever stopped the records: a caller that is gone, above all.

        """
        clock = self._running()
        if not self._room.is_set():
            room = asyncio.create_task(self._room.wait())
            try:
                await asyncio.wait([clock, room], return_when=asyncio.FIRST_COMPLETED)
            finally:
                room.cancel()
        if clock.done():
            clock.result()
        self._waiting += data
        if len(self._waiting) >= self._held_bytes:
            self._room.clear()

    async def end(self, data: bytes) -> None:
        """Let the last part leave in the last record of a bucket."""
        self._last = data
        await self._running()

    def _running(self) -> asyncio.Task[None]:
        if self._clock is None:
            what = "a paced pipe is used as a context"
            raise RuntimeError(what)
        return self._clock

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._wait
        while not (self._placed and not self._ending and not self._fill):
            await asyncio.sleep(due - loop.time())
            await self._write(self._record())
            self._sent += 1
            # Never a burst after a stall: a caller's own slowness must not show what there is to say.
            due = max(due + self._interval, loop.time())

    def _record(self) -> bytes:
        """Return the next record, and take what it carries off what waits."""
        if self._last is None or self._waiting:
            taken = bytes(self._waiting[: self._size])
            del self._waiting[: len(taken)]
            if len(self._waiting) < self._held_bytes:
                self._room.set()
            # A record that is not full holds whole parts to their end, so that filler may follow them.
            return taken + filler(self._size - len(taken), self._media)
        if not self._placed:
            self._place(self._last)
        if self._fill:
            self._fill -= 1
            return filler(self._size, self._media)
        taken, self._ending = self._ending[: self._size], self._ending[self._size :]
        return taken

    def _place(self, last: bytes) -> None:
        """Put the last part into the last records of the bucket in which it finds room."""
        needed = max(1, -(-len(last) // self._size))
        total = -(-(self._sent + needed) // self._bucket) * self._bucket
        self._fill = total - self._sent - needed
        self._ending = filler(needed * self._size - len(last), self._media) + last
        self._placed = True
