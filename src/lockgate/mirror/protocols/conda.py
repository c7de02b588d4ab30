"""The protocol of conda's channels: indexes and packages below the channel's name and platform."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lockgate.core.conda import ENDINGS
from lockgate.mirror.pages.conda import INDEXES
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.responses import BlobResponse


class CondaRoutes:
    """Everything below ``/conda/``."""

    def __init__(self, site: Site) -> None:
        """Answer for a site."""
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/conda/{rest:path}", self.file)]

    async def file(self, request: Request) -> Response:
        """Answer with an index or a package."""
        path = "/".join(segments(request)[1:])
        table = await self._site.table()
        await self._site.survey(table)
        entry = table.conda.get(path)
        if entry is not None:
            return BlobResponse(self._site.blobs, entry)
        # What clients only try (shards, other compressions, notices) is no miss.
        if path.endswith((*ENDINGS, f"/{INDEXES[0]}")):
            self._site.missed("conda", path)
        return PlainTextResponse("No file of this name has been admitted.\n", HTTPStatus.NOT_FOUND)
