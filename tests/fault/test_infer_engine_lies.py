"""Every kind of engine that lies, stalls, crashes or floods, in every form that clients speak.

What is checked each time: the error has the shape of the API that was asked and the right status, the quota
is settled at what was seen, nothing runs on, and the next request is served.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from infer_doubles import NOW, WEIGHTS, WEIGHTS_SHA256, Site, site, until
from lockgate.infer import (
    Engine,
    EngineLimits,
    EngineRequest,
    Message,
    ModelFile,
    Pool,
    PoolConfig,
    Quota,
    RemoteConfig,
    RemoteEngine,
    RemoteKind,
)
from lockgate.infer.answers import bound_of
from lockgate.infer.limits import BYTES_A_TOKEN
from lockgate.infer.quotas import Spent

KINDS = ("openai", "vllm", "ollama", "tgi")
BOUNDS = EngineLimits(answer_bytes=1 << 20, event_bytes=4000)
IMPATIENT = EngineLimits(first_seconds=0.3, idle_seconds=0.3)
STALLED = EngineLimits(idle_seconds=0.3)
"""A busy machine may be slow to bring what comes first."""
QUOTA = Quota(requests=100, prompt_tokens=100_000, completion_tokens=100_000, concurrent=2)
PROMPT = "Hi there, engine"
CHARGED = bound_of(EngineRequest([Message("user", PROMPT)], 1)) // BYTES_A_TOKEN
"""What a prompt costs whose tokens no engine counted."""


class Lying:
    """One server of any kind; `behave` is what it does with a request for an answer."""

    def __init__(self, kind: str, *, plain: bool = False) -> None:
        self.kind = kind
        self.plain = plain
        self.behave: Callable[[Lying, web.Request], Awaitable[web.StreamResponse]] = well
        self.asked = 0
        self.left = asyncio.Event()
        self.url = ""
        self.vectors = ""

    @property
    def media(self) -> str:
        return "application/x-ndjson" if self.kind == "ollama" else "text/event-stream"

    def part(self, text: str) -> bytes:
        """Return what carries a piece of text."""
        if self.plain:
            return self._plain_part(text)
        if self.kind == "ollama":
            line = {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
            return json.dumps(line).encode() + b"\n"
        return self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})

    def end(self, completion: Any = 2) -> bytes:
        """Return what ends an answer and counts its tokens."""
        if self.plain and self.kind == "tgi":
            details = {"finish_reason": "eos_token", "generated_tokens": completion, "input_length": 5}
            token = {"id": 2, "text": "", "logprob": -0.1, "special": True}
            return self.event({"index": 3, "token": token, "generated_text": "One two", "details": details})
        if self.kind == "ollama":
            said = {"response": ""} if self.plain else {"message": {"content": ""}}
            line = {"model": "m", **said, "done": True, "done_reason": "stop"}
            return json.dumps({**line, "prompt_eval_count": 5, "eval_count": completion}).encode() + b"\n"
        said = {"text": ""} if self.plain else {"delta": {}}
        finish = self.event({"choices": [{"index": 0, **said, "finish_reason": "stop"}]})
        usage = self.event(
            {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": completion, "total_tokens": 7}}
        )
        return finish + usage + b"data: [DONE]\n\n"

    def _plain_part(self, text: str) -> bytes:
        """Return a piece of a text that is continued, without turns."""
        if self.kind == "ollama":
            return json.dumps({"model": "m", "response": text, "done": False}).encode() + b"\n"
        if self.kind == "tgi":
            token = {"id": 1, "text": text, "logprob": -0.1, "special": False}
            return self.event({"index": 1, "token": token, "generated_text": None, "details": None})
        return self.event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})

    def event(self, said: Any) -> bytes:
        return b"data: " + json.dumps(said).encode() + b"\n\n"

    def raw(self, data: bytes) -> bytes:
        """Return bytes as one payload."""
        return data + b"\n" if self.kind == "ollama" else b"data: " + data + b"\n\n"

    def error(self) -> bytes:
        """Return the error that such a server reports in the middle of an answer."""
        said = "boom \x07" if self.kind in {"ollama", "tgi"} else {"message": "boom \x07", "code": 500}
        return self.raw(json.dumps({"error": said, "error_type": "generation"}).encode())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Lying"]:
        app = web.Application()
        for path in ("/health", "/api/version"):
            app.router.add_get(path, self._well)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/info", self._info)
        for path in ("/v1/embeddings", "/api/embed"):
            app.router.add_post(path, self._vectors)
        chat = ("/v1/chat/completions", "/api/chat")
        for path in ("/v1/completions", "/api/generate", "/generate_stream") if self.plain else chat:
            app.router.add_post(path, self._asked)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _well(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [{"name": "m", "model": "m"}]})

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"model_id": "m"})

    async def _vectors(self, _: web.Request) -> web.Response:
        row = self.vectors
        said = (
            f'"embeddings":[{row}]' if self.kind == "ollama" else f'"data":[{{"index":0,"embedding":{row}}}]'
        )
        return web.Response(text=f"{{{said}}}", content_type="application/json")

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked += 1
        try:
            return await self.behave(self, request)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    def engine(self, limits: EngineLimits) -> Engine:
        return RemoteEngine(
            model=ModelFile("weights.gguf", WEIGHTS_SHA256, len(WEIGHTS)),
            open_model=lambda: io.BytesIO(WEIGHTS),
            config=RemoteConfig(self.url, RemoteKind(self.kind), "m", probe_seconds=3600.0),
            limits=limits,
            clock=lambda: NOW,
        )


async def begun(server: Lying, request: web.Request, media: str = "") -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": media or server.media})
    await response.prepare(request)
    return response


async def well(server: Lying, request: web.Request) -> web.StreamResponse:
    response = await begun(server, request)
    for data in (server.part("One"), server.part(" two"), server.end()):
        await response.write(data)
    return response


def call_without_text(server: Lying) -> bytes:
    """Return a call of a tool whose arguments are no UTF-8."""
    function: dict[str, Any] = {"name": "x", "arguments": {"to": "?"} if server.kind == "ollama" else "?"}
    said = {"content": "", "tool_calls": [{"index": 0, "function": function}]}
    if server.kind == "ollama":
        line = json.dumps({"message": said, "done": False}).encode() + b"\n"
    else:
        line = server.event({"choices": [{"index": 0, "delta": said, "finish_reason": None}]})
    return line.replace(b"?", b"\xff")


def sends(*parts: Callable[[Lying], bytes], media: str = "", then: str = "ends") -> Any:
    """Send parts; then end, hang, cut the connection, or flood for ever."""

    async def behave(server: Lying, request: web.Request) -> web.StreamResponse:
        response = await begun(server, request, media)
        for part in parts:
            await response.write(part(server))
        if then == "hangs":
            await asyncio.Event().wait()
        if then == "cuts":
            await asyncio.sleep(0.05)  # so that what was sent is read before the cut
            assert request.transport is not None
            request.transport.abort()
        while then == "floods":
            await response.write(b"x" * 1000)
        return response

    return behave


def says(status: int, body: bytes) -> Any:
    async def behave(_: Lying, __: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    return behave


def one(server: Lying) -> bytes:
    return server.part("One")


_EARLY: dict[str, tuple[Any, int, str]] = {
    "silent before the head": (sends(then="hangs"), 504, "LG-5a02"),
    "wrong content type": (sends(one, media="text/html"), 502, "LG-5a03"),
    "content type of whole answers": (sends(one, media="application/json"), 502, "LG-5a03"),
    "garbage": (sends(lambda s: s.raw(b"{nonsense")), 502, "LG-5a03"),
    "no UTF-8": (sends(lambda s: s.part("x").replace(b"x", b"\xff")), 502, "LG-5a03"),
    "arguments that are no UTF-8": (sends(call_without_text, lambda s: s.end()), 502, "LG-5a03"),
    "deep": (sends(lambda s: s.raw(b'{"x":' + b"[" * 3900)), 502, "LG-5a03"),
    "endless line": (sends(then="floods"), 502, "LG-5a03"),
    "another type": (sends(lambda s: s.part("x").replace(b'"x"', b"5")), 502, "LG-5a03"),
    "negative usage": (sends(lambda s: s.end(-1)), 502, "LG-5a03"),
    "usage beyond every number": (sends(lambda s: s.end(1 << 60)), 502, "LG-5a03"),
    "usage as text": (sends(lambda s: s.end("many")), 502, "LG-5a03"),
    "reported error": (sends(lambda s: s.error()), 502, "LG-5a03"),
    "empty": (sends(), 502, "LG-5a05"),
    "crash": (sends(then="cuts"), 502, "LG-5a05"),
    "failure": (says(500, b"x" * 100_000), 502, "LG-5a03"),
    "busy": (says(429, b"{}"), 503, "LG-5a01"),
    "redirect": (says(302, b""), 502, "LG-5a03"),
}
_LATE: dict[str, tuple[Any, str]] = {
    "stall": (sends(one, then="hangs"), "LG-5a02"),
    "crash": (sends(one, then="cuts"), "LG-5a05"),
    "end too early": (sends(one), "LG-5a05"),
    "garbage": (sends(one, lambda s: s.raw(b"{")), "LG-5a03"),
    "reported error": (sends(one, lambda s: s.error()), "LG-5a03"),
    "endless line": (sends(one, then="floods"), "LG-5a03"),
}


def bounds(code: str, impatient: EngineLimits = IMPATIENT) -> EngineLimits:
    return impatient if code == "LG-5a02" else BOUNDS


@asynccontextmanager
async def lying(
    kind: str, behave: Any, limits: EngineLimits, *, plain: bool = False
) -> AsyncIterator[tuple[Lying, Site]]:
    async with Lying(kind, plain=plain).running() as server:
        server.behave = behave
        async with site(engine=server.engine(limits), engine_limits=limits, quota=QUOTA) as made:
            yield server, made


def asked(form: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Return path and body of a request in one form."""
    turns = [{"role": "user", "content": PROMPT}]
    body: dict[str, Any] = {"model": "small", "stream": stream}
    if form == "responses":
        return "/v1/responses", {**body, "input": PROMPT}
    if form == "anthropic":
        return "/v1/messages", {**body, "messages": turns, "max_tokens": 50}
    if form == "ollama":
        return "/api/chat", {**body, "messages": turns}
    return "/v1/chat/completions", {**body, "messages": turns}


