"""The npm registry's protocol over HTTP: packuments by negotiation, archives, tags, search, audit.

Answers of failure are objects with ``error``: npm, pnpm and yarn show that sentence.
"""

import asyncio
import re
from base64 import b64encode
from collections import OrderedDict
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.core.errors import LockgateError
from lockgate.core.wire import stamp
from lockgate.mirror.entries import Entry, NpmEntries, Table
from lockgate.mirror.errors import AddressError
from lockgate.mirror.named import NAMED, own_address
from lockgate.mirror.pages.base import JSON_TYPE
from lockgate.mirror.pages.npm import ABBREVIATED, MARK
from lockgate.mirror.ports import Advisor, Asked
from lockgate.mirror.protocols.negotiate import prefers
from lockgate.mirror.protocols.npm_audit import audit, bulk
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.ranges import unchanged
from lockgate.mirror.ready import PageResponse
from lockgate.mirror.responses import BlobResponse

KEPT_BYTES = 64 * 1024 * 1024
"""Packuments kept in memory with this mirror's address in them, in bytes; beyond it the oldest go."""

PAGE_SIZE = 250
"""Most results of a search in one answer; the registry's own bound."""

TEXT_LIMIT = 200
"""Longest text that is searched for, in characters."""

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII
)
_BELOW = "/npm"
_VARY = {"Vary": "Accept, Host"}


