"""Answers with text: from a checked request to a recorded answer, the same way for every form."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import structlog
from aiohttp import web

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Entropy
from lockgate.core.wire import encode
from lockgate.guard import Datamark
from lockgate.guard.errors import PromptBlockedError
from lockgate.infer.answers import Answer, PlainAnswer, SeveralAnswers, grounded, in_thread
from lockgate.infer.errors import BadRequestError, UnsupportedParameterError
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Shape, gathered
from lockgate.infer.guarding import Admission, Guards
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.meter import Meter
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.ports import EngineRequest, GuardFinding, Principal, Usage
from lockgate.infer.receipts import Asked, Grounds, ReceiptBook, Record, Status
from lockgate.infer.requests import ChatRequest
from lockgate.infer.salts import Salts
from lockgate.infer.shapes import INTERNAL_ERROR, described, provenance
from lockgate.infer.shaping import PacedPipe, Pipe, PlainPipe, Profile, ShapingPolicy, padded_whole
from lockgate.infer.targets import Target, Targets
from lockgate.infer.tooling import ToolDesk, ToolRules

RECEIPT_HEADER = "X-Lockgate-Receipt"
_SMALL = 16 * 1024
"""Bytes that asyncio's transports buffer without asking writers to wait."""
QUICK_CHARACTERS = 8_000
"""Longest conversation that is checked at once, in characters."""

_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_logger = structlog.get_logger("lockgate.infer")


class ClientGoneError(Exception):
    """The caller stopped reading."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request that was checked: who asks what, in which form."""

    request: web.Request
    key: Principal
    chat: ChatRequest
    form: Form


@dataclass(frozen=True, slots=True)
class Talk:
    """One request on its way: who asks what of whom, and the record of it."""

    question: Question
    target: Target
    answer: Answer
    record: Record
    shape: Shape
    began: float
    admitted: tuple[GuardFinding, ...]
    profile: Profile = Profile.OFF

    @property
    def guards(self) -> tuple[GuardFinding, ...]:
        """Return what the guards met on both ways."""
        return self.admitted + self.answer.findings


