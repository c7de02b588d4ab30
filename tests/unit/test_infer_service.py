"""The service comes up, says where it is, and goes down without losing a record."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import aiohttp

from infer_doubles import (
    NOW,
    Counting,
    FakeServer,
    HandbookKnowledge,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
    ServerEngine,
    chunk,
    make_key,
    sends_then_hangs,
    site,
)
from lockgate.infer import (
    Engine,
    EngineLimits,
    GatewayConfig,
    GatewayLimits,
    MemoryKeys,
    MemoryReceipts,
    Parts,
    run_gateway,
    serve_until,
)


def parts(engine: Engine, ledger: MemoryLedger) -> tuple[str, Parts]:
    entropy = Counting()
    secret, key = make_key(entropy)
    return secret, Parts(
        source=MemorySource(),
        engines={"small": engine},
        knowledge={"handbook": HandbookKnowledge()},
        keys=MemoryKeys(key),
        ledger=ledger,
        receipts=MemoryReceipts(),
        clock=lambda: NOW,
        entropy=entropy,
    )


def test_stopping_cuts_off_what_runs_too_long_and_records_it() -> None:
    async def run() -> None:
        async with FakeServer(sends_then_hangs(chunk("One"))).running() as server:
            ledger, stop = MemoryLedger(), asyncio.Event()
            engine = ServerEngine(server, EngineLimits())
            secret, joined = parts(engine, ledger)
            config = GatewayConfig(port=0, limits=GatewayLimits(shutdown_seconds=0.1))
            url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            service = asyncio.create_task(serve_until(config, joined, stop, url.set_result))
            body = {"model": "small", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
            headers = {"Authorization": f"Bearer {secret}"}
            async with (
                aiohttp.ClientSession(await url, headers=headers) as session,
                session.post("/v1/chat/completions", json=body) as response,
            ):
                await response.content.readuntil(b"\n\n")
                stop.set()
                await service
            assert ledger.statuses() == ["cancelled"]
            assert server.cancelled.is_set()
            assert engine.loaded is None

    asyncio.run(run())


def test_an_engine_that_holds_nothing_is_unavailable_and_an_empty_question_is_refused() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        async with site(engine=engine) as s:
            async with s.ask(" ", model="small@handbook") as response:
                assert response.status == 400
                assert (await response.json())["error"]["param"] == "messages"
            await engine.stop()
            async with s.ask() as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "engine_unavailable"
            assert s.ledger.events == []

    asyncio.run(run())


def serve_in_this_process() -> None:
    """Run the gateway as `lockgate` would; the test below runs this in a process of its own."""
    secret, joined = parts(ScriptedEngine(), MemoryLedger())
    run_gateway(GatewayConfig(port=0), joined, lambda url: print(url, secret, flush=True))  # noqa: T201


def test_process_serves_until_it_is_told_to_stop() -> None:
    folder = Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(folder.parent)!r}]\n"
        "import test_infer_service; test_infer_service.serve_in_this_process()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while not line.startswith("http"):  # structured logs come first
            line = process.stdout.readline()
        url, secret = line.split()
        request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {secret}"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  # loopback
            listed = json.load(response)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert [model["id"] for model in listed["data"]] == ["small", "small@handbook"]
