"""Servers that others run: vLLM, Ollama, TGI and any other of the OpenAI API, behind one port."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from infer_doubles import NOW, WEIGHTS, WEIGHTS_SHA256, until
from infer_servers import MODEL, OtherServer
from lockgate.infer import (
    EngineLimits,
    EngineRequest,
    EngineState,
    Message,
    ModelFile,
    RemoteConfig,
    RemoteEngine,
    RemoteKind,
    Usage,
)
from lockgate.infer.engines.ports import CallDelta, Enforcement, Piece, ToolCall
from lockgate.infer.errors import EngineUnavailableError, ModelMismatchError, NotServedError, RemoteModelError

KINDS = ["openai", "vllm", "ollama", "tgi"]
ASK = EngineRequest([Message("user", "Hi")], 10)
TOOLS: Any = [{"type": "function", "function": {"name": "switch", "parameters": {"type": "object"}}}]


def engine(server: OtherServer, *, weights: bytes = WEIGHTS, probe: float = 3600.0) -> RemoteEngine:
    return RemoteEngine(
        model=ModelFile("weights.gguf", WEIGHTS_SHA256, len(WEIGHTS)),
        open_model=lambda: io.BytesIO(weights),
        config=RemoteConfig(server.url, RemoteKind(server.kind), MODEL, "secret", probe_seconds=probe),
        limits=EngineLimits(),
        clock=lambda: NOW,
    )


@asynccontextmanager
async def started(kind: str) -> AsyncIterator[tuple[OtherServer, RemoteEngine]]:
    async with OtherServer(kind).running() as server:
        remote = engine(server)
        await remote.start()
        try:
            yield server, remote
        finally:
            await remote.stop()


async def said(remote: RemoteEngine, request: EngineRequest = ASK) -> Piece:
    """Return an answer as one piece."""
    text, finish, usage = "", None, None
    calls: list[CallDelta] = []
    logprobs: list[Any] = []
    async with aclosing(remote.chat(request)) as pieces:
        async for piece in pieces:
            text += piece.text
            finish, usage = piece.finish or finish, piece.usage or usage
            calls += piece.calls
            logprobs += piece.logprobs
    return Piece(text, finish, usage, tuple(calls), tuple(logprobs))


def run(kind: str, check: Callable[[OtherServer, RemoteEngine], Any]) -> None:
    async def main() -> None:
        async with started(kind) as (server, remote):
            await check(server, remote)

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_answers_and_most_tokens(kind: str) -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        usage = Usage(prompt_tokens=5, completion_tokens=3)
        assert await said(remote) == Piece("Hello there.", "stop", usage)
        short = await said(remote, replace(ASK, max_tokens=1))
        assert (short.text, short.finish) == ("Hello", "length")

    run(kind, check)


@pytest.mark.parametrize("kind", KINDS)
def test_text_without_turns_is_continued(kind: str) -> None:
    async def check(server: OtherServer, remote: RemoteEngine) -> None:
        request = EngineRequest((), 10, {"temperature": 0, "stop": ["x"]}, prompt="Once")
        found = await said(remote, request)
        assert (found.text, found.finish, found.usage) == (
            "Hello there.",
            "stop",
            Usage(prompt_tokens=5, completion_tokens=3),
        )
        path, body = server.seen[-1]
        assert path in {"/v1/completions", "/api/generate", "/generate_stream"}
        assert "Once" in {body.get("prompt"), body.get("inputs")}

    run(kind, check)


@pytest.mark.parametrize("kind", KINDS)
def test_tools_are_called_and_answered(kind: str) -> None:
    async def check(server: OtherServer, remote: RemoteEngine) -> None:
        found = await said(remote, replace(ASK, options={"tools": TOOLS}))
        assert found.finish == "tool_calls"
        assert "".join(call.name for call in found.calls) == "switch"
        assert "".join(call.arguments for call in found.calls).replace(" ", "") == '{"unit":2}'
        call = ToolCall("call_7", "switch", '{"unit": 2}')
        turns = [
            Message("user", "Go"),
            Message("assistant", "", (call,)),
            Message("tool", "on", call_id="call_7"),
        ]
        await said(remote, replace(ASK, messages=turns))
        sent = server.seen[-1][1]["messages"]
        if kind == "ollama":
            assert sent[1]["tool_calls"] == [{"function": {"name": "switch", "arguments": {"unit": 2}}}]
            assert sent[2]["tool_name"] == "switch"
        else:
            assert sent[1]["tool_calls"][0]["function"] == {"name": "switch", "arguments": '{"unit": 2}'}
            assert sent[2]["tool_call_id"] == "call_7"

    run(kind, check)


def test_vllm_alone_gets_the_salt() -> None:
    async def check(server: OtherServer, remote: RemoteEngine) -> None:
        await said(remote, replace(ASK, salt="a" * 64))
        assert server.seen[-1][1].get("cache_salt") == ("a" * 64 if server.kind == "vllm" else None)

    for kind in KINDS:
        run(kind, check)


@pytest.mark.parametrize("kind", ["openai", "vllm", "ollama"])
def test_vectors_come_in_the_order_of_the_texts(kind: str) -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        found = await remote.embed(["a", "bbb"])
        assert found.vectors == ((1.0, 0.5), (3.0, 0.5))
        assert found.tokens == 7

    run(kind, check)


def test_ranking_and_tokens() -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        assert (await remote.rerank("x", ["", "xx", "x"])).scores == (0.0, 2.0, 1.0)
        assert await remote.tokenize("one two three") == (0, 1, 2)

    run("vllm", check)


def test_tgi_tells_tokens_in_its_own_form() -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        assert await remote.tokenize("one two") == (0, 1)

    run("tgi", check)


def test_what_a_server_cannot_do_is_said_and_not_dropped() -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        with pytest.raises(NotServedError):
            await remote.rerank("x", ["y"])
        with pytest.raises(NotServedError):
            await said(remote, replace(ASK, options={"logit_bias": {}}))

    run("ollama", check)


def test_receipts_will_say_that_the_servers_copy_was_not_seen() -> None:
    async def check(_: OtherServer, remote: RemoteEngine) -> None:
        assert remote.loaded is not None
        assert remote.loaded.enforcement is Enforcement.DECLARED
        assert remote.loaded.sha256 == WEIGHTS_SHA256

    run("openai", check)


def test_a_model_that_runs_elsewhere_is_refused() -> None:
    async def main() -> None:
        async with OtherServer("ollama").running() as server:
            server.tags[0]["remote_host"] = "https://models.example"
            with pytest.raises(RemoteModelError):
                await engine(server).start()

    asyncio.run(main())


def test_a_model_that_moves_elsewhere_gets_no_more_requests() -> None:
    async def main() -> None:
        async with OtherServer("ollama").running() as server:
            remote = engine(server, probe=0.01)
            await remote.start()
            assert remote.loaded is not None
            server.tags[0]["remote_model"] = "bigger"
            await until(lambda: remote.loaded is None)
            with pytest.raises(EngineUnavailableError):
                await said(remote)
            assert (await remote.health()).state is EngineState.FAILED
            await remote.stop()

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_away_serves_once_it_answers(kind: str) -> None:
    async def main() -> None:
        async with OtherServer(kind).running() as server:
            server.well = False
            remote = engine(server, probe=0.01)
            await remote.start()
            assert remote.loaded is None
            server.well = True
            await until(lambda: remote.loaded is not None)
            assert (await said(remote)).text == "Hello there."
            await remote.stop()
            assert (await remote.health()).state is EngineState.STOPPED

    asyncio.run(main())


def test_another_model_on_a_tgi_server_gets_no_requests() -> None:
    async def main() -> None:
        async with OtherServer("tgi").running() as server:
            server.model = "org/other"
            remote = engine(server)
            await remote.start()
            assert remote.loaded is None
            await remote.stop()

    asyncio.run(main())


def test_altered_weights_are_found_before_any_request() -> None:
    async def main() -> None:
        async with OtherServer("openai").running() as server:
            with pytest.raises(ModelMismatchError):
                await engine(server, weights=b"others").start()

    asyncio.run(main())
