"""The chat page: for people who have a browser and no client. The gateway serves it beside its API.

The page is three files without anything from elsewhere. It holds the reader's key for as long as its tab is
open, puts every word of a model on the screen as text, never as markup, and speaks with this gateway alone.
"""

import html
from importlib.resources import files

from aiohttp import web

PATH = "/chat"

_TYPES = {"chat.css": "text/css", "chat.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class ChatPage:
    """The page's files, read once."""

    def __init__(self, sources: str = "", doors: str = "") -> None:
        """Read the files.

        Args:
            doors: How people sign in here beside API keys: ``issuer``, ``password``, with spaces between.
            sources: Address of the mirrors, where cited documents are; empty: quotes are shown alone.

        """
        folder = files(__package__)
        self._parts = {name: folder.joinpath(name).read_bytes() for name in _TYPES}
        page = folder.joinpath("chat.html").read_text(encoding="utf-8")
        self._page = page.replace("{sources}", html.escape(sources.rstrip("/"))).replace("{doors}", doors)

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(PATH, self._show)
        app.router.add_get(f"{PATH}/{{name:chat\\.(?:css|js)}}", self._part)

    async def _show(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self._page, content_type="text/html", headers=_HEADERS)

    async def _part(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.Response(body=self._parts[name], content_type=_TYPES[name], headers=_HEADERS)
