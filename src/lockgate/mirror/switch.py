"""Choosing among many routes by the first part of the address, before any of them is tried."""

from collections.abc import Sequence

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send


class Switch:
    """Sends a request to the routes that begin like its address; all others are tried by `rest`.

    Routes that begin with a parameter stand at the end and match whatever nobody else took: they are
    tried after those of each first part.
    """

    def __init__(self, routes: Sequence[Route], rest: ASGIApp) -> None:
        """Group the routes; each group keeps their order."""
        self._rest = rest
        firsts = [route.path.split("/")[1] for route in routes]
        self._groups = {
            first: Router(
                [r for r, f in zip(routes, firsts, strict=True) if f == first or f.startswith("{")],
                redirect_slashes=False,
            )
            for first in dict.fromkeys(firsts)
            if not first.startswith("{")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is no request goes to `rest`."""
        if scope["type"] == "http":
            router = self._groups.get(scope["path"].split("/", 2)[1] if "/" in scope["path"] else "")
            if router is not None:
                await router.app(scope, receive, send)
                return
        await self._rest(scope, receive, send)