class NpmRoutes:
    """Handlers of the registry's API, below ``/npm/``."""

    def __init__(self, site: Site, asked: Asked) -> None:
        """Serve from a site."""
        self._site = site
        self._address = asked.address.rstrip("/")
        self._advisor = asked.advisor
        self._keys = asked.npm_keys
        self._kept = _Kept()
        self._search: tuple[str, list[dict[str, Any]]] = ("", [])

    def routes(self) -> list[Route]:
        """Return the routes; two of them take questions by POST."""
        security = f"{_BELOW}/-/npm/v1/security"
        return [
            Route(_BELOW, self.root),
            Route(f"{_BELOW}/", self.root),
            Route(f"{_BELOW}/-/ping", self.ping),
            Route(f"{_BELOW}/-/v1/search", self.search),
            Route(f"{_BELOW}/-/npm/v1/keys", self.keys),
            Route(f"{security}/advisories/bulk", self.bulk, methods=["POST"]),
            Route(f"{security}/audits", self.audits, methods=["POST"]),
            Route(f"{security}/audits/quick", self.audits, methods=["POST"]),
            Route(f"{_BELOW}/{{rest:path}}", self.package),
        ]

    async def root(self, request: Request) -> Response:
        """Say how many packages there are, as a registry's root does."""
        del request
        table = await self._site.table()
        await self._site.survey(table)
        return JSONResponse({"db_name": "registry", "doc_count": len(table.npm)})

    async def ping(self, request: Request) -> Response:
        """Answer that the registry is there."""
        del request
        return JSONResponse({})

    async def keys(self, request: Request) -> Response:
        """Answer with the keys by which registries signed what crossed, for ``npm audit signatures``.

        Source: npm documentation, "ECDSA registry signatures". They are those of the site's trust roots.
        """
        del request
        found = await asyncio.to_thread(self._keys) if self._keys else ()
        if not found:
            return _error(HTTPStatus.NOT_FOUND, "No registry's keys are in force here.")
        kind = "ecdsa-sha2-nistp256"
        said = [
            {
                "expires": stamp(key.expires).replace("Z", ".000Z") if key.expires else None,
                "keyid": key.keyid,
                "keytype": kind,
                "scheme": kind,
                "key": b64encode(key.key).decode(),
            }
            for key in found
        ]
        return JSONResponse({"keys": said})

    async def package(self, request: Request) -> Response:
        """Answer with a packument, one version of it, an archive, or the tags."""
        table = await self._site.table()
        parts = segments(request)[1:]
        if parts[:2] == ["-", "package"] and parts[-1] == "dist-tags":
            name, rest = _name(parts[2:-1])
            return await self._tags(request, table.npm.get(name), name) if not rest else _nothing()
        name, rest = _name(parts)
        found = table.npm.get(name)
        if found is None:
            if not name.startswith("-"):
                self._site.missed("npm", name)
            return self._absent(name)
        match rest:
            case []:
                return await self._packument(request, table, found)
            case ["-", filename] if filename in found.archives:
                return BlobResponse(self._site.blobs, found.archives[filename])
            case [version] if version != "-":
                return await self._version(request, found, name, version)
        self._site.missed("npm", f"{name}/{'/'.join(rest)}")
        return _error(HTTPStatus.NOT_FOUND, f"No such file of {name} has been admitted.")

    async def search(self, request: Request) -> Response:
        """Answer with the packages whose name, description or keywords hold every word."""
        table = await self._site.table()
        words = request.query_params.get("text", "")[:TEXT_LIMIT].lower().split()
        start = _number(request.query_params.get("from"), 0, 1 << 31)
        size = _number(request.query_params.get("size"), 20, PAGE_SIZE)
        entries = await self._searchable(table.npm_search)
        hits = [entry for entry in entries if all(word in _words(entry) for word in words)]
        hits.sort(key=lambda entry: (" ".join(words) != entry["name"].lower(), entry["name"]))
        score = {"final": 1.0, "detail": {"quality": 1.0, "popularity": 1.0, "maintenance": 1.0}}
        objects = [{"package": hit, "score": score, "searchScore": 1.0} for hit in hits[start : start + size]]
        moment = table.created.isoformat()
        return JSONResponse({"objects": objects, "total": len(hits), "time": moment})

    async def bulk(self, request: Request) -> Response:
        """Answer ``npm audit``: what is known against the versions that a project has."""
        return await self._asked(request, bulk)

    async def audits(self, request: Request) -> Response:
        """Answer older clients, which send their whole tree."""
        return await self._asked(request, audit)

    async def _asked(self, request: Request, answer: Any) -> Response:
        advisor: Advisor | None = self._advisor
        if advisor is None:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "This mirror was started without advisories.")
        try:
            body, notices = await answer(request, advisor)
        except LockgateError as error:
            status = (
                HTTPStatus.BAD_REQUEST if error.exit_status in _CLIENT else HTTPStatus.SERVICE_UNAVAILABLE
            )
            return _error(status, error.what, error.code)
        headers = {"npm-notice": "; ".join(notices)} if notices else None
        return JSONResponse(body, headers=headers)

    def _absent(self, name: str) -> Response:
        return _error(HTTPStatus.NOT_FOUND, f"No package called {name[:120]} has been admitted.")

    def _registry(self, request: Request) -> str:
        """Return this registry's address as the client knows it, or as it was configured.

        Raises:
            AddressError: The client names no host that could be one.

        """
        if NAMED in request.scope:
            return own_address(request.scope, "")
        if self._address:
            return f"{self._address}{_BELOW}"
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise AddressError("The request names no host.")
        return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}{_BELOW}"

    async def _packument(self, request: Request, table: Table, found: NpmEntries) -> Response:
        accept = ", ".join(request.headers.getlist("accept"))
        short = prefers(accept, ABBREVIATED, JSON_TYPE)
        entry = found.short if short else found.full
        try:
            registry = self._registry(request)
        except AddressError as error:
            return _error(HTTPStatus.BAD_REQUEST, error.what, error.code)
        tag = f'"{sha256(f"{entry.sha256} {registry}".encode()).hexdigest()}"'
        headers = {**_VARY, "ETag": tag, "Cache-Control": "no-cache"}
        if unchanged(request.headers.get("if-none-match"), tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        body = await self._body(entry, registry)
        return PageResponse(table, body, headers=headers, media_type=entry.media_type)

    async def _body(self, entry: Entry, registry: str) -> bytes:
        """Return a signed page with the registry's address in it."""
        key = (entry.sha256, registry)
        body = self._kept.get(key)
        if body is None:
            signed = await self._site.blobs.read(entry.sha256, entry.size)
            body = signed.replace(MARK, f'"tarball":"{registry}/'.encode())
            self._kept.put(key, body)
        return body

    async def _full(self, request: Request, found: NpmEntries) -> dict[str, Any]:
        body = await self._body(found.full, self._registry(request))
        return msgspec.json.decode(body, type=dict[str, Any])

    async def _version(self, request: Request, found: NpmEntries, name: str, version: str) -> Response:
        packument = await self._full(request, found)
        entry = packument["versions"].get(packument["dist-tags"].get(version, version))
        if entry is None:
            self._site.missed("npm", f"{name}@{version}")
            return _error(HTTPStatus.NOT_FOUND, f"version not found: {name[:120]}@{version[:80]}")
        return JSONResponse(entry)

    async def _tags(self, request: Request, found: NpmEntries | None, name: str) -> Response:
        if found is None:
            return self._absent(name)
        return JSONResponse((await self._full(request, found))["dist-tags"])

    async def _searchable(self, entry: Entry | None) -> list[dict[str, Any]]:
        if entry is None:
            return []
        if self._search[0] != entry.sha256:
            body = await self._site.blobs.read(entry.sha256, entry.size)
            parsed = await asyncio.to_thread(msgspec.json.decode, body, type=list[dict[str, Any]])
            self._search = (entry.sha256, parsed)
        return self._search[1]


_CLIENT = frozenset({2, 5})
"""Exit statuses of errors that are the asker's: wrong input, or too much of it."""


class _Kept:
    """Bodies by page and address, the least recently used ones dropped."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[str, str]) -> bytes | None:
        body = self._bodies.get(key)
        if body is not None:
            self._bodies.move_to_end(key)
        return body

    def put(self, key: tuple[str, str], body: bytes) -> None:
        self._size += len(body) - len(self._bodies.pop(key, b""))
        self._bodies[key] = body
        while self._size > KEPT_BYTES:
            self._size -= len(self._bodies.popitem(last=False)[1])


def _name(parts: list[str]) -> tuple[str, list[str]]:
    """Return the package that an address begins with and what follows; a scope may be joined by %2f."""
    if parts and parts[0].startswith("@") and "/" not in parts[0]:
        return "/".join(parts[:2]), parts[2:]
    return (parts[0], parts[1:]) if parts else ("", [])


def _words(entry: dict[str, Any]) -> str:
    return " ".join([entry["name"], entry["description"], *entry["keywords"]]).lower()


def _number(text: str | None, default: int, most: int) -> int:
    return min(int(text), most) if text and text.isdecimal() and len(text) < len(str(most)) + 1 else default


def _nothing() -> Response:
    return _error(HTTPStatus.NOT_FOUND, "Nothing is served here.")


def _error(status: HTTPStatus, what: str, code: str = "") -> Response:
    return JSONResponse({"error": what, **({"code": code} if code else {})}, status)
