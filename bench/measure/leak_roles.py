"""The processes of `bench/leak.py`: an engine that says recorded answers again, and the gateway before it.

Each prints one line once it serves, and ends when standard input does.
"""

import argparse
import asyncio
import json
import random
import secrets
import ssl
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from gateway_roles import until_end_of_input

from infer_doubles import MemoryLedger, MemorySource, ServerEngine, chunk, make_key, usage_chunk
from lockgate.guard import GuardPolicy
from lockgate.infer import (
    EngineLimits,
    GatewayConfig,
    GatewayLimits,
    MemoryKeys,
    MemoryReceipts,
    Parts,
    serving,
)
from lockgate.infer.service import tune
from lockgate.infer.shaping import Profile, ShapingPolicy


async def engine(options: argparse.Namespace) -> None:
    """Say to each question one of its recorded answers, part by part at the recorded times."""
    recorded: dict[str, list[list[list[Any]]]] = json.loads(options.answers.read_bytes())
    rng = random.Random(options.seed)  # noqa: S311  # repeatable

    async def chat(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        parts = rng.choice(recorded[body["messages"][-1]["content"]])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at, text in parts:
            await asyncio.sleep(began + at - loop.time())
            await response.write(chunk(text))
        await response.write(chunk(finish="stop") + usage_chunk(9, len(parts)) + b"data: [DONE]\n\n")
        return response

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/health", health)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await until_end_of_input()


class Place:
    """The address of an engine server, as `ServerEngine` asks for it."""

    def __init__(self, url: str) -> None:
        """Keep it."""
        self.url = url


async def gateway(options: argparse.Namespace) -> None:
    """Serve the gateway with its guards over TLS; print its port and so many keys of each profile."""
    labels = {"control": Profile.OFF, **{profile.value: profile for profile in Profile}}
    found = {
        name: [make_key(secrets.token_bytes, "internal", profile.value) for _ in range(options.keys)]
        for name, profile in labels.items()
    }
    bounds = EngineLimits(running=4096, waiting=4096)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(options.certificate, options.key)
    parts = Parts(
        source=MemorySource(),
        engines={"small": ServerEngine(Place(options.engine), bounds)},  # type: ignore[arg-type]  # only its address is used
        knowledge={},
        keys=MemoryKeys(*(kept for pairs in found.values() for _, kept in pairs)),
        ledger=MemoryLedger(),
        receipts=MemoryReceipts(),
        clock=lambda: datetime.now(UTC),
        entropy=secrets.token_bytes,
        guards=GuardPolicy(),
        shaping=ShapingPolicy({profile.value: profile for profile in Profile}),
    )
    tune()  # as `run_gateway` does
    config = GatewayConfig(host=options.host, port=0, tls=tls, limits=GatewayLimits(), engine_limits=bounds)
    async with serving(config, parts) as url:
        told = {name: [secret for secret, _ in pairs] for name, pairs in found.items()}
        print(json.dumps({"port": int(url.rpartition(":")[2]), "keys": told}), flush=True)
        await until_end_of_input()


def main() -> None:
    """Run one role."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("engine", "gateway"))
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--keys", type=int, default=1)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(globals()[options.role](options))


if __name__ == "__main__":
    main()
