"""The gateway's HTTP side: what is served, and where each request goes.

aiohttp cancels a handler when its caller leaves (``handler_cancellation``), so that the engine is
cut off at once, before the first token too.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aiohttp import web

from lockgate import __version__
from lockgate.core.emergency import judge_debt
from lockgate.core.errors import LockgateError
from lockgate.core.wire import encode
from lockgate.infer.appealing import AppealDesk, AppealRoutes, SealedKeeper
from lockgate.infer.chat import ChatDesk, Question
from lockgate.infer.door import Door
from lockgate.infer.engines.ports import EngineState
from lockgate.infer.errors import (
    UnknownModelError,
)
from lockgate.infer.forms import FORMS
from lockgate.infer.forms.ollama_models import ollama_show, ollama_tags
from lockgate.infer.guarding import Guards
from lockgate.infer.guardwatch import GuardWatch
from lockgate.infer.limits import EngineLimits, GatewayLimits
from lockgate.infer.meter import Meter
from lockgate.infer.metrics import CONTENT_TYPE, GatewayMetrics
from lockgate.infer.page import ChatPage
from lockgate.infer.parts import Parts
from lockgate.infer.plain import PlainDesk
from lockgate.infer.ports import (
    AdmittedModel,
    Principal,
)
from lockgate.infer.recording import ReceiptBook
from lockgate.infer.salts import Salts
from lockgate.infer.shapes import model, models
from lockgate.infer.silence import SilentConnections
from lockgate.infer.targets import Listed, Targets
from lockgate.infer.tooling import ToolDesk
from lockgate.infer.withdrawal import Withdrawals

_RUNNING = (EngineState.READY,)
_KNOWLEDGE_THREADS = 2


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
        self._door = Door(parts.keys, parts.callers, parts.sign_in, self._limits, self.metrics)
        self._ledger_thread = ThreadPoolExecutor(1, "lockgate-ledger")
        self._knowledge_threads = ThreadPoolExecutor(_KNOWLEDGE_THREADS, "lockgate-knowledge")
        self._book = ReceiptBook(
            parts.ledger, parts.receipts, parts.clock, parts.entropy, executor=self._ledger_thread
        )
        self._quota_thread = ThreadPoolExecutor(1, "lockgate-quotas")
        self._meter = Meter(parts.quotas, parts.spending, self._quota_thread)
        targets = Targets(
            parts.source, parts.engines, parts.knowledge, engine_limits or EngineLimits(), parts.shares
        )
        self._targets = targets
        self._silent: SilentConnections | None = None
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
        """Yield what looks again and again: at models, at connections, at guards."""
        yield Withdrawals(self._parts.source, self._parts.engines, self._targets.running).watch()
        if self._silent is not None:
            yield self._silent.watch()
        if self._parts.guards_now is not None:
            yield GuardWatch(self._guards, self._parts.guards_now).watch()

    def runner(self) -> web.AppRunner:
        """Return the runner that serves the application within the limits."""
        app = web.Application(middlewares=[self._door.shielded])
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
            AppealRoutes(desk, self._door.caller, self._door.body, self._knowledge_threads).add_to(app)
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
            keepalive_timeout=self._limits.kept_seconds,
        )

    def straighten(self, runner: web.AppRunner) -> None:
        """Let what a runner serves, once it is set up, take the short way to answers with text."""
        server = runner.server
        if server is not None:
            silent = self._silent = SilentConnections(server, self._limits.head_seconds)
            straight = self._door.straight(FORMS, self._chat, server.request_handler)

            def handed(request: web.Request) -> Awaitable[web.StreamResponse]:
                silent.asked(request)
                return straight(request)

            server.request_handler = handed  # type: ignore[assignment]  # they are the application's

    async def close(self) -> None:
        """Write what is still to be written and give the threads back."""
        await self._meter.settled()
        await self._book.settled()
        self._quota_thread.shutdown()
        self._ledger_thread.shutdown()
        self._knowledge_threads.shutdown(cancel_futures=True)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        key = await self._door.caller(request)
        with self._door.admitted(key):
            form = FORMS[request.path]
            chat = form.parse(await self._door.body(request), self._limits)
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
        key = await self._door.caller(request)
        with self._door.admitted(key):
            return await serve(key, await self._door.body(request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._door.caller(request))
        return _json(models(view, listed, self._parts.cards))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._door.caller(request))
        name = request.match_info["name"]
        for one in listed:
            if one.name == name:
                return _json(model(view, one, self._parts.cards))
        what = f"There is no model {name!r} for this key."
        raise UnknownModelError(what, param="model")

    async def _ollama_tags(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._door.caller(request))
        return _json(ollama_tags(view, _named(listed)))

    async def _ollama_show(self, request: web.Request) -> web.StreamResponse:
        view, listed = self._targets.listed(await self._door.caller(request))
        return _json(ollama_show(view, _named(listed), await self._door.body(request)))

    async def _ollama_version(self, request: web.Request) -> web.StreamResponse:
        await self._door.caller(request)
        return _json({"version": __version__})

    async def _receipt(self, request: web.Request) -> web.StreamResponse:
        found = await self._book.find(request.match_info["id"], await self._door.caller(request))
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


def _named(listed: Sequence[Listed]) -> list[tuple[str, AdmittedModel]]:
    return [(one.name, one.model) for one in listed]


def _json(body: object) -> web.Response:
    return web.Response(body=encode(body), content_type="application/json")
