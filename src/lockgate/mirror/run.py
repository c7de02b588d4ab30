"""Run an ASGI application on uvicorn, with the mirror's own connections."""

import asyncio
import gc
import resource
import signal
import socket
import ssl
import sys
from pkgutil import resolve_name
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from lockgate.mirror.door import Door
from lockgate.mirror.errors import CannotListenError
from lockgate.mirror.lease import Leases

CONNECTIONS = 4096
"""How many connections are held at a time, idle ones too; more are answered with 503."""

KEEP_SECONDS = 75
"""How long a connection is kept without a request."""

STOP_SECONDS = 10
"""How long running downloads may go on after a stop was asked for."""

COLLECT_EVERY = 20_000
"""How many more objects than before are alive when the garbage collector looks at young ones."""

_log = structlog.get_logger("lockgate.mirror")


class ServerTls(Protocol):
    """What a server speaks TLS with."""

    def server(self) -> ssl.SSLContext:
        """Return it; its files are read when it is asked for."""


def serve(factory: str, host: str, port: int, *, tls: ServerTls | None = None) -> None:
    """Serve until SIGTERM or SIGINT; ready when ``/healthz`` answers.

    Args:
        factory: ``package.module:function`` that returns the application.
        host: The address to listen on.
        port: The port to listen on.
        tls: What it speaks TLS with; none: plain HTTP.

    Raises:
        CannotListenError: The address is taken or not ours.

    """
    own = _bound(host, port)
    _allow_files()
    context = tls.server() if tls else None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # before the server listens for them, and after it has ended
    config = Config(
        _lending(resolve_name(factory)()),
        loop="uvloop",
        http=Door,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=CONNECTIONS,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_context_factory=(lambda _config, _default: context) if context else None,
    )
    _log.info("serving", application=factory, host=host, port=port, tls=tls is not None)
    Server(config).run(sockets=[own])


def _lending(app: ASGIApp) -> ASGIApp:
    """Return the application, which takes leases once the server's loop runs."""

    async def begun(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            _collect_rarely()
            Door.leases = Leases(asyncio.get_running_loop())
        await app(scope, receive, send)

    return begun


def _collect_rarely() -> None:
    """Have the garbage collector pass over what the server begins with, and look less often.

    Tables and modules stay as long as the process; a full look at them holds up every client, and requests
    leave next to nothing in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 20)


def _stop(number: int, _frame: object) -> None:
    del number
    sys.exit(0)


def _allow_files() -> None:
    """Let the process hold a descriptor for each connection and each blob, as far as the host permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the address for itself.

    Raises:
        CannotListenError: The address is taken or not ours.

    """
    own = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind((host, port))
        own.listen(CONNECTIONS)
    except OSError as error:
        own.close()
        what = f"The mirror cannot listen on {host} port {port}."
        raise CannotListenError(what, reason=error.strerror) from error
    return own