class ChatDesk:
    """Makes answers and writes them, each with its record.

    Args:
        targets: Resolves models.
        book: Records answers.
        limits: Bounds on what callers may ask.
        metrics: Where everything is counted.
        guards: Look at requests and answers.
        tools: Decides about tools.
        meter: Keeps keys within their quotas.
        salts: Keep tenants apart in engines' caches.
        entropy: Names tool calls.
        executor: Threads for the knowledge bases.
        shaping: What observers of the network see of answers, by label.

    """

    def __init__(
        self,
        *,
        targets: Targets,
        book: ReceiptBook,
        limits: GatewayLimits,
        metrics: GatewayMetrics,
        guards: Guards,
        tools: ToolDesk,
        meter: Meter,
        salts: Salts,
        entropy: Entropy,
        executor: Executor,
        shaping: ShapingPolicy,
    ) -> None:
        """Keep the parts."""
        self._targets = targets
        self._book = book
        self._limits = limits
        self._metrics = metrics
        self._guards = guards
        self._tools = tools
        self._meter = meter
        self._salts = salts
        self._entropy = entropy
        self._executor = executor
        self._shaping = shaping

    async def answer(self, question: Question) -> web.StreamResponse:
        """Answer a request, streamed or whole."""
        began = asyncio.get_running_loop().time()
        chat, key = question.chat, question.key
        target = self._targets.resolve(chat.model, key, lambda: _token(chat))
        self._demand_abilities(chat, target)
        tools = self._tools.rules_for(chat, key)
        with self._metrics.in_flight.track_inprogress():
            admission = await self._admitted(chat)
            asked = Asked(
                key, target.view, target.model, target.loaded, chat.messages, None, _tools(chat), target.share
            )
            if admission.blocked is not None:
                await self._refuse(asked, admission)
            async with target.slots.held(key.id, self._meter.priority(key)):
                target = self._targets.again(target, key)  # withdrawn, perhaps, while this one waited
                asked = replace(asked, view=target.view, model=target.model, loaded=target.loaded)
                answer, grounds = await self._answer(target, chat, key, tools)
                completion = chat.max_tokens * chat.choices if answer.prompt_bound else 0
                async with self._meter.reserved(key, answer.prompt_bound, completion) as charge:
                    try:
                        record = self._book.record(replace(asked, grounds=grounds))
                        met = admission.findings + (grounds.blocked if grounds else ())
                        answer.recorded_as(record.id)
                        head = Head(record.id, chat.model, self._book.clock(), chat)
                        shape = question.form.shape(head)
                        profile = self._shaping.of({target.model.label, *key.labels})
                        talk = Talk(question, target, answer, record, shape, began, met, profile)
                        async with self._recorded(talk):
                            return await (self._streamed(talk) if chat.stream else self._whole(talk))
                    finally:
                        charge.usage = answer.charged

    async def _admitted(self, chat: ChatRequest) -> Admission:
        """Check a request's texts, long ones in a thread, so that others need not wait for them."""
        if sum(len(message.text) for message in chat.messages) <= QUICK_CHARACTERS:
            return self._guards.admit(chat.messages)
        return await in_thread(self._executor, lambda: self._guards.admit(chat.messages))

    def _demand_abilities(self, chat: ChatRequest, target: Target) -> None:
        """Refuse what would go round the guards or has no meaning over a knowledge base.

        Raises:
            UnsupportedParameterError: It is asked for.

        """
        options = chat.options
        if options.get("top_logprobs") and self._guards.watches_canaries:
            what = "Alternatives to tokens would spell what must not leave: top_logprobs must be 0."
            raise UnsupportedParameterError(what, param="top_logprobs")
        if target.knowledge is None:
            return
        for name in ("tools", "response_format", "logprobs"):
            if name in options:
                what = f"An answer from a knowledge base has no {name}."
                raise UnsupportedParameterError(what, param=name)
        if chat.choices > 1 or chat.raw:
            what = "A knowledge base gives one answer to a conversation."
            raise UnsupportedParameterError(what, param="prompt" if chat.raw else "n")

    async def _refuse(self, asked: Asked, admission: Admission) -> NoReturn:
        """Record a request that a guard stopped, so that it can be looked at again, and refuse it.

        Raises:
            PromptBlockedError: Always; it names the receipt.

        """
        record = self._book.record(asked)
        error = admission.blocked or PromptBlockedError("A guard stopped this request.")
        await record.close(Status.BLOCKED, usage=Usage(), guards=admission.findings, reason=error.code)
        self._metrics.answers.labels(asked.model.name, Status.BLOCKED.value).inc()
        what = f"{error.what} Receipt {record.id}."
        raise PromptBlockedError(what, **error.where, receipt=record.id)

    async def _answer(
        self, target: Target, chat: ChatRequest, key: Principal, tools: ToolRules
    ) -> tuple[Answer, Grounds | None]:
        """Return the answer to be made and, with a knowledge base, what that found."""
        knowledge = target.knowledge
        shown, mark = self._guards.marked(chat.messages, self._entropy)
        asked = EngineRequest(
            messages=() if chat.raw else shown,
            max_tokens=chat.max_tokens,
            options=chat.options,
            prompt=chat.question if chat.raw else None,
            salt=self._salts.of(key.id),
        )
        if knowledge is None:
            answers = [
                self._filtered(
                    PlainAnswer(target.engine, _numbered(asked, at), self._entropy), chat, tools, mark
                )
                for at in range(chat.choices)
            ]
            return (answers[0] if chat.choices == 1 else SeveralAnswers(answers)), None
        question = chat.question
        if not question.strip():
            what = "A knowledge base needs a question: the last user message is empty."
            raise BadRequestError(what, param="messages")
        labels = frozenset(key.labels)
        evidence = await in_thread(self._executor, lambda: knowledge.retrieve(question, labels))
        answer = await grounded(
            knowledge, evidence, question, engine=target.engine, asked=asked, executor=self._executor
        )
        grounds = Grounds(knowledge.name, knowledge.index_sha256, evidence.documents, evidence.blocked)
        return self._filtered(answer, chat, tools), grounds

    def _filtered(
        self, answer: Answer, chat: ChatRequest, tools: ToolRules, mark: Datamark | None = None
    ) -> Answer:
        logprobs = "logprobs" in chat.options
        return self._guards.filtered(answer, chat.messages, tools=tools, mark=mark, logprobs=logprobs)

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
        response.content_type = talk.question.form.media
        if response.content_type.startswith("text/"):
            response.charset = "utf-8"
        async with aclosing(talk.answer.deltas()) as deltas:
            first = await self._first(talk, deltas)
            await self._start(talk)
            await self._patiently(response.prepare(talk.question.request))
            async with self._pipe(talk, response) as pipe:
                try:
                    await self._send_all(talk, pipe, deltas, first)
                except ClientGoneError:
                    raise
                except Exception as error:  # noqa: BLE001  # a response that has begun cannot become another
                    await self._broken_off(talk, pipe, error)
            await self._patiently(response.write_eof())
        return response

    def _pipe(self, talk: Talk, response: web.StreamResponse) -> Pipe:
        """Return where the parts of a stream leave, by the profile of its labels."""
        measures, media, profile = self._shaping.shaping, talk.question.form.media, talk.profile

        async def write(data: bytes) -> None:
            await self._send(talk, response, data)

        async def finish(data: bytes) -> None:
            await self._patiently(response.write_eof(data))

        if profile is Profile.OFF:
            return PlainPipe(write, finish, media)
        if profile is Profile.PADDED:
            return PlainPipe(write, finish, media, measures.pad_bytes)
        bucket = measures.bucket_records if profile is Profile.CONSTANT else 1
        return PacedPipe(write, media, measures, bucket=bucket)

    async def _start(self, talk: Talk) -> None:
        """Wait, under ``constant``, until the next moment at which an answer may begin."""
        if talk.profile is Profile.CONSTANT:
            grid = self._shaping.shaping.start_seconds
            elapsed = asyncio.get_running_loop().time() - talk.began
            await asyncio.sleep(-elapsed % grid)

    async def _broken_off(self, talk: Talk, pipe: Pipe, error: Exception) -> None:
        """End a stream with an error in place of the rest."""
        talk.answer.status = Status.FAILED
        if isinstance(error, LockgateError):
            code, (status, said) = error.code, described(error)
        else:
            code, status, said = LockgateError.code, 500, INTERNAL_ERROR
            _logger.error("an answer broke off", exc_info=error)
        talk.record.close(Status.FAILED, usage=talk.answer.usage, guards=talk.guards, reason=code)
        await pipe.end(talk.shape.broken(status, said))

    async def _send_all(self, talk: Talk, pipe: Pipe, deltas: AsyncIterator[Delta], first: Delta) -> None:
        shape = talk.shape
        _add(talk.record, first)
        await pipe.send(shape.begin() + shape.delta(first))
        async for delta in deltas:
            _add(talk.record, delta)
            if data := shape.delta(delta):
                await pipe.send(data)
        await self._close(talk)
        await pipe.end(shape.end(self._ended(talk)))

    async def _whole(self, talk: Talk) -> web.StreamResponse:
        async with aclosing(talk.answer.deltas()) as deltas:
            parts = [await self._first(talk, deltas)]
            parts += [delta async for delta in deltas]
        for part in parts:
            _add(talk.record, part)
        await self._close(talk)
        said = gathered(parts, talk.question.chat.choices)
        body = talk.shape.whole(said, self._ended(talk))
        if talk.profile is not Profile.OFF:
            body = padded_whole(body, self._shaping.shaping.whole_bytes)
        await self._start(talk)
        return web.Response(
            body=body,
            content_type="application/json",
            headers={RECEIPT_HEADER: talk.record.id},
        )

    async def _first(self, talk: Talk, deltas: AsyncGenerator[Delta, None]) -> Delta:
        """Return the first part, and not before the intent is durable."""
        first = await anext(deltas, Delta())
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

    async def _send(self, talk: Talk, response: web.StreamResponse, data: bytes) -> None:
        """Send a part of a stream; see `_patiently`."""
        transport = talk.question.request.transport
        if transport is None or len(data) > _SMALL or transport.get_write_buffer_size():
            await self._patiently(response.write(data))
            return
        try:
            await response.write(data)  # the system took all so far: this cannot wait for the caller
        except ConnectionError as error:
            raise ClientGoneError from error

    def _ended(self, talk: Talk) -> Ended:
        knowledge = talk.target.knowledge
        name = knowledge.name if knowledge else None
        lockgate = provenance(talk.record.id, talk.target.model.purl, name, talk.answer.citations)
        seconds = asyncio.get_running_loop().time() - talk.began
        return Ended(talk.answer.finishes, talk.answer.usage, lockgate, seconds)

    def _count(self, talk: Talk, status: Status) -> None:
        name, usage = talk.target.model.name, talk.answer.usage
        self._metrics.answers.labels(name, status.value).inc()
        if talk.target.share:
            self._metrics.shares.labels(talk.target.asked, name).inc()
        self._metrics.tokens.labels(name, "prompt").inc(usage.prompt_tokens)
        self._metrics.tokens.labels(name, "completion").inc(usage.completion_tokens)


def _add(record: Record, delta: Delta) -> None:
    """Take what leaves into the answer's digest: text as it is, a tool call as canonical JSON."""
    record.add(delta.text)
    if (call := delta.call) is not None:
        record.add(encode({"id": call.id, "name": call.name, "arguments": call.arguments}).decode())


def _numbered(asked: EngineRequest, at: int) -> EngineRequest:
    """Return the request for one of several answers: a seed that was given would make all alike."""
    seed = asked.options.get("seed")
    if at and isinstance(seed, int):
        return replace(asked, options={**asked.options, "seed": seed + at})
    return asked


def _token(chat: ChatRequest) -> bytes:
    """Return what stands for a request where a share is decided by it: the same for the same words."""
    return encode([[message.role, message.text] for message in chat.messages])


def _tools(chat: ChatRequest) -> bytes:
    """Return the canonical bytes of what was asked beside the turns; nothing for plain chat."""
    found = {name: chat.options[name] for name in ("tools", "response_format") if name in chat.options}
    return encode(found) if found else b""
