"""As many threads as there are cores, each of which takes the next piece of one work until none is left."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Self

WORKERS = 8
"""Most threads at one work: what only one of them does at a time (reading) is about an eighth of it."""


def workers() -> int:
    """Return how many threads share a work: as many as there are cores, and no more than can be fed."""
    return min(len(os.sched_getaffinity(0)), WORKERS)


class Crew:
    """Threads that help the one that asks for it. They are made when there is enough to do for them."""

    def __init__(self, name: str) -> None:
        """Begin with none; they are named after their work."""
        self._pool = ThreadPoolExecutor(workers(), name)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the end of the threads."""
        self.end()

    def end(self) -> None:
        """Wait for the end of the threads."""
        self._pool.shutdown()

    def work(self, work: Callable[[], None], pieces: int, stop: Callable[[], None]) -> None:
        """Do a work in this thread and in others beside it; all have ended it on return.

        Args:
            work: Takes piece after piece until none is left, in each thread.
            pieces: How many there are, so that no thread is made for nothing.
            stop: Lets every thread end before its next piece; called when this thread ended, however.

        """
        helping = [self._pool.submit(work) for _ in range(min(workers(), pieces) - 1)]
        try:
            work()
        finally:
            stop()
            wait(helping)
        for helper in helping:
            helper.result()