def said_error(form: str, body: Any) -> str:
    """Return an error's message, read in the shape of one form."""
    if form == "ollama":
        assert isinstance(body["error"], str)
        return str(body["error"])
    if form == "anthropic":
        assert body["type"] == "error"
        assert set(body["error"]) >= {"type", "message"}
    else:
        assert set(body["error"]) >= {"message", "type", "code", "param"}
    return str(body["error"]["message"])


async def settled(s: Site, spent: Spent) -> None:
    """Demand that nothing of a key runs and that it spent just that."""
    found = (Spent(), -1)

    def looked() -> bool:
        nonlocal found
        found = s.spending.spent(s.key.id)
        return found[1] == 0

    await until(looked)
    assert found[0] == spent


FORMS = ("chat", "responses", "anthropic", "ollama")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", _EARLY)
def test_trouble_before_the_first_text(kind: str, trouble: str) -> None:
    behave, status, code = _EARLY[trouble]

    async def run() -> None:
        async with lying(kind, behave, bounds(code)) as (server, s):
            for count, form in enumerate(FORMS, 1):
                stream = count % 2 == 0
                path, body = asked(form, stream=stream)
                async with s.session.post(path, json=body, headers=s.headers) as response:
                    assert response.status == status, form
                    assert response.content_type == "application/json"
                    message = said_error(form, await response.json())
                    receipt = response.headers["X-Lockgate-Receipt"]
                await until(lambda receipt=receipt: s.receipts.get(receipt) is not None)  # type: ignore[misc]
                async with s.session.get(f"/v1/lockgate/receipts/{receipt}", headers=s.headers) as response:
                    found = (await response.json())["receipt"]
                assert (found["status"], found["reason"]) == ("failed", code)
                assert code in message
                assert "\x07" not in message
                assert len(message) < 700
                await settled(s, Spent(requests=count, prompt_tokens=count * CHARGED))
            if code == "LG-5a02":
                return
            server.behave = well
            async with s.ask() as response:
                assert (await response.json())["choices"][0]["message"]["content"] == "One two"

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", _LATE)
def test_trouble_after_the_first_text(kind: str, trouble: str) -> None:
    behave, code = _LATE[trouble]

    async def run() -> None:
        async with lying(kind, behave, bounds(code, STALLED)) as (server, s):
            path, body = asked("chat", stream=True)
            async with s.session.post(path, json=body, headers=s.headers) as response:
                raw = await response.read()
            assert code.encode() in raw
            assert b"[DONE]" not in raw
            assert b"\x07" not in raw
            await until(lambda: s.ledger.statuses() == ["failed"])
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            assert server.asked == 1, "what had begun was asked anew"
            if code == "LG-5a02":
                return  # with such patience a busy machine may be too slow for any answer
            server.behave = well
            async with s.ask() as response:
                assert response.status == 200

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", _LATE)
def test_trouble_with_text_that_is_continued(kind: str, trouble: str) -> None:
    behave, code = _LATE[trouble]

    async def run() -> None:
        async with lying(kind, behave, bounds(code), plain=True) as (server, s):
            body = {"model": "small", "prompt": PROMPT, "stream": True}
            async with s.session.post("/v1/completions", json=body, headers=s.headers) as response:
                raw = await response.read()
            assert code.encode() in raw
            assert b"[DONE]" not in raw
            assert b"\x07" not in raw
            await until(lambda: s.ledger.statuses() == ["failed"])
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            if code == "LG-5a02":
                return
            server.behave = well
            body["stream"] = False
            async with s.session.post("/v1/completions", json=body, headers=s.headers) as response:
                said = await response.json()
            assert said["choices"][0]["text"] == "One two"
            assert said["usage"]["completion_tokens"] == 2

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_counts_more_than_was_asked_for_does_not_overdraw_others(kind: str) -> None:
    async def run() -> None:
        async with lying(kind, sends(one, lambda s: s.end(1 << 40)), BOUNDS) as (_, s):
            async with s.ask(PROMPT) as response:
                assert response.status == 200
            await settled(s, Spent(requests=1, prompt_tokens=5, completion_tokens=1024))  # what was reserved

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_caller_that_leaves_before_the_first_text_frees_the_server(kind: str) -> None:
    async def run() -> None:
        async with lying(kind, sends(then="hangs"), EngineLimits()) as (server, s):
            call = asyncio.ensure_future(s.ask(PROMPT, stream=True).__aenter__())
            await until(lambda: server.asked == 1)
            call.cancel()
            async with asyncio.timeout(120):
                await server.left.wait()
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            await until(lambda: s.ledger.statuses() == ["cancelled"])

    asyncio.run(run())


