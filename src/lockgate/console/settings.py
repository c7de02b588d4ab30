"""The console's page that tells each client how to ask the mirrors."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockgate.console.ports import ConsoleData


class ClientSettings:
    """The endpoint of the clients' configuration."""

    def __init__(self, data: ConsoleData, page: Callable[..., Response]) -> None:
        """Show what this data says."""
        self._data = data
        self._page = page

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/clients", self.show, name="clients")]

    async def show(self, _: Request) -> Response:
        """Answer each client's files, variables and notes."""
        return self._page("clients.html", clients=await run_in_threadpool(self._data.clients))
