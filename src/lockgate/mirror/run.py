"""Run the mirror's application on granian."""

import ctypes
import os
import resource
import signal
import socket
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

from granian import Granian
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from starlette.types import ASGIApp

from lockgate.mirror.errors import CannotListenError

CONNECTIONS = 4096
"""How many connections are held at a time, idle ones too; more wait in the system's queue."""

HEADER_SECONDS = 15
"""How long a client may take to send its request's head."""

STOP_SECONDS = 10
"""How long running downloads may go on after a stop was asked for."""

_LOGGERS = ("_granian", "granian.access")
_LOGGING = {
    "handlers": {},
    "formatters": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in _LOGGERS},
}
"""The server's own lines go where everybody's go: it would write them to standard output."""

_PR_SET_PDEATHSIG = 1  # prctl(2)


class TlsFiles(Protocol):
    """Files that a server speaks TLS with."""

    @property
    def cert(self) -> Path:
        """Return the certificate, with its chain."""

    @property
    def key(self) -> Path:
        """Return its key."""

    @property
    def clients(self) -> Path | None:
        """Return the authority that clients need a certificate of."""

    @property
    def revoked(self) -> Path | None:
        """Return that authority's list of revoked certificates."""


def serve(factory: str, host: str, port: int, *, tls: TlsFiles | None = None) -> None:
    """Serve until SIGTERM or SIGINT; ready when ``/healthz`` answers.

    Args:
        factory: ``package.module:function`` that returns the application; it is called in the
            worker process, which inherits this one's environment.
        host: The address to listen on.
        port: The port to listen on.
        tls: What it speaks TLS with, 1.2 or newer; none: plain HTTP.

    Raises:
        CannotListenError: The address is taken or not ours.

    """
    _demand_free(host, port)
    _allow_files()
    server = Granian(
        factory,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=1,
        backpressure=CONNECTIONS,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        workers_kill_timeout=STOP_SECONDS,
        log_access=False,
        ssl_cert=tls.cert if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
        ssl_ca=tls.clients if tls else None,
        ssl_crl=[tls.revoked] if tls and tls.revoked else None,
        ssl_client_verify=bool(tls and tls.clients),
        log_dictconfig=_LOGGING,
    )
    server.serve(target_loader=partial(_load, factory, os.getpid()), wrap_loader=False)


def _load(factory: str, parent: int) -> ASGIApp:
    """Make the application in the worker, which is not to outlive the process that started it.

    A worker that was left behind would go on serving, and hold the port, after its supervisor
    was killed.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    app: ASGIApp = resolve_name(factory)()
    return app


def _allow_files() -> None:
    """Let the worker hold a descriptor for each connection and each blob, as far as the host permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _demand_free(host: str, port: int) -> None:
    """Refuse an address that somebody listens on: the server would silently share it.

    It binds with SO_REUSEPORT (socket(7)), so that the kernel gives each of two servers of one
    user half of the connections. A socket without that option cannot be bound beside another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            what = f"The mirror cannot listen on {host} port {port}."
            raise CannotListenError(what, reason=error.strerror) from error
