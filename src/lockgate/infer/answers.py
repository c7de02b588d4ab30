"""The ways to an answer: the engine alone, the engine over found evidence, or an honest refusal."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from lockgate.core.ports import Entropy
from lockgate.core.wire import encode
from lockgate.infer.engines.ports import CallDelta, Engine, EngineRequest, Piece, ToolCall, Usage
from lockgate.infer.errors import EngineGarbageError
from lockgate.infer.forms.base import Delta
from lockgate.infer.limits import ANSWER_CALLS, BYTES_A_TOKEN, TURN_TOKENS
from lockgate.infer.ports import Citation, Evidence, GuardFinding, Knowledge
from lockgate.infer.receipts import Status
from lockgate.infer.weave import Weaver

_T = TypeVar("_T")
_NOTHING_BESIDE = len(b"[[],null]")


class Answer(ABC):
    """One answer in the making. What it says of itself holds once its parts have ended."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.finishes: Sequence[str] = ("stop",)
        self.stopped_by = ""
        self.usage = Usage()
        self.status = Status.ANSWERED
        self.ending = False  # whether the part that was yielded last is the last, as the engine says
        self._receipt = ""
        self._parts = 0

    def recorded_as(self, receipt: str) -> None:
        """Tell the answer under which receipt it is recorded."""
        self._receipt = receipt

    @property
    def prompt_bound(self) -> int:
        """Return how many tokens its prompt has at most."""
        return 0

    @property
    def charged(self) -> Usage:
        """Return what it is charged for: what the engine counted, else what was seen of it."""
        if self.usage != Usage():
            return self.usage
        return Usage(prompt_tokens=self.prompt_bound // BYTES_A_TOKEN, completion_tokens=self._parts)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return what the answer cites."""
        return ()

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """Return what guards met in it."""
        return ()

    @property
    def unfiltered(self) -> str:
        """Return its text as the model wrote it, where that is kept for auditors."""
        return ""

    @abstractmethod
    def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the answer's parts as they may leave; closing the generator cancels the work."""

    def source(self) -> AsyncGenerator[Any, None]:
        """Yield what `part` makes the answer's parts of, and `rest` those behind them.

        For who looks at each part: a generator around another one costs each part more than the look.
        """
        return self.deltas()

    def part(self, came: Any) -> Delta | None:
        """Return the part that something from the source makes, if it makes one."""
        part: Delta = came
        return part

    def rest(self) -> list[Delta]:
        """Return the parts that are made once the source has ended."""
        return []

    def _take(self, piece: Piece) -> str:
        if piece.finish is not None:
            self.finishes = (piece.finish,)
            self.stopped_by = piece.stopped_by
        if piece.usage is not None:
            self.usage = piece.usage
        self._parts += piece.parts
        return piece.text


class CallBuilder:
    """Puts tool calls together that arrive in parts.

    Args:
        entropy: Names calls that the engine gave no id.

    """

    def __init__(self, entropy: Entropy) -> None:
        """Begin with none."""
        self._entropy = entropy
        self._open: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, parts: Sequence[CallDelta]) -> None:
        """Take parts.

        Raises:
            EngineGarbageError: More calls than an answer may have.

        """
        for part in parts:
            known, name, texts = self._open.get(part.index, ("", "", []))
            if part.arguments:
                texts.append(part.arguments)
            self._open[part.index] = (known or part.id, name + part.name, texts)
        if len(self._open) > ANSWER_CALLS:
            what = f"The engine called more than {ANSWER_CALLS} tools in one answer."
            raise EngineGarbageError(what, limit="answer_calls")

    def finish(self) -> list[ToolCall]:
        """Return the calls in their order."""
        if not self._open:
            return []
        found = []
        for _, (known, name, texts) in sorted(self._open.items()):
            found.append(ToolCall(known or f"call_{self._entropy(12).hex()}", name, "".join(texts) or "{}"))
        self._open.clear()
        return found


class PlainAnswer(Answer):
    """What the engine says, unaltered."""

    def __init__(self, engine: Engine, request: EngineRequest, entropy: Entropy) -> None:
        """Keep what is asked of whom."""
        super().__init__()
        self._engine = engine
        self._request = request
        self._bound = bound_of(request)
        self._calls = CallBuilder(entropy)

    @property
    def prompt_bound(self) -> int:
        """Return how many tokens its prompt has at most."""
        return self._bound

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the engine's text, then the tools that it wants to have called."""
        async with aclosing(self.source()) as pieces:
            async for piece in pieces:
                if (delta := self.part(piece)) is not None:
                    yield delta
        for delta in self.rest():
            yield delta

    def source(self) -> AsyncGenerator[Piece, None]:
        """Yield what the engine says."""
        return self._engine.chat(self._request)

    def part(self, came: Piece) -> Delta | None:
        """Return the text of a piece."""
        text = self._take(came)
        self.ending = came.finish is not None
        if came.calls:
            self._calls.take(came.calls)
        return Delta(text, logprobs=came.logprobs) if text or came.logprobs else None

    def rest(self) -> list[Delta]:
        """Return the tools that the engine wants to have called."""
        calls = self._calls.finish()
        if calls and self.finishes == ("stop",):
            self.finishes = ("tool_calls",)
        elif not calls and self.finishes == ("tool_calls",):  # clients would wait for what never comes
            self.finishes = ("stop",)
        return [Delta(call=call) for call in calls]


