"""``/v1/chat/completions``: from a checked request to a recorded answer."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from aiohttp import web

from lockgate.core.errors import LockgateError
from lockgate.core.wire import encode
from lockgate.guard.errors import PromptBlockedError
from lockgate.infer.answers import Answer, PlainAnswer, Slots, grounded, in_thread
from lockgate.infer.errors import BadRequestError, EngineUnavailableError, UnknownModelError
from lockgate.infer.guarding import Admission, FilteredAnswer, Guards
from lockgate.infer.limits import EngineLimits, GatewayLimits
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.ports import (
    AdmittedModel,
    ApiKey,
    ChannelModels,
    Engine,
    EngineRequest,
    GuardFinding,
    Knowledge,
    LoadedModel,
    ModelSource,
    Usage,
)
from lockgate.infer.receipts import Asked, Grounds, ReceiptBook, Record, Status
from lockgate.infer.requests import ChatRequest
from lockgate.infer.shapes import INTERNAL_ERROR, Shape, described, provenance
from lockgate.infer.sse import DONE, event

RECEIPT_HEADER = "X-Lockgate-Receipt"
_SEPARATOR = "@"
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_logger = structlog.get_logger("lockgate.infer")


class ClientGoneError(Exception):
    """The caller stopped reading."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a model's name stands for at this moment."""

    view: ChannelModels
    model: AdmittedModel
    engine: Engine
    loaded: LoadedModel
    slots: Slots
    knowledge: Knowledge | None


@dataclass(frozen=True, slots=True)
class Talk:
    """One request on its way: who asks what of whom, and the record of it."""

    request: web.Request
    chat: ChatRequest
    target: Target
    answer: FilteredAnswer
    record: Record
    began: float
    admitted: tuple[GuardFinding, ...]

    @property
    def guards(self) -> tuple[GuardFinding, ...]:
        """Return what the guards met on both ways."""
        return self.admitted + self.answer.findings


