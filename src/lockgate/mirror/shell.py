"""The outermost layer of the server: methods, bounds, headers, counting, and errors with codes."""

from collections.abc import Sequence
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lockgate.core.errors import LockgateError
from lockgate.mirror.access import CALLER, Access
from lockgate.mirror.continuity import CERTIFICATE, CLIENT, PEER, Peer, client_of
from lockgate.mirror.errors import CredentialsError, NothingPublishedError
from lockgate.mirror.lease import LENT
from lockgate.mirror.metrics import Metrics
from lockgate.mirror.protocols.challenge import TOKEN_PATH, WAITS_FOR_CHALLENGE, challenge, token
from lockgate.mirror.ready import Ready
from lockgate.mirror.responses import problem
from lockgate.mirror.taking.hub import OBJECTS, writes

PATH_LIMIT = 4096
"""Longest path that is looked up, in bytes as sent."""

_log = structlog.get_logger("lockgate.mirror")

# Admitted documents may be HTML that somebody else wrote: no script of theirs ever runs here.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)
_PROTOCOLS = {
    "simple": "pypi",
    "packages": "pypi",
    "npm": "npm",
    "files": "files",
    "": "own",
    "healthz": "own",
    "metrics": "own",
    "v2": "oci",
    "apt": "apt",
    "rpm": "rpm",
    "conda": "conda",
    "git": "git",
    "legacy": "upload",
}
_DECIDE_METHODS = frozenset({"oci", "git", "upload"})
"""Protocols that answer other methods than GET and HEAD themselves, in their own words."""
_QUESTIONS = ("/npm/-/npm/v1/security/",)
"""Where POST asks a question that is too long for an address; nothing is changed by it."""


class Shell:
    """Wraps the application; every answer passes through it."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        access: Access | None = None,
        address: str = "",
        *,
        ready: Ready | None = None,
        models: bool = False,
    ) -> None:
        """Wrap an application, count into these metrics, and demand credentials where there are rules.

        `ready` keeps answers, where everybody may read everything; `models` says whether models are uploaded.
        """
        self._writes = writes if models else _writes_nothing
        self._app = app
        self._metrics = metrics
        self._access = access
        self._address = address
        self._ready = None if access else ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not for us, run the rest, and turn errors into answers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._ready.find(scope) if self._ready else None
        if answer is not None:
            self._metrics.answered(answer.protocol, HTTPStatus.OK)
            self._metrics.sent_bytes(answer.protocol, len(answer.body))
            await answer.give(scope, send)
            return
        first = scope["path"].removeprefix("/").partition("/")[0]
        protocol = _PROTOCOLS.get(first, "huggingface")
        reply = _Reply(send, self._metrics, protocol)
        writing = self._writes(scope["method"], scope["path"])
        early = _refusal(scope, protocol, writing=writing) or self._identified(scope, protocol, reply)
        if early is not None:
            await early(scope, receive, reply)
            return
        session = Headers(scope=scope).get("npm-session")
        PEER.set(Peer(scope))
        CLIENT.set(client_of(scope, session))
        if self._ready is not None:
            self._ready.hear(scope, protocol, session, _RAW)
        try:
            await self._app(scope, receive, reply)
        except CredentialsError as error:
            await challenge(scope, protocol, error, self._address)(scope, receive, reply)
        except LockgateError as error:
            _log.error("request failed", code=error.code, error=error.what, path=scope["path"][:200])
            if reply.started:
                raise  # the connection breaks off: the client sees a short answer, never a false one
            nothing = isinstance(error, NothingPublishedError)
            status = HTTPStatus.SERVICE_UNAVAILABLE if nothing else HTTPStatus.INTERNAL_SERVER_ERROR
            await problem(error, status, protocol)(scope, receive, reply)
        except Exception:
            _log.exception("unexpected failure", path=scope["path"][:200])
            if reply.started:
                raise
            body = {"code": "LG-0000", "error": "The mirror failed in an unexpected way; its log says how."}
            await JSONResponse(body, HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, reply)

    def _identified(self, scope: Scope, protocol: str, reply: "_Reply") -> Response | None:
        """Learn who asks; return the answer to who may not, or to a registry's client about its token."""
        if self._access is None or protocol == "own" or _with_secret(scope):
            return None
        authorization = Headers(scope=scope).get("authorization")
        reply.private = True
        try:
            if scope["path"] == TOKEN_PATH and scope["method"] == "GET":
                return token(scope, self._access)
            caller = self._access.caller(authorization, scope.get(CERTIFICATE))
        except CredentialsError as error:
            return challenge(scope, protocol, error, self._address)
        CALLER.set(caller)
        if authorization is not None or caller.name:
            return None
        if scope["path"] in {"/v2", "/v2/"}:  # clients of registries ask here first
            return challenge(scope, protocol, CredentialsError("This registry gives tokens."), self._address)
        if protocol in WAITS_FOR_CHALLENGE:
            absent = CredentialsError("Nothing of this name can be read without an API key.")
            reply.instead = challenge(scope, protocol, absent, self._address)
        return None


