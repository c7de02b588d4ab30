"""The gateway's HTTP side: who calls, within which bounds, and where it goes.

aiohttp cancels a handler when its caller leaves (``handler_cancellation``), so that the engine is
cut off at once, before the first token too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from lockgate import __version__
from lockgate.core.emergency import judge_debt
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock, Entropy
from lockgate.core.roots import Recipient
from lockgate.core.wire import encode
from lockgate.guard import GuardPolicy, Scorer
from lockgate.guard.appeals import Appeals
from lockgate.guard.held import HeldCalls
from lockgate.infer.appealing import AppealDesk, AppealRoutes, SealedKeeper
from lockgate.infer.cards import ModelCard
from lockgate.infer.chat import ChatDesk, Question
from lockgate.infer.engines.ports import Engine, EngineState
from lockgate.infer.errors import (
    BadRequestError,
    BodyTooLargeError,
    SlowRequestError,
    TooManyRequestsError,
    UnknownModelError,
)
from lockgate.infer.forms import FORMS, form_at
from lockgate.infer.forms.ollama_models import ollama_show, ollama_tags
from lockgate.infer.guarding import Guards
from lockgate.infer.guardwatch import GuardWatch
from lockgate.infer.identity import Callers, Credentials
from lockgate.infer.identity.signin import SignIn
from lockgate.infer.keys import authenticate, is_key
from lockgate.infer.limits import EngineLimits, GatewayLimits
from lockgate.infer.meter import Meter
from lockgate.infer.metrics import CONTENT_TYPE, GatewayMetrics
from lockgate.infer.outflow import RECEIPT_HEADER, ClientGoneError
from lockgate.infer.page import ChatPage
from lockgate.infer.plain import PlainDesk
from lockgate.infer.ports import (
    AdmittedModel,
    KeyStore,
    Knowledge,
    Ledger,
    ModelSource,
    Principal,
    ReceiptStore,
)
from lockgate.infer.quotafile import MemoryQuotas, QuotaSource
from lockgate.infer.quotas import Quotas
from lockgate.infer.recording import ReceiptBook
from lockgate.infer.salts import Salts
from lockgate.infer.shapes import INTERNAL_ERROR, described, error_object, model, models
from lockgate.infer.shaping import ShapingPolicy
from lockgate.infer.shares import MemoryShares, ShareSource
from lockgate.infer.targets import Listed, Targets
from lockgate.infer.toolfile import MemoryTools, ToolSource
from lockgate.infer.tooling import ToolDesk
from lockgate.infer.withdrawal import Withdrawals

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RETRY = frozenset({429, 503})
_ERROR = 400
_TOO_MANY, _NO_METHOD = 429, 405
_RUNNING = (EngineState.READY,)
_KNOWLEDGE_THREADS = 2
_LEDGER_THREADS = 2  # one for the log, one for receipts
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the gateway uses; joined by `lockgate.app`.

    Attributes:
        source: The admitted models of the verified channel.
        engines: The engine of each chat model, by the model's name.
        knowledge: The knowledge bases, by name (written behind the ``@`` of a model's name).
        keys: The API keys.
        appeals: Where appeals against the guards are kept; none where nobody appeals.
        auditors: Whom the texts are sealed to that guards stopped or met something in; none: none are kept.
        sign_in: The chat page's doors for people without a key; none where it asks for keys alone.
        callers: Tells who asks without an API key; none where keys alone open the gateway.
        ledger: The audit log.
        receipts: Where receipts are kept.
        clock: The present moment.
        entropy: Random bytes.
        guards: What the guards do when the gateway starts.
        guards_now: Returns what they do, verified anew; blocks. None where they stay as they began.
        scorer: The classifier of the guards; none where rules alone decide.
        canaries: Words that must not leave in an answer.
        salt_secret: Makes the salts of tenants' caches; empty for one that ends with this process.
        quotas: What each key may spend.
        shaping: What observers of the network see of answers, by label.
        sources: Address of the mirrors, where the chat page opens cited documents.
        shares: How the traffic of names is spread over models.
        cards: What is known of a served model, by its name; quick.
        tools: The tools that models may call.
        held: Where calls wait for a person; where there is none, they are refused.
        spending: Keeps what keys spend; where there is none, quotas bound nothing but the order of waiting.

    """

    source: ModelSource
    engines: Mapping[str, Engine]
    knowledge: Mapping[str, Knowledge]
    keys: KeyStore
    ledger: Ledger
    receipts: ReceiptStore
    clock: Clock
    entropy: Entropy
    guards: GuardPolicy = field(default_factory=GuardPolicy)
    guards_now: Callable[[], GuardPolicy] | None = None
    scorer: Scorer | None = None
    canaries: tuple[str, ...] = ()
    salt_secret: bytes = b""
    quotas: QuotaSource = field(default_factory=MemoryQuotas)
    spending: Quotas | None = None
    sources: str = ""
    shares: ShareSource = field(default_factory=MemoryShares)
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    shaping: ShapingPolicy = field(default_factory=ShapingPolicy)
    tools: ToolSource = field(default_factory=MemoryTools)
    held: HeldCalls | None = None
    callers: Callers | None = None
    sign_in: SignIn | None = None
    appeals: Appeals | None = None
    auditors: tuple[Recipient, ...] = ()


