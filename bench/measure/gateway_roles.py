"""The processes of `bench/gateway.py`: an engine, a bare pass-through proxy, and Lockgate's gateway.

Each prints its port in one line once it serves, and ends when standard input does. The engine speaks just
enough HTTP/1.1 for the proxies' clients, by hand, so that its own cost stays small beside theirs.
"""

import argparse
import asyncio
import hashlib
import io
import json
import os
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from aiohttp import web

WEIGHTS = b"no weights at all"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
MODEL = "small"
WORD = " generator"


async def until_end_of_input() -> None:
    """Return when whoever started this process closes its standard input."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Return a chunk of a chat stream, in HTTP's chunked coding."""
    choices = [] if more else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    data = b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
OPENS = chunk({"role": "assistant", "content": ""})
SAYS = chunk({"content": WORD})
ENDS = chunk({}, "stop")
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class FakeEngine(asyncio.Protocol):
    """Says `tokens` words, one every 1/rate seconds (rate 0: all at once), after `wait` seconds."""

    rate, tokens, wait = 0.0, 8, 0.0
    left: float = 0.0
    """When a caller last left before its answer was complete (CLOCK_MONOTONIC)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a caller."""
        self.transport: Any = transport
        self.data = b""
        self.timer: asyncio.TimerHandle | None = None
        self.said = 0
        self.busy = False

    def data_received(self, data: bytes) -> None:
        """Take bytes; answer once a request is whole."""
        self.data += data
        head, found, rest = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.data = rest[length:]
        if head.startswith(b"POST"):
            self.answer()
        else:
            body = json.dumps({"left": FakeEngine.left}).encode()
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )

    def answer(self) -> None:
        """Begin an answer."""
        self.said, self.busy = 0, True
        usage = {"prompt_tokens": 9, "completion_tokens": self.tokens, "total_tokens": 9 + self.tokens}
        self.ends = ENDS + chunk({}, usage=usage) + DONE
        if not self.rate:
            self.transport.write(HEAD + OPENS + SAYS * self.tokens + self.ends)
            self.busy = False
            return
        self.transport.write(HEAD + OPENS)
        loop = asyncio.get_running_loop()
        self.due = loop.time() + (self.wait or 1 / self.rate)
        self.timer = loop.call_at(self.due, self.tick)

    def tick(self) -> None:
        """Say one word."""
        self.said += 1
        if self.said >= self.tokens:
            self.busy = False
            self.transport.write(SAYS + self.ends)
            return
        self.transport.write(SAYS)
        self.due += 1 / self.rate
        self.timer = asyncio.get_running_loop().call_at(self.due, self.tick)

    def connection_lost(self, _error: Exception | None) -> None:
        """Note when a caller left early."""
        if self.timer is not None:
            self.timer.cancel()
        if self.busy:
            FakeEngine.left = time.monotonic()


async def engine(options: argparse.Namespace) -> None:
    """Serve the fake engine."""
    FakeEngine.rate, FakeEngine.tokens, FakeEngine.wait = options.rate, options.tokens, options.wait
    server = await asyncio.get_running_loop().create_server(FakeEngine, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await until_end_of_input()


async def passthrough(options: argparse.Namespace) -> None:
    """Serve the least proxy: bytes in, bytes out, no key, no record."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    )

    async def chat(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {"Content-Type": "application/json"}
        async with session.post(
            f"{options.engine}/v1/chat/completions", data=body, headers=headers
        ) as answer:
            response = web.StreamResponse(headers={"Content-Type": answer.headers["Content-Type"]})
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await until_end_of_input()
    await session.close()


async def lockgate(options: argparse.Namespace) -> None:
    """Serve Lockgate's gateway with a key, the durable log and receipts, metrics; guards, quotas."""
    from lockgate.audit import AuditLog  # noqa: PLC0415  # the engine's process needs none of it
    from lockgate.guard import Channel, GuardPolicy, Mode  # noqa: PLC0415
    from lockgate.infer import (  # noqa: PLC0415
        AdmittedModel,
        ChannelModels,
        EngineLimits,
        FileKeys,
        FileRings,
        GatewayConfig,
        GatewayLimits,
        MemoryQuotas,
        ModelFile,
        ModelSource,
        Parts,
        Quota,
        Quotas,
        RecordReceipts,
        RemoteConfig,
        RemoteEngine,
        RemoteKind,
        new_key,
        serving,
    )
    from lockgate.infer.service import tune  # noqa: PLC0415
    from lockgate.store import open_records  # noqa: PLC0415

    weights = ModelFile("weights.gguf", SHA256, len(WEIGHTS))
    admitted = AdmittedModel(
        MODEL, "pkg:huggingface/bench/small@1", "internal", "MIT", weights, (weights,), 1, SHA256
    )

    def clock() -> datetime:
        return datetime.now(UTC)

    view = ChannelModels("stable", 1, SHA256, clock(), (admitted,))

    class Source(ModelSource):
        def current(self) -> ChannelModels:
            return view

        def open(self, _sha256: str) -> BinaryIO:
            return io.BytesIO(WEIGHTS)

    off = GuardPolicy(
        rules=dict.fromkeys(Channel, Mode.OFF),
        canary=Mode.OFF,
        links=Mode.OFF,
        secrets=Mode.OFF,
        personal=Mode.OFF,
        invisible=Mode.OFF,
        system_prompt=Mode.OFF,
    )
    folder = Path(options.folder)
    bounds = EngineLimits(running=8192, waiting=8192)
    remote = RemoteEngine(
        model=weights,
        open_model=lambda: io.BytesIO(WEIGHTS),
        config=RemoteConfig(options.engine, RemoteKind.OPENAI, MODEL),
        limits=bounds,
        clock=clock,
    )
    keys = FileKeys(folder / "keys.json")
    secret, kept = new_key("bench", ("internal",), clock, secrets.token_bytes)
    keys.add(kept)
    most = 1 << 40
    much = Quota(requests=most, prompt_tokens=most, completion_tokens=most, concurrent=8192)
    parts = Parts(
        source=Source(),
        engines={MODEL: remote},
        knowledge={},
        keys=keys,
        ledger=AuditLog(open_records(f"sqlite:///{folder / 'audit.sqlite'}"), "lockgate/bench/high", clock),
        receipts=RecordReceipts(
            open_records(f"sqlite:///{folder / 'receipts.sqlite'}"), FileRings(folder / "receipt-keys", clock)
        ),
        clock=clock,
        entropy=secrets.token_bytes,
        guards=GuardPolicy() if options.guards else off,
        quotas=MemoryQuotas({kept.id: much}) if options.quotas else MemoryQuotas(),
        spending=Quotas(open_records(f"sqlite:///{folder / 'quotas.sqlite'}"), clock, secrets.token_bytes),
    )
    tune()  # as `run_gateway` does
    config = GatewayConfig(port=0, limits=GatewayLimits(per_key=8192), engine_limits=bounds)
    async with serving(config, parts) as url:
        print(url.rpartition(":")[2], secret, flush=True)
        await until_end_of_input()


def main() -> None:
    """Run one role."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("engine", "passthrough", "lockgate"))
    parser.add_argument("--engine", default="")
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--wait", type=float, default=0)
    parser.add_argument("--guards", action="store_true")
    parser.add_argument("--quotas", action="store_true")
    parser.add_argument("--folder", default="")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(globals()[options.role](options))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
