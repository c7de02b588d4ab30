"""One timer ends all waits on an engine that take too long, each at its own moment."""

import asyncio
import math
from dataclasses import replace
from typing import Any

from lockgate.infer.engines.waits import Silence, Waits
from lockgate.infer.limits import EngineLimits

FAR = EngineLimits(first_seconds=5000, idle_seconds=7000, answer_seconds=9000)


class Endless:
    """A connection on which nothing comes; it remembers how it was given up."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def give_up(self, error: Exception) -> None:
        self.error = error


def waiting(waits: Waits, limits: EngineLimits) -> tuple[Silence, Endless]:
    link: Any = Endless()
    watch = Silence(link, limits, waits)
    watch._wait(limits.first_seconds)
    return watch, link


def test_those_that_are_due_are_given_up_and_the_timer_is_set_to_the_next() -> None:
    async def run() -> None:
        waits = Waits()
        later, kept = waiting(waits, FAR)
        assert waits.due == later.until
        sooner, _ = waiting(waits, replace(FAR, first_seconds=1000))
        assert waits.due == sooner.until < later.until
        due, cut = waiting(waits, replace(FAR, first_seconds=0))
        busy, spared = waiting(waits, replace(FAR, first_seconds=0))
        busy.reading = False
        waits._look()
        assert isinstance(cut.error, TimeoutError)
        assert kept.error is spared.error is None
        assert waits.due == sooner.until
        sooner.close()
        due.close()
        waits._look()
        assert waits.due == later.until
        waits.stop()

    asyncio.run(run())


def test_a_wait_that_begins_again_is_due_anew_and_an_answer_has_an_end() -> None:
    async def run() -> None:
        waits = Waits()
        watch, link = waiting(waits, replace(FAR, first_seconds=0))
        watch._wait(FAR.idle_seconds)
        waits._look()
        assert link.error is None
        assert waits.due == watch.until
        watch._wait(FAR.answer_seconds * 2)
        assert watch.until == watch._end
        watch.close()
        assert not waits.open
        waits._look()
        assert waits.due == math.inf

    asyncio.run(run())


def test_the_timer_ends_a_wait_by_itself() -> None:
    async def run() -> None:
        given_up = asyncio.Event()

        class Told(Endless):
            def give_up(self, error: Exception) -> None:
                super().give_up(error)
                given_up.set()

        waits, link = Waits(), Told()
        told: Any = link
        Silence(told, FAR, waits)._wait(0.01)
        await asyncio.wait_for(given_up.wait(), 60)
        assert isinstance(link.error, TimeoutError)

    asyncio.run(run())
