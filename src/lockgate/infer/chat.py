"""Answers with text: from a checked request to a recorded answer, the same way for every form."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import NoReturn

import msgspec
import structlog
from aiohttp import web

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Entropy
from lockgate.core.wire import encode
from lockgate.guard import Datamark
from lockgate.guard.errors import PromptBlockedError
from lockgate.infer.answers import Answer, PlainAnswer, SeveralAnswers, grounded, in_thread
from lockgate.infer.appealing import Keeper, passages_of
from lockgate.infer.engines.ports import EngineRequest, Message, Usage
from lockgate.infer.errors import BadRequestError, LedgerUnavailableError, UnsupportedParameterError
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Shape, gathered
from lockgate.infer.guarding import Admission, Guards
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.meter import Meter
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.outflow import RECEIPT_HEADER, ClientGoneError, EventStream
from lockgate.infer.ports import GuardFinding, Principal
from lockgate.infer.receipts import Asked, Grounds, Status, tools_of
from lockgate.infer.recording import ReceiptBook, Record
from lockgate.infer.requests import ChatRequest
from lockgate.infer.salts import Salts
from lockgate.infer.shapes import INTERNAL_ERROR, described, provenance
from lockgate.infer.shaping import PacedPipe, Pipe, PlainPipe, Profile, ShapingPolicy, padded_whole
from lockgate.infer.targets import Target, Targets
from lockgate.infer.tooling import ToolDesk, ToolRules

QUICK_CHARACTERS = 8_000
"""Longest conversation that is checked at once, in characters."""

_logger = structlog.get_logger("lockgate.infer")


class Question(msgspec.Struct, frozen=True):
    """A request that was checked: who asks what, in which form."""

    request: web.Request
    key: Principal
    chat: ChatRequest
    form: Form


class Talk(msgspec.Struct, frozen=True):
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
        keeper: Keeps texts that guards stopped or met something in; none where no auditor reads them.

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
        keeper: Keeper | None = None,
    ) -> None:
        """Keep the parts."""
        self._keeper = keeper
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
        with self._metrics.in_flight:
            admission = await self._admitted(chat)
            if admission.blocked is not None:
                await self._refuse(_asked(question, target), admission)
            async with target.slots.held(key.id, self._meter.priority(key)):
                target = self._targets.again(target, key)  # withdrawn, perhaps, while this one waited
                answer, grounds = await self._answer(target, chat, key, tools)
                prompt = answer.prompt_bound
                completion = chat.max_tokens * chat.choices if prompt else 0
                async with self._meter.reserved(key, prompt, completion) as charge:
                    try:
                        record = self._book.record(_asked(question, target, grounds))
                        met = admission.findings + (grounds.blocked if grounds else ())
                        answer.recorded_as(record.id)
                        head = Head(record.id, chat.model, record.requested, chat)
                        shape = question.form.shape(head)
                        profile = self._shaping.of({target.model.label, *key.labels})
                        talk = Talk(question, target, answer, record, shape, began, met, profile)
                        return await self._recorded(talk)
                    finally:
                        charge.usage = answer.charged

    async def _admitted(self, chat: ChatRequest) -> Admission:
        """Check a request's texts, long ones in a thread, so that others need not wait for them."""
        characters = 0
        for message in chat.messages:
            characters += len(message.text)
        if characters <= QUICK_CHARACTERS:
            admission = self._guards.admit(chat.messages)
        else:
            admission = await in_thread(self._executor, lambda: self._guards.admit(chat.messages))
        if admission.decisions:
            self._guards.count(admission)
        return admission

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
        await self._keep(record, asked.messages, admission.findings)
        record.close(Status.BLOCKED, usage=Usage(), guards=admission.findings, reason=error.code)
        await record.closed()
        self._metrics.answers.labels(asked.model.name, Status.BLOCKED.value).inc()
        what = f"{error.what} Receipt {record.id}."
        raise PromptBlockedError(what, **error.where, receipt=record.id)

    async def _keep(
        self, record: Record, messages: Sequence[Message], met: Sequence[GuardFinding], answer: str = ""
    ) -> None:
        """Keep the texts that guards met something in, where the site's auditors read them.

        Raises:
            LedgerUnavailableError: They cannot be kept.

        """
        keeper = self._keeper
        if keeper is None or not met:
            return
        passages = passages_of(messages, answer)
        try:
            await in_thread(self._executor, lambda: keeper.keep(record.id, passages))
        except (LockgateError, OSError) as error:
            _logger.exception("texts for auditors cannot be kept")
            raise LedgerUnavailableError("The answer could not be recorded.") from error

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

    async def _recorded(self, talk: Talk) -> web.StreamResponse:
        """Answer, and see to it that the intent has an outcome, however the answer ends."""
        talk.record.begin()
        status = Status.FAILED
        try:
            response = await (self._streamed(talk) if talk.question.chat.stream else self._whole(talk))
            status = talk.answer.status
        except (asyncio.CancelledError, ClientGoneError):
            status = Status.CANCELLED
            talk.record.close(status, usage=talk.answer.usage, guards=talk.guards)
            raise
        except Exception as error:
            reason = error.code if isinstance(error, LockgateError) else LockgateError.code
            if isinstance(error, LockgateError) and not isinstance(error, LedgerUnavailableError):
                error.where["recorded"] = talk.record.id  # so that its caller can ask why
            talk.record.close(status, usage=talk.answer.usage, guards=talk.guards, reason=reason)
            await talk.record.closed()
            raise
        finally:
            self._count(talk, status)
        return response

    async def _streamed(self, talk: Talk) -> web.StreamResponse:
        question = talk.question
        deltas = talk.answer.deltas()
        try:
            # How long an engine reads before it speaks tells of the question: ``constant`` waits for nothing.
            first = None if talk.profile is Profile.CONSTANT else await self._first(talk, deltas)
            stall = self._limits.client_stall_seconds
            response = EventStream(question.request, question.form.media, talk.record.id, stall)
            async with self._pipe(talk, response) as pipe:
                try:
                    if first is None:
                        first = await self._first(talk, deltas)
                    await self._send_all(talk, pipe, deltas, first)
                except ClientGoneError:
                    raise
                except Exception as error:
                    if not response.begun and not pipe.kept:
                        raise
                    # A response that has begun cannot become another, and text that came is not taken back.
                    await self._broken_off(talk, pipe, error)
            await response.write_eof()
        finally:
            await deltas.aclose()
        return response

    def _pipe(self, talk: Talk, response: EventStream) -> Pipe:
        """Return where the parts of a stream leave, by the profile of its labels."""
        measures, media, profile = self._shaping.shaping, talk.question.form.media, talk.profile

        if profile is Profile.OFF:
            return PlainPipe(response.write, response.write_eof, media)
        if profile is Profile.PADDED:
            return PlainPipe(response.write, response.write_eof, media, measures.pad_bytes)
        if profile is Profile.PACED:
            return PacedPipe(response.write, media, measures)
        wait = self._until_start(talk)
        return PacedPipe(response.write, media, measures, bucket=measures.bucket_records, wait_seconds=wait)

    def _until_start(self, talk: Talk) -> float:
        """Return the seconds until the next moment at which a constant answer may begin."""
        elapsed = asyncio.get_running_loop().time() - talk.began
        return -elapsed % self._shaping.shaping.start_seconds

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
        shape, answer = talk.shape, talk.answer
        _add(talk.record, first)
        await pipe.send(shape.begin() + shape.delta(first), last=answer.ending)
        async for delta in deltas:
            _add(talk.record, delta)
            if data := shape.delta(delta):
                await pipe.send(data, last=answer.ending)
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
        if talk.profile is Profile.CONSTANT:
            await asyncio.sleep(self._until_start(talk))
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
        answer, guards = talk.answer, talk.guards
        if guards and self._keeper is not None:
            await self._keep(talk.record, talk.question.chat.messages, guards, answer.unfiltered)
        talk.record.close(answer.status, usage=answer.usage, cited=answer.citations, guards=guards)
        await talk.record.closed()

    def _ended(self, talk: Talk) -> Ended:
        knowledge = talk.target.knowledge
        name = knowledge.name if knowledge else None
        lockgate = provenance(talk.record.id, talk.target.model.purl, name, talk.answer.citations)
        seconds = asyncio.get_running_loop().time() - talk.began
        answer, stops = talk.answer, talk.question.chat.options.get("stop")
        told = answer.stopped_by  # an engine's words: no text but one that the caller gave leaves by them
        stopped_by = told if isinstance(stops, list) and told in stops else ""
        return Ended(answer.finishes, answer.usage, lockgate, seconds, stopped_by)

    def _count(self, talk: Talk, status: Status) -> None:
        name, usage = talk.target.model.name, talk.answer.usage
        self._metrics.answers.add(1, name, status)
        if talk.target.share:
            self._metrics.shares.labels(talk.target.asked, name).inc()
        self._metrics.tokens.add(usage.prompt_tokens, name, "prompt")
        self._metrics.tokens.add(usage.completion_tokens, name, "completion")


def _asked(question: Question, target: Target, grounds: Grounds | None = None) -> Asked:
    """Return what is known of a request before its answer begins."""
    chat, model = question.chat, target.model
    said, share = tools_of(chat), target.share
    return Asked(question.key, target.view, model, target.loaded, chat.messages, grounds, said, share)


def _add(record: Record, delta: Delta) -> None:
    """Take what leaves into the answer's digest: text as it is, a tool call as canonical JSON."""
    if delta.text:
        record.add(delta.text)
    if (call := delta.call) is not None:
        record.add(encode({"id": call.id, "name": call.name, "arguments": call.arguments}).decode())


def _numbered(asked: EngineRequest, at: int) -> EngineRequest:
    """Return the request for one of several answers: a seed that was given would make all alike."""
    seed = asked.options.get("seed")
    if at and isinstance(seed, int):
        return msgspec.structs.replace(asked, options={**asked.options, "seed": seed + at})
    return asked


def _token(chat: ChatRequest) -> bytes:
    """Return what stands for a request where a share is decided by it: the same for the same words."""
    return encode([[message.role, message.text] for message in chat.messages])
