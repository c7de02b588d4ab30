"""Work that shares its cost: what arrives while one batch is in a thread goes with the next one.

A lone item is taken at once. Where many come at a time there is a pause between batches, the longer the more
come, and each hand-over to the thread, and each durable write in it, serves all that came meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH_ITEMS = 256
"""Most items of one batch."""

PAUSE_EACH, PAUSE_MOST = 0.0005, 0.01
"""How long the next batch lets items gather, in seconds: for each item of the last one if it had several, and
at most. A durable write costs much the same for one item and for ten: what comes thick goes in larger parts.
"""


class Batches(Generic[T, R]):
    """Feeds a blocking function with batches.

    Args:
        work: Takes items and returns for each its result, or the error that it ended with. An error
            that it raises is every item's.
        executor: The thread for it.
        most: Most items at a time.

    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R | Exception]],
        executor: Executor,
        most: int = BATCH_ITEMS,
    ) -> None:
        """Begin with nothing queued."""
        self._work = work
        self._executor = executor
        self._most = most
        self._queue: list[tuple[T, Callable[[R | Exception], None]]] = []
        self._runner: asyncio.Task[None] | None = None

    def submit(self, item: T) -> asyncio.Future[R]:
        """Queue an item; it is worked on whether or not somebody waits for the future."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.put(item, partial(_settle, future))
        return future

    def put(self, item: T, done: Callable[[R | Exception], None]) -> None:
        """Queue an item; `done` is called with its result, or with its error, and raises nothing."""
        self._queue.append((item, done))
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def settled(self) -> None:
        """Wait until everything that was queued is done."""
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                batch, self._queue = self._queue[: self._most], self._queue[self._most :]
                items = [item for item, _ in batch]
                try:
                    results = await loop.run_in_executor(self._executor, self._work, items)
                except Exception as error:  # noqa: BLE001  # whoever waits raises it
                    results = [error] * len(batch)
                for (_, done), result in zip(batch, results, strict=True):
                    done(result)
                if len(self._queue) < self._most and (pause := pause_after(len(batch))):
                    await asyncio.sleep(pause)
        finally:
            self._runner = None


def pause_after(items: int) -> float:
    """Return the seconds between a batch of so many items and the next one."""
    return min(PAUSE_EACH * items, PAUSE_MOST) if items > 1 else 0.0


def _settle(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # so that an error that nobody waits for is no warning
    else:
        future.set_result(result)
