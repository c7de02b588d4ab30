"""Doubles of what the gateway uses, and a fake engine server that does as it is told."""

import asyncio
import hashlib
import io
import json
import re
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from aiohttp import web

from lockgate.core.roots import Recipient
from lockgate.guard import GuardPolicy, Scorer
from lockgate.guard.appeals import Appeals
from lockgate.guard.held import HeldCalls
from lockgate.guard.tools import ToolPolicy
from lockgate.infer import (
    AdmittedModel,
    ApiKey,
    ChannelModels,
    Citation,
    CitedSentence,
    Citer,
    Engine,
    EngineHealth,
    EngineLimits,
    EngineRequest,
    EngineState,
    Evidence,
    GatewayConfig,
    GatewayLimits,
    Knowledge,
    LoadedModel,
    MemoryKeys,
    MemoryQuotas,
    MemoryReceipts,
    Message,
    ModelFile,
    ModelSource,
    Parts,
    Piece,
    Quota,
    Quotas,
    new_key,
    serving,
)
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity import Callers, Directory, Found, Source
from lockgate.infer.identity.signin import SignIn
from lockgate.infer.toolfile import MemoryTools
from lockgate.store import MemoryRecords

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WEIGHTS = b"GGUF and the weights of a very small model"
WEIGHTS_SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
HANDBOOK = (
    "The night shift begins at 22:15. "
    "Generator two starts within nine seconds. "
    "The codeword of the month is heron."
)


class Counting:
    """Entropy that never repeats and is the same in each run."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, count: int) -> bytes:
        self._calls += 1
        seed = hashlib.sha256(self._calls.to_bytes(8, "big")).digest()
        return (seed * (count // 32 + 1))[:count]


def make_key(entropy: Callable[[int], bytes], *labels: str, name: str = "tests") -> tuple[str, ApiKey]:
    return new_key(name, labels or ("internal",), lambda: NOW, entropy)


class MemoryDirectory(Directory):
    """People and passwords in memory: the double of `LdapDirectory`."""

    def __init__(self, **passwords: str) -> None:
        self.passwords = passwords
        self.groups: tuple[str, ...] = ("analysts",)
        self.asked: list[str] = []
        self.down = False

    def _found(self, name: str) -> Found:
        return Found(Source.LDAP, name, name.title(), self.groups)

    async def sign_in(self, name: str, password: str) -> Found:
        self.asked.append(name)
        if self.down:
            raise IdentitySourceError("down")
        if not password or self.passwords.get(name) != password:
            raise BadCredentialsError("no")
        return self._found(name)

    async def standing(self, subject: str) -> Found | None:
        self.asked.append(subject)
        if self.down:
            raise IdentitySourceError("down")
        return self._found(subject) if subject in self.passwords else None


class MemoryLedger:
    """A ledger that can be held up or broken. Holds its events as (kind, data)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.open = threading.Event()
        self.open.set()
        self.broken: set[str] = set()

    def _append(self, kind: str, **data: Any) -> int:
        if not self.open.wait(120):
            raise TimeoutError
        if kind in self.broken:
            raise OSError(28, "No space left on device")
        self.events.append((kind, data))
        return len(self.events) - 1

    def append_all(self, events: Sequence[dict[str, Any]]) -> int:
        return min([self._append(**event) for event in events])

    def statuses(self) -> list[str]:
        return [data["status"] for kind, data in self.events if kind == "outcome"]


def loaded(sha256: str = WEIGHTS_SHA256) -> LoadedModel:
    return LoadedModel(
        sha256=sha256,
        size=len(WEIGHTS),
        enforcement=Enforcement.SEALED,
        loaded=NOW,
        engine="pkg:generic/double@1",
        engine_sha256="e" * 64,
        engine_enforcement=Enforcement.PRIVATE,
    )


