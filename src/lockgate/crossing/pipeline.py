"""Work in several threads with a bounded number of buffers between them."""

from collections.abc import Iterator
from queue import Queue
from threading import Event, Thread
from typing import Generic, Self, TypeVar

T = TypeVar("T")

DEPTH = 4
"""Items that wait between two stages; each is at most one record."""


class _End:
    """Marks the end of a stage, with the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Stage(Generic[T]):
    """Runs an iterator in a thread of its own and hands its items on, in order.

    Used as a context: leaving it early stops the thread and closes the iterator, so that
    chained stages end one another. An error in the thread is raised where the items are read.
    """

    def __init__(self, items: Iterator[T], depth: int = DEPTH) -> None:
        """Begin at once."""
        self._queue: Queue[T | _End] = Queue(maxsize=depth)
        self._stop = Event()
        self._ended = False
        self._thread = Thread(target=self._work, args=(items,), daemon=True)
        self._thread.start()

    def _work(self, items: Iterator[T]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                self._queue.put(item)
                if self._stop.is_set():
                    break
        except BaseException as raised:  # noqa: BLE001  # handed to the reader of the items
            error = raised
        finally:
            self._queue.put(_End(error))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread and wait for its end."""
        self._stop.set()
        while not self._ended:
            self._ended = isinstance(self._queue.get(), _End)
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        """Yield the items."""
        while not self._ended:
            item = self._queue.get()
            if isinstance(item, _End):
                self._ended = True
                if item.error is not None:
                    raise item.error
                return
            yield item
