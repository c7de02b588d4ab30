"""The ways to an answer: the engine alone, the engine over found evidence, or an honest refusal."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from lockgate.infer.errors import QueueFullError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import Citation, Engine, EngineRequest, Evidence, Knowledge, Piece, Usage
from lockgate.infer.receipts import Status
from lockgate.infer.weave import Weaver

_T = TypeVar("_T")


class Slots:
    """Lets as many answers at an engine as it has room for, and a bounded queue wait in order."""

    def __init__(self, limits: EngineLimits) -> None:
        """Begin with every slot free."""
        self._limits = limits
        self._free = asyncio.Semaphore(limits.running)
        self._waiting = 0
        self._running = 0

    @property
    def running(self) -> int:
        """Return how many slots are held."""
        return self._running

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            QueueFullError: Too many wait already, or none became free in time.

        """
        limits = self._limits
        if self._free.locked() and self._waiting >= limits.waiting:
            what = f"{self._waiting} requests wait for the engine already."
            raise QueueFullError(what, limit="engine.waiting")
        self._waiting += 1
        try:
            async with asyncio.timeout(limits.wait_seconds):
                await self._free.acquire()
        except TimeoutError as error:
            what = f"No slot of the engine became free within {limits.wait_seconds:g} seconds."
            raise QueueFullError(what, limit="engine.wait_seconds") from error
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._free.release()


class Answer(ABC):
    """One answer in the making. What it says of itself holds once its texts have ended."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.finish = "stop"
        self.usage = Usage()
        self.status = Status.ANSWERED

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return what the answer cites."""
        return ()

    @abstractmethod
    def texts(self) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it may leave; closing the generator cancels the work."""

    def _take(self, piece: Piece) -> str:
        if piece.finish is not None:
            self.finish = piece.finish
        if piece.usage is not None:
            self.usage = piece.usage
        return piece.text


class PlainAnswer(Answer):
    """What the engine says, unaltered."""

    def __init__(self, engine: Engine, request: EngineRequest) -> None:
        """Keep what is asked of whom."""
        super().__init__()
        self._engine = engine
        self._request = request

    async def texts(self) -> AsyncGenerator[str, None]:
        """Yield the engine's text."""
        async with aclosing(self._engine.chat(self._request)) as pieces:
            async for piece in pieces:
                if text := self._take(piece):
                    yield text


class GroundedAnswer(Answer):
    """What the engine says over evidence, with the citations that Lockgate attaches.

    Args:
        engine: Who is asked.
        request: The conversation that the knowledge base built.
        weaver: Attaches the citations; blocking.
        executor: The threads for it.

    """

    def __init__(self, engine: Engine, request: EngineRequest, weaver: Weaver, executor: Executor) -> None:
        """Keep the parts."""
        super().__init__()
        self._engine = engine
        self._request = request
        self._weaver = weaver
        self._executor = executor

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return what the answer cites."""
        return self._weaver.citations

    async def texts(self) -> AsyncGenerator[str, None]:
        """Yield the engine's text with marks behind its sentences."""
        async with aclosing(self._engine.chat(self._request)) as pieces:
            async for piece in pieces:
                if (said := self._take(piece)) and (text := await self._woven(said)):
                    yield text
        if text := await in_thread(self._executor, self._weaver.finish):
            yield text

    async def _woven(self, said: str) -> str:
        return await in_thread(self._executor, lambda: self._weaver.feed(said))


class Abstention(Answer):
    """Says that the knowledge base supports no answer. No engine is asked, nothing is cited."""

    def __init__(self, knowledge: str) -> None:
        """Name the knowledge base."""
        super().__init__()
        self._knowledge = knowledge
        self.status = Status.ABSTAINED

    async def texts(self) -> AsyncGenerator[str, None]:
        """Yield the one sentence."""
        yield f"The knowledge base '{self._knowledge}' has nothing that supports an answer to this question."


async def in_thread(executor: Executor, call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread of an executor."""
    return await asyncio.get_running_loop().run_in_executor(executor, call)


async def grounded(
    knowledge: Knowledge,
    evidence: Evidence,
    question: str,
    *,
    engine: Engine,
    max_tokens: int,
    options: dict[str, object],
    executor: Executor,
) -> Answer:
    """Return the answer to a question over the evidence that was found for it.

    The temperature is 0 where the caller names none: such answers are to repeat, not to invent.
    """
    if not evidence.supported:
        return Abstention(knowledge.name)
    messages = await in_thread(executor, lambda: knowledge.messages(question, evidence))
    citer = await in_thread(executor, lambda: knowledge.citer(evidence))
    request = EngineRequest(messages, max_tokens, {"temperature": 0, **options})
    return GroundedAnswer(engine, request, Weaver(citer), executor)
