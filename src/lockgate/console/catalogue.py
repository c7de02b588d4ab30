"""The console's page for searching what is served."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockgate.app.high.catalogue import TEXT_LIMIT, Catalogue, Entry, Query
from lockgate.console.person import Viewer, viewer
from lockgate.console.ports import ConsoleData

ROWS = 100
"""How many artifacts stand on one page."""

_TEXTS = ("text", "version", "licence", "kind", "label", "advisory", "by", "user")
_NUMBER = 7


class Searching:
    """The endpoint of the search."""

    def __init__(self, data: ConsoleData, page: Callable[..., Response]) -> None:
        """Search this data."""
        self._data = data
        self._page = page

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/catalogue", self.search, name="catalogue")]

    async def search(self, request: Request) -> Response:
        """Answer what of the served artifacts is searched for; ``?page=`` turns over."""
        query = _query(request)
        catalogue = await run_in_threadpool(self._data.catalogue)
        who = viewer.get()
        found, size = await run_in_threadpool(_found, catalogue, query, who)
        pages = max(1, -(-len(found) // ROWS))
        page = _number(request.query_params.get("page", "1"))
        if not 1 <= page <= pages:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return self._page(
            "catalogue.html",
            c=catalogue,
            q=query,
            rows=_shown(found[(page - 1) * ROWS : page * ROWS], who),
            matching=len(found),
            bytes=size,
            page=page,
            pages=pages,
            turned=lambda number: f"/catalogue?{urlencode({**_asked(query), 'page': number})}",
        )


def _found(catalogue: Catalogue, query: Query, who: Viewer | None) -> tuple[Sequence[Entry], int]:
    """Return what somebody may see of what is searched for, and its bytes; there may be very many."""
    found = catalogue.find(query)
    if who is not None and not who.sees_all:
        found = [entry for entry in found if who.may_see(entry.label)]
    return found, catalogue.bytes_of(found)


def _shown(rows: Sequence[Entry], who: Viewer | None) -> Sequence[Entry]:
    """Return the rows of a page as somebody sees them: who uses and admitted what is not for everybody."""
    if who is None or who.sees_all:
        return rows
    return [replace(entry, users=(), admission=None) for entry in rows]


def _asked(query: Query) -> dict[str, object]:
    """Return a query as an address carries it."""
    texts = {name: getattr(query, name) for name in _TEXTS}
    rest = {"crossing": query.crossing or "", "unused": "1" if query.unused else ""}
    return {name: value for name, value in {**texts, **rest}.items() if value}


def _query(request: Request) -> Query:
    given = request.query_params
    texts = {name: given.get(name, "").strip() for name in _TEXTS}
    if any(len(text) > TEXT_LIMIT for text in texts.values()):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    crossing = given.get("crossing", "").strip()
    return Query(**texts, crossing=_number(crossing) if crossing else 0, unused=given.get("unused") == "1")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _NUMBER):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return int(text)
