"""Answering by Host: at the name of a protocol that one alone, and nothing at names that are not known."""

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lockgate.mirror.clients.names import PREFIXES, MirrorNames

NAMED = "lockgate.named"
"""Where a request's scope has the address of the protocol by whose own name it asks."""

_TAKES = {"pypi": frozenset({"simple", "packages", "legacy"}), "oci": frozenset({"v2"})}
"""First parts of addresses of protocols that stand beside others at the root."""

_NOT_OF_THE_HUB = frozenset(
    {"simple", "packages", "legacy", "npm", "files", "v2", "apt", "rpm", "conda", "git", "healthz", "metrics"}
)


def own_address(scope: Scope, address: str) -> str:
    """Return this mirror's address for a request: that of the name it asks by, else the configured one."""
    named: str | None = scope.get(NAMED)
    return address.rstrip("/") if named is None else named


class Named:
    """Wraps the application where protocols have names.

    Requests by an IP address, by ``localhost`` and by the configured address are answered as if there were
    no names: no DNS server of somebody else's can lead a browser here by those.
    """

    def __init__(self, app: ASGIApp, names: MirrorNames, address: str = "") -> None:
        """Answer by these names; `address` is the mirrors' own, if it is configured."""
        self._app = app
        self._protocols = {name: protocol for protocol, name in names.by_protocol.items()}
        parts = urlsplit(address)
        self._own = frozenset({"localhost", *([parts.hostname] if parts.hostname else [])})
        self._scheme = parts.scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead a request below its protocol, refuse it, or pass it on as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host, port = _asked(Headers(scope=scope).get("host", ""))
        protocol = self._protocols.get(host)
        if protocol is None:
            if host and host not in self._own and not _is_address(host):
                refused = PlainTextResponse("This mirror has another name.\n", HTTPStatus.MISDIRECTED_REQUEST)
                await refused(scope, receive, send)
                return
            await self._app(scope, receive, send)
            return
        first = scope["path"].removeprefix("/").partition("/")[0]
        takes = _TAKES.get(protocol)
        if (takes is not None and first not in takes) or (
            protocol == "huggingface" and first in _NOT_OF_THE_HUB
        ):
            absent = PlainTextResponse("Nothing of this name stands here.\n", HTTPStatus.NOT_FOUND)
            await absent(scope, receive, send)
            return
        prefix = PREFIXES[protocol]
        raw = scope.get("raw_path") or scope["path"].encode()
        led = {
            **scope,
            "path": f"{prefix}{scope['path']}",
            "raw_path": prefix.encode() + raw,
            NAMED: f"{self._scheme or scope['scheme']}://{host}{port}",
        }
        await self._app(led, receive, send)


def _asked(said: str) -> tuple[str, str]:
    """Return name and port of a Host header; ``?`` for what can be no name, nothing where there is none."""
    if not said:
        return "", ""
    try:
        parts = urlsplit(f"//{said}")
        host, port = (parts.hostname or "?").removesuffix("."), parts.port
    except ValueError:
        return "?", ""
    whole = parts.netloc == said and "@" not in said
    return (host if whole else "?"), "" if port is None else f":{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
