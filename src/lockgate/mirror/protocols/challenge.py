"""Asking for credentials, each client in its own protocol's words, and the registry's token service.

Sources: RFC 7617 (basic), RFC 6750 (bearer); the token protocol of container registries (distribution
specification, "Token Authentication"): a client without a token is sent to a service that gives one.
Here the token of a key is the key itself, so that nothing has to be kept; who has no key and may read
without one is given a token that stands for nobody.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from lockgate.mirror.access import ANONYMOUS_TOKEN, Access, secret_of
from lockgate.mirror.continuity import CERTIFICATE
from lockgate.mirror.errors import CredentialsError
from lockgate.mirror.named import own_address
from lockgate.mirror.protocols.registry import VERSION, refuse

TOKEN_PATH = "/v2/token"  # noqa: S105  # an address
TOKEN_SECONDS = 3600
"""How long a client keeps a token before it asks anew, in seconds; a key's removal counts at once."""

WAITS_FOR_CHALLENGE = frozenset({"oci", "git"})
"""Protocols whose clients send their credentials only once they were asked for."""

_SERVICE = "lockgate"
_BASIC = f'Basic realm="{_SERVICE}", charset="UTF-8"'


def challenge(scope: Scope, protocol: str, error: CredentialsError, address: str) -> Response:
    """Return that credentials are needed, or that those which came prove nobody.

    Args:
        scope: The request's.
        protocol: Whose words to use.
        error: What is wrong.
        address: This mirror's own address; empty: the one that the client asked.

    """
    headers = {"WWW-Authenticate": _BASIC, "X-Error-Code": error.code}
    came = "authorization" in Headers(scope=scope)
    if protocol == "oci":
        base = own_address(scope, address) or str(Request(scope).base_url).rstrip("/")
        answer = refuse("UNAUTHORIZED", error.what, HTTPStatus.UNAUTHORIZED, {"code": error.code})
        answer.headers["WWW-Authenticate"] = f'Bearer realm="{base}{TOKEN_PATH}",service="{_SERVICE}"'
        return answer
    if protocol == "npm":
        return JSONResponse({"error": error.what, "code": error.code}, HTTPStatus.UNAUTHORIZED, headers)
    if protocol == "huggingface":
        # The Hub's client takes 401 for "no such repository" unless it reads this sentence.
        said = "Invalid credentials in Authorization header" if came else error.what
        headers = {**headers, "X-Error-Message": said}
        del headers["X-Error-Code"]  # its codes are the Hub's own
        return JSONResponse({"error": said, "code": error.code}, HTTPStatus.UNAUTHORIZED, headers)
    return PlainTextResponse(f"{error.what}\n", HTTPStatus.UNAUTHORIZED, headers)


def token(scope: Scope, access: Access) -> Response:
    """Give the client of a registry its token.

    Raises:
        CredentialsError: Its credentials prove nobody, or it has none and nobody may read without.

    """
    authorization = Headers(scope=scope).get("authorization")
    access.caller(authorization, scope.get(CERTIFICATE))
    given = secret_of(authorization) or ANONYMOUS_TOKEN
    body = {"token": given, "access_token": given, "expires_in": TOKEN_SECONDS}
    return JSONResponse(body, headers={**VERSION, "Cache-Control": "no-store"})


def denied(name: str) -> Response:
    """Return that a key may not write into a namespace."""
    what = "This key may not write here."
    return refuse("DENIED", what, HTTPStatus.FORBIDDEN, {"name": name[:160]})
