"""Several instances of one model behind one port: least work first, prompts that begin alike together.

An instance that fails is left alone for a while (circuit breaker); a request goes to another one only while
nothing of its answer has left. An instance that is drained gets nothing new and ends what it has.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import structlog

from lockgate.infer.engines.ports import (
    Embedded,
    Engine,
    EngineHealth,
    EngineRequest,
    EngineState,
    LoadedModel,
    Piece,
    Ranked,
)
from lockgate.infer.errors import (
    EngineBrokenOffError,
    EngineGarbageError,
    EngineTimeoutError,
    EngineUnavailableError,
)

_T = TypeVar("_T")
_FAILS = (EngineUnavailableError, EngineTimeoutError, EngineGarbageError, EngineBrokenOffError)
_log = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """How requests are spread. Times are in seconds.

    Attributes:
        failures: After how many failures in a row an instance is left alone.
        rest_seconds: For how long; it doubles with each failed trial, up to `rest_limit`.
        rest_limit: The longest rest.
        prefix_characters: How much of a prompt's beginning decides where it goes.
        prefixes: How many beginnings are remembered.
        slack: How many requests more an instance may have for the sake of its cache.

    """

    failures: int = 3
    rest_seconds: float = 2.0
    rest_limit: float = 60.0
    prefix_characters: int = 512
    prefixes: int = 4096
    slack: int = 2


@dataclass(slots=True)
class Instance:
    """One engine of a pool, and how it has done."""

    engine: Engine
    name: str
    running: int = 0
    failed: int = 0
    rest: float = 0.0
    until: float = 0.0
    draining: bool = False


class Pool(Engine):
    """Engines that hold the same model, as one.

    Args:
        engines: The engines, by the names of instances.
        config: How requests are spread.

    """

    def __init__(self, engines: dict[str, Engine], config: PoolConfig | None = None) -> None:
        """Keep the engines; nothing is started."""
        self._instances = [Instance(engine, name) for name, engine in engines.items()]
        self._config = config or PoolConfig()
        self._prefixes: OrderedDict[bytes, str] = OrderedDict()

    @property
    def instances(self) -> int:
        """Return how many programs stand behind it."""
        return len(self._instances)

    @property
    def loaded(self) -> LoadedModel | None:
        """What the instances hold; nothing while none serves."""
        return next((one.engine.loaded for one in self._instances if one.engine.loaded), None)

    async def start(self) -> None:
        """Start every instance; those that do not start are left to their own restarts.

        Raises:
            EngineStartError: None of them started.

        """
        results = await asyncio.gather(
            *(one.engine.start() for one in self._instances), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        for one, result in zip(self._instances, results, strict=True):
            if isinstance(result, BaseException):
                _log.warning("instance did not start", instance=one.name, error=str(result)[:500])
        if len(errors) == len(self._instances):
            await self.stop()
            raise errors[0]

    async def stop(self) -> None:
        """Stop every instance."""
        await asyncio.gather(*(one.engine.stop() for one in self._instances))

    async def health(self) -> EngineHealth:
        """Return how the pool is: it serves while one instance does."""
        found = await asyncio.gather(*(one.engine.health() for one in self._instances))
        ready = [health for health in found if health.state is EngineState.READY]
        detail = f"{len(ready)} of {len(found)} instances serve"
        state = EngineState.READY if ready else found[0].state
        return EngineHealth(state, sum(health.restarts for health in found), detail)

    def drain(self, name: str, *, draining: bool = True) -> None:
        """Give an instance nothing new, or take it back into use."""
        for one in self._instances:
            if one.name == name:
                one.draining = draining

    def running(self) -> dict[str, int]:
        """Return how many requests each instance has."""
        return {one.name: one.running for one in self._instances}

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Yield the answer of one instance, of another where it failed before its first piece."""
        tried: set[str] = set()
        prefix = self._prefix(request)
        while True:
            one = self._chosen(tried, prefix)
            began = False
            one.running += 1
            try:
                async with aclosing(one.engine.chat(request)) as pieces:
                    async for piece in pieces:
                        began = True
                        yield piece
            except _FAILS as error:
                self._failed(one, error)
                tried.add(one.name)
                if began or len(tried) == len(self._instances):
                    raise
            else:
                self._well(one)
                return
            finally:
                one.running -= 1

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts."""
        return await self._any(lambda engine: engine.embed(texts))

    async def rerank(self, query: str, documents: Sequence[str]) -> Ranked:
        """Return how well each document answers a query."""
        return await self._any(lambda engine: engine.rerank(query, documents))

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        return await self._any(lambda engine: engine.tokenize(text))

    async def _any(self, call: Callable[[Engine], Awaitable[_T]]) -> _T:
        tried: set[str] = set()
        while True:
            one = self._chosen(tried, b"")
            one.running += 1
            try:
                result = await call(one.engine)
            except _FAILS as error:
                self._failed(one, error)
                tried.add(one.name)
                if len(tried) == len(self._instances):
                    raise
            else:
                self._well(one)
                return result
            finally:
                one.running -= 1

    def _prefix(self, request: EngineRequest) -> bytes:
        """Return what stands for a prompt's beginning; tenants have their own."""
        text = request.prompt or "\0".join(message.text for message in request.messages)
        start = text[: self._config.prefix_characters]
        return hashlib.sha256(f"{request.salt}\0{start}".encode("utf-8", "surrogatepass")).digest()

    def _chosen(self, tried: set[str], prefix: bytes) -> Instance:
        """Return the instance for a request and remember where its beginning went.

        Raises:
            EngineUnavailableError: None may be asked.

        """
        now = asyncio.get_running_loop().time()
        able = [
            one
            for one in self._instances
            if one.name not in tried and not one.draining and one.engine.loaded and one.until <= now
        ]
        if not able:
            what = "No instance of the engine takes requests now."
            raise EngineUnavailableError(what)
        least = min(able, key=lambda one: one.running)
        if not prefix:
            return least
        known = self._prefixes.get(prefix)
        warm = next((one for one in able if one.name == known), None)
        chosen = warm if warm and warm.running <= least.running + self._config.slack else least
        self._prefixes[prefix] = chosen.name
        self._prefixes.move_to_end(prefix)
        if len(self._prefixes) > self._config.prefixes:
            self._prefixes.popitem(last=False)
        return chosen

    def _well(self, one: Instance) -> None:
        one.failed, one.rest, one.until = 0, 0.0, 0.0

    def _failed(self, one: Instance, error: Exception) -> None:
        """Count a failure; after several in a row, and after each failed trial, the instance rests."""
        config = self._config
        one.failed += 1
        if one.failed >= config.failures:
            one.rest = min(config.rest_limit, one.rest * 2 or config.rest_seconds)
            one.until = asyncio.get_running_loop().time() + one.rest
            _log.warning("instance rests", instance=one.name, seconds=one.rest, error=str(error)[:200])