class _Reply:
    """A `send` that adds the security headers and counts."""

    def __init__(self, send: Send, metrics: Metrics, protocol: str) -> None:
        self._send = send
        self._metrics = metrics
        self._protocol = protocol
        self.started = False
        self.private = False
        self.instead: Response | None = None
        self._dropped = False

    async def __call__(self, message: Message) -> None:
        if self._dropped:
            return
        if message["type"] == "http.response.start":
            self.started = True
            if self.instead is not None and message["status"] == HTTPStatus.NOT_FOUND:
                await self._ask_instead(self.instead)
                return
            kept = [pair for pair in message["headers"] if pair[0] not in _NAMES]
            if self.private:
                kept = [*_kept_private(kept), (b"vary", b"Authorization")]
            message = {**message, "headers": [*kept, *_RAW]}
            self._metrics.answered(self._protocol, message["status"])
        elif message["type"] == "http.response.body":
            self._metrics.sent_bytes(self._protocol, len(message.get("body", b"")))
        elif message["type"] == LENT:
            self._metrics.sent_bytes(self._protocol, message["count"])
        await self._send(message)

    async def _ask_instead(self, response: Response) -> None:
        """Ask for credentials where something is absent for who has none, whether or not it is there."""
        self._dropped, self.instead = True, None
        head = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": [*response.raw_headers, *_RAW],
        }
        self._metrics.answered(self._protocol, response.status_code)
        await self._send(head)
        await self._send({"type": "http.response.body", "body": response.body})


def _kept_private(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers by which no cache that several people share keeps an answer."""
    return [
        (name, value.replace(b"public", b"private") if name == b"cache-control" else value)
        for name, value in headers
    ]


def _with_secret(scope: Scope) -> bool:
    """Tell whether a request is proved by its address alone, which was given to somebody with a key."""
    return scope["method"] == "PUT" and str(scope["path"]).startswith(f"{OBJECTS}/")


def _writes_nothing(method: str, path: str) -> bool:
    """Tell that no request uploads a model."""
    del method, path
    return False


def _refusal(scope: Scope, protocol: str, *, writing: bool) -> Response | None:
    """Return the answer to what is never looked up, or `None` to go on."""
    asks = scope["method"] == "POST" and (
        scope["path"].startswith(_QUESTIONS)
        or (scope["path"].startswith("/api/") and "/paths-info/" in scope["path"])
    )
    if scope["method"] not in {"GET", "HEAD"} and not (asks or writing) and protocol not in _DECIDE_METHODS:
        allow = {"Allow": "GET, HEAD"}
        return PlainTextResponse("This mirror is read only.\n", HTTPStatus.METHOD_NOT_ALLOWED, allow)
    if len(scope.get("raw_path") or scope["path"].encode()) > PATH_LIMIT:
        return PlainTextResponse("The address is too long.\n", HTTPStatus.REQUEST_URI_TOO_LONG)
    return None
