"""Runs the gateway: engines first, then the door, and down again in reverse."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from lockgate.infer.errors import ListenError
from lockgate.infer.limits import EngineLimits, GatewayLimits

if TYPE_CHECKING:
    import ssl

    from lockgate.infer.parts import Parts

SWITCH_SECONDS = 0.0005
"""How long one thread may keep the interpreter from others: the log's thread gives it back at each step of
its transaction, and first tokens wait for that."""

COLLECT_EVERY = 20_000
"""How many more objects are made than freed before the youngest are looked at for cycles."""

_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where the gateway listens, and its bounds. Port 0 takes a free one.

    With `shared` other gateway processes may listen on the same port.
    """

    host: str = "127.0.0.1"
    port: int = 8720
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    engine_limits: EngineLimits = field(default_factory=EngineLimits)
    shared: bool = False
    tls: "ssl.SSLContext | None" = None


@asynccontextmanager
async def serving(config: GatewayConfig, parts: "Parts") -> AsyncIterator[str]:
    """Start the engines and the gateway, yield its base URL, and stop both at the end.

    Running answers get `limits.shutdown_seconds` to end; every intent gets its outcome.

    Raises:
        ModelMismatchError, EngineFilesError, EngineStartError: An engine did not start.
        ListenError: The address is taken or not this machine's.

    """
    from aiohttp import web  # noqa: PLC0415  # heavy; the room is imported by light commands too

    from lockgate.infer.gateway import Gateway  # noqa: PLC0415  # the same

    gateway = Gateway(parts, config.limits, config.engine_limits)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.close)
        for engine in parts.engines.values():
            stack.push_async_callback(engine.stop)
            await engine.start()
        runner = gateway.runner()
        await runner.setup()
        gateway.straighten(runner)
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(
            runner, config.host, config.port, reuse_port=config.shared or None, ssl_context=config.tls
        )
        try:
            await site.start()
        except OSError as error:
            what = f"The gateway cannot listen on {config.host}:{config.port}: {error.strerror}."
            raise ListenError(what) from error
        for watch in gateway.watches():
            stack.push_async_callback(_ended, asyncio.create_task(watch))
        # Who iterates a generator here closes it: the loop need not know each, to close them at its end.
        known = sys.get_asyncgen_hooks().firstiter
        sys.set_asyncgen_hooks(firstiter=None)
        stack.callback(lambda: sys.set_asyncgen_hooks(firstiter=known))
        port = runner.addresses[0][1]
        yield f"{'https' if config.tls else 'http'}://{config.host}:{port}"


async def _ended(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def serve_until(
    config: GatewayConfig, parts: "Parts", stop: asyncio.Event, ready: Callable[[str], None] | None = None
) -> None:
    """Serve until `stop` is set; `ready` is told the base URL once requests are taken."""
    async with serving(config, parts) as url:
        _logger.info(
            "gateway serves", url=url, models=sorted(parts.engines), knowledge=sorted(parts.knowledge)
        )
        if ready is not None:
            ready(url)
        await stop.wait()
        _logger.info("gateway stops")


def tune() -> None:
    """Set this process up to serve: threads take turns quickly, and what was loaded is left alone.

    A full look of the garbage collector at modules and their tables held up every running answer.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 20)


def run_gateway(config: GatewayConfig, parts: "Parts", ready: Callable[[str], None] | None = None) -> None:
    """Serve in this process until SIGTERM or SIGINT."""
    tune()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve_until(config, parts, stop, ready)

    asyncio.run(main())
