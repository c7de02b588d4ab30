"""Smart HTTP of git, for reading alone: what ``git http-backend`` answers over an admitted bundle.

Source: gitprotocol-http(5). Pushing is not offered, and neither is the older protocol over plain files.
"""

from contextlib import aclosing
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lockgate.mirror.entries import GitEntries
from lockgate.mirror.errors import QuestionLimitError
from lockgate.mirror.protocols.lfs import LargeFiles
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.protocols.unpacked import Answer, Repositories

BODY_LIMIT = 16 << 20
"""Longest question of a client, in bytes: what it wants and what it has."""

_LARGE = ".git/info/lfs/"
_SERVICE = "git-upload-pack"
_REFS = "/info/refs"
_SUFFIX = ".git"


class GitRoutes:
    """Everything below ``/git/``."""

    def __init__(self, site: Site, address: str = "") -> None:
        """Answer for a site; `address` is the mirror's own where it is not the one that clients name."""
        self._site = site
        self._repositories = Repositories(site.blobs)
        self._large = LargeFiles(site, address)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/git/{rest:path}", self.answer, methods=["GET", "HEAD", "POST", "PUT", "DELETE"])]

    def close(self) -> None:
        """Remove what was unpacked."""
        self._repositories.close()

    async def answer(self, request: Request) -> Response:
        """Answer a client's question about references, or for objects."""
        path = "/".join(segments(request)[1:])
        if _LARGE in path:
            return await self._large.answer(request, *path.split(_LARGE, 1))
        what = next((end for end in (_REFS, f"/{_SERVICE}") if path.endswith(end)), "")
        name = path.removesuffix(what).removesuffix(_SUFFIX)
        found = (await self._site.table()).git.get(name)
        if found is None:
            self._site.missed("git", name)
            return _say("No repository of this name has been admitted.", HTTPStatus.NOT_FOUND)
        early = _refusal(request, what)
        return early or await self._ask(request, found, what)

    async def _ask(self, request: Request, found: GitEntries, what: str) -> Response:
        folder = await self._repositories.folder(found)
        if what != _REFS:
            self._site.blobs.used(found.bundle.sha256)
        asked = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": what,
            "QUERY_STRING": f"service={_SERVICE}" if what == _REFS else "",
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", "")[:64],
            "REMOTE_ADDR": "client",
        }
        body = await _question(request) if request.method == "POST" else b""
        answer = await self._repositories.ask(folder, asked, body)
        return _Streamed(answer)


class _Streamed(Response):
    """Sends what git says as it comes.

    Once a question was read, the server tells of no client that left: git then writes to its end,
    within the bounds of `Repositories`.
    """

    def __init__(self, answer: Answer) -> None:
        kept = {key: value for key, value in answer.headers.items() if key.lower() != "content-length"}
        super().__init__(status_code=answer.status, headers=kept)
        del self.headers["content-length"]
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        async with aclosing(self._answer.body) as body:
            await send(start)
            async for piece in body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _refusal(request: Request, what: str) -> Response | None:
    """Return the answer to what is not offered, or None."""
    service = request.query_params.get("service", "")
    if "git-receive-pack" in {service, request.url.path.rpartition("/")[2]}:
        return _say("This mirror is read only.", HTTPStatus.FORBIDDEN)
    if what == _REFS and request.method in {"GET", "HEAD"}:
        good = service == _SERVICE
        return None if good else _say("Only the smart protocol is served.", HTTPStatus.FORBIDDEN)
    if what and request.method == "POST" and what != _REFS:
        kind = request.headers.get("content-type", "")
        right = kind == f"application/x-{_SERVICE}-request"
        return None if right else _say("This is no question of git.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if not what and request.method in {"GET", "HEAD"}:
        return _say("Clone this address with git.", HTTPStatus.NOT_FOUND)
    allowed = {"Allow": "POST" if what and what != _REFS else "GET, HEAD"}
    return PlainTextResponse("This mirror is read only.\n", HTTPStatus.METHOD_NOT_ALLOWED, allowed)


def _say(text: str, status: HTTPStatus) -> Response:
    return PlainTextResponse(f"{text}\n", status)


async def _question(request: Request) -> bytes:
    """Return what a client asks, as far as it may be long.

    Raises:
        QuestionLimitError: It is longer.

    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_LIMIT:
            what = f"A question of git is longer than {BODY_LIMIT} bytes."
            raise QuestionLimitError(what, limit="BODY_LIMIT")
        pieces.append(piece)
    return b"".join(pieces)
