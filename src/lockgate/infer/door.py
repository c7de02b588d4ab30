"""The gateway's door: who calls, with how large a body, how many at once, and errors in the API's shape.

The routes that answer with text skip aiohttp's table of routes and its chain of middlewares, which cost a
request as much as its key and its model together; all else goes through them. Both ways are counted and
shielded alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog
from aiohttp import hdrs, web

from lockgate.core.errors import LockgateError
from lockgate.infer.errors import BadRequestError, BodyTooLargeError, SlowRequestError, TooManyRequestsError
from lockgate.infer.forms import form_at
from lockgate.infer.identity import Callers, Credentials
from lockgate.infer.identity.signin import SignIn
from lockgate.infer.keys import authenticate, is_key
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.outflow import RECEIPT_HEADER, ClientGoneError
from lockgate.infer.ports import KeyStore, Principal
from lockgate.infer.shapes import INTERNAL_ERROR, described, error_object

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RETRY = frozenset({429, 503})
_NO_METHOD = 405
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_logger = structlog.get_logger("lockgate.infer")


class Door:
    """What every request passes.

    Args:
        keys: The API keys.
        callers: Tells who asks without an API key; none where keys alone open the gateway.
        sign_in: The chat page's doors for people without a key, if there are any.
        limits: Bounds on what callers may ask.
        metrics: Where requests and refusals are counted.

    """

    def __init__(
        self,
        keys: KeyStore,
        callers: Callers | None,
        sign_in: SignIn | None,
        limits: GatewayLimits,
        metrics: GatewayMetrics,
    ) -> None:
        """Keep the parts; nobody has asked yet."""
        self._keys = keys
        self._callers = callers
        self._sign_in = sign_in
        self._limits = limits
        self._metrics = metrics
        self._running: dict[str, int] = {}

    @web.middleware
    async def shielded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn every error into the API's shape, and count."""
        resource = request.match_info.route.resource
        return await self._counted(request, handler, resource.canonical if resource else "unknown")

    def straight(self, paths: Collection[str], handler: Handler, through: Handler) -> Handler:
        """Return what hands requests that post to some paths straight to their handler, all others on.

        A request that expects a go-ahead before it sends its body (RFC 9110, 10.1.1) gets it there.
        """

        def handed(request: web.Request) -> Awaitable[web.StreamResponse]:
            path = request.rel_url.raw_path  # as it was sent, which is what routes are found by
            if request.method == "POST" and path in paths and hdrs.EXPECT not in request.headers:
                return self._counted(request, handler, path)
            return through(request)

        return handed

    async def _counted(self, request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
        status = 499  # the caller left (nginx's number for it)
        response: web.StreamResponse | None = None
        try:
            response = await handler(request)
        except ClientGoneError:
            if request.transport is not None:
                request.transport.abort()
            response = web.Response(status=status)
        except Exception as error:  # noqa: BLE001  # every one gets a shape
            response = self._failed(request, error)
        finally:
            if response is not None:
                status = response.status
            self._metrics.requests.add(1, route, str(status))
        if not response.prepared:
            response.headers.update({k: v for k, v in _HEADERS.items() if k not in response.headers})
        return response

    def _failed(self, request: web.Request, error: Exception) -> web.Response:
        """Return an error that ended a request, in the shape of its API."""
        if isinstance(error, LockgateError):
            status, said = described(error)
            self._metrics.rejected.labels(error.code).inc()
            response = self._error(request, status, said, error.where.get("retry_after"))
            if receipt := error.where.get("receipt") or error.where.get("recorded"):
                response.headers[RECEIPT_HEADER] = str(receipt)
            return response
        if isinstance(error, web.HTTPException):
            code = "method_not_allowed" if error.status == _NO_METHOD else "not_found"
            what = f"{request.method} {request.path[:200]} is not served here."
            return self._error(request, error.status, error_object(what, "invalid_request_error", code))
        _logger.error("a request failed", path=request.path[:200], exc_info=error)
        return self._error(request, 500, INTERNAL_ERROR)

    def _error(
        self, request: web.Request, status: int, said: Mapping[str, object], retry: object = None
    ) -> web.Response:
        """Return an error in the shape of the API that was asked."""
        body = form_at(request.path).error(status, said)
        response = web.Response(status=status, body=body, content_type="application/json")
        if status in _RETRY:
            response.headers["Retry-After"] = str(retry or self._limits.retry_after_seconds)
        if status == 401:  # noqa: PLR2004  # RFC 9110, 11.6.1
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def caller(self, request: web.Request) -> Principal:
        """Return whom a request proves to come from: an API key, or somebody whom another source knows.

        Anthropic's clients send it as ``x-api-key``, all others as a bearer token.
        """
        given = request.headers.get(hdrs.AUTHORIZATION)
        if given is None and (secret := request.headers.get("x-api-key")):
            given = f"Bearer {secret}"
        if self._callers is not None and not is_key(given):
            session = self._sign_in.session_of(request) if self._sign_in else None
            known = await self._callers.identify(Credentials(given, certificate_of(request), session))
            if known is not None:
                return known
        return authenticate(given, self._keys)

    def admitted(self, key: Principal) -> "_Admitted":
        """Return a context in which a request counts among those of its key that run.

        Entering it raises `TooManyRequestsError` when the key has as many as it may.
        """
        return _Admitted(self._running, key.id, self._limits.per_key)

    async def body(self, request: web.Request) -> bytes:
        """Read a body within its bounds of size and time."""
        limits = self._limits
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
            what = "Compressed bodies are not taken."
            raise BadRequestError(what)
        content, told = request.content, request.content_length or 0
        if content.is_eof() and 0 < told <= limits.body_bytes:
            return content.read_nowait()  # it came with the head
        body = bytearray()
        try:
            async with asyncio.timeout(limits.body_seconds):
                if told > limits.body_bytes:
                    self._too_large()
                while data := await content.readany():
                    body += data
                    if len(body) > limits.body_bytes:
                        self._too_large()
        except TimeoutError as error:
            what = f"The body did not arrive within {limits.body_seconds:g} seconds."
            raise SlowRequestError(what) from error
        return bytes(body)

    def _too_large(self) -> None:
        what = f"A body has at most {self._limits.body_bytes} bytes."
        raise BodyTooLargeError(what, limit="gateway.body_bytes")


class _Admitted:
    """One running request of a key, while a block runs."""

    __slots__ = ("_key", "_most", "_running")

    def __init__(self, running: dict[str, int], key: str, most: int) -> None:
        self._running, self._key, self._most = running, key, most

    def __enter__(self) -> None:
        running = self._running.get(self._key, 0)
        if running >= self._most:
            what = f"This key has {running} requests running, as many as it may."
            raise TooManyRequestsError(what, limit="gateway.per_key")
        self._running[self._key] = running + 1

    def __exit__(self, *_: object) -> None:
        self._running[self._key] -= 1
        if not self._running[self._key]:
            del self._running[self._key]


def certificate_of(request: web.Request) -> bytes | None:
    """Return the certificate (DER) that a connection's client proved to hold."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    found: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
    return found