async def served(s: Site) -> int:
    async with s.ask(PROMPT) as response:
        status: int = response.status
        return status


@pytest.mark.parametrize("kind", KINDS)
def test_the_breaker_opens_after_failures_and_closes_when_the_server_is_well(kind: str) -> None:
    async def run() -> None:
        async with Lying(kind).running() as bad, Lying(kind).running() as good:
            bad.behave = sends(lambda s: s.raw(b"{"))
            engines = {"bad": bad.engine(BOUNDS), "good": good.engine(BOUNDS)}
            pool = Pool(engines, PoolConfig(failures=2, rest_seconds=3600.0, rest_limit=3600.0))
            async with site(engine=pool, engine_limits=BOUNDS, quota=QUOTA) as s:
                for at in range(12):
                    async with s.ask(f"{at} {PROMPT}") as response:
                        assert response.status == 200, "a caller saw the failure of one instance"
                assert bad.asked == 2, "the breaker did not open"
                bad.behave = well
                pool.drain("good")
                assert await served(s) == 503, "a server that rests was asked"
                assert bad.asked == 2
                resting = pool._instances[0]
                resting.until = 0.0  # its rest is over
                assert await served(s) == 200
                assert (bad.asked, resting.failed) == (3, 0)
                assert await served(s) == 200
            assert s.ledger.statuses().count("answered") >= 14

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("row", ["[1e39,1]", "[0,-1e300]", "[1e999]", "[]", "[null]", "[NaN]", "5"])
@pytest.mark.parametrize("form", ["float", "base64", "ollama"])
def test_numbers_that_are_no_vector_are_the_servers_failure(kind: str, row: str, form: str) -> None:
    path, body = "/v1/embeddings", {"model": "small", "input": "x", "encoding_format": form}
    if form == "ollama":
        path, body = "/api/embed", {"model": "small", "input": "x"}

    async def run() -> None:
        async with lying(kind, well, BOUNDS) as (server, s):
            server.vectors = row
            async with s.session.post(path, json=body, headers=s.headers) as response:
                assert response.status == 502
                assert "LG-5a03" in said_error(
                    "ollama" if form == "ollama" else "chat", await response.json()
                )
                receipt = response.headers["X-Lockgate-Receipt"]
            await until(lambda: s.receipts.get(receipt) is not None)
            assert s.ledger.statuses() == ["failed"]
            server.vectors = "[3e38,-1]"
            async with s.session.post(path, json=body, headers=s.headers) as response:
                assert response.status == 200
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)

    asyncio.run(run())


@pytest.mark.parametrize("reason", ["load", "unload", "error"])
def test_an_ollama_that_only_loaded_its_model_gave_no_answer(reason: str) -> None:
    said = json.dumps({"message": {"content": ""}, "done": True, "done_reason": reason}).encode() + b"\n"

    async def run() -> None:
        async with lying("ollama", sends(lambda _: said), BOUNDS) as (_, s):
            async with s.ask(PROMPT) as response:
                assert response.status == 502
                assert reason in said_error("chat", await response.json())
            await settled(s, Spent(requests=1, prompt_tokens=CHARGED))

    asyncio.run(run())
