"""The apt protocol: Release files with their signatures, indexes by name and by digest, and the pool.

apt asks with ``If-Modified-Since`` and goes on with ``If-Range`` and a date; it knows no entity tags. So
everything here says when it was last modified, and matches only the very date that it said.
"""

from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lockgate.mirror.errors import UnsignedRepositoryError
from lockgate.mirror.ranges import http_date
from lockgate.mirror.responses import BlobResponse, problem, unmodified
from lockgate.mirror.signed import SignedRelease
from lockgate.mirror.site import Site, segments
from lockgate.mirror.tables import Table

CERTIFICATE = "lockgate.asc"
_BY_HASH = "/by-hash/"
_SIGNED = {
    "InRelease": lambda signed: signed.in_release,
    "Release": lambda signed: signed.release,
    "Release.gpg": lambda signed: signed.detached,
}


class AptRoutes:
    """Everything below ``/apt/``."""

    def __init__(self, site: Site) -> None:
        """Answer for a site."""
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/apt/{rest:path}", self.file)]

    async def file(self, request: Request) -> Response:
        """Answer with a Release file, an index or a package."""
        table = await self._site.table()
        path = "/".join(segments(request)[1:])
        folder, _, name = path.rpartition("/")
        if path == CERTIFICATE and table.apt.releases:
            return self._certificate(request, table)
        if name in _SIGNED and folder in table.apt.releases:
            return self._release(request, table, folder, name)
        entry = table.apt.files.get(path)
        if entry is None and _BY_HASH in path:
            # A client that read a Release file before the channel moved asks for what that one listed.
            older = await self._site.older()
            entry = next((t.apt.files[path] for t in older if path in t.apt.files), None)
        if entry is None:
            return self._absent(path)
        return BlobResponse(self._site.blobs, entry, modified=table.created)

    def _certificate(self, request: Request, table: Table) -> Response:
        if table.repository is None:
            return _unsigned()
        return _dated(request, table.repository.certificate.encode(), table.repository.created)

    def _release(self, request: Request, table: Table, folder: str, name: str) -> Response:
        signed = self._signed(table, folder)
        if signed is None or table.repository is None:
            return _unsigned()
        return _dated(request, _SIGNED[name](signed), table.repository.created)

    def _signed(self, table: Table, folder: str) -> SignedRelease | None:
        return table.repository.releases.get(f"apt/{folder}/Release") if table.repository else None

    def _absent(self, path: str) -> Response:
        """Say that there is no such file; what clients only try is no miss."""
        if "/pool/" in path or path.endswith("/InRelease"):
            self._site.missed("apt", path)
        return PlainTextResponse("No file of this name has been admitted.\n", HTTPStatus.NOT_FOUND)


def _dated(request: Request, body: bytes, created: datetime) -> Response:
    """Answer with a text, or that it is the one that the client has."""
    headers = {"Last-Modified": http_date(created), "Cache-Control": "no-cache"}
    if unmodified(request.headers, headers["Last-Modified"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type="text/plain")


def _unsigned() -> Response:
    what = "The gate has not signed this snapshot's repositories."
    return problem(UnsignedRepositoryError(what), HTTPStatus.SERVICE_UNAVAILABLE)
