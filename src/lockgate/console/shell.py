"""The outermost layer of the console: who may be asked for, security headers, and counting."""

from collections.abc import Iterable
from http import HTTPStatus

from prometheus_client import Counter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content security policy (W3C CSP Level 3): own style sheet and icon, no script at all."""

SIGNING_POLICY = POLICY.replace("form-action", "script-src 'self'; connect-src 'self'; form-action")
"""The same for pages on which an authenticator signs: the console's own script, which asks nobody else."""

SEARCH_POLICY = POLICY.replace("form-action 'none'", "form-action 'self'")
"""The same for the pages with a form, which asks this console alone."""

_SIGNING = frozenset({"pending", "enrol"})
_SEARCHING = frozenset({"catalogue", "who"})
_FORMS = {
    "Content-Security-Policy": SEARCH_POLICY,
    "Referrer-Policy": "same-origin",  # with none at all browsers would not say whose form it is (Fetch, 3.2)
}

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGES = frozenset(
    {
        "",
        "clients",
        "crossings",
        "exposure",
        "models",
        *_SEARCHING,
        *_SIGNING,
        "static",
        "healthz",
        "metrics",
        "sign-in",
        "sign-out",
        "requests",
        "appeals",
    }
)


class Shell:
    """Wraps the application; every answer passes through it.

    Requests that ask for another host are refused: a page elsewhere could otherwise point its
    own name at this address and read what is here (DNS rebinding).

    Args:
        app: The application.
        requests: Counts answers (labels: page, status).
        hosts: Names and addresses that may be asked for, beside loopback's.
        forms: Whether pages have forms, which this console alone takes.

    """

    def __init__(
        self, app: ASGIApp, requests: Counter, hosts: Iterable[str] = (), *, forms: bool = False
    ) -> None:
        """Wrap an application."""
        self._forms = _FORMS if forms else {}
        self._app = app
        self._requests = requests
        self._hosts = frozenset({*LOOPBACK, *hosts})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = scope["path"].removeprefix("/").partition("/")[0]
        page = first if first in _PAGES else "other"

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                headers.update({**_HEADERS, **self._forms})
                if first in _SIGNING:
                    signing = SIGNING_POLICY
                    if self._forms:
                        signing = signing.replace("form-action 'none'", "form-action 'self'")
                    headers["Content-Security-Policy"] = signing
                elif first in _SEARCHING:
                    headers["Content-Security-Policy"] = SEARCH_POLICY
                message = {**message, "headers": headers.raw}
                self._requests.labels(page or "overview", str(message["status"])).inc()
            await send(message)

        if host_name(Headers(scope=scope).get("host", "")) not in self._hosts:
            text = f"This console answers to {', '.join(sorted(self._hosts))} alone.\n"
            await PlainTextResponse(text, HTTPStatus.MISDIRECTED_REQUEST)(scope, receive, sealed)
            return
        await self._app(scope, receive, sealed)


def host_name(value: str) -> str:
    """Return the name or address in a Host header, without port and brackets (RFC 9110, 7.2)."""
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].lower()
