"""Engines that lie, stall, crash or flood: a clear error, an outcome on record, no worker lost."""

import asyncio
import json
import socket

import pytest

from infer_doubles import (
    Behaviour,
    FakeServer,
    HandbookKnowledge,
    ServerEngine,
    answers,
    chunk,
    crashes_after,
    events,
    hangs,
    says_words,
    sends,
    sends_on_go,
    sends_then_hangs,
    site,
    text_of,
    until,
)
from lockgate.infer import EngineLimits, GatewayLimits, serving
from lockgate.infer.errors import KnowledgeUnavailableError, ListenError

BOUNDS = EngineLimits(answer_bytes=20_000, event_bytes=4000)
IMPATIENT = EngineLimits(first_seconds=0.3, idle_seconds=0.3)
STALLED = EngineLimits(idle_seconds=0.3)
"""A busy machine may be slow to bring what comes first."""

_CONTEXT = b'{"error":{"message":"too long\\u0007","type":"exceed_context_size_error"}}'
_EARLY = [
    ("silent before the head", hangs, 504, "engine_timeout"),
    ("silent before the first token", sends_then_hangs(), 504, "engine_timeout"),
    ("empty stream", sends(), 502, "engine_error"),
    ("no JSON", sends(b"data: nonsense\n\n"), 502, "engine_error"),
    ("wrong JSON", sends(b'data: {"choices":[{"delta":{"content":5}}]}\n\n'), 502, "engine_error"),
    ("invalid UTF-8", sends(b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n'), 502, "engine_error"),
    ("deep JSON", sends(b'data: {"x":' + b"[" * 3900 + b"\n\n"), 502, "engine_error"),
    ("negative usage", sends(b'data: {"usage":{"prompt_tokens":-1}}\n\n'), 502, "engine_error"),
    ("other answer", sends(b'data: {"choices":[{"index":1,"delta":{}}]}\n\n'), 502, "engine_error"),
    ("error event", sends(b'data: {"error":{"message":"x"}}\n\n'), 502, "engine_error"),
    ("endless line", sends(b"data: " + b"x" * 9000), 502, "engine_error"),
    ("endless event", sends(b"data: xxxxxxxx\n" * 900), 502, "engine_error"),
    ("endless comments", sends(b": x\n" * 9000), 502, "engine_error"),
    ("no stream", answers(200, b"<html>", "text/html"), 502, "engine_error"),
    ("redirect", answers(302, b""), 502, "engine_error"),
    ("failure", answers(500, b"x" * 100_000), 502, "engine_error"),
    ("busy", answers(503, b""), 503, "engine_unavailable"),
    ("context", answers(400, _CONTEXT), 400, "context_length_exceeded"),
    ("refusal without words", answers(400, b"\xff"), 400, "invalid_request"),
    ("an end without a word or a reason", sends(b"data: [DONE]\n\n"), 502, "engine_error"),
    ("crash before the first token", crashes_after(), 502, "engine_error"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status", "code"), [row[1:] for row in _EARLY], ids=[row[0] for row in _EARLY]
)
def test_trouble_before_the_first_text_is_an_http_error(
    behaviour: Behaviour, status: int, code: str, *, stream: bool
) -> None:
    async def run() -> None:
        bounds = IMPATIENT if code == "engine_timeout" else BOUNDS
        async with site(behaviour, engine_limits=bounds) as s:
            s.server.go.set()
            async with s.ask(stream=stream) as response:
                assert response.status == status
                error = (await response.json())["error"]
            assert error["code"] == code
            assert "\x07" not in error["message"]
            assert s.ledger.statuses() == ["failed"]
            if code == "engine_timeout":
                return
            s.server.behaviour = says_words
            async with s.ask(stream=stream) as response:
                assert response.status == 200

    asyncio.run(run())


_LATE = [
    ("abort", sends_on_go(chunk("One"), chunk(finish="abort")), "engine_error", "LG-5a03"),
    ("error for a reason", sends_on_go(chunk("One"), chunk(finish="error")), "engine_error", "LG-5a03"),
    ("crash", crashes_after(chunk("One")), "engine_error", "LG-5a05"),
    ("end without a finish", sends(chunk("One")), "engine_error", "LG-5a05"),
    ("stall", sends_then_hangs(chunk("One")), "engine_timeout", "LG-5a02"),
    ("garbage", sends_on_go(chunk("One"), b"data: {\n\n"), "engine_error", "LG-5a03"),
    ("flood", sends_on_go(chunk("One"), *[chunk("x" * 1000)] * 30), "engine_error", "LG-4a04"),
]


@pytest.mark.parametrize(("behaviour", "code", "reason"), [r[1:] for r in _LATE], ids=[r[0] for r in _LATE])
def test_trouble_in_the_middle_of_a_stream_ends_it_with_an_error(
    behaviour: Behaviour, code: str, reason: str
) -> None:
    async def run() -> None:
        bounds = STALLED if code == "engine_timeout" else BOUNDS
        async with site(behaviour, engine_limits=bounds) as s:
            async with s.ask(stream=True) as response:
                assert response.status == 200
                first = await response.content.readuntil(b"\n\n")
                s.server.go.set()
                chunks = events(first + await response.read())
                receipt = response.headers["X-Lockgate-Receipt"]
            assert text_of(chunks).startswith("One")
            assert chunks[-1]["error"]["code"] == code
            assert "[DONE]" not in chunks
            await until(lambda: s.ledger.statuses() == ["failed"])
            await until(lambda: s.receipts.get(receipt) is not None)
            async with s.session.get(f"/v1/lockgate/receipts/{receipt}", headers=s.headers) as response:
                found = (await response.json())["receipt"]
            assert found["status"] == "failed"
            assert found["reason"] == reason

    asyncio.run(run())


@pytest.mark.parametrize(("behaviour", "code", "reason"), [r[1:] for r in _LATE], ids=[r[0] for r in _LATE])
def test_trouble_in_the_middle_of_a_whole_answer_is_an_http_error(
    behaviour: Behaviour, code: str, reason: str
) -> None:
    async def run() -> None:
        bounds = STALLED if code == "engine_timeout" else BOUNDS
        async with site(behaviour, engine_limits=bounds) as s:
            s.server.go.set()
            async with s.ask() as response:
                assert response.status in {502, 504}
                error = (await response.json())["error"]
            assert error["code"] == code
            assert reason in error["message"]
            assert s.ledger.statuses() == ["failed"]

    asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
def test_calls_that_are_announced_and_never_come_are_no_reason_to_wait_for_them(*, stream: bool) -> None:
    async def run() -> None:
        said = chunk("One"), chunk(finish="tool_calls"), b"data: [DONE]\n\n"
        async with site(sends(*said)) as s, s.ask(stream=stream) as response:
            body = await response.read()
            choices = [c["choices"][0] for c in events(body)[:-1]] if stream else json.loads(body)["choices"]
            assert choices[-1]["finish_reason"] == "stop"

    asyncio.run(run())


def test_answer_that_drips_for_ever_is_cut_at_its_bound() -> None:
    async def run() -> None:
        async def drips(server: object, request: object, body: object) -> object:
            from infer_doubles import begin

            response = await begin(request)  # type: ignore[arg-type]
            while True:
                await response.write(chunk("x"))
                await asyncio.sleep(0.01)

        bounds = EngineLimits(answer_seconds=0.3)
        async with site(drips, engine_limits=bounds) as s, s.ask() as response:  # type: ignore[arg-type]
            assert response.status == 504

    asyncio.run(run())


def test_an_engine_that_is_gone_is_unavailable() -> None:
    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        gone = FakeServer()
        gone.url = url
        async with site(engine=ServerEngine(gone, EngineLimits())) as s:
            async with s.ask() as response:
                assert response.status == 503
                assert response.headers["Retry-After"] == "1"
            async with s.session.get("/healthz") as response:
                assert response.status == 503
                assert (await response.json())["status"] == "degraded"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "status"),
    [(KnowledgeUnavailableError("The index is damaged."), 503), (RuntimeError("secret detail"), 500)],
)
def test_knowledge_that_fails_is_an_error_without_details(fault: Exception, status: int) -> None:
    async def run() -> None:
        async with site() as s:
            s.knowledge.fault = fault
            async with s.ask("When does the shift begin?", model="small@handbook") as response:
                assert response.status == status
                assert "secret detail" not in await response.text()
            assert s.server.bodies == []

    asyncio.run(run())


def test_a_citer_that_fails_in_the_middle_ends_the_stream_with_an_error() -> None:
    async def run() -> None:
        async with site() as s:
            s.server.words = ("The night shift", " begins at 22:15.", " More")

            class Lying(HandbookKnowledge):
                def citer(self, evidence: object) -> object:  # type: ignore[override]
                    citer = super().citer(evidence)  # type: ignore[arg-type]

                    class Wrong(type(citer)):  # type: ignore[misc]
                        def finish(self) -> object:
                            from lockgate.infer import CitedSentence

                            return [CitedSentence("never said.", ())]

                    return Wrong("")

            s.knowledge.citer = Lying().citer  # type: ignore[method-assign]
            async with s.ask("When does the shift begin?", model="small@handbook", stream=True) as response:
                chunks = events(await response.read())
            assert chunks[-1]["error"]["code"] == "knowledge_unavailable"

    asyncio.run(run())


def test_an_unforeseen_fault_in_a_stream_ends_it_with_an_error_and_no_detail() -> None:
    async def run() -> None:
        async with site() as s:
            s.server.words = ("The night shift", " begins at 22:15.", " More")

            def broken(_: object) -> object:
                class Broken:
                    calls = 0

                    def feed(self, _: str) -> list[object]:
                        self.calls += 1
                        if self.calls > 1:
                            raise RuntimeError("secret detail")
                        return []

                return Broken()

            s.knowledge.citer = broken  # type: ignore[method-assign,assignment]
            async with s.ask("When does the shift begin?", model="small@handbook", stream=True) as response:
                raw = await response.read()
            assert b"secret detail" not in raw
            assert events(raw)[-1]["error"]["code"] == "internal_error"
            await until(lambda: s.ledger.statuses() == ["failed"])

    asyncio.run(run())


def test_a_caller_that_does_not_read_is_given_up_and_the_engine_cut_off() -> None:
    async def run() -> None:
        flood = sends_then_hangs(*[chunk("x" * 60_000)] * 400)
        limits = GatewayLimits(client_stall_seconds=0.2)
        async with site(flood, limits=limits, engine_limits=EngineLimits(answer_bytes=1 << 30)) as s:
            body = json.dumps(
                {"model": "small", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
            ).encode()
            host, port = s.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {s.secret}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert b"200" in await reader.readline()
            await until(lambda: s.ledger.statuses() == ["cancelled"])
            async with asyncio.timeout(120):
                await s.server.cancelled.wait()
            writer.close()

    asyncio.run(run())


def test_many_callers_that_leave_at_any_moment_leave_nothing_behind() -> None:
    async def run() -> None:
        async with site() as s:
            s.server.words = tuple("abcdefgh")

            async def once(n: int) -> None:
                task = asyncio.ensure_future(s.ask(stream=True).__aenter__())
                for _ in range(1 + n % 40):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    (await task).close()
                except asyncio.CancelledError:
                    return

            for n in range(0, 120, 8):
                await asyncio.gather(*(once(n + k) for k in range(8)))
            async with s.session.get("/metrics") as response:
                assert response.status == 200
            await until(lambda: len(s.ledger.statuses()) * 2 == len(s.ledger.events))
            async with s.ask() as response:
                assert response.status == 200
            async with s.session.get("/metrics") as response:
                assert "lockgate_gateway_in_flight 0.0" in await response.text()

    asyncio.run(run())


def test_a_taken_port_is_said_so() -> None:
    async def run() -> None:
        from infer_doubles import Counting, MemoryLedger, MemorySource
        from lockgate.infer import GatewayConfig, MemoryKeys, MemoryReceipts, Parts

        async with site() as s:
            parts = Parts(
                source=MemorySource(),
                engines={},
                knowledge={},
                keys=MemoryKeys(),
                ledger=MemoryLedger(),
                receipts=MemoryReceipts(),
                clock=lambda: s.source.view.created,
                entropy=Counting(),
            )
            config = GatewayConfig(port=int(s.url.rsplit(":", 1)[1]))
            with pytest.raises(ListenError):
                async with serving(config, parts):
                    raise AssertionError

    asyncio.run(run())
