"""The queue before an engine: bounded, by priority, fair between keys, and no slot is ever lost."""

import asyncio

import pytest

from infer_doubles import later, until
from lockgate.infer import EngineLimits, Priority
from lockgate.infer.errors import QueueFullError
from lockgate.infer.queue import TURNS, Slots


class Crowd:
    """Requests that hold a slot until they are let go; `order` says who got one when."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.order: list[str] = []
        self.done = asyncio.Event()

    async def ask(self, name: str, key: str, priority: Priority = Priority.NORMAL) -> None:
        async with self.slots.held(key, priority):
            self.order.append(name)
            await asyncio.sleep(0)

    async def come(self, *asked: tuple[str, str, Priority]) -> list[asyncio.Task[None]]:
        tasks = []
        for name, key, priority in asked:
            tasks.append(asyncio.create_task(self.ask(name, key, priority)))
            await asyncio.sleep(0)
        return tasks


def test_a_key_that_sends_much_waits_behind_its_own_requests() -> None:
    async def run() -> None:
        crowd = Crowd(Slots(EngineLimits(running=1, waiting=20)))
        async with crowd.slots.held():
            many = [(f"a{at}", "a", Priority.NORMAL) for at in range(5)]
            tasks = await crowd.come(*many, ("b0", "b", Priority.NORMAL), ("b1", "b", Priority.NORMAL))
        await asyncio.gather(*tasks)
        assert crowd.order == ["a0", "b0", "a1", "b1", "a2", "a3", "a4"]

    asyncio.run(run())


def test_priorities_go_first_and_starve_nobody() -> None:
    async def run() -> None:
        crowd = Crowd(Slots(EngineLimits(running=1, waiting=100)))
        async with crowd.slots.held():
            tasks = await crowd.come(*((f"{p}", f"{p}{at}", p) for at in range(8) for p in Priority))
        await asyncio.gather(*tasks)
        assert crowd.order[: len(TURNS)] == [priority.value for priority in TURNS]
        assert crowd.order.index("low") == len(TURNS) - 1

    asyncio.run(run())


def test_bounds_on_the_queue_on_a_key_and_on_time() -> None:
    async def run() -> None:
        slots = Slots(EngineLimits(running=1, waiting=4, wait_seconds=600.0))
        crowd = Crowd(slots)
        async with slots.held():
            tasks = await crowd.come(*((f"a{at}", "a", Priority.NORMAL) for at in range(2)))
            with pytest.raises(QueueFullError, match="of this key"):
                await crowd.ask("a2", "a")
            tasks += await crowd.come(*((f"{at}", f"{at}", Priority.NORMAL) for at in range(2)))
            with pytest.raises(QueueFullError, match="4 requests wait"):
                await crowd.ask("c", "c")
            later(600.0)
            for task in tasks:
                with pytest.raises(QueueFullError, match="became free"):
                    await task
        assert (slots.waiting, slots.running) == (0, 0)
        await crowd.ask("last", "a")
        assert crowd.order == ["last"]

    asyncio.run(run())


def test_who_leaves_while_waiting_loses_no_slot() -> None:
    async def run() -> None:
        slots = Slots(EngineLimits(running=1, waiting=9))
        crowd = Crowd(slots)
        async with slots.held():
            first, second = await crowd.come(("a", "a", Priority.NORMAL), ("b", "b", Priority.NORMAL))
            first.cancel()
            await asyncio.sleep(0)
        second.cancel()  # the slot was just handed to it
        await asyncio.gather(first, second, return_exceptions=True)
        assert (slots.waiting, slots.running) == (0, 0)
        await asyncio.wait_for(crowd.ask("c", "c"), 120)
        assert crowd.order == ["c"]

    asyncio.run(run())


def test_several_programs_have_several_times_the_slots() -> None:
    async def run() -> None:
        slots = Slots(EngineLimits(running=2, waiting=0), instances=3)
        async with asyncio.TaskGroup() as group, asyncio.timeout(120):
            gate = asyncio.Event()

            async def hold() -> None:
                async with slots.held():
                    await gate.wait()

            for _ in range(6):
                group.create_task(hold())
            await until(lambda: slots.running == 6)
            with pytest.raises(QueueFullError):
                async with slots.held():
                    pass
            gate.set()

    asyncio.run(run())
