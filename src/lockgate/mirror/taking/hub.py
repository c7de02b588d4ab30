"""Uploads of models by the Hub's own client (``hf upload``), for names that an operator opened.

Source: the API that `huggingface_hub` speaks: a repository is made, each file's mode is asked for, large
files go by the LFS batch API (Git LFS specification, "Batch API", basic transfers), a commit comes as lines
of JSON with the small ones in it. Xet, which newer clients use where they may, is not spoken here:
``HF_HUB_DISABLE_XET=1``, as `lockgate client-config huggingface` prints, has them use the older way.

One commit is one submission: a whole model, laid into a folder from which the gate takes it. So an upload is
no publication. Nothing of a file is read here but its digest.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.core.artifact import Kind
from lockgate.core.errors import LockgateError
from lockgate.core.parts import rest_of
from lockgate.core.submission import is_submission
from lockgate.mirror.access import Caller, uploader
from lockgate.mirror.errors import BadPushError, BadUploadError, PushLimitError, UploadNotOpenError
from lockgate.mirror.named import own_address
from lockgate.mirror.protocols.site import Site
from lockgate.mirror.taking.drop import lay
from lockgate.mirror.taking.hub_commit import (
    FILES_LIMIT,
    SMALL_LIMIT,
    HubDoor,
    Staging,
    is_model,
    write_commit,
)
from lockgate.mirror.taking.push import timed

QUESTION_LIMIT = 4 << 20
"""Longest body of a question before a commit, in bytes."""

OBJECTS = "/hub-objects"
"""Where large files are put; each address is a secret of its own and works once."""

_LFS = "application/vnd.git-lfs+json"
_MAIN = "main"
_STATUS: dict[type[LockgateError], HTTPStatus] = {
    BadUploadError: HTTPStatus.BAD_REQUEST,
    BadPushError: HTTPStatus.BAD_REQUEST,
    PushLimitError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UploadNotOpenError: HTTPStatus.FORBIDDEN,
}

Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class HubUploadRoutes:
    """The addresses that ``hf upload`` writes to."""

    def __init__(self, site: Site, door: HubDoor, address: str = "") -> None:
        """Lay uploads through a door; `address` is the mirror's own where clients name another."""
        self._site = site
        self._door = door
        self._address = address.rstrip("/")
        self._staging = Staging(door)

    def routes(self) -> list[Route]:
        """Return the routes."""
        model = "/api/models/{owner}/{name}"
        return [
            Route("/api/repos/create", _said(self.create), methods=["POST"]),
            Route("/api/validate-yaml", _said(self.card), methods=["POST"]),
            Route(f"{model}/preupload/{{revision:path}}", _said(self.modes), methods=["POST"]),
            Route(f"{model}/xet-write-token/{{revision:path}}", _said(self.no_xet)),
            Route(f"{model}/commit/{{revision:path}}", _said(self.commit), methods=["POST"]),
            Route(f"{OBJECTS}/{{token}}", _said(self.put), methods=["PUT"]),
            Route("/{owner}/{name}.git/info/lfs/objects/batch", _said(self.batch), methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Say that a repository is there: it is made by what is committed."""
        caller = uploader(self._door.callers, request.headers.get("authorization"))
        asked = await _question(request, dict[str, Any])
        if asked.get("type") not in {None, "model"}:
            raise UploadNotOpenError("Only models are uploaded here.")
        name = f"{asked.get('organization')}/{asked.get('name')}"
        await self._demand_open(caller, name)
        return JSONResponse({"url": f"{self._base(request)}/{name}", "name": name})

    async def card(self, request: Request) -> Response:
        """Say that a card may have any head: the gate's inspection reads it."""
        uploader(self._door.callers, request.headers.get("authorization"))
        await _body(request)
        return JSONResponse({"errors": [], "warnings": []})

    async def modes(self, request: Request) -> Response:
        """Say which files come within the commit, and which by themselves before it."""
        await self._addressed(request)
        asked = await _question(request, _Modes)
        files = [
            {
                "path": file.path,
                "uploadMode": "regular" if file.size <= SMALL_LIMIT else "lfs",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in asked.files[: FILES_LIMIT + 1]
        ]
        return JSONResponse({"files": files, "commitOid": ""})

    async def no_xet(self, request: Request) -> Response:
        """Say how files that are too long for a commit are brought."""
        await self._addressed(request)
        raise BadUploadError("This mirror takes large files without Xet: set HF_HUB_DISABLE_XET=1.")

    async def batch(self, request: Request) -> Response:
        """Say where each large file is put; what is there already is not asked for again."""
        caller, _ = await self._addressed(request)
        asked = await _question(request, _Batch)
        if asked.operation != "upload" or "basic" not in asked.transfers or asked.hash_algo != "sha256":
            raise BadUploadError("Large files are uploaded here, by basic transfers, with SHA-256.")
        objects: list[dict[str, Any]] = []
        for wanted in asked.objects:
            entry: dict[str, Any] = {"oid": wanted.oid, "size": wanted.size, "authenticated": True}
            token = self._staging.expect(caller.name, wanted.oid, wanted.size)
            if token is not None:
                entry["actions"] = {"upload": {"href": f"{self._base(request)}{OBJECTS}/{token}"}}
            objects.append(entry)
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type=_LFS)

    async def put(self, request: Request) -> Response:
        """Take one large file, whose address was given to somebody with a key."""
        with self._staging.receiving(request.path_params["token"]) as receiving:
            async for piece in timed(request.stream()):
                await asyncio.to_thread(receiving.write, piece)
            await asyncio.to_thread(receiving.finish)
        return Response(status_code=HTTPStatus.OK)

    async def commit(self, request: Request) -> Response:
        """Take a commit: one whole model, which waits for the gate then."""
        caller, model = await self._addressed(request)
        door = self._door
        partial, room = await asyncio.to_thread(door.begin)
        try:
            large = self._staging.of(caller.name)
            written = await write_commit(timed(request.stream()), partial, large, room)
            if not any(door.is_weights(path) for path, _, _ in written):
                raise BadUploadError("A commit is a whole model here; this one has no weights.")
            commit = door.revision(written)
            intent = door.journal.intent("upload", model=model, commit=commit, key=caller.name)
            name = f"{model.replace('/', '--')}-{commit[:12]}"
            await asyncio.to_thread(self._lay, partial, name, model, caller.name)
            door.journal.outcome(intent, "done")
            self._staging.forget(caller.name, [digest for _, digest, _ in written])
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        url = f"{self._base(request)}/{model}/commit/{commit}"
        return JSONResponse({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _lay(self, partial: Path, name: str, model: str, by: str) -> None:
        if (self._door.folder / name).exists():
            raise BadUploadError("This very commit waits for the gate already.")
        lay(self._door.folder, name, partial, {"by": by, "way": "hf", "model": model})

    async def _addressed(self, request: Request) -> tuple[Caller, str]:
        """Return who asks and for which model, where they may bring it.

        Raises:
            CredentialsError, UploadNotOpenError, BadUploadError: They may not.

        """
        caller = uploader(self._door.callers, request.headers.get("authorization"))
        model = f"{request.path_params['owner']}/{request.path_params['name']}"
        await self._demand_open(caller, model)
        if request.path_params.get("revision", _MAIN) != _MAIN or "create_pr" in request.query_params:
            raise BadUploadError("Models are uploaded to main.")
        return caller, model

    async def _demand_open(self, caller: Caller, model: str) -> None:
        if not is_model(model) or not self._door.open_to(caller, model):
            raise UploadNotOpenError("This key may not upload a model of this name.")
        if await asyncio.to_thread(self._crossed, model):
            raise UploadNotOpenError("A model of this name crossed; give it a name of your own.")

    def _crossed(self, model: str) -> bool:
        """Tell whether a model of that name is served that was not made inside."""
        view = self._site.view
        if view.stale():
            view.refresh()
        if not view.status.statement:
            return False
        table, wanted = view.table, model.casefold()
        if table.lookups is not None:
            return wanted in table.lookups.survey.result.crossed
        return any(
            a.artifact.kind is Kind.MODEL
            and a.artifact.name.casefold() == wanted
            and not is_submission(a.crossing)
            for a in rest_of(table.snapshot).admitted
        )

    def _base(self, request: Request) -> str:
        return own_address(request.scope, self._address) or str(request.base_url).rstrip("/")


class _ModeOf(msgspec.Struct):
    path: str
    size: int = 0


class _Modes(msgspec.Struct):
    files: list[_ModeOf]


class _Object(msgspec.Struct):
    oid: str
    size: int


class _Batch(msgspec.Struct):
    operation: str
    objects: list[_Object]
    transfers: tuple[str, ...] = ("basic",)
    hash_algo: str = "sha256"


def _said(handler: Handler) -> Handler:
    """Return a handler whose refusals the Hub's client shows to its user."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except tuple(_STATUS) as error:
            headers = {"X-Error-Message": error.what}
            body = {"error": error.what, "code": error.code}
            return JSONResponse(body, _STATUS[type(error)], headers)

    return answered


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in timed(request.stream()):
        body += piece
        if len(body) > QUESTION_LIMIT:
            what = f"A question is longer than {QUESTION_LIMIT} bytes."
            raise PushLimitError(what, limit="QUESTION_LIMIT")
    return bytes(body)


async def _question(request: Request, kind: type[T]) -> T:
    """Return what a client asks, as far as it can be read."""
    try:
        return msgspec.json.decode(await _body(request), type=kind)
    except msgspec.DecodeError as error:
        raise BadUploadError("This is no question of the Hub's client.") from error


def hub_doors(site: Site, door: HubDoor | None, address: str) -> list[Route]:
    """Return the routes of a door, none where there is none."""
    return HubUploadRoutes(site, door, address).routes() if door else []


def writes(method: str, path: str) -> bool:
    """Tell whether a request is one that uploads a model."""
    if method == "PUT":
        return path.startswith(f"{OBJECTS}/")
    below = path.startswith("/api/models/") and ("/preupload/" in path or "/commit/" in path)
    known = path in {"/api/repos/create", "/api/validate-yaml"}
    return method == "POST" and (below or known or path.endswith(".git/info/lfs/objects/batch"))