class Gateway:
    """The gateway as an aiohttp application."""

    def __init__(
        self,
        parts: Parts,
        limits: GatewayLimits | None = None,
        engine_limits: EngineLimits | None = None,
    ) -> None:
        """Keep the parts; nothing listens yet."""
        self._parts = parts
        self._limits = limits or GatewayLimits()
        self.metrics = GatewayMetrics()
        self._running: dict[str, int] = {}
        self._ledger_threads = ThreadPoolExecutor(_LEDGER_THREADS, "lockgate-ledger")
        self._knowledge_threads = ThreadPoolExecutor(_KNOWLEDGE_THREADS, "lockgate-knowledge")
        self._book = ReceiptBook(
            parts.ledger, parts.receipts, parts.clock, parts.entropy, executor=self._ledger_threads
        )
        self._quota_thread = ThreadPoolExecutor(1, "lockgate-quotas")
        self._meter = Meter(parts.quotas, parts.spending, self._quota_thread)
        targets = Targets(
            parts.source, parts.engines, parts.knowledge, engine_limits or EngineLimits(), parts.shares
        )
        self._targets = targets
        self._guards = Guards(
            parts.guards, parts.canaries, self.metrics, parts.scorer, keeps=bool(parts.auditors)
        )
        self._desk = ChatDesk(
            targets=targets,
            book=self._book,
            limits=self._limits,
            metrics=self.metrics,
            tools=ToolDesk(parts.tools, parts.held, self._knowledge_threads, self.metrics),
            guards=self._guards,
            meter=self._meter,
            salts=Salts(parts.salt_secret or parts.entropy(32), parts.clock),
            entropy=parts.entropy,
            executor=self._knowledge_threads,
            shaping=parts.shaping,
            keeper=SealedKeeper(parts.appeals, parts.auditors, parts.entropy)
            if parts.appeals is not None and parts.auditors
            else None,
        )
        self._plain = PlainDesk(
            targets=targets, book=self._book, limits=self._limits, metrics=self.metrics, meter=self._meter
        )

    def watches(self) -> Iterator[Coroutine[object, object, None]]:
        """Yield what looks again and again: for models that were withdrawn, for guards that were changed."""
        yield Withdrawals(self._parts.source, self._parts.engines, self._targets.running).watch()
        if self._parts.guards_now is not None:
            yield GuardWatch(self._guards, self._parts.guards_now).watch()

    def runner(self) -> web.AppRunner:
        """Return the runner that serves the application within the limits."""
        app = web.Application(middlewares=[self._shielded])
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/v1/models/{name:.{1,300}}", self._show)
        for path in FORMS:
            app.router.add_post(path, self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/rerank", self._rerank)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/api/embed", self._ollama_embed)
        app.router.add_get("/api/tags", self._ollama_tags)
        app.router.add_post("/api/show", self._ollama_show)
        app.router.add_get("/api/version", self._ollama_version)
        app.router.add_get("/v1/lockgate/receipts/{id}", self._receipt)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._metrics)
        parts = self._parts
        if parts.appeals is not None:
            desk = AppealDesk(
                parts.appeals,
                parts.receipts,
                parts.ledger,
                auditors=parts.auditors,
                entropy=parts.entropy,
                limits=self._limits,
            )
            AppealRoutes(desk, self._caller, self._body, self._ledger_threads).add_to(app)
        doors = parts.sign_in
        ChatPage(self._parts.sources, doors.names if doors else "").add_to(app)
        for (method, path), answer in doors.routes().items() if doors else ():
            app.router.add_route(method, path, answer)
        return web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=self._limits.line_bytes,
            max_field_size=self._limits.header_bytes,
            shutdown_timeout=self._limits.shutdown_seconds,
        )

    async def close(self) -> None:
        """Write what is still to be written and give the threads back."""
        await self._meter.settled()
        await self._book.settled()
        self._quota_thread.shutdown()
        self._ledger_threads.shutdown()
        self._knowledge_threads.shutdown(cancel_futures=True)

    @web.middleware
    async def _shielded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn every error into the API's shape, and count."""
        status = 499  # the caller left (nginx's number for it)
        try:
            response = await self._answered(request, handler)
            status = response.status
        except ClientGoneError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=status)
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource else "unknown"
            self.metrics.requests.labels(route, str(status)).inc()
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except LockgateError as error:
            status, said = described(error)
            self.metrics.rejected.labels(error.code).inc()
            response = self._error(request, status, said, error.where.get("retry_after"))
            if receipt := error.where.get("receipt"):
                response.headers[RECEIPT_HEADER] = str(receipt)
        except web.HTTPException as error:
            code = "method_not_allowed" if error.status == _NO_METHOD else "not_found"
            what = f"{request.method} {request.path[:200]} is not served here."
            response = self._error(request, error.status, error_object(what, "invalid_request_error", code))
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception:
            _logger.exception("a request failed", path=request.path[:200])
            response = self._error(request, 500, INTERNAL_ERROR)
        if not response.prepared:
            response.headers.update({k: v for k, v in _HEADERS.items() if k not in response.headers})
        return response

    def _error(
        self, request: web.Request, status: int, said: Mapping[str, object], retry: object = None
    ) -> web.Response:
        """Return an error in the shape of the API that was asked."""
        body = form_at(request.path).error(status, said)
        response = web.Response(status=status, body=body, content_type="application/json")
        if status in _RETRY:
            response.headers["Retry-After"] = str(retry or self._limits.retry_after_seconds)
        if status == 401:  # noqa: PLR2004  # RFC 9110, 11.6.1
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def _caller(self, request: web.Request) -> Principal:
        """Return whom a request proves to come from: an API key, or somebody whom another source knows.

        Anthropic's clients send it as ``x-api-key``, all others as a bearer token.
        """
        given = request.headers.get("Authorization")
        if given is None and (secret := request.headers.get("x-api-key")):
            given = f"Bearer {secret}"
        if self._parts.callers is not None and not is_key(given):
            session = self._parts.sign_in.session_of(request) if self._parts.sign_in else None
            known = await self._parts.callers.identify(Credentials(given, certificate_of(request), session))
            if known is not None:
                return known
        return authenticate(given, self._parts.keys)

    @contextmanager
    def _admitted(self, key: Principal) -> Iterator[None]:
        """Count a key's running requests.

        Raises:
            TooManyRequestsError: It has as many as it may.

        """
        running = self._running.get(key.id, 0)
        if running >= self._limits.per_key:
            what = f"This key has {running} requests running, as many as it may."
            raise TooManyRequestsError(what, limit="gateway.per_key")
        self._running[key.id] = running + 1
        try:
            yield
        finally:
            self._running[key.id] -= 1
            if not self._running[key.id]:
                del self._running[key.id]

    async def _body(self, request: web.Request) -> bytes:
        """Read a body within its bounds of size and time."""
        limits = self._limits
        if request.headers.get("Content-Encoding", "identity") != "identity":
            what = "Compressed bodies are not taken."
            raise BadRequestError(what)
        if request.content.is_eof() and 0 < (request.content_length or 0) <= limits.body_bytes:
            return request.content.read_nowait()  # it came with the head
        body = bytearray()
        try:
            async with asyncio.timeout(limits.body_seconds):
                if (request.content_length or 0) > limits.body_bytes:
                    self._too_large()
                while data := await request.content.readany():
                    body += data
                    if len(body) > limits.body_bytes:
                        self._too_large()
        except TimeoutError as error:
            what = f"The body did not arrive within {limits.body_seconds:g} seconds."
            raise SlowRequestError(what) from error
        return bytes(body)

    def _too_large(self) -> None:
        what = f"A body has at most {self._limits.body_bytes} bytes."
        raise BodyTooLargeError(what, limit="gateway.body_bytes")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        key = await self._caller(request)
        with self._admitted(key):
            form = FORMS[request.path]
            chat = form.parse(await self._body(request), self._limits)
            return await self._desk.answer(Question(request, key, chat, form))

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        return await self._served(request, self._plain.embed)

    async def _ollama_embed(self, request: web.Request) -> web.StreamResponse:
        return await self._served(request, self._plain.ollama_embed)

    async def _rerank(self, request: web.Request) -> web.StreamResponse:
        return await self._served(request, self._plain.rerank)

    async def _tokenize(self, request: web.Request) -> web.StreamResponse:
        return await self._served(request, self._plain.tokenize)

    async def _served(
        self, request: web.Request, serve: Callable[[Principal, bytes], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        key = await self._caller(request)
        with self._admitted(key):
            return await serve(key, await self._body(request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._caller(request))
        return _json(models(view, listed, self._parts.cards))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._caller(request))
        name = request.match_info["name"]
        for one in listed:
            if one.name == name:
                return _json(model(view, one, self._parts.cards))
        what = f"There is no model {name!r} for this key."
        raise UnknownModelError(what, param="model")

    async def _ollama_tags(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._caller(request))
        return _json(ollama_tags(view, _named(listed)))

    async def _ollama_show(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._caller(request))
        return _json(ollama_show(view, _named(listed), await self._body(request)))

    async def _ollama_version(self, request: web.Request) -> web.StreamResponse:
        await self._caller(request)
        return _json({"version": __version__})

    async def _receipt(self, request: web.Request) -> web.StreamResponse:
        found = await self._book.find(request.match_info["id"], await self._caller(request))
        return _json(found)

    async def _health(self, _: web.Request) -> web.StreamResponse:
        view = self._parts.source.current()
        engines = {name: await engine.health() for name, engine in self._parts.engines.items()}
        up = all(health.state in _RUNNING for health in engines.values())
        body = {
            "status": "ok" if up else "degraded",
            "channel": view.channel,
            "channel_version": view.channel_version,
            "snapshot_sha256": view.snapshot_sha256,
            "second_signature": judge_debt(view.owed, self._parts.clock()).name.lower(),
            "engines": {n: {"state": h.state.value, "restarts": h.restarts} for n, h in engines.items()},
            "knowledge": {name: base.index_sha256 for name, base in self._parts.knowledge.items()},
        }
        return web.Response(status=200 if up else 503, body=encode(body), content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        for name, engine in self._parts.engines.items():
            health = await engine.health()
            self.metrics.engine_up.labels(name).set(health.state in _RUNNING)
        with suppress(LockgateError):  # a channel that does not verify is what requests are refused for
            self.metrics.debt.set(judge_debt(self._parts.source.current().owed, self._parts.clock()))
        return web.Response(body=self.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


def certificate_of(request: web.Request) -> bytes | None:
    """Return the certificate (DER) that a connection's client proved to hold."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    found: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
    return found


def _named(listed: Sequence[Listed]) -> list[tuple[str, AdmittedModel]]:
    return [(one.name, one.model) for one in listed]


def _json(body: object) -> web.Response:
    return web.Response(body=encode(body), content_type="application/json")
