"""The counter's page: it says one thing at a time, and signs with the key of the clerk who started it.

It is no part of the console's server. It runs on the clerk's own machine, on loopback, in the process
that holds the clerk's key; the console has neither. Whoever uses the page first types the number that
the clerk's terminal shows, so that another user of the machine cannot have the clerk sign.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import structlog
from aiohttp import web

from lockgate import __version__
from lockgate.app.crossing.counter import Desk, Package
from lockgate.app.crossing.custody import StopAndCallError
from lockgate.console.shell import LOOPBACK, host_name
from lockgate.console.templating import asset, environment
from lockgate.core.errors import LockgateError

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Content security policy: own style sheet, forms to this page alone, no script."""

FORM_LIMIT = 8192
"""Longest form that is read, in bytes."""

GUESSES_LIMIT = 5
"""How many wrong numbers may be typed before the counter has to be started again."""

COOKIE = "lockgate-counter"
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without a referrer, forms of our own would come from origin "null"
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HTML = "text/html"
_log = structlog.get_logger("lockgate.counter")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Counter:
    """The pages of one desk.

    Args:
        desk: Reads slips and signs.
        number: What the clerk's terminal shows, and the page asks for first.
        token: Random text that stands for the number once it was typed.

    """

    def __init__(self, desk: Desk, number: str, token: str) -> None:
        """Serve a desk."""
        self._desk, self._number, self._token = desk, number, token
        self._guesses = 0
        self._style = "\n".join(asset(name) for name in ("base.css", "counter.css"))
        self._icon = asset("icon.svg")

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=FORM_LIMIT, middlewares=[self._guarded])
        app.router.add_get("/", self._scan)
        app.router.add_get("/package", self._package)
        app.router.add_get("/done", self._done)
        app.router.add_post("/enter", self._enter)
        app.router.add_post("/scan", self._found)
        app.router.add_post("/sign", self._sign)
        app.router.add_get("/static/counter.css", self._styled)
        app.router.add_get("/static/icon.svg", self._pictured)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse other hosts, other origins and other users; put the headers on every answer."""
        try:
            response = await self._admit(request, handler)
        except web.HTTPException as refusal:
            response = web.Response(
                status=refusal.status, text=f"{refusal.reason}\n", headers=refusal.headers
            )
            del response.headers["Content-Type"]
        response.headers.update(_HEADERS)
        return response

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if host_name(host) not in LOOPBACK:
            return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text="This counter is on loopback.\n")
        if request.method == "POST" and not _same_origin(request.headers.get("Origin", ""), host):
            return web.Response(status=HTTPStatus.FORBIDDEN, text="The form was on another page.\n")
        open_to_all = request.path in {"/enter", "/static/counter.css", "/static/icon.svg"}
        if not open_to_all and not hmac.compare_digest(request.cookies.get(COOKIE, ""), self._token):
            return self._page("counter_enter.html", HTTPStatus.UNAUTHORIZED, wrong=False, closed=False)
        try:
            return await handler(request)
        except LockgateError as error:
            return self._stop(error)

    def _page(self, template: str, status: int = HTTPStatus.OK, /, **context: object) -> web.Response:
        desk = self._desk
        text = (
            environment()
            .get_template(template)
            .render(
                lane=desk.lane,
                person=desk.person,
                place=desk.place,
                call=desk.call,
                version=__version__,
                **context,
            )
        )
        return web.Response(text=text, status=status, content_type=_HTML)

    def _stop(self, error: LockgateError, slip: str = "") -> web.Response:
        _log.warning("stop and call", code=error.code, error=error.what)
        slip = "" if self._desk.closed(slip) else slip
        return self._page(
            "counter_stop.html", HTTPStatus.CONFLICT, what=error.what, code=error.code, slip=slip
        )

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Take the number from the terminal; a few wrong ones close the counter for good."""
        typed = str((await request.post()).get("number", "")).strip()
        if self._guesses >= GUESSES_LIMIT or not hmac.compare_digest(typed.encode(), self._number.encode()):
            self._guesses += 1
            closed = self._guesses >= GUESSES_LIMIT
            return self._page("counter_enter.html", HTTPStatus.UNAUTHORIZED, wrong=True, closed=closed)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        response.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", path="/")
        return response

    async def _scan(self, request: web.Request) -> web.StreamResponse:
        """Ask for the slip."""
        del request
        return self._page("counter_scan.html")

    async def _found(self, request: web.Request) -> web.StreamResponse:
        """Go to the package that a slip names, or stop."""
        slip = str((await request.post()).get("slip", ""))
        package = await asyncio.to_thread(self._desk.find, slip)
        return _to("/package", slip=package.code)

    async def _package(self, request: web.Request) -> web.StreamResponse:
        """Say that it is the right package, and ask for the seals and the other person."""
        package = await asyncio.to_thread(self._desk.find, request.query.get("slip", ""))
        return self._asked(package)

    def _asked(self, package: Package) -> web.Response:
        return self._page(
            "counter_package.html",
            package=package,
            gives=self._desk.gives(package),
            seals=len(package.last.seals),
        )

    async def _sign(self, request: web.Request) -> web.StreamResponse:
        """Sign when everything is as it should be; otherwise stop, with nothing signed."""
        form = await request.post()
        slip, seals, other = (str(form.get(name, "")) for name in ("slip", "seals", "other"))
        try:
            if form.get("wrong"):
                what = "You saw that something is wrong."
                raise StopAndCallError(what)
            package = await asyncio.to_thread(self._desk.find, slip)
            if form.get("step") != str(package.last.step):  # sent twice: the first one was signed
                return _to("/done", slip=slip)
            signed = await asyncio.to_thread(self._desk.sign, slip, seals, other)
        except LockgateError as error:
            return self._stop(error, slip)
        _log.info("signed", crossing=signed.handover.crossing, step=signed.handover.step)
        return _to("/done", slip=slip)

    async def _done(self, request: web.Request) -> web.StreamResponse:
        """Say that it is done, from the chain itself; looking at it again changes nothing."""
        package = await asyncio.to_thread(self._desk.find, request.query.get("slip", ""))
        if not self._desk.done(package):
            return self._asked(package)
        return self._page("counter_done.html", package=package, last=package.last)

    async def _styled(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text=self._style, content_type="text/css")

    async def _pictured(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text=self._icon, content_type="image/svg+xml")


def _same_origin(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "http" and parts.netloc == host


def _to(path: str, **query: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{path}?{urlencode(query)}"})


def serve_counter(desk: Desk, number: str, token: str, port: int) -> None:
    """Serve a counter on loopback until a signal ends it."""
    app = Counter(desk, number, token).app()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
