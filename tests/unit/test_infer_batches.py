"""Batches: what waits together goes together, alone at once, and errors reach whoever they belong to."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lockgate.infer.batches import PAUSE_MOST, Batches, pause_after


class Work:
    """A blocking job that can be held up; keeps the batches that it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        assert self.go.wait(120)
        self.batches.append(list(items))
        if 13 in items:
            raise OSError(28, "full")
        return [ValueError(item) if item < 0 else item * 2 for item in items]


def test_what_waits_together_goes_together_in_order() -> None:
    async def run() -> None:
        work = Work()
        with ThreadPoolExecutor(1) as executor:
            batches = Batches(work, executor, most=3)
            work.go.clear()
            first = batches.submit(1)
            await asyncio.sleep(0)
            rest = [batches.submit(item) for item in (2, 3, 4, 5)]
            work.go.set()
            assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10]
        assert work.batches == [[1], [2, 3, 4], [5]]

    asyncio.run(run())


def test_errors_are_their_own_or_everybodys() -> None:
    async def run() -> None:
        work = Work()
        with ThreadPoolExecutor(1) as executor:
            batches = Batches(work, executor)
            good, bad = batches.submit(1), batches.submit(-1)
            assert await good == 2
            with pytest.raises(ValueError, match="-1"):
                await bad
            one, other = batches.submit(13), batches.submit(2)
            for future in (one, other):
                with pytest.raises(OSError, match="full"):
                    await future
            assert await batches.submit(3) == 6

    asyncio.run(run())


def test_settled_waits_for_what_nobody_waits_for() -> None:
    async def run() -> None:
        work = Work()
        with ThreadPoolExecutor(1) as executor:
            batches = Batches(work, executor)
            batches.submit(1).cancel()
            batches.submit(-1)  # its error is nobody's
            await batches.settled()
        assert work.batches == [[1, -1]]

    asyncio.run(run())


def test_what_comes_thick_goes_in_larger_parts() -> None:
    pauses = [pause_after(items) for items in (1, 2, 4, 8, 256)]
    assert pauses[0] == 0  # a lone one's next is not held up
    assert pauses == sorted(set(pauses))
    assert pauses[-1] == PAUSE_MOST
