"""The console's door: who may see which page, signing in and out, and sessions that somebody stole.

A session opens pages and forms of the person who signed in. It can forge no approval: those are signatures of
keys that no browser hands out without its person. Forms count when the browser says that this very console
sent them (Origin, Fetch Metadata), with a word that is derived from the session (W3C Fetch Metadata; OWASP's
synchroniser token), so that no other site's page can send one.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qs

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lockgate.console.person import Viewer, viewer
from lockgate.core.errors import LockgateError
from lockgate.infer.errors import (
    BadCredentialsError,
    IdentitySourceError,
    NotGrantedError,
    TooManyRequestsError,
)
from lockgate.infer.identity import ClientCertificates, Credentials, Found, Granting, Passwords, Seal, Source
from lockgate.infer.identity.flow import ATTEMPT_SECONDS, OidcFlow
from lockgate.infer.identity.kept import KeptSessions
from lockgate.infer.identity.passwords import proved
from lockgate.mirror.continuity import CERTIFICATE

FORM_LIMIT = 600 * 1024
"""Longest form that is read, in bytes."""

OPEN = frozenset({"sign-in", "static", "healthz", "metrics"})
"""First parts of paths that need no session."""

OWN = frozenset({"catalogue", "clients", "requests", "appeals", "sign-out"})
"""First parts of paths for everybody who signed in; the others are for operators and auditors."""

_BACK = "/sign-in/back"
_log = structlog.get_logger("lockgate.console")


@dataclass(frozen=True, slots=True)
class Doors:
    """How people come in.

    Attributes:
        sessions: Who came in.
        grants: What the site grants them.
        passwords: Proves names and passwords, one source after another.
        flow: Signs people in at the issuer; none where they do not.
        seal: Seals what browsers keep while they are at the issuer.
        certificates: Knows people by their client certificates; none where nobody shows one.
        secure: Whether browsers reach the console by TLS alone.
        journal: Records who came in, went, or was refused.

    """

    sessions: KeptSessions
    grants: Granting
    passwords: Mapping[Source, Passwords]
    flow: OidcFlow | None
    seal: Seal
    certificates: ClientCertificates | None = None
    secure: bool = True
    journal: Callable[[str, str], None] = field(default=lambda _action, _who: None)

    @property
    def cookie(self) -> str:
        """Return the name of the session's cookie."""
        return "__Host-lockgate-console" if self.secure else "lockgate-console"

    @property
    def attempt(self) -> str:
        """Return the name of the cookie of a sign-in at the issuer."""
        return "__Host-lockgate-console-sign-in" if self.secure else "lockgate-console-sign-in"


