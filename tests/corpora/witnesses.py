"""A witness on loopback, served from a thread of the test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from lockgate.app.record.witness import make_app
from lockgate.audit import Witness

SECONDS = 180


@contextmanager
def serving(witness: Witness, *, first: bool) -> Iterator[str]:
    """Serve a witness on loopback from a thread, and stop it."""
    loop, address = asyncio.new_event_loop(), []
    runner = web.AppRunner(make_app(witness, first=first))

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(SECONDS)
        yield address[0]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
