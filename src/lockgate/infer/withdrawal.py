"""Withdrawn models: no new answers at once; the engine is stopped when those that run have ended.

A model that is only held goes on where it is loaded: its source still names it.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from lockgate.core.errors import LockgateError
from lockgate.infer.again import again
from lockgate.infer.engines.ports import Engine
from lockgate.infer.ports import ModelSource

WATCH_SECONDS = 1.0
"""How long a withdrawn model may stay in memory unnoticed; requests are judged one by one meanwhile."""

DRAIN_SECONDS = 60.0
"""How long answers that were begun before a withdrawal may go on; then they are broken off."""

_log = structlog.get_logger("lockgate.infer")


class Withdrawals:
    """Watches whether the channel still has what the engines hold.

    Args:
        source: The admitted models.
        engines: The engine of each model, by the model's name.
        busy: Tells how many answers run at an engine.
        drain_seconds: How long those may go on.

    """

    def __init__(
        self,
        source: ModelSource,
        engines: Mapping[str, Engine],
        busy: Callable[[str], int],
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Begin with every engine in use."""
        self._source = source
        self._engines = engines
        self._busy = busy
        self._drain_seconds = drain_seconds
        self._until: dict[str, float] = {}
        self._stopped: dict[str, int] = {}

    async def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """Look again and again until cancelled."""
        await again(self.look, seconds, "withdrawals cannot be watched")

    async def look(self) -> None:
        """Stop engines whose model is gone and that have no answers left; start those whose model is back."""
        try:
            view = self._source.current()
        except LockgateError:
            return  # each request is refused for the same reason
        admitted = {model.weights.sha256 for model in view.models}
        for name, engine in self._engines.items():
            held = engine.loaded
            if name in self._stopped:
                if view.named(name) is not None and self._stopped[name] != view.channel_version:
                    await self._begin_again(name, engine, view.channel_version)
            elif held is None or held.sha256 in admitted:
                self._until.pop(name, None)
            else:
                await self._drain(name, engine, view.channel_version)

    async def _drain(self, name: str, engine: Engine, version: int) -> None:
        now = asyncio.get_running_loop().time()
        if name not in self._until:
            _log.warning("model withdrawn", model=name, channel_version=version, running=self._busy(name))
        until = self._until.setdefault(name, now + self._drain_seconds)
        running = self._busy(name)
        if running and now < until:
            return
        await engine.stop()
        del self._until[name]
        self._stopped[name] = version
        _log.warning("engine stopped: its model is withdrawn", model=name, broken_off=running)

    async def _begin_again(self, name: str, engine: Engine, version: int) -> None:
        """Load a model that came back, once for each version of the channel."""
        self._stopped[name] = version
        try:
            await engine.start()
        except LockgateError as error:
            _log.warning("engine not started again", model=name, code=error.code, error=error.what)
            return
        del self._stopped[name]
        _log.info("engine started: its model is back", model=name)
