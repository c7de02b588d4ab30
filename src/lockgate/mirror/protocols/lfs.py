"""Large files of git repositories over HTTP, for reading alone.

Source: Git LFS specification, "Batch API" (basic transfers): a client asks where files of some digests are,
and fetches each from the address that it is given, in ranges where a transfer broke off.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.mirror.entries import Entry
from lockgate.mirror.named import NAMED, own_address
from lockgate.mirror.protocols.site import Site
from lockgate.mirror.responses import BlobResponse

LFS_TYPE = "application/vnd.git-lfs+json"

BATCH_LIMIT = 1 << 20
"""Longest question about large files, in bytes."""

OBJECTS_LIMIT = 10_000
"""Most large files in one question."""

_BATCH = "objects/batch"
_OBJECT = "objects/"
_FOR_EVER = "public, max-age=31536000, immutable"


class _Wanted(msgspec.Struct):
    oid: str
    size: int


class _Question(msgspec.Struct):
    operation: str
    objects: list[_Wanted]
    transfers: tuple[str, ...] = ("basic",)
    hash_algo: str = "sha256"


class LargeFiles:
    """What lies below ``/git/{name}.git/info/lfs/``."""

    def __init__(self, site: Site, address: str) -> None:
        """Answer for a site; `address` is the mirror's own where it is not the one that clients name."""
        self._site = site
        self._address = address.rstrip("/")

    async def answer(self, request: Request, name: str, rest: str) -> Response:
        """Answer about the large files of a repository."""
        if rest == _BATCH and request.method == "POST":
            return await self._batch(request, name)
        if rest.startswith(_OBJECT) and rest != _BATCH and request.method in {"GET", "HEAD"}:
            entry = await self._find(name, rest.removeprefix(_OBJECT))
            if entry is None:
                return _say("No such large file has been admitted.", HTTPStatus.NOT_FOUND)
            return BlobResponse(self._site.blobs, entry, headers={"Cache-Control": _FOR_EVER})
        if rest.startswith("locks"):
            return _say("This mirror is read only: nothing is locked here.", HTTPStatus.FORBIDDEN)
        return _say("This is no address of Git LFS.", HTTPStatus.NOT_FOUND)

    async def _find(self, name: str, oid: str) -> Entry | None:
        """Return a large file; one that only an older snapshot has is given to who began with that one."""
        for table in (await self._site.table(), await self._site.newest(), *await self._site.older()):
            found = table.git.get(name)
            if found is not None and oid in found.large:
                return found.large[oid]
        return None

    async def _batch(self, request: Request, name: str) -> Response:
        if (await self._site.table()).git.get(name) is None:
            self._site.missed("git", name)
            return _say("No repository of this name has been admitted.", HTTPStatus.NOT_FOUND)
        asked = await _question(request)
        if isinstance(asked, Response):
            return asked
        base = own_address(request.scope, self._address) or str(request.base_url).rstrip("/")
        root = base if NAMED in request.scope else f"{base}/git"
        folder = f"{root}/{quote(name)}.git/info/lfs/objects"
        objects = [await self._told(name, wanted, folder) for wanted in asked.objects]
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type=LFS_TYPE)

    async def _told(self, name: str, wanted: _Wanted, folder: str) -> dict[str, Any]:
        """Return where a file is, or that there is none."""
        entry = await self._find(name, wanted.oid)
        said: dict[str, Any] = {"oid": wanted.oid, "size": wanted.size}
        if entry is None or entry.size != wanted.size:
            return {**said, "error": {"code": 404, "message": "No such large file has been admitted."}}
        return {**said, "actions": {"download": {"href": f"{folder}/{wanted.oid}"}}}


async def _question(request: Request) -> _Question | Response:
    """Return what is asked, or the answer to what is not answered."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BATCH_LIMIT:
            return _say("The question is too long.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        asked = msgspec.json.decode(bytes(body), type=_Question)
    except msgspec.DecodeError:
        return _say("This is no question of Git LFS.", HTTPStatus.UNPROCESSABLE_ENTITY)
    if asked.operation != "download":
        return _say("This mirror is read only.", HTTPStatus.FORBIDDEN)
    if asked.hash_algo != "sha256" or "basic" not in asked.transfers:
        return _say("Only basic transfers and SHA-256 are known here.", HTTPStatus.CONFLICT)
    if len(asked.objects) > OBJECTS_LIMIT:
        return _say("Too many files are asked for at once.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return asked


def _say(message: str, status: HTTPStatus) -> Response:
    return JSONResponse({"message": message}, status, media_type=LFS_TYPE)
