"""How long an engine may be silent: one timer for all answers that wait for it."""

import asyncio
import math

from lockgate.infer.engines.link import Link, LinkError
from lockgate.infer.errors import EngineBrokenOffError, EngineTimeoutError
from lockgate.infer.limits import EngineLimits


async def headed(link: Link, data: bytes) -> bool:
    """Send a request and tell whether the head of its answer came.

    An engine may close a connection just as it is used again. Nothing came on it, so the request is sent once
    more on another one; a connection that was new and broke is the engine's failure.

    Raises:
        OSError: It broke.

    """
    link.send(data)
    try:
        while not link.headed:
            await link.news()
    except LinkError:
        if link.used == 1 or not link.untouched:
            raise
        return False
    except BaseException:
        link.cut()
        raise
    return True


class Waits:
    """One timer for all waits of a client, set to the first that may end; it looks at each when it rings.

    A timer for each answer would cost it as much as its key does: deadlines mostly move on before they come.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self.open: set[Silence] = set()
        self.due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring(self, at: float) -> None:
        """Look at all of them at this moment, on the loop's clock."""
        self.stop()
        self.due = at
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        """End the reads that are due, and wait for the next."""
        now = asyncio.get_running_loop().time()
        reading = [watch for watch in self.open if watch.reading]
        later = min((watch.until for watch in reading if watch.until > now), default=math.inf)
        self.stop()
        if later < math.inf:
            self.ring(later)
        for watch in reading:  # who reads nothing is busy elsewhere: its next read tells when it is due
            if watch.until <= now:
                watch.link.give_up(TimeoutError())

    def stop(self) -> None:
        """Look no more, until the next wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.due = None, math.inf


class Silence:
    """Asks, reads the answer, and has a wait ended that takes too long.

    Args:
        link: The connection on which an answer comes.
        limits: Bounds on the silence before the first piece, between pieces, and on the whole.
        waits: The waits of the client.

    """

    __slots__ = ("_end", "_limits", "_loop", "_waits", "began", "link", "reading", "until")

    def __init__(self, link: Link, limits: EngineLimits, waits: Waits) -> None:
        """Begin to count."""
        self.link = link
        self._limits = limits
        self._waits = waits
        self._loop = asyncio.get_running_loop()
        self._end = self.until = self._loop.time() + limits.answer_seconds
        self.reading = False
        self.began = False
        waits.open.add(self)

    async def asked(self, data: bytes) -> bool:
        """Send a request and tell whether the head of its answer came; if not, ask over another connection.

        Raises:
            EngineTimeoutError: Nothing came in time.
            OSError: The connection broke.

        """
        self._wait(self._limits.first_seconds)
        try:
            came = await headed(self.link, data)
        except TimeoutError as error:
            self.close()
            what = f"The engine did not answer within {self._limits.first_seconds:g} seconds."
            raise EngineTimeoutError(what) from error
        except BaseException:
            self.close()
            raise
        self.reading = False
        if not came:
            self.close()
        return came

    def _wait(self, seconds: float) -> None:
        """Begin to count: what comes is to come in so many seconds."""
        self.until = until = min(self._end, self._loop.time() + seconds)
        self.reading = True
        if until < self._waits.due:
            self._waits.ring(until)

    async def read(self) -> bytes:
        """Return what came; nothing at the end.

        Raises:
            EngineTimeoutError: Nothing came in time.
            EngineBrokenOffError: The connection broke.

        """
        limits = self._limits
        self._wait(limits.idle_seconds if self.began else limits.first_seconds)
        try:
            return await self.link.read()
        except TimeoutError as error:
            what = "The engine went silent in the middle of the answer, or took too long for it."
            raise EngineTimeoutError(what) from error
        except OSError as error:
            what = "The engine ended in the middle of the answer."
            raise EngineBrokenOffError(what, reason=type(error).__name__) from error
        finally:
            self.reading = False

    def close(self) -> None:
        """Stop counting."""
        self._waits.open.discard(self)
