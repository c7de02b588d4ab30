"""What every engine promises: the pure double, the client over HTTP, and the supervised program."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from infer_doubles import NOW, FakeServer, ScriptedEngine, ServerEngine, open_descriptors
from infer_program import install
from lockgate.infer import (
    Engine,
    EngineLimits,
    EngineRequest,
    EngineState,
    LlamaConfig,
    LlamaEngine,
    Message,
    ModelFile,
    Usage,
)
from lockgate.infer.errors import EngineUnavailableError

Make = Callable[[Path], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def scripted(_: Path) -> AsyncIterator[Engine]:
    yield ScriptedEngine()


@asynccontextmanager
async def over_http(_: Path) -> AsyncIterator[Engine]:
    async with FakeServer().running() as server:
        yield ServerEngine(server, EngineLimits())


@asynccontextmanager
async def program(folder: Path) -> AsyncIterator[Engine]:
    weights = folder / "weights.gguf"
    weights.write_bytes(b"Hello there .")
    yield LlamaEngine(
        model=ModelFile("weights.gguf", hashlib.sha256(weights.read_bytes()).hexdigest(), 13),
        open_model=lambda: weights.open("rb"),
        installation=install(folder / "site"),
        config=LlamaConfig(folder / "run"),
        limits=EngineLimits(),
        clock=lambda: NOW,
    )


@pytest.fixture(params=[scripted, over_http, program], ids=["double", "http", "program"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


ASK = EngineRequest([Message("user", "Hi")], 10)


async def said(engine: Engine, request: EngineRequest = ASK) -> tuple[str, str | None, Usage | None]:
    text, finish, usage = "", None, None
    async with aclosing(engine.chat(request)) as pieces:
        async for piece in pieces:
            text += piece.text
            finish = piece.finish or finish
            usage = piece.usage or usage
    return text.replace(" .", "."), finish, usage


def test_life_of_an_engine(make: Make, tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path) as engine:
            assert engine.loaded is None
            assert (await engine.health()).state is EngineState.STOPPED
            with pytest.raises(EngineUnavailableError):
                await said(engine)
            await engine.stop()
            await engine.start()
            assert (await engine.health()).state is EngineState.READY
            assert engine.loaded is not None
            assert await said(engine) == (
                "Hello there.",
                "stop",
                Usage(prompt_tokens=5, completion_tokens=3),
            )
            await engine.stop()
            assert engine.loaded is None
            with pytest.raises(EngineUnavailableError):
                await said(engine)

    asyncio.run(run())


def test_most_tokens_are_respected(make: Make, tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path) as engine:
            await engine.start()
            text, finish, usage = await said(engine, EngineRequest([Message("user", "Hi")], 1))
            assert (text, finish) == ("Hello", "length")
            assert usage == Usage(prompt_tokens=5, completion_tokens=1)
            await engine.stop()

    asyncio.run(run())


def test_an_answer_can_be_left_and_the_next_one_is_whole(make: Make, tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path) as engine:
            await engine.start()
            async with aclosing(engine.chat(ASK)) as pieces:
                await anext(pieces)
            assert (await said(engine))[0] == "Hello there."
            await engine.stop()

    asyncio.run(run())


def test_answers_run_beside_each_other(make: Make, tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path) as engine:
            await engine.start()
            texts = [found[0] for found in await asyncio.gather(*(said(engine) for _ in range(4)))]
            assert texts == ["Hello there."] * 4
            await engine.stop()

    asyncio.run(run())


def test_nothing_stays_open(make: Make, tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path) as engine:
            before = open_descriptors()
            for _ in range(2):
                await engine.start()
                await said(engine)
                await engine.stop()
            await asyncio.sleep(0)  # the loop closes what was given back
            async with asyncio.timeout(120):
                while open_descriptors() > before + 2:  # noqa: ASYNC110  # no event says so
                    await asyncio.sleep(0.01)

    asyncio.run(run())
