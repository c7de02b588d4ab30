"""The Hugging Face Hub's protocol over HTTP: information, trees, references, commits, files.

Models have addresses of their own; those of data sets and spaces begin with their kind.

`huggingface_hub` tells what is missing by the header ``X-Error-Code``; without it an optional
file that is not there looks to it like a broken connection.
"""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.core.wire import encode
from lockgate.mirror.entries import ModelEntries, RevisionEntries, Table
from lockgate.mirror.named import own_address
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.responses import BlobResponse

HUB_HTTP_LIMIT = 50 * 1000 * 1000 * 1000
"""Above this length huggingface_hub 2 refuses plain HTTP when HEAD tells the length, in bytes."""

TREE_PAGE = 1000
"""Most entries of a tree in one answer; more follow under the address in its Link header."""

BODY_LIMIT = 1 << 20
"""Longest list of paths that is read, in bytes."""

PATHS_LIMIT = 10_000
"""Most paths in one question."""

_OWNER_AND_NAME = 2
_KINDS = ("datasets", "spaces")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _NotThere(Exception):  # noqa: N818 - it ends a look-up, it is not shown to anybody
    """What was asked for is not in the snapshot, in the Hub's own words."""

    def __init__(self, code: str, message: str, commit: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.commit = code, message, commit


class HubRoutes:
    """Handlers of the Hub's API for models and of the files behind it."""

    def __init__(self, site: Site, address: str = "") -> None:
        """Serve from a site; `address` is the mirror's own where it is not the one that clients name."""
        self._site = site
        self._address = address.rstrip("/")

    def routes(self) -> list[Route]:
        """Return the routes, for GET and HEAD; the last one takes every other address."""
        api = Route("/api/{rest:path}", self.api, methods=["GET", "HEAD", "POST"])
        return [api, Route("/{rest:path}", self.resolve)]

    async def api(self, request: Request) -> Response:
        """Answer ``/api/models/{id}``, ``/api/datasets/{id}``, ``/api/spaces/{id}`` and what lies below."""
        parts = segments(request)[1:]
        table = await self._site.table()
        try:
            if parts[:1] != ["models"] and parts[0] not in _KINDS:
                raise self._no_repository("/".join(parts[:3]))
            model, rest = await self._at_commit(table, parts[1:] if parts[0] == "models" else parts)
            return await self._about(request, model, rest)
        except _NotThere as missing:
            return _not_found(missing)

    async def resolve(self, request: Request) -> Response:
        """Answer ``/{id}/resolve/{revision}/{path}`` with the file."""
        parts = segments(request)
        at = next((i for i in (1, 2, 3) if parts[i : i + 1] == ["resolve"]), None)
        if at is None:
            return JSONResponse({"error": "Nothing is served here."}, HTTPStatus.NOT_FOUND)
        table = await self._site.table()
        try:
            model, rest = await self._at_commit(table, parts)
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
            case ["commits", name]:
                revision = _revision(model, name)
                headers = {"X-Repo-Commit": revision.commit, "X-Total-Count": "1"}
                return BlobResponse(self._site.blobs, revision.commits, headers=headers)
            case ["paths-info", name]:
                return await self._paths(request, _revision(model, name))
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
        query = request.query_params
        recursive, expand = _said(query.get("recursive")), _said(query.get("expand"))
        entries = await self._entries(revision)
        if recursive and not folder and not expand and len(entries) <= TREE_PAGE and "limit" not in query:
            return BlobResponse(self._site.blobs, revision.tree, headers=headers)
        prefix = f"{folder}/" if folder else ""
        below = [e for e in entries if e["path"].startswith(prefix)]
        if folder and not below:
            raise _NotThere("EntryNotFound", f"{folder} does not exist on this revision.", revision.commit)
        if not recursive:
            below = [e for e in below if "/" not in e["path"].removeprefix(prefix)]
        start, count = _number(query.get("cursor"), 0), _number(query.get("limit"), TREE_PAGE)
        stop = start + max(1, min(count, TREE_PAGE))
        if stop < len(below):
            more = {**query, "cursor": str(stop)}
            base = own_address(request.scope, self._address) or str(request.base_url).rstrip("/")
            headers["Link"] = f'<{base}{quote(request.url.path)}?{urlencode(more)}>; rel="next"'
        part = below[start:stop]
        part = await self._expanded(revision, part) if expand else part
        return Response(encode(part), headers=headers, media_type="application/json")

    async def _paths(self, request: Request, revision: RevisionEntries) -> Response:
        """Answer which of the paths in the body there are; absent ones are passed over."""
        if request.method != "POST":
            raise _NotThere("EntryNotFound", "This is asked with POST.", revision.commit)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_LIMIT:
                return JSONResponse({"error": "Too many paths."}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            paths, expand = _asked(request, bytes(body))
        except (ValueError, msgspec.DecodeError):
            return JSONResponse({"error": "This is no list of paths."}, HTTPStatus.BAD_REQUEST)
        part = [entry for entry in await self._entries(revision) if entry["path"] in paths]
        part = await self._expanded(revision, part) if expand else part
        headers = {"X-Repo-Commit": revision.commit}
        return Response(encode(part), headers=headers, media_type="application/json")

    async def _expanded(self, revision: RevisionEntries, part: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return entries with the commit that they come from: the mirror knows one."""
        body = await self._site.blobs.read(revision.commits.sha256, revision.commits.size)
        commit = msgspec.json.decode(body, type=list[dict[str, Any]])[0]
        last = {"id": commit["id"], "title": commit["title"], "date": commit["date"]}
        return [{**entry, "lastCommit": last} for entry in part]

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

    async def _at_commit(self, table: Table, parts: list[str]) -> tuple[ModelEntries, list[str]]:
        """Return the repository and the rest; a commit that only an older table has comes from that one."""
        commits = [part for part in parts if _COMMIT.fullmatch(part)]
        before = 1 if parts[0] in _KINDS else 0
        for older in (table, *await self._site.older()) if commits else ():
            for count in (before + _OWNER_AND_NAME, before + 1):
                model = older.models.get("/".join(parts[:count]))
                if model and commits[0] in model.revisions and commits[0] in parts[count : count + 2]:
                    return model, parts[count:]
        return self._model(table, parts)

    def _model(self, table: Table, parts: list[str]) -> tuple[ModelEntries, list[str]]:
        """Return the repository that an address begins with, and the rest of the address."""
        before = 1 if parts[0] in _KINDS else 0
        for count in (before + _OWNER_AND_NAME, before + 1):
            model = table.models.get("/".join(parts[:count]))
            if model and len(parts) >= count:
                return model, parts[count:]
        raise self._no_repository("/".join(parts[: before + _OWNER_AND_NAME]))

    def _no_repository(self, name: str) -> _NotThere:
        self._site.missed("huggingface", name)
        return _NotThere("RepoNotFound", "Repository not found")


def _revision(model: ModelEntries, name: str) -> RevisionEntries:
    found = model.revision(name)
    if found is None:
        raise _NotThere("RevisionNotFound", "Revision not found")
    return found


def _said(value: str | None) -> bool:
    return (value or "").lower() in {"true", "1"}


def _number(value: str | None, default: int) -> int:
    """Return a number from a query; what is none counts as left out."""
    short = value is not None and value.isascii() and value.isdecimal() and len(value) < 10  # noqa: PLR2004 - bounded
    return int(value) if short and value else default


def _asked(request: Request, body: bytes) -> tuple[set[str], bool]:
    """Return the paths that a body names, as a form or as JSON, and whether more is wanted of each.

    Raises:
        ValueError, msgspec.DecodeError: It is neither.

    """
    if "json" in request.headers.get("content-type", ""):
        said = msgspec.json.decode(body, type=dict[str, Any])
        paths = said.get("paths", [])
        found = [paths] if isinstance(paths, str) else paths
        if not isinstance(found, list):
            raise ValueError(found)
        return {str(path) for path in found}, bool(said.get("expand"))
    form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=PATHS_LIMIT)
    return set(form.get("paths", [])), _said(form.get("expand", [""])[-1])


def _not_found(missing: _NotThere) -> Response:
    headers = {"X-Error-Code": missing.code, "X-Error-Message": missing.message}
    if missing.commit:
        headers["X-Repo-Commit"] = missing.commit
    return JSONResponse({"error": missing.message}, HTTPStatus.NOT_FOUND, headers)
