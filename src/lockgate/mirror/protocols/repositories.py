"""What serving apt's and dnf's repositories shares: indexes with the lane's signature, and files beside them.

Both clients go on with ``If-Range`` and a date, and apt asks with ``If-Modified-Since``; neither knows entity
tags. So everything here says when it was last modified, and matches only the very date that it said.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lockgate.mirror.entries import SignedEntries, Table
from lockgate.mirror.errors import UnsignedRepositoryError
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.ranges import http_date
from lockgate.mirror.responses import BlobResponse, problem, unmodified
from lockgate.mirror.signed import SignedRelease

CERTIFICATE = "lockgate.asc"


class SignedRoutes(ABC):
    """Everything below one protocol's folder.

    Attributes:
        protocol: The folder, and what metrics call it.
        index: What the undated index is called in a snapshot.
        signed: The names of an index's files, and which of its forms each is.

    """

    protocol: str
    index: str
    signed: Mapping[str, Callable[[SignedRelease], bytes]]

    def __init__(self, site: Site) -> None:
        """Answer for a site."""
        self._site = site

    @abstractmethod
    def entries(self, table: Table) -> SignedEntries:
        """Return what a table has for this protocol."""

    @abstractmethod
    def names_content(self, path: str) -> bool:
        """Tell whether an address bears the digest of what it stands for."""

    @abstractmethod
    def is_miss(self, path: str) -> bool:
        """Tell whether somebody lacks what is not there; what clients only try is no miss."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(f"/{self.protocol}/{{rest:path}}", self.file)]

    async def file(self, request: Request) -> Response:
        """Answer with an index, a file that it lists, or the lane's key."""
        table = await self._site.table()
        await self._site.survey(table)
        entries = self.entries(table)
        path = "/".join(segments(request)[1:])
        folder, _, name = path.rpartition("/")
        if path == CERTIFICATE and entries.releases:
            return self._certificate(request, table)
        if name in self.signed and folder in entries.releases:
            return self._release(request, table, folder, name)
        entry = entries.files.get(path)
        if entry is None and self.names_content(path):
            # A client that read an index before the channel moved asks for what that one listed.
            for older in await self._site.older():
                await self._site.survey(older)
                entry = entry or self.entries(older).files.get(path)
        if entry is None:
            return self._absent(path)
        return BlobResponse(self._site.blobs, entry, modified=table.created)

    def _certificate(self, request: Request, table: Table) -> Response:
        if table.repository is None:
            return _unsigned()
        return _dated(request, table.repository.certificate.encode(), table.repository.created)

    def _release(self, request: Request, table: Table, folder: str, name: str) -> Response:
        page = f"{self.protocol}/{folder}/{self.index}"
        signed = table.repository.releases.get(page) if table.repository else None
        if signed is None or table.repository is None:
            return _unsigned()
        return _dated(request, self.signed[name](signed), table.repository.created)

    def _absent(self, path: str) -> Response:
        if self.is_miss(path):
            self._site.missed(self.protocol, path)
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
