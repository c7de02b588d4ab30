"""Guards that change while a gateway runs: looked at again and again, followed once what is new verifies."""

import asyncio
from collections.abc import Callable

import structlog

from lockgate.core.errors import LockgateError
from lockgate.guard import GuardPolicy
from lockgate.infer.again import again
from lockgate.infer.guarding import Guards

WATCH_SECONDS = 5.0
"""How long a gateway may go on with guards that were changed."""

_log = structlog.get_logger("lockgate.infer")


class GuardWatch:
    """Has guards do what their source says, or go on as they were while it cannot be believed.

    Args:
        guards: The guards of the gateway.
        read: Returns what they have to do, verified; blocks.

    """

    def __init__(self, guards: Guards, read: Callable[[], GuardPolicy]) -> None:
        """Begin with guards as they are."""
        self._guards = guards
        self._read = read
        self._refused = ""

    async def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """Look again and again until cancelled."""
        await again(self.look, seconds, "guards cannot be watched")

    async def look(self) -> None:
        """Look once."""
        try:
            policy = await asyncio.to_thread(self._read)
        except LockgateError as error:
            if error.code != self._refused:
                self._refused = error.code
                _log.warning("guards go on as they were", code=error.code, error=error.what)
            return
        self._refused = ""
        if policy != self._guards.policy:
            self._guards.follow(policy)
            _log.warning("guards changed")
