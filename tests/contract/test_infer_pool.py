"""Several instances behind one port: where requests go, and what failures do to them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from infer_doubles import ScriptedEngine, later, until
from lockgate.infer import EngineRequest, EngineState, Message, Piece, Pool, PoolConfig
from lockgate.infer.errors import EngineBrokenOffError, EngineRefusedError, EngineUnavailableError


class Instance(ScriptedEngine):
    """A scripted engine that can be held up, and fail before or after its first piece."""

    def __init__(self, *, fails: str = "") -> None:
        super().__init__()
        self.fails = fails
        self.hold = asyncio.Event()
        self.hold.set()

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        self.asked.append(request)
        if self.fails == "before":
            raise EngineUnavailableError("away")
        if self.fails == "refuses":
            raise EngineRefusedError("too long")
        yield Piece("Hello")
        await self.hold.wait()
        if self.fails == "after":
            raise EngineBrokenOffError("gone")
        yield Piece(finish="stop")


def ask(text: str = "Hi", salt: str = "") -> EngineRequest:
    return EngineRequest([Message("user", text)], 10, salt=salt)


async def said(pool: Pool, request: EngineRequest | None = None) -> str:
    async with aclosing(pool.chat(request or ask())) as pieces:
        return "".join([piece.text async for piece in pieces])


async def pool_of(*instances: Instance, **config: float) -> Pool:
    named = {str(at): instance for at, instance in enumerate(instances)}
    pool = Pool(named, PoolConfig(**config))  # type: ignore[arg-type]
    await pool.start()
    return pool


def test_least_work_first() -> None:
    async def run() -> None:
        one, two = Instance(), Instance()
        pool = await pool_of(one, two)
        one.hold.clear()
        two.hold.clear()
        tasks = [asyncio.create_task(said(pool, ask(f"{at}"))) for at in range(6)]
        await until(lambda: len(one.asked) + len(two.asked) == 6)
        assert pool.running() == {"0": 3, "1": 3}
        one.hold.set()
        two.hold.set()
        assert await asyncio.gather(*tasks) == ["Hello"] * 6
        assert pool.running() == {"0": 0, "1": 0}

    asyncio.run(run())


def test_prompts_that_begin_alike_go_together_unless_it_costs_too_much() -> None:
    async def run() -> None:
        one, two = Instance(), Instance()
        pool = await pool_of(one, two, slack=2, prefix_characters=4)
        for _ in range(5):
            await said(pool, ask("same beginning"))
        assert sorted([len(one.asked), len(two.asked)]) == [0, 5]
        warm, cold = (one, two) if one.asked else (two, one)
        warm.hold.clear()
        cold.hold.clear()
        tasks = [asyncio.create_task(said(pool, ask("same and other"))) for _ in range(4)]
        await until(lambda: len(one.asked) + len(two.asked) == 9)
        assert len(cold.asked) == 1  # the fourth would have been three more than elsewhere
        warm.hold.set()
        cold.hold.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_tenants_do_not_see_where_others_prompts_went() -> None:
    async def run() -> None:
        pool = await pool_of(Instance(), Instance())
        assert pool._prefix(ask("x", "tenant one")) != pool._prefix(ask("x", "tenant two"))

    asyncio.run(run())


def test_the_table_of_beginnings_is_bounded() -> None:
    async def run() -> None:
        pool = await pool_of(Instance(), prefixes=3)
        for at in range(10):
            await said(pool, ask(f"{at}"))
        assert len(pool._prefixes) == 3

    asyncio.run(run())


def test_a_failure_before_the_first_piece_is_tried_elsewhere_and_one_after_it_is_not() -> None:
    async def run() -> None:
        bad, good = Instance(fails="before"), Instance()
        pool = await pool_of(bad, good)
        assert await said(pool) == "Hello"
        assert (len(bad.asked), len(good.asked)) == (1, 1)
        bad.fails = "after"
        pool.drain("1")
        with pytest.raises(EngineBrokenOffError):
            await said(pool)
        assert len(good.asked) == 1

    asyncio.run(run())


def test_a_request_at_fault_is_no_fault_of_the_instance() -> None:
    async def run() -> None:
        one, two = Instance(fails="refuses"), Instance()
        pool = await pool_of(one, two, failures=1)
        with pytest.raises(EngineRefusedError):
            await said(pool)
        assert two.asked == []
        one.fails = ""
        assert await said(pool) == "Hello"

    asyncio.run(run())


def test_an_instance_that_fails_rests_longer_each_time_and_comes_back() -> None:
    async def run() -> None:
        bad, good = Instance(fails="before"), Instance()
        pool = await pool_of(bad, good, failures=2, rest_seconds=6_000.0, rest_limit=12_000.0)

        async def asked_after(seconds: float) -> int:
            later(seconds)
            for at in range(3):
                await said(pool, ask(f"{at} of {len(good.asked)}"))
            return len(bad.asked)

        assert await asked_after(0) == 2
        assert await asked_after(3_000) == 2
        assert await asked_after(3_000) == 3
        assert await asked_after(6_000) == 3, "the second rest is no longer than the first"
        assert await asked_after(6_000) == 4
        assert await asked_after(6_000) == 4
        bad.fails = ""
        assert await asked_after(6_000) == 7
        assert pool._instances[0].failed == 0

    asyncio.run(run())


def test_none_able_is_said_at_once_and_a_drained_one_ends_what_it_has() -> None:
    async def run() -> None:
        one = Instance()
        pool = await pool_of(one)
        one.hold.clear()
        running = asyncio.create_task(said(pool))
        await until(lambda: bool(one.asked))
        pool.drain("0")
        with pytest.raises(EngineUnavailableError):
            await said(pool)
        one.hold.set()
        assert await running == "Hello"
        pool.drain("0", draining=False)
        assert await said(pool) == "Hello"
        await pool.stop()
        assert pool.loaded is None
        assert (await pool.health()).state is EngineState.STOPPED

    asyncio.run(run())