class Door:
    """Lets requests in to those who signed in, and nobody else.

    Args:
        app: The pages.
        doors: How people come in.
        page: Renders a template.

    """

    def __init__(self, app: ASGIApp, doors: Doors, page: Callable[..., Response]) -> None:
        """Keep the parts."""
        self._app = app
        self._doors = doors
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with its viewer set, or send them to the door."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = scope["path"].removeprefix("/").partition("/")[0]
        request = Request(scope)
        try:
            who = None if first in {"static", "healthz", "metrics"} else await self._viewer(request)
        except (IdentitySourceError, TooManyRequestsError) as error:
            await self._trouble(error, HTTPStatus.SERVICE_UNAVAILABLE)(scope, receive, send)
            return
        except (NotGrantedError, BadCredentialsError) as error:
            _log.warning("nobody is let in", code=error.code)
            who = None
        if who is None and first not in OPEN:
            await self._to_the_door(request)(scope, receive, send)
            return
        if who is not None and first not in OWN | OPEN and not who.sees_all:
            answer = RedirectResponse("/catalogue", 303) if scope["path"] == "/" else self._closed()
            await answer(scope, receive, send)
            return
        token = viewer.set(who)
        try:
            await self._app(scope, receive, send)
        finally:
            viewer.reset(token)

    async def _viewer(self, request: Request) -> Viewer | None:
        """Return who a request's session, or its client certificate, belongs to now."""
        doors, token = self._doors, request.cookies.get(self._doors.cookie, "")
        session = await run_in_threadpool(doors.sessions.find, token)
        if session is None:
            return await self._certified(request)
        found = session.found
        if (source := doors.passwords.get(found.source)) is not None:
            known = await source.standing(found.subject)
            if known is None:
                return None
            found = known
        elif found.source is not Source.OIDC or doors.flow is None:
            return None  # a source that is none any more
        return Viewer(doors.grants.granted(found), word_of(token))

    async def _certified(self, request: Request) -> Viewer | None:
        shown = request.scope.get(CERTIFICATE)
        if self._doors.certificates is None or shown is None:
            return None
        found = await self._doors.certificates.find(Credentials(certificate=shown))
        if found is None:
            return None
        digest = hashlib.sha256(shown).hexdigest()
        return Viewer(self._doors.grants.granted(found), self._doors_word(digest))

    def _doors_word(self, digest: str) -> str:
        """Return the word of forms where a certificate takes the place of a session."""
        return self._doors.seal.word(f"console {digest}")

    def _to_the_door(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        return PlainTextResponse("Sign in first.\n", HTTPStatus.UNAUTHORIZED)

    def _closed(self) -> Response:
        return self._page(
            "trouble.html",
            HTTPStatus.FORBIDDEN,
            title="This page is not open to you",
            code="",
            what="It is for operators and auditors.",
            advice="An operator grants it: `lockgate gateway grant set`.",
        )

    def _trouble(self, error: LockgateError, status: HTTPStatus) -> Response:
        return self._page(
            "trouble.html",
            status,
            title="Nobody can sign in now",
            code=error.code,
            what=error.what,
            advice=error.what_to_do,
        )


class SigningIn:
    """The pages of the door.

    Args:
        doors: How people come in.
        page: Renders a template.

    """

    def __init__(self, doors: Doors, page: Callable[..., Response]) -> None:
        """Keep the parts."""
        self._doors = doors
        self._page = page

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sign-in", self.show, name="sign-in"),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-in/issuer", self.leave),
            Route(_BACK, self.back),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Answer with the door."""
        del request
        if viewer.get() is not None:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        return self._door()

    def _door(self, status: int = HTTPStatus.OK, problem: str = "", wait: object = None) -> Response:
        page = self._page(
            "signin.html",
            status,
            problem=problem,
            issuer=self._doors.flow is not None,
            passwords=bool(self._doors.passwords),
        )
        if wait:
            page.headers["Retry-After"] = str(wait)
        return page

    async def enter(self, request: Request) -> Response:
        """Let somebody in by name and password; what went wrong says nothing of who is known."""
        demand_own(request)
        given = await form_of(request)
        name, password = given.get("name", "").strip(), given.get("password", "")
        try:
            found = await proved(self._doors.passwords.values(), name, password)
            self._doors.grants.granted(found)
        except TooManyRequestsError as error:
            text = "This name was tried too often. Wait a while."
            return self._door(HTTPStatus.TOO_MANY_REQUESTS, text, error.where.get("retry_after", 60))
        except (BadCredentialsError, NotGrantedError):
            _log.warning("a sign-in was refused")
            return self._door(
                HTTPStatus.FORBIDDEN, "The name or the password is wrong, or nothing is granted."
            )
        return await self._entered(found, None, RedirectResponse("/", HTTPStatus.SEE_OTHER))

    async def leave(self, request: Request) -> Response:
        """Send somebody to the issuer; the answer counts for the browser alone that began here."""
        del request
        if self._doors.flow is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        place, attempt = await self._doors.flow.begin()
        response = RedirectResponse(place, HTTPStatus.SEE_OTHER)
        self._set(response, self._doors.attempt, self._doors.seal.close(attempt), ATTEMPT_SECONDS, "lax")
        return response

    async def back(self, request: Request) -> Response:
        """Take somebody back from the issuer.

        The session's cookie is one that no other site's page makes a browser send, and this page was asked
        for from the issuer's: so it leads on by itself.
        """
        if self._doors.flow is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        try:
            attempt = self._doors.seal.attempt(request.cookies.get(self._doors.attempt, ""))
            found, until = await self._doors.flow.finish(request.query_params, attempt)
            self._doors.grants.granted(found)
        except (BadCredentialsError, NotGrantedError) as error:
            _log.warning("a sign-in at the issuer was refused", code=error.code)
            return self._door(HTTPStatus.FORBIDDEN, "You were not signed in, or nothing is granted to you.")
        response = await self._entered(found, datetime.fromtimestamp(until, UTC), self._page("signedin.html"))
        response.delete_cookie(self._doors.attempt, secure=self._doors.secure, httponly=True, samesite="lax")
        return response

    async def _entered(self, found: Found, until: datetime | None, response: Response) -> Response:
        token = await run_in_threadpool(self._doors.sessions.begin, found, until)
        await run_in_threadpool(self._doors.journal, "console-sign-in", found.id)
        self._set(response, self._doors.cookie, token, None, "strict")
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and for whoever else holds it."""
        await own_form(request)
        token = request.cookies.get(self._doors.cookie, "")
        await run_in_threadpool(self._doors.sessions.end, token)
        if (who := viewer.get()) is not None:
            await run_in_threadpool(self._doors.journal, "console-sign-out", who.identity.id)
        response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        response.delete_cookie(
            self._doors.cookie, secure=self._doors.secure, httponly=True, samesite="strict"
        )
        return response

    def _set(self, response: Response, name: str, value: str, seconds: int | None, same: str) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self._doors.secure,
            httponly=True,
            samesite="strict" if same == "strict" else "lax",
        )


def word_of(token: str) -> str:
    """Return the word that forms of a session bring back; it tells nothing of the session."""
    return hmac.digest(token.encode(), b"lockgate console form", "sha256").hex()


def demand_own(request: Request) -> None:
    """Demand that a page of this very console sends a form.

    Raises:
        HTTPException: Another one does, or nobody can tell.

    """
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    own = bool(host) and origin == f"{request.url.scheme}://{host}"
    if not own or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(HTTPStatus.FORBIDDEN)


async def own_form(request: Request) -> dict[str, str]:
    """Return a form of the viewer's own, with the word of their session.

    Raises:
        HTTPException: It is not theirs, too long, or no form.

    """
    demand_own(request)
    given, who = await form_of(request), viewer.get()
    if who is None or not hmac.compare_digest(given.get("word", "").encode(), who.word.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN)
    return given


async def form_of(request: Request) -> dict[str, str]:
    """Return a form's fields (application/x-www-form-urlencoded), each once.

    Raises:
        HTTPException: It is too long, or no form.

    """
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > FORM_LIMIT:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        read = parse_qs(data.decode("ascii"), keep_blank_values=True, max_num_fields=16, strict_parsing=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error
    if any(len(values) > 1 for values in read.values()):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return {name: values[0] for name, values in read.items()}
