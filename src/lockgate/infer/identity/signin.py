"""Signing in at the chat page: at the site's issuer with a code and PKCE, or with a name and a password.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE, S256); RFC 9207 (the issuer in its answer); RFC 9700. A
sign-in ends as a session in a cookie that scripts cannot read and that no other site's page can make a
browser send; requests with it need a header besides that only this page's script sets.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from lockgate.core.ports import Clock, Entropy
from lockgate.infer.errors import BadCredentialsError, BadRequestError, BodyTooLargeError, SlowRequestError
from lockgate.infer.identity.flow import ATTEMPT_SECONDS, OidcFlow, OidcSignIn
from lockgate.infer.identity.jws import strict_object
from lockgate.infer.identity.passwords import Passwords, Sessions, proved
from lockgate.infer.identity.ports import Found, Source
from lockgate.infer.identity.session import Seal, Session

PAGE_HEADER = "X-Lockgate-Page"
"""What the page's script sets, and no form or link of another site can."""

BODY_LIMIT = 8192
"""Longest body with a name and a password, in bytes."""

BODY_SECONDS = 10.0
"""How long that body may take."""

_PATH = "/chat"
_BACK = f"{_PATH}/signed-in"


class SignIn:
    """The chat page's doors.

    Args:
        seal: Seals sessions.
        clock: The present moment.
        entropy: Random bytes.
        oidc: How people sign in at the issuer; none where they do not.
        passwords: Prove names and passwords, by source; empty where nobody has one.
        session_seconds: How long a session of a name and a password lasts.
        secure: Whether browsers reach the gateway by TLS alone.

    """

    def __init__(
        self,
        seal: Seal,
        clock: Clock,
        entropy: Entropy,
        *,
        oidc: OidcSignIn | None = None,
        passwords: Mapping[Source, Passwords] | None = None,
        session_seconds: int = 28_800,
        secure: bool = True,
    ) -> None:
        """Keep the parts."""
        self._seal = seal
        self._clock = clock
        self._flow = OidcFlow(oidc, clock, entropy) if oidc is not None else None
        self._passwords = passwords or {}
        self._sessions = Sessions(seal, self._passwords)
        self._seconds = session_seconds
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self._session_cookie = f"{prefix}lockgate-session"
        self._attempt_cookie = f"{prefix}lockgate-sign-in"

    @property
    def names(self) -> str:
        """Return how people sign in, as the page is told: ``issuer``, ``password``."""
        return " ".join(
            name for name, door in (("issuer", self._flow), ("password", self._passwords)) if door
        )

    def session_of(self, request: web.Request) -> str | None:
        """Return the session that a request of the page's own script brings."""
        return request.cookies.get(self._session_cookie) if PAGE_HEADER in request.headers else None

    def routes(self) -> Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Return what answers which method and path."""
        return {
            ("GET", f"{_PATH}/session"): self._whose,
            ("GET", f"{_PATH}/sign-in"): self._begin,
            ("GET", _BACK): self._back,
            ("POST", f"{_PATH}/password"): self._password,
            ("POST", f"{_PATH}/sign-out"): self._sign_out,
        }

    async def _whose(self, request: web.Request) -> web.Response:
        """Tell who came in by one of the doors."""
        name = ""
        sealed = self.session_of(request)
        if sealed is not None:
            try:
                name = (await self._sessions.standing(self._seal.session(sealed))).name
            except BadCredentialsError:
                name = ""  # whoever has an ended session is nobody, and signs in anew
        return web.json_response({"name": name}, headers={"Cache-Control": "no-store"})

    async def _begin(self, request: web.Request) -> web.Response:
        """Send somebody to the issuer."""
        del request
        place, attempt = await self._needed().begin()
        response = _moved(place)
        self._set(response, self._attempt_cookie, self._seal.close(attempt), ATTEMPT_SECONDS, "Lax")
        return response

    async def _back(self, request: web.Request) -> web.Response:
        """Take somebody back from the issuer, with a code that only the browser that began can use."""
        flow = self._needed()
        attempt = self._seal.attempt(request.cookies.get(self._attempt_cookie, ""))
        found, until = await flow.finish(request.query, attempt)
        response = _moved(_PATH)
        self._enter(response, found, until)
        response.del_cookie(
            self._attempt_cookie, path="/", secure=self._secure, httponly=True, samesite="Lax"
        )
        return response

    async def _password(self, request: web.Request) -> web.Response:
        """Sign somebody in with a name and a password."""
        if not self._passwords or PAGE_HEADER not in request.headers:
            what = "Nobody signs in with a password here."
            raise BadRequestError(what)
        given = strict_object(await _body(request), "The request")
        name, password = given.get("name"), given.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            what = "There is no name or no password."
            raise BadRequestError(what)
        found = await proved(self._passwords.values(), name, password)
        response = web.Response(status=204)
        self._enter(response, found, int(self._clock().timestamp()) + self._seconds)
        return response

    async def _sign_out(self, request: web.Request) -> web.Response:
        """Have the browser forget the session."""
        if PAGE_HEADER not in request.headers:
            what = "Only the page's own script signs out."
            raise BadRequestError(what)
        response = web.Response(status=204)
        response.del_cookie(
            self._session_cookie, path="/", secure=self._secure, httponly=True, samesite="Strict"
        )
        return response

    def _enter(self, response: web.Response, found: Found, until: int) -> None:
        session = Session(
            source=found.source, subject=found.subject, name=found.name, groups=found.groups, until=until
        )
        seconds = until - int(self._clock().timestamp())
        self._set(response, self._session_cookie, self._seal.close(session), seconds, "Strict")

    def _set(self, response: web.Response, name: str, value: str, seconds: int, same_site: str) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite=same_site
        )

    def _needed(self) -> OidcFlow:
        if self._flow is None:
            what = "Nobody signs in at an issuer here."
            raise BadRequestError(what)
        return self._flow


async def _body(request: web.Request) -> bytes:
    """Read a short body within its bounds of size and time."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                body += part
                if len(body) > BODY_LIMIT:
                    what = f"A name and a password have at most {BODY_LIMIT} bytes."
                    raise BodyTooLargeError(what, limit="sign_in_bytes")
    except TimeoutError as error:
        what = f"The body did not arrive within {BODY_SECONDS:.0f} seconds."
        raise SlowRequestError(what) from error
    return bytes(body)


def _moved(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})
