"""The console's page that answers who let something in, and hands out the proof."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockgate.admit.errors import AmbiguousNameError, NotAdmittedError
from lockgate.app.gate.told import told
from lockgate.app.gate.who import Traced
from lockgate.console import format as fmt
from lockgate.console.ports import ConsoleData
from lockgate.core.errors import LockgateError

TEXT_LIMIT = 512
"""Longest question, in characters."""

_STATUS = {NotAdmittedError: HTTPStatus.NOT_FOUND, AmbiguousNameError: HTTPStatus.CONFLICT}


class Tracing:
    """The endpoints; questions are answered one after another, for each goes through what was published.

    Args:
        data: Who is asked.
        page: Renders a template.

    """

    def __init__(self, data: ConsoleData, page: Callable[..., Response]) -> None:
        """Keep the parts."""
        self._data = data
        self._page = page
        self._one = asyncio.Semaphore(1)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/who", self.show, name="who"), Route("/who/proof", self.proof, name="proof")]

    async def show(self, request: Request) -> Response:
        """Answer who let ``?what=`` in, or that nobody did."""
        what = _asked(request)
        if not what:
            return self._page("who.html", what="", rows={}, found=None, trouble=None)
        try:
            traced = await self._trace(what)
        except LockgateError as error:
            status = _STATUS.get(type(error), HTTPStatus.SERVICE_UNAVAILABLE)
            return self._page("who.html", status, what=what, rows={}, found=None, trouble=error)
        served = ", ".join(traced.served) or "on no channel"
        rows = told(traced.let_in, fmt.size, served)
        return self._page("who.html", what=what, rows=rows, found=traced.let_in, trouble=None)

    async def proof(self, request: Request) -> Response:
        """Answer the proof as a file; refusals are pages."""
        what = _asked(request)
        if not what:
            raise HTTPException(HTTPStatus.BAD_REQUEST)
        traced = await self._trace(what)
        name = f"{traced.let_in.sha256[:12]}.proof.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(traced.proof, media_type="application/json", headers=headers)

    async def _trace(self, what: str) -> Traced:
        async with self._one:
            return await run_in_threadpool(self._data.trace, what)


def _asked(request: Request) -> str:
    what = request.query_params.get("what", "").strip()
    if len(what) > TEXT_LIMIT:
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return what
