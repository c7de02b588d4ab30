"""The PyPI protocol over HTTP: index pages by negotiation, files by digest and name."""

import re
from http import HTTPStatus

from packaging.utils import canonicalize_name
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from lockgate.mirror.entries import Simple, Table
from lockgate.mirror.pages.base import HTML_TYPE
from lockgate.mirror.pages.pypi import SIMPLE_JSON
from lockgate.mirror.protocols.negotiate import PLAIN_HTML, choose
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.responses import BlobResponse

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?", re.ASCII)


class PypiRoutes:
    """Handlers of the simple API (PEP 503, 691) and of the files behind it."""

    def __init__(self, site: Site) -> None:
        """Serve from a site."""
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes, for GET and HEAD."""
        return [
            Route("/simple", self.slash),
            Route("/simple/", self.index),
            Route("/simple/{project}", self.slash),
            Route("/simple/{project}/", self.project),
            Route("/packages/{rest:path}", self.package),
        ]

    async def slash(self, request: Request) -> Response:
        """Redirect to the address with a slash at its end (PEP 503)."""
        return _moved(request, request.url.path.removeprefix(_prefix(request)) + "/")

    async def index(self, request: Request) -> Response:
        """Answer with the list of projects."""
        table = await self._site.table()
        return self._simple(request, table, table.index)

    async def project(self, request: Request) -> Response:
        """Answer with a project's page; a name that is not normalised is redirected."""
        name = request.path_params["project"]
        if not _NAME.fullmatch(name):
            return _nothing("No project can have this name.")
        normal = canonicalize_name(name)
        if name != normal:
            return _moved(request, f"/simple/{normal}/")
        table = await self._site.table()
        page = table.projects.get(name)
        if page is None:
            self._site.missed("pypi", name)
            return _nothing(f"No project called {name} has been admitted.")
        return self._simple(request, table, page)

    async def package(self, request: Request) -> Response:
        """Answer with a distribution, its metadata or its provenance.

        The address names the content: a client that opens another connection after the channel moved, to
        fetch what the page before the move lists, is given it too.
        """
        address = "/".join(segments(request)[1:])
        entry = (await self._site.table()).packages.get(address)
        if entry is None:
            tables = (await self._site.newest(), *await self._site.older())
            entry = next((found for table in tables if (found := table.packages.get(address))), None)
        if entry is None:
            return _nothing("No file with this digest and name has been admitted.")
        return BlobResponse(self._site.blobs, entry)

    def _simple(self, request: Request, table: Table, page: Simple) -> Response:
        chosen = choose(", ".join(request.headers.getlist("accept")) or None)
        vary = {"Vary": "Accept"}
        if chosen is None:
            what = "This address has JSON and HTML of version 1 of the simple API only."
            return PlainTextResponse(what, HTTPStatus.NOT_ACCEPTABLE, vary)
        entry = page.json if chosen == SIMPLE_JSON else page.html
        sent = HTML_TYPE if chosen == PLAIN_HTML else chosen
        return BlobResponse(self._site.blobs, entry, headers=vary, media_type=sent, table=table)


def _prefix(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def _moved(request: Request, path: str) -> Response:
    return RedirectResponse(_prefix(request) + path, HTTPStatus.MOVED_PERMANENTLY)


def _nothing(what: str) -> Response:
    return PlainTextResponse(f"{what}\n", HTTPStatus.NOT_FOUND)
