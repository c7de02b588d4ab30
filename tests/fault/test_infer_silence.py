"""Connections on which nobody asks, or nobody asks again, end: they would take descriptors from all."""

import asyncio

import pytest
from aiohttp import web

from infer_doubles import site, until
from lockgate.infer import GatewayLimits
from lockgate.infer.silence import SilentConnections

HALF = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: "
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 120


def test_only_connections_without_a_request_end_and_not_before_their_time() -> None:
    async def run() -> None:
        go, asked = asyncio.Event(), asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            asked.set()
            await go.wait()
            return web.Response(text="late")

        app = web.Application()
        app.router.add_get("/", slow)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        assert runner.server is not None
        silent, through = SilentConnections(runner.server, 30.0), runner.server.request_handler

        async def noted(request: web.BaseRequest) -> web.StreamResponse:
            assert isinstance(request, web.Request)
            silent.asked(request)
            return await through(request)

        runner.server.request_handler = noted
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        asks, says_nothing, drips = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        try:
            asks[1].write(WHOLE)
            drips[1].write(HALF)
            await asyncio.wait_for(asked.wait(), PATIENCE)
            await until(lambda: len(runner.server.connections) == 3)
            silent.look(1000.0)
            later = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: len(runner.server.connections) == 4)
            silent.look(1029.0)
            assert len(runner.server.connections) == 4
            silent.look(1031.0)
            for reader, _ in (says_nothing, drips):
                assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            await until(lambda: len(runner.server.connections) == 2)
            silent.look(1058.0)
            assert not later[0].at_eof()
            silent.look(1060.0)
            assert await asyncio.wait_for(later[0].read(), PATIENCE) == b""
            go.set()
            assert b"200 OK" in await asyncio.wait_for(asks[0].readline(), PATIENCE)
        finally:
            for _, writer in (asks, says_nothing, drips, later):
                writer.close()
            await runner.cleanup()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        (b"", GatewayLimits(head_seconds=0.5)),
        (HALF, GatewayLimits(head_seconds=0.5)),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", GatewayLimits(kept_seconds=0.5)),
    ],
    ids=["nothing", "half a head", "no second request"],
)
def test_the_gateway_ends_connections_on_which_nobody_asks(sent: bytes, limits: GatewayLimits) -> None:
    async def run() -> None:
        async with site(limits=limits) as s:
            host, port = s.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            came = await asyncio.wait_for(reader.read(), PATIENCE)
            assert came.startswith(b"HTTP/1.1 200") is (limits.kept_seconds < 1)
            writer.close()

    asyncio.run(run())
