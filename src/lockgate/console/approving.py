"""The console's pages for approving: a statement to read, an authenticator that signs, a card to enrol it.

These are the only pages with a script. The script is the console's own file; it computes the challenge from
the payload that the page carries. What comes back is judged here only to say early what the gate would
refuse: the gate judges it anew.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.app.high.approvals import Enrolment, Proof, begin_card, finish_card
from lockgate.console.ports import ConsoleData
from lockgate.console.templating import asset
from lockgate.core.ceremony import CARD_TYPE
from lockgate.core.difference import GRAVE
from lockgate.core.errors import LockgateError
from lockgate.trust.webauthn import Assertion, padded

BODY_LIMIT = 32 * 1024
"""Longest body that is read, in bytes."""

Body = TypeVar("Body", bound=msgspec.Struct)


class Signature(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser hands in: which credential, and what it answered."""

    credential: str
    assertion: Assertion


class Approving:
    """Endpoints for approvers.

    Args:
        data: What waits, and where signatures go.
        page: Renders a template.

    """

    def __init__(self, data: ConsoleData, page: Callable[..., Response]) -> None:
        """Serve from this data."""
        self._data = data
        self._page = page
        self._script = asset("approve.js")

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/pending", self.waiting, name="waiting"),
            Route("/pending/{name}", self.statement, name="statement"),
            Route("/pending/{name}/signature", self.hand_in, methods=["POST"]),
            Route("/enrol", self.enrol, name="enrol"),
            Route("/enrol/card", self.begin, methods=["POST"]),
            Route("/enrol/finish", self.finish, methods=["POST"]),
            Route("/static/approve.js", self.script),
        ]

    async def waiting(self, request: Request) -> Response:
        """Answer with the requests that wait."""
        del request
        return self._page("waiting.html", rows=await run_in_threadpool(self._data.waiting))

    async def statement(self, request: Request) -> Response:
        """Answer with one statement, rendered from the bytes that are signed."""
        name = request.path_params["name"]
        shown = await run_in_threadpool(self._data.statement, name, _origin(request))
        drawn = await run_in_threadpool(self._data.shown_with, name)
        fields = msgspec.to_builtins(shown.statement)
        return self._page("statement.html", s=shown, fields=fields, d=drawn, grave=GRAVE)

    async def hand_in(self, request: Request) -> Response:
        """Take a signature that a browser made."""
        body = await _body(request, Signature)
        name = request.path_params["name"]
        return await _answer(
            lambda: msgspec.to_builtins(self._data.hand_in(name, body.credential, body.assertion))
        )

    async def enrol(self, request: Request) -> Response:
        """Answer with the page on which an approver enrols an authenticator."""
        del request
        return self._page("enrol.html")

    async def begin(self, request: Request) -> Response:
        """Answer with the card that a new credential has to sign."""
        body = await _body(request, Enrolment)
        if body.origin != request.headers["origin"]:
            raise HTTPException(HTTPStatus.FORBIDDEN)
        lane = self._data.lane
        return await _answer(lambda: {"type": CARD_TYPE, "payload": padded(begin_card(lane, body))})

    async def finish(self, request: Request) -> Response:
        """Answer with the card, signed by its credential."""
        body = await _body(request, Proof)

        def made() -> dict[str, str]:
            card, identifier, aloud = finish_card(self._data.lane, body)
            return {"card": card.decode(), "id": identifier, "words": aloud}

        return await _answer(made)

    async def script(self, request: Request) -> Response:
        """Answer with the one script."""
        del request
        return Response(self._script, media_type="text/javascript")


def _origin(request: Request) -> str:
    """Return the origin that this page is at, as its browser names it."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


async def _body(request: Request, kind: type[Body]) -> Body:
    """Read a body that a page of this console sent, up to a bound."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    if origin.partition("://")[2] != host or not host:
        raise HTTPException(HTTPStatus.FORBIDDEN)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_LIMIT:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error


async def _answer(make: Callable[[], object]) -> Response:
    """Answer with a value, or with one of our errors and its code."""
    try:
        return JSONResponse(await run_in_threadpool(make))
    except LockgateError as error:
        return JSONResponse(error.as_dict(), HTTPStatus.CONFLICT)
