"""Connections on which nobody asks: ended after a while, since each takes a descriptor away from all callers.

aiohttp ends connections that are idle behind an answer. One that never sent the head of a request it keeps
for ever, and so may anybody hold it who reaches the gateway, without a key.
"""

import asyncio
from asyncio import BaseTransport
from weakref import WeakSet

from aiohttp import web

from lockgate.infer.again import again

LOOKS = 4
"""How often connections are looked at within the time that they have."""


class SilentConnections:
    """The connections of a server on which no request came.

    Args:
        server: The server.
        seconds: How long a connection may take for the head of its first request.

    """

    def __init__(self, server: web.Server, seconds: float) -> None:
        """Begin with none."""
        self._server = server
        self._seconds = seconds
        self._asked: WeakSet[BaseTransport] = WeakSet()
        self._since: dict[web.RequestHandler, float] = {}

    def asked(self, request: web.Request) -> None:
        """Note that a request came on a connection."""
        if request.transport is not None:
            self._asked.add(request.transport)

    async def watch(self) -> None:
        """Look again and again until cancelled."""

        async def look() -> None:
            self.look(asyncio.get_running_loop().time())

        await again(look, self._seconds / LOOKS, "silent connections cannot be ended")

    def look(self, now: float) -> None:
        """End the connections that have been silent for too long at this moment of a clock."""
        silent = [one for one in self._server.connections if one.transport not in self._asked]
        self._since = {one: self._since.get(one, now) for one in silent}
        for one, since in self._since.items():
            if now - since >= self._seconds:
                one.force_close()