class ChatDesk:
    """Resolves models, makes answers and renders them, each with its record.

    Args:
        source: The admitted models.
        engines: The engine of each model, by the model's name.
        knowledge: The knowledge bases, by name.
        book: Records answers.
        limits: Bounds on what callers may ask.
        engine_limits: Bounds on what engines may do.
        metrics: Where everything is counted.
        guards: Look at requests and answers.
        executor: Threads for the knowledge bases.

    """

    def __init__(
        self,
        *,
        source: ModelSource,
        engines: Mapping[str, Engine],
        knowledge: Mapping[str, Knowledge],
        book: ReceiptBook,
        limits: GatewayLimits,
        engine_limits: EngineLimits,
        metrics: GatewayMetrics,
        guards: Guards,
        executor: Executor,
    ) -> None:
        """Keep the parts."""
        self._source = source
        self._engines = engines
        self._knowledge = knowledge
        self._book = book
        self._limits = limits
        self._metrics = metrics
        self._guards = guards
        self._executor = executor
        self._slots = {name: Slots(engine_limits) for name in engines}

    def running(self, name: str) -> int:
        """Return how many answers an engine is making."""
        return self._slots[name].running

    def listed(self, key: ApiKey) -> tuple[ChannelModels, list[tuple[str, AdmittedModel]]]:
        """Return the models that a key may ask for, each alone and with each knowledge base."""
        view = self._source.current()
        mine = [m for m in view.models if m.name in self._engines and m.label in key.labels]
        bases = sorted(self._knowledge)
        names = [(name, model) for model in mine for name in _names(model.name, bases)]
        return view, names

    async def answer(self, request: web.Request, key: ApiKey, chat: ChatRequest) -> web.StreamResponse:
        """Answer a request, streamed or whole."""
        began = asyncio.get_running_loop().time()
        target = self._resolve(chat.model, key)
        with self._metrics.in_flight.track_inprogress():
            admission = self._guards.admit(chat.messages)
            if admission.blocked is not None:
                asked = Asked(key, target.view, target.model, target.loaded, chat.messages, None)
                await self._refuse(asked, admission)
            async with target.slots.held():
                target = self._resolve(chat.model, key)  # withdrawn, perhaps, while this one waited
                answer, grounds = await self._answer(target, chat, key)
                asked = Asked(key, target.view, target.model, target.loaded, chat.messages, grounds)
                record = self._book.record(asked)
                met = admission.findings + (grounds.blocked if grounds else ())
                filtered = self._guards.filtered(answer, chat.messages)
                talk = Talk(request, chat, target, filtered, record, began, met)
                async with self._recorded(talk):
                    return await (self._streamed(talk) if chat.stream else self._whole(talk))

    async def _refuse(self, asked: Asked, admission: Admission) -> NoReturn:
        """Record a request that a guard stopped, so that it can be appealed, and refuse it.

        Raises:
            PromptBlockedError: Always; it names the receipt.

        """
        record = self._book.record(asked)
        error = admission.blocked or PromptBlockedError("A guard stopped this request.")
        await record.close(Status.BLOCKED, usage=Usage(), guards=admission.findings, reason=error.code)
        self._metrics.answers.labels(asked.model.name, Status.BLOCKED.value).inc()
        what = f"{error.what} Receipt {record.id}."
        raise PromptBlockedError(what, **error.where, receipt=record.id)

    def _resolve(self, name: str, key: ApiKey) -> Target:
        base, _, collection = name.partition(_SEPARATOR)
        view = self._source.current()
        model = view.named(base)
        engine = self._engines.get(base)
        known = not collection or collection in self._knowledge
        if model is None or engine is None or not known or model.label not in key.labels:
            what = f"There is no model {name!r} for this key."
            raise UnknownModelError(what, param="model")
        loaded = engine.loaded
        if loaded is None:
            what = f"The engine of {base!r} has not loaded it."
            raise EngineUnavailableError(what)
        if loaded.sha256 != model.weights.sha256:
            what = f"The channel has other weights for {base!r} than the engine holds."
            raise EngineUnavailableError(what, advice="Restart the gateway to load the admitted weights.")
        return Target(view, model, engine, loaded, self._slots[base], self._knowledge.get(collection))

    async def _answer(self, target: Target, chat: ChatRequest, key: ApiKey) -> tuple[Answer, Grounds | None]:
        """Return the answer to be made and, with a knowledge base, what that found."""
        knowledge = target.knowledge
        if knowledge is None:
            asked = EngineRequest(chat.messages, chat.max_tokens, chat.options)
            return PlainAnswer(target.engine, asked), None
        question = chat.question
        if not question.strip():
            what = "A knowledge base needs a question: the last user message is empty."
            raise BadRequestError(what, param="messages")
        labels = frozenset(key.labels)
        evidence = await in_thread(self._executor, lambda: knowledge.retrieve(question, labels))
        answer = await grounded(
            knowledge,
            evidence,
            question,
            engine=target.engine,
            max_tokens=chat.max_tokens,
            options=chat.options,
            executor=self._executor,
        )
        return answer, Grounds(knowledge.name, knowledge.index_sha256, evidence.documents, evidence.blocked)

    @asynccontextmanager
    async def _recorded(self, talk: Talk) -> AsyncIterator[None]:
        """See to it that every intent has an outcome, however the answer ends."""
        talk.record.begin()
        status = Status.FAILED
        try:
            yield
            status = talk.answer.status
        except (asyncio.CancelledError, ClientGoneError):
            status = Status.CANCELLED
            talk.record.close(status, usage=talk.answer.usage, guards=talk.guards)
            raise
        except Exception as error:
            reason = error.code if isinstance(error, LockgateError) else LockgateError.code
            await talk.record.close(status, usage=talk.answer.usage, guards=talk.guards, reason=reason)
            raise
        finally:
            self._count(talk, status)

    async def _streamed(self, talk: Talk) -> web.StreamResponse:
        response = web.StreamResponse(headers={**_STREAM_HEADERS, RECEIPT_HEADER: talk.record.id})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        async with aclosing(talk.answer.texts()) as texts:
            first = await self._first(talk, texts)
            await self._patiently(response.prepare(talk.request))
            try:
                await self._send_all(talk, response, texts, first)
            except ClientGoneError:
                raise
            except Exception as error:  # noqa: BLE001  # a response that has begun cannot become another
                await self._broken_off(talk, response, error)
        await self._patiently(response.write_eof())
        return response

    async def _broken_off(self, talk: Talk, response: web.StreamResponse, error: Exception) -> None:
        """End a stream with an error in place of the rest, and without ``[DONE]``."""
        talk.answer.status = Status.FAILED
        if isinstance(error, LockgateError):
            code, said = error.code, described(error)[1]
        else:
            code, said = LockgateError.code, INTERNAL_ERROR
            _logger.error("an answer broke off", exc_info=error)
        talk.record.close(Status.FAILED, usage=talk.answer.usage, guards=talk.guards, reason=code)
        await self._patiently(response.write(event(encode(said))))

    async def _send_all(
        self, talk: Talk, response: web.StreamResponse, texts: AsyncIterator[str], first: str
    ) -> None:
        shape = self._shape(talk)
        talk.record.add(first)
        await self._patiently(response.write(shape.text(first, first=True)))
        async for text in texts:
            talk.record.add(text)
            await self._patiently(response.write(shape.text(text, first=False)))
        await self._close(talk)
        await self._patiently(response.write(shape.last(talk.answer.finish, self._provenance(talk))))
        if talk.chat.include_usage:
            await self._patiently(response.write(shape.usage(talk.answer.usage)))
        await self._patiently(response.write(DONE))

    async def _whole(self, talk: Talk) -> web.StreamResponse:
        async with aclosing(talk.answer.texts()) as texts:
            parts = [await self._first(talk, texts)]
            parts += [text async for text in texts]
        text = "".join(parts)
        talk.record.add(text)
        await self._close(talk)
        answer = talk.answer
        body = self._shape(talk).whole(text, answer.finish, answer.usage, self._provenance(talk))
        return web.Response(
            body=body, content_type="application/json", headers={RECEIPT_HEADER: talk.record.id}
        )

    async def _first(self, talk: Talk, texts: AsyncGenerator[str, None]) -> str:
        """Return the first text, and not before the intent is durable."""
        first = await anext(texts, "")
        await talk.record.opened()
        elapsed = asyncio.get_running_loop().time() - talk.began
        self._metrics.first_token.labels(talk.target.model.name).observe(elapsed)
        return first

    async def _close(self, talk: Talk) -> None:
        answer = talk.answer
        await talk.record.close(answer.status, usage=answer.usage, cited=answer.citations, guards=talk.guards)

    async def _patiently(self, sending: Awaitable[Any]) -> None:
        """Send something, and give up on a caller that does not take it.

        Raises:
            ClientGoneError: The connection is gone, or nothing moved in time.

        """
        try:
            async with asyncio.timeout(self._limits.client_stall_seconds):
                await sending
        except (TimeoutError, ConnectionError) as error:
            raise ClientGoneError from error

    def _shape(self, talk: Talk) -> Shape:
        return Shape(talk.record.id, int(self._book.clock().timestamp()), talk.chat.model)

    def _provenance(self, talk: Talk) -> dict[str, Any]:
        knowledge = talk.target.knowledge
        name = knowledge.name if knowledge else None
        return provenance(talk.record.id, talk.target.model.purl, name, talk.answer.citations)

    def _count(self, talk: Talk, status: Status) -> None:
        name, usage = talk.target.model.name, talk.answer.usage
        self._metrics.answers.labels(name, status.value).inc()
        self._metrics.tokens.labels(name, "prompt").inc(usage.prompt_tokens)
        self._metrics.tokens.labels(name, "completion").inc(usage.completion_tokens)


def _names(model: str, bases: list[str]) -> list[str]:
    return [model, *(f"{model}{_SEPARATOR}{base}" for base in bases)]
