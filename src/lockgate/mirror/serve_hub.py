"""The Hugging Face Hub's protocol over HTTP: information, trees, references, files.

`huggingface_hub` tells what is missing by the header ``X-Error-Code``; without it an optional
file that is not there looks to it like a broken connection.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.core.wire import encode
from lockgate.mirror.responses import BlobResponse
from lockgate.mirror.site import Site, segments
from lockgate.mirror.tables import ModelEntries, RevisionEntries, Table

HUB_HTTP_LIMIT = 50 * 1000 * 1000 * 1000
"""Above this length huggingface_hub 2 refuses plain HTTP when HEAD tells the length, in bytes."""

_OWNER_AND_NAME = 2


class _NotThere(Exception):  # noqa: N818 - it ends a look-up, it is not shown to anybody
    """What was asked for is not in the snapshot, in the Hub's own words."""

    def __init__(self, code: str, message: str, commit: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.commit = code, message, commit


class HubRoutes:
    """Handlers of the Hub's API for models and of the files behind it."""

    def __init__(self, site: Site) -> None:
        """Serve from a site."""
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes, for GET and HEAD; the last one takes every other address."""
        return [Route("/api/{rest:path}", self.api), Route("/{rest:path}", self.resolve)]

    async def api(self, request: Request) -> Response:
        """Answer ``/api/models/{id}`` and what lies below it."""
        parts = segments(request)[1:]
        table = await self._site.table()
        try:
            if parts[:1] != ["models"]:
                raise self._no_repository("/".join(parts[:3]))
            model, rest = self._model(table, parts[1:])
            return await self._about(request, model, rest)
        except _NotThere as missing:
            return _not_found(missing)

    async def resolve(self, request: Request) -> Response:
        """Answer ``/{id}/resolve/{revision}/{path}`` with the file."""
        parts = segments(request)
        at = next((i for i in (1, 2) if parts[i : i + 1] == ["resolve"]), None)
        if at is None:
            return JSONResponse({"error": "Nothing is served here."}, HTTPStatus.NOT_FOUND)
        table = await self._site.table()
        try:
            model, rest = self._model(table, parts)
            revision = _revision(model, rest[1] if len(rest) > 1 else "main")
            return await self._file(revision, "/".join(rest[2:]))
        except _NotThere as missing:
            return _not_found(missing)

    async def _about(self, request: Request, model: ModelEntries, rest: list[str]) -> Response:
        match rest:
            case [] | ["revision"]:
                return self._page(model, _revision(model, "main"))
            case ["revision", name]:
                return self._page(model, _revision(model, name))
            case ["refs"]:
                return BlobResponse(self._site.blobs, model.references)
            case ["tree", name, *path]:
                return await self._tree(request, _revision(model, name), "/".join(path).strip("/"))
        raise _NotThere("EntryNotFound", "This mirror has no such page.", model.main)

    def _page(self, model: ModelEntries, revision: RevisionEntries) -> Response:
        del model
        headers = {"X-Repo-Commit": revision.commit}
        return BlobResponse(self._site.blobs, revision.information, headers=headers)

    async def _tree(self, request: Request, revision: RevisionEntries, folder: str) -> Response:
        """Answer with the signed tree, or with the part of it that was asked for."""
        headers = {"X-Repo-Commit": revision.commit}
        recursive = request.query_params.get("recursive", "").lower() in {"true", "1"}
        if recursive and not folder:
            return BlobResponse(self._site.blobs, revision.tree, headers=headers)
        prefix = f"{folder}/" if folder else ""
        below = [e for e in await self._entries(revision) if e["path"].startswith(prefix)]
        if folder and not below:
            raise _NotThere("EntryNotFound", f"{folder} does not exist on this revision.", revision.commit)
        if not recursive:
            below = [e for e in below if "/" not in e["path"].removeprefix(prefix)]
        return Response(encode(below), headers=headers, media_type="application/json")

    async def _entries(self, revision: RevisionEntries) -> list[dict[str, Any]]:
        body = await self._site.blobs.read(revision.tree.sha256, revision.tree.size)
        return msgspec.json.decode(body, type=list[dict[str, Any]])

    async def _file(self, revision: RevisionEntries, path: str) -> Response:
        entry = revision.files.get(path)
        if entry is None:
            raise _NotThere("EntryNotFound", "This file does not exist on this revision.", revision.commit)
        tree = {e["path"]: e for e in await self._entries(revision)}
        large = "lfs" in tree[path]
        etag = entry.sha256 if large else tree[path]["oid"]
        name = quote(path.rpartition("/")[2])
        headers = {
            "X-Repo-Commit": revision.commit,
            "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        }
        short = entry.size <= HUB_HTTP_LIMIT
        if large:
            headers["X-Linked-Etag"] = f'"{etag}"'
            if short:
                headers["X-Linked-Size"] = str(entry.size)
        return BlobResponse(self._site.blobs, entry, etag=etag, headers=headers, announce_length=short)

    def _model(self, table: Table, parts: list[str]) -> tuple[ModelEntries, list[str]]:
        """Return the model that an address begins with, and the rest of the address."""
        for count in (_OWNER_AND_NAME, 1):
            model = table.models.get("/".join(parts[:count]))
            if model and len(parts) >= count:
                return model, parts[count:]
        raise self._no_repository("/".join(parts[:_OWNER_AND_NAME]))

    def _no_repository(self, name: str) -> _NotThere:
        self._site.missed("huggingface", name)
        return _NotThere("RepoNotFound", "Repository not found")


def _revision(model: ModelEntries, name: str) -> RevisionEntries:
    found = model.revision(name)
    if found is None:
        raise _NotThere("RevisionNotFound", "Revision not found")
    return found


def _not_found(missing: _NotThere) -> Response:
    headers = {"X-Error-Code": missing.code, "X-Error-Message": missing.message}
    if missing.commit:
        headers["X-Repo-Commit"] = missing.commit
    return JSONResponse({"error": missing.message}, HTTPStatus.NOT_FOUND, headers)
