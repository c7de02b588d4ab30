"""Signing in at the chat page: at the site's issuer with a code and PKCE, or with a name and a password.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE, S256); RFC 9207 (the issuer in its answer); RFC 9700. A
sign-in ends as a session in a cookie that scripts cannot read and that no other site's page can make a
browser send; requests with it need a header besides that only this page's script sets.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

from aiohttp import encode_basic_auth, web

from lockgate.core.ports import Clock, Entropy
from lockgate.infer.errors import BadCredentialsError, BadRequestError, BodyTooLargeError, SlowRequestError
from lockgate.infer.identity.claims import TokenRules
from lockgate.infer.identity.issuer import Issuer
from lockgate.infer.identity.jws import strict_object
from lockgate.infer.identity.oidc import verified
from lockgate.infer.identity.passwords import Passwords, Sessions
from lockgate.infer.identity.ports import Found
from lockgate.infer.identity.session import Attempt, Seal, Session

PAGE_HEADER = "X-Lockgate-Page"
"""What the page's script sets, and no form or link of another site can."""

ATTEMPT_SECONDS = 600
"""How long a sign-in at the issuer may take."""

BODY_LIMIT = 8192
"""Longest body with a name and a password, in bytes."""

BODY_SECONDS = 10.0
"""How long that body may take."""

_PATH = "/chat"
_BACK = f"{_PATH}/signed-in"


@dataclass(frozen=True, slots=True)
class OidcSignIn:
    """How people sign in at the issuer.

    Attributes:
        issuer: The issuer.
        rules: What its ID tokens have to say.
        client: As which program this gateway asks.
        secret: That program's secret; empty for a public one.
        address: The gateway's own address, as browsers reach it.
        scopes: What is asked for, with spaces between.

    """

    issuer: Issuer
    rules: TokenRules
    client: str
    address: str
    secret: str = field(default="", repr=False)
    scopes: str = "openid profile"


class SignIn:
    """The chat page's doors.

    Args:
        seal: Seals sessions.
        clock: The present moment.
        entropy: Random bytes.
        oidc: How people sign in at the issuer; none where they do not.
        passwords: Proves names and passwords; none where nobody has one.
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
        passwords: Passwords | None = None,
        session_seconds: int = 28_800,
        secure: bool = True,
    ) -> None:
        """Keep the parts."""
        self._seal = seal
        self._clock = clock
        self._entropy = entropy
        self._oidc = oidc
        self._passwords = passwords
        self._sessions = Sessions(seal, passwords)
        self._seconds = session_seconds
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self._session_cookie = f"{prefix}lockgate-session"
        self._attempt_cookie = f"{prefix}lockgate-sign-in"

    @property
    def names(self) -> str:
        """Return how people sign in, as the page is told: ``issuer``, ``password``."""
        return " ".join(
            name for name, door in (("issuer", self._oidc), ("password", self._passwords)) if door is not None
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
        oidc = self._needed()
        attempt = Attempt(
            state=self._word(),
            nonce=self._word(),
            verifier=self._word(),
            until=int(self._clock().timestamp()) + ATTEMPT_SECONDS,
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": oidc.client,
            "redirect_uri": oidc.address + _BACK,
            "scope": oidc.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        place = (await oidc.issuer.metadata()).authorization_endpoint
        response = _moved(f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}")
        self._set(response, self._attempt_cookie, self._seal.close(attempt), ATTEMPT_SECONDS, "Lax")
        return response

    async def _back(self, request: web.Request) -> web.Response:
        """Take somebody back from the issuer, with a code that only the browser that began can use."""
        oidc = self._needed()
        attempt = self._seal.attempt(request.cookies.get(self._attempt_cookie, ""))
        if not hmac.compare_digest(request.query.get("state", "").encode(), attempt.state.encode()):
            what = "This is not the answer to the sign-in that this browser began."
            raise BadCredentialsError(what)
        if request.query.get("iss", oidc.rules.issuer) != oidc.rules.issuer:
            what = "Another issuer answers."
            raise BadCredentialsError(what)
        code = request.query.get("code", "")
        if not code:
            what = "The issuer did not sign you in."
            raise BadCredentialsError(what)
        found, until = await self._redeem(oidc, code, attempt)
        response = _moved(_PATH)
        self._enter(response, found, until)
        response.del_cookie(
            self._attempt_cookie, path="/", secure=self._secure, httponly=True, samesite="Lax"
        )
        return response

    async def _redeem(self, oidc: OidcSignIn, code: str, attempt: Attempt) -> tuple[Found, int]:
        """Give a code for the ID token, and judge that."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": oidc.address + _BACK,
            "client_id": oidc.client,
            "code_verifier": attempt.verifier,
        }
        both = quote_plus(oidc.client), quote_plus(oidc.secret)  # RFC 6749, section 2.3.1
        headers = {"Authorization": encode_basic_auth(*both)} if oidc.secret else {}
        place = (await oidc.issuer.metadata()).token_endpoint
        answer = strict_object(
            await oidc.issuer.ask("POST", place, data=form, headers=headers), "The issuer's answer"
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            what = "The issuer gave no ID token."
            raise BadCredentialsError(what)
        judged, _ = await verified(token, oidc.issuer, oidc.rules, attempt.nonce)
        judged.demand_now(self._clock().timestamp())
        return judged.found, int(judged.ends)

    async def _password(self, request: web.Request) -> web.Response:
        """Sign somebody in with a name and a password."""
        if self._passwords is None or PAGE_HEADER not in request.headers:
            what = "Nobody signs in with a password here."
            raise BadRequestError(what)
        given = strict_object(await _body(request), "The request")
        name, password = given.get("name"), given.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            what = "There is no name or no password."
            raise BadRequestError(what)
        found = await self._passwords.sign_in(name, password)
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

    def _needed(self) -> OidcSignIn:
        if self._oidc is None:
            what = "Nobody signs in at an issuer here."
            raise BadRequestError(what)
        return self._oidc

    def _word(self) -> str:
        """Return 256 random bits as text."""
        return base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()


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
