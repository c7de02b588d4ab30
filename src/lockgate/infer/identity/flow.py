"""Signing somebody in at the site's issuer, whichever page they came from: a code, with PKCE.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE, S256); RFC 9207 (the issuer in its answer); RFC 9700.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

from aiohttp import encode_basic_auth

from lockgate.core.ports import Clock, Entropy
from lockgate.infer.errors import BadCredentialsError
from lockgate.infer.identity.claims import TokenRules
from lockgate.infer.identity.issuer import Issuer
from lockgate.infer.identity.jws import strict_object
from lockgate.infer.identity.oidc import verified
from lockgate.infer.identity.ports import Found
from lockgate.infer.identity.session import Attempt

ATTEMPT_SECONDS = 600
"""How long a sign-in at the issuer may take."""


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
        back: Path below that address to which the issuer sends people back.

    """

    issuer: Issuer
    rules: TokenRules
    client: str
    address: str
    secret: str = field(default="", repr=False)
    scopes: str = "openid profile"
    back: str = "/chat/signed-in"


class OidcFlow:
    """Sends people to the issuer, and judges what they come back with.

    Args:
        oidc: How people sign in.
        clock: The present moment.
        entropy: Random bytes.

    """

    def __init__(self, oidc: OidcSignIn, clock: Clock, entropy: Entropy) -> None:
        """Keep the parts."""
        self._oidc = oidc
        self._clock = clock
        self._entropy = entropy

    async def begin(self) -> tuple[str, Attempt]:
        """Return where to send somebody, and what their browser has to keep until it comes back."""
        oidc = self._oidc
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
            "redirect_uri": oidc.address + oidc.back,
            "scope": oidc.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        place = (await oidc.issuer.metadata()).authorization_endpoint
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}", attempt

    async def finish(self, query: Mapping[str, str], attempt: Attempt) -> tuple[Found, int]:
        """Return who came back, and until when their token counts, in seconds since 1970.

        Args:
            query: What the issuer's answer brings.
            attempt: What this browser kept.

        Raises:
            BadCredentialsError: It is no answer to that attempt, or the issuer signed nobody in.
            IdentitySourceError: The issuer cannot be asked.

        """
        if not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            what = "This is not the answer to the sign-in that this browser began."
            raise BadCredentialsError(what)
        if query.get("iss", self._oidc.rules.issuer) != self._oidc.rules.issuer:
            what = "Another issuer answers."
            raise BadCredentialsError(what)
        code = query.get("code", "")
        if not code:
            what = "The issuer did not sign you in."
            raise BadCredentialsError(what)
        return await self._redeem(code, attempt)

    async def _redeem(self, code: str, attempt: Attempt) -> tuple[Found, int]:
        """Give a code for the ID token, and judge that."""
        oidc = self._oidc
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": oidc.address + oidc.back,
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

    def _word(self) -> str:
        """Return 256 random bits as text."""
        return base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()