def admitted(name: str = "small", label: str = "internal") -> AdmittedModel:
    weights = ModelFile(f"models/tests/{name}/weights.gguf", WEIGHTS_SHA256, len(WEIGHTS))
    return AdmittedModel(
        name=name,
        purl=f"pkg:huggingface/tests/{name}@{'a' * 40}",
        label=label,
        licence="Apache-2.0",
        weights=weights,
        files=(weights,),
        crossing=7,
        crate_sha256="c" * 64,
    )


class MemorySource(ModelSource):
    """Admitted models in memory; `view` may be exchanged while the gateway runs."""

    def __init__(self, *models: AdmittedModel) -> None:
        self.view = ChannelModels("stable", 3, "5" * 64, NOW, models or (admitted(),))

    def current(self) -> ChannelModels:
        return self.view

    def open(self, sha256: str) -> BinaryIO:
        assert sha256 == WEIGHTS_SHA256
        return io.BytesIO(WEIGHTS)


class ScriptedEngine(Engine):
    """An engine in this process: the pure double. Says the same words whatever it is asked."""

    def __init__(self, words: Sequence[str] = ("Hello", " there", ".")) -> None:
        self.words = words
        self.asked: list[EngineRequest] = []
        self._loaded: LoadedModel | None = None

    @property
    def loaded(self) -> LoadedModel | None:
        return self._loaded

    async def start(self) -> None:
        self._loaded = loaded()

    async def stop(self) -> None:
        self._loaded = None

    async def health(self) -> EngineHealth:
        return EngineHealth(EngineState.READY if self._loaded else EngineState.STOPPED)

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        from lockgate.infer.errors import EngineUnavailableError

        if self._loaded is None:
            raise EngineUnavailableError("The engine is stopped.")
        self.asked.append(request)
        words = self.words[: request.max_tokens]
        for word in words:
            await asyncio.sleep(0)
            yield Piece(text=word)
        yield Piece(finish="stop" if len(words) == len(self.words) else "length")
        from lockgate.infer import Usage

        yield Piece(usage=Usage(prompt_tokens=5, completion_tokens=len(words)))