class SeveralAnswers(Answer):
    """Several answers to one question, one after the other: engines read the same prompt from their cache."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        """Keep the answers."""
        super().__init__()
        self._answers = answers

    def recorded_as(self, receipt: str) -> None:
        """Tell all of them."""
        for answer in self._answers:
            answer.recorded_as(receipt)

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """Return what guards met in all of them."""
        return tuple(finding for answer in self._answers for finding in answer.findings)

    @property
    def unfiltered(self) -> str:
        """Return the texts of all of them."""
        return "\n".join(text for answer in self._answers if (text := answer.unfiltered))

    @property
    def prompt_bound(self) -> int:
        """Return how many tokens their prompt has at most."""
        return self._answers[0].prompt_bound

    @property
    def charged(self) -> Usage:
        """Return what they are charged for together; the prompt counts once."""
        each = [answer.charged for answer in self._answers]
        return Usage(
            prompt_tokens=max(one.prompt_tokens for one in each),
            completion_tokens=sum(one.completion_tokens for one in each),
        )

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the parts of each, numbered."""
        for at, answer in enumerate(self._answers):
            try:
                async with aclosing(answer.deltas()) as deltas:
                    async for delta in deltas:
                        yield msgspec.structs.replace(delta, choice=at)
            finally:
                before, spent = self.usage, answer.usage
                self.usage = Usage(
                    prompt_tokens=max(before.prompt_tokens, spent.prompt_tokens),
                    completion_tokens=before.completion_tokens + spent.completion_tokens,
                )
        self.finishes = [answer.finishes[0] for answer in self._answers]


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

    @property
    def prompt_bound(self) -> int:
        """Return how many tokens its prompt has at most."""
        return bound_of(self._request)

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the engine's text with marks behind its sentences."""
        async with aclosing(self._engine.chat(self._request)) as pieces:
            async for piece in pieces:
                if (said := self._take(piece)) and (text := await self._woven(said)):
                    yield Delta(text)
        if text := await in_thread(self._executor, self._weaver.finish):
            yield Delta(text)

    async def _woven(self, said: str) -> str:
        return await in_thread(self._executor, lambda: self._weaver.feed(said))


class Abstention(Answer):
    """Says that the knowledge base supports no answer. No engine is asked, nothing is cited."""

    def __init__(self, knowledge: str) -> None:
        """Name the knowledge base."""
        super().__init__()
        self._knowledge = knowledge
        self.status = Status.ABSTAINED

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the one sentence."""
        said = f"The knowledge base '{self._knowledge}' has nothing that supports an answer to this question."
        yield Delta(said)


def bound_of(request: EngineRequest) -> int:
    """Return how many tokens a prompt has at most: no token is shorter than a byte."""
    if request.prompt is not None:
        return len(request.prompt.encode()) + TURN_TOKENS
    options = request.options
    beside = _NOTHING_BESIDE
    if "tools" in options or "response_format" in options:
        beside = len(encode([options.get("tools", []), options.get("response_format")]))
    texts = 0
    for message in request.messages:
        texts += len(message.text.encode())
        for call in message.calls:
            texts += len(call.arguments.encode())
    return texts + beside + TURN_TOKENS * (len(request.messages) + 1)


async def in_thread(executor: Executor, call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread of an executor."""
    return await asyncio.get_running_loop().run_in_executor(executor, call)


async def grounded(
    knowledge: Knowledge,
    evidence: Evidence,
    question: str,
    *,
    engine: Engine,
    asked: EngineRequest,
    executor: Executor,
) -> Answer:
    """Return the answer to a question over the evidence that was found for it.

    The temperature is 0 where the caller names none: such answers are to repeat, not to invent.
    """
    if not evidence.supported:
        return Abstention(knowledge.name)
    messages = await in_thread(executor, lambda: knowledge.messages(question, evidence))
    citer = await in_thread(executor, lambda: knowledge.citer(evidence))
    request = msgspec.structs.replace(asked, messages=messages, options={"temperature": 0, **asked.options})
    return GroundedAnswer(engine, request, Weaver(citer), executor)
