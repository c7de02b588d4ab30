"""Ports of loopback for servers that are told theirs.

A port that the kernel gave and took back may be given to somebody else before a server listens on it.
These lie below what it gives out (ip_local_port_range of ip(7) begins at 32768), and each process of the
tests has its own.
"""

import itertools
import os
import socket

_FIRST, _WORKERS, _EACH = 12_000, 64, 320
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_turn = itertools.count()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that nobody listens on and that was not returned before, until all were."""
    for at in itertools.islice(_turn, _EACH):
        port = _FIRST + _worker * _EACH + at % _EACH
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    message = "no port of this process's is free"
    raise AssertionError(message)


def free_ports(count: int) -> list[int]:
    """Return several ports that nobody listens on."""
    return [free_port() for _ in range(count)]