Behaviour = Callable[["FakeServer", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage_chunk(prompt: int, completion: int) -> bytes:
    body = {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "x": 1}}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


async def says_words(server: "FakeServer", request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = await begin(request)
    words = server.words[: body["max_tokens"]]
    await response.write(chunk(""))
    for word in words:
        await response.write(chunk(word))
    await response.write(chunk(finish="stop" if len(words) == len(server.words) else "length"))
    await response.write(usage_chunk(5, len(words)))
    await response.write(b"data: [DONE]\n\n")
    return response


def sends(*data: bytes) -> Behaviour:
    """Send these bytes and end the connection."""

    async def behave(server: "FakeServer", request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        for part in data:
            await response.write(part)
        server.sent.set()
        return response

    return behave


def sends_then_hangs(*data: bytes) -> Behaviour:
    """Send these bytes and then nothing, until the caller leaves."""

    async def behave(server: "FakeServer", request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        for part in data:
            await response.write(part)
        server.sent.set()
        await asyncio.Event().wait()
        return response

    return behave


def crashes_after(*data: bytes) -> Behaviour:
    """Send these bytes, wait for `go`, and cut the connection in the middle of the chunked body."""

    async def behave(server: "FakeServer", request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        for part in data:
            await response.write(part)
        await server.go.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    return behave


def sends_on_go(first: bytes, *data: bytes) -> Behaviour:
    """Send some bytes, wait for `go`, and send the others."""

    async def behave(server: "FakeServer", request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        await response.write(first)
        await server.go.wait()
        for part in data:
            await response.write(part)
        return response

    return behave


def answers(status: int, body: bytes, content_type: str = "application/json") -> Behaviour:
    """Answer with a status and a body in place of a stream."""

    async def behave(_: "FakeServer", __: web.Request, ___: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=content_type)

    return behave


async def hangs(server: "FakeServer", _: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Never answer at all."""
    server.sent.set()
    await asyncio.Event().wait()
    raise AssertionError


class FakeServer:
    """An OpenAI-compatible engine server in this process, which sees when its caller leaves."""

    def __init__(self, behaviour: Behaviour = says_words) -> None:
        self.behaviour = behaviour
        self.words: Sequence[str] = ("Hello", " there", ".")
        self.bodies: list[dict[str, Any]] = []
        self.sent = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.url = ""

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        try:
            return await self.behaviour(self, request, self.bodies[-1])
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        except ConnectionError:
            self.cancelled.set()
            return web.Response()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeServer"]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/health", self._health)
        self.loop = asyncio.get_running_loop()
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


class ServerEngine(Engine):
    """An engine behind a `FakeServer`, reached over HTTP as a real one is."""

    def __init__(self, server: FakeServer, limits: EngineLimits) -> None:
        self._server = server
        self._limits = limits
        self._client: ChatClient | None = None

    @property
    def loaded(self) -> LoadedModel | None:
        return loaded() if self._client else None

    async def start(self) -> None:
        self._client = ChatClient(self._server.url, "served", limits=self._limits)

    async def stop(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def health(self) -> EngineHealth:
        ready = self._client is not None and await self._client.ready()
        return EngineHealth(EngineState.READY if ready else EngineState.STOPPED)

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        from contextlib import aclosing

        from lockgate.infer.errors import EngineUnavailableError

        if self._client is None:
            raise EngineUnavailableError("The engine is stopped.")
        async with aclosing(self._client.chat(request)) as pieces:
            async for piece in pieces:
                yield piece


_SENTENCE = re.compile(r".*?[.!?]+(?=\s)\s*", re.DOTALL)


class LiteralCiter(Citer):
    """Cites a sentence when it stands word for word in the handbook. Decides at the next word."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._rest = ""
        self._count = 0

    def feed(self, text: str) -> Sequence[CitedSentence]:
        self._rest += text
        found = []
        while (match := _SENTENCE.match(self._rest)) and match.end() < len(self._rest):
            found.append(self._cited(match[0]))
            self._rest = self._rest[match.end() :]
        return found

    def finish(self) -> Sequence[CitedSentence]:
        rest, self._rest = self._rest, ""
        return [self._cited(rest)] if rest else []

    def _cited(self, sentence: str) -> CitedSentence:
        quote = sentence.strip()
        start = self._source.find(quote)
        if start < 0 or not quote:
            return CitedSentence(sentence, ())
        self._count += 1
        return CitedSentence(sentence, (self._citation(self._count, start, quote),))

    def _citation(self, number: int, start: int, quote: str) -> Citation:
        return Citation(
            number=number,
            document_sha256="d" * 64,
            title="Operations handbook",
            path="documents/handbook/01-shifts.md",
            extractor="markdown/1",
            extraction_sha256="f" * 64,
            heading="Shifts",
            page=None,
            start=start,
            end=start + len(quote),
            quote=quote,
            quote_sha256=hashlib.sha256(quote.encode()).hexdigest(),
        )


class HandbookKnowledge(Knowledge):
    """A knowledge base of one text: it supports questions that share a long word with it."""

    def __init__(self, label: str = "internal") -> None:
        self._label = label
        self.labels: list[frozenset[str]] = []
        self.fault: Exception | None = None

    @property
    def name(self) -> str:
        return "handbook"

    @property
    def index_sha256(self) -> str:
        return "1" * 64

    def retrieve(self, question: str, labels: frozenset[str]) -> Evidence:
        self.labels.append(labels)
        if self.fault is not None:
            raise self.fault
        words = {word for word in re.findall(r"\w{5,}", question.lower()) if word in HANDBOOK.lower()}
        supported = bool(words) and self._label in labels
        return Evidence(supported, ("d" * 64,) if supported else (), HANDBOOK)

    def messages(self, question: str, evidence: Evidence) -> Sequence[Message]:
        return [Message("system", f"Use only: {evidence.handle}"), Message("user", question)]

    def citer(self, evidence: Evidence) -> Citer:
        assert isinstance(evidence.handle, str)
        return LiteralCiter(evidence.handle)


@dataclass
class Site:
    """A running gateway with everything around it, and a client session for it."""

    url: str
    secret: str
    key: ApiKey
    server: FakeServer
    source: MemorySource
    ledger: MemoryLedger
    receipts: MemoryReceipts
    keys: MemoryKeys
    knowledge: HandbookKnowledge
    session: aiohttp.ClientSession
    spending: Quotas
    held: HeldCalls
    entropy: Counting = field(default_factory=Counting)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def ask(self, text: str = "Hi", *, model: str = "small", **more: Any) -> Any:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.session.post("/v1/chat/completions", json=body, headers=self.headers)

    def post(self, data: bytes) -> Any:
        return self.session.post("/v1/chat/completions", data=data, headers=self.headers)


@asynccontextmanager
async def site(
    behaviour: Behaviour = says_words,
    *,
    limits: GatewayLimits | None = None,
    engine_limits: EngineLimits | None = None,
    engine: Engine | None = None,
    canaries: tuple[str, ...] = (),
    quota: Quota | None = None,
    name: str = "small",
    guards: GuardPolicy | None = None,
    guards_now: Callable[[], GuardPolicy] | None = None,
    scorer: Scorer | None = None,
    tools: ToolPolicy | None = None,
    callers: Callers | None = None,
    tls: ssl.SSLContext | None = None,
    sign_in: SignIn | None = None,
    appeals: Appeals | None = None,
    auditors: tuple[Recipient, ...] = (),
) -> AsyncIterator[Site]:
    """Start a fake engine and a gateway before it."""
    entropy = Counting()
    secret, key = make_key(entropy)
    bounds = engine_limits or EngineLimits()
    async with FakeServer(behaviour).running() as server:
        source, ledger, receipts = MemorySource(admitted(name)), MemoryLedger(), MemoryReceipts()
        keys, knowledge = MemoryKeys(key), HandbookKnowledge()
        spending = Quotas(MemoryRecords(), lambda: NOW, entropy)
        held = HeldCalls(MemoryRecords(), lambda: NOW, entropy)
        parts = Parts(
            source=source,
            engines={name: engine or ServerEngine(server, bounds)},
            knowledge={"handbook": knowledge},
            keys=keys,
            ledger=ledger,
            receipts=receipts,
            clock=lambda: NOW,
            entropy=entropy,
            canaries=canaries,
            guards=guards or GuardPolicy(),
            guards_now=guards_now,
            scorer=scorer,
            tools=MemoryTools(tools),
            held=held,
            quotas=MemoryQuotas({key.id: quota} if quota else {}),
            spending=spending,
            callers=callers,
            sign_in=sign_in,
            appeals=appeals,
            auditors=auditors,
        )
        config = GatewayConfig(port=0, limits=limits or GatewayLimits(), engine_limits=bounds, tls=tls)
        async with serving(config, parts) as url, aiohttp.ClientSession(url) as session:
            yield Site(
                url,
                secret,
                key,
                server,
                source,
                ledger,
                receipts,
                keys,
                knowledge,
                session,
                spending,
                held,
                entropy,
            )


def events(raw: bytes) -> list[Any]:
    """Return the payloads of a whole stream; ``[DONE]`` as text."""
    found: list[Any] = []
    for part in raw.decode().split("\n\n"):
        if part:
            payload = part.removeprefix("data: ")
            found.append(payload if payload == "[DONE]" else json.loads(payload))
    return found


def text_of(chunks: list[Any]) -> str:
    """Return the text of a stream's chunks."""
    deltas = [c["choices"][0]["delta"] for c in chunks if isinstance(c, dict) and c.get("choices")]
    return "".join(delta.get("content", "") for delta in deltas)


def proc(pid: int | None, name: str) -> str:
    """Return what the kernel says of a process; nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def open_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def later(seconds: float) -> None:
    """Set the running loop's clock forward: what waits for a moment until then is due."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)
