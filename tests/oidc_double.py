"""An OpenID Connect issuer after the published specifications: discovery, keys, and codes with PKCE.

OpenID Connect Core 1.0, Discovery 1.0, RFC 7517 (keys), RFC 7636 (PKCE), RFC 9207 (issuer in the
answer). It shares no code with what it tests.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from infer_doubles import NOW

MOMENT = int(NOW.timestamp())
CLIENT = "lockgate-chat"
AUDIENCE = "lockgate-gateway"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def basic(secret: str) -> str:
    """Return how a client proves its secret (RFC 6749, section 2.3.1): both parts are form-encoded first."""
    return f"Basic {base64.b64encode(f'{quote_plus(CLIENT)}:{quote_plus(secret)}'.encode()).decode()}"


@dataclass
class RsaKey:
    kid: str
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    alg: str = "RS256"

    def jwk(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        known = {"kty": "RSA", "use": "sig", "alg": self.alg, "kid": self.kid}
        return {**known, "n": number(numbers.n), "e": number(numbers.e)}

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


@dataclass
class EcKey:
    kid: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    alg: str = "ES256"

    def jwk(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        known = {"kty": "EC", "crv": "P-256", "kid": self.kid}
        return {**known, "x": number(numbers.x, 32), "y": number(numbers.y, 32)}

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed(key: RsaKey | EcKey, claims: dict[str, Any], **header: Any) -> str:
    head = b64(json.dumps({"alg": key.alg, "kid": key.kid, "typ": "at+jwt", **header}).encode())
    body = b64(json.dumps(claims).encode())
    return f"{head}.{body}.{b64(key.sign(f'{head}.{body}'.encode()))}"


@dataclass
class IssuerDouble:
    """A running issuer; what it answers can be changed while it runs."""

    keys: list[RsaKey | EcKey] = field(default_factory=lambda: [EcKey("one")])
    url: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=lambda: {"sub": "u-17", "preferred_username": "jane"})
    id_claims: dict[str, Any] = field(default_factory=dict)
    secret: str = ""
    groups: list[str] = field(default_factory=lambda: ["analysts"])

    def claims(self, **changed: Any) -> dict[str, Any]:
        made = {
            "iss": self.url,
            "aud": AUDIENCE,
            "azp": CLIENT,
            "iat": MOMENT - 10,
            "exp": MOMENT + 300,
            "groups": self.groups,
            **self.user,
            **changed,
        }
        return {name: value for name, value in made.items() if value is not None}

    def token(self, **changed: Any) -> str:
        return signed(self.keys[0], self.claims(**changed))

    async def _discovery(self, _: web.Request) -> web.StreamResponse:
        self.asked.append("discovery")
        if self.down:
            return web.Response(status=503)
        made = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"],
            **self.document,
        }
        return web.json_response(made)

    async def _keys(self, _: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.json_response({"keys": [key.jwk() for key in self.keys]})

    async def _elsewhere(self, _: web.Request) -> web.Response:
        self.asked.append("elsewhere")
        msg = f"{self.url}/keys"
        raise web.HTTPFound(msg)

    async def _huge(self, _: web.Request) -> web.Response:
        self.asked.append("huge")
        return web.Response(body=b" " * (1 << 20))

    async def _authorize(self, request: web.Request) -> web.Response:
        """Sign the person in without asking (a browser's session) and send the code back."""
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert asked["client_id"] == CLIENT
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = asked["redirect_uri"]
        msg = f"{back}?code={code}&state={asked['state']}&iss={self.url}"
        raise web.HTTPFound(msg)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form.get("code")), None)
        challenge = b64(hashlib.sha256(str(form.get("code_verifier")).encode()).digest())
        if self.secret and request.headers.get("Authorization") != basic(self.secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = self.claims(**{"aud": CLIENT, "nonce": asked["nonce"], **self.id_claims})
        made = {
            "access_token": "opaque",
            "token_type": "Bearer",
            "id_token": signed(self.keys[0], claims, typ="JWT"),
        }
        return web.json_response(made)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["IssuerDouble"]:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/elsewhere", self._elsewhere)
        app.router.add_get("/huge", self._huge)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
