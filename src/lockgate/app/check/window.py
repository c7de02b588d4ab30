"""Looking into the isolated network of a demonstration with this host's own browser."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from lockgate.app.check.isolation import open_network
from lockgate.app.high.tls import scheme
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log
from lockgate.core.errors import HostError, PolicyError

_LOOPBACK = "127.0.0.1"


class WindowForbiddenError(PolicyError):
    """Somebody asks for a window into a side that is in earnest."""

    code = "LG-3f30"
    advice = "Look from inside: `lockgate isolate run -- PROGRAM`. Windows are for demonstrations."


class PortTakenError(HostError):
    """A port of this host's loopback is somebody else's."""

    code = "LG-5f31"
    advice = "End what listens there (a window that is open already, perhaps), and try again."


def look_inside(side: Side, opened: Callable[[dict[str, str]], None]) -> None:
    """Lead connections to this host's loopback to the services inside, until interrupted or terminated.

    Each service is found at its own port. Nothing inside can connect to anything outside, and no packet
    goes by the counted link. Recorded before and after.

    Args:
        side: The high side of a demonstration.
        opened: Told of what can be opened, as name and address, once it can.

    Raises:
        WindowForbiddenError: The lane is in earnest.
        NetworkGoneError: There is no isolated network.
        PortTakenError: A port is taken.

    """
    if side.settings.lane.assurance == "production":
        raise WindowForbiddenError("A production side has no windows.")
    network, serve = open_network(side.home), side.settings.serve
    ports = {"console": serve.console_port, "chat": serve.gateway_port, "mirrors": serve.mirror_port}
    with ExitStack() as stack:
        doors = {name: stack.enter_context(_door(port)) for name, port in ports.items()}
        words = [f"{doors[name].fileno()}:{port}" for name, port in ports.items()]
        argv = network.command([sys.executable, "-m", "lockgate.isolate.window", *words])
        log = audit_log(side)
        intent = log.intent("isolate-look", ports=sorted(ports.values()))
        kept = [door.fileno() for door in doors.values()]
        base, pages = f"{scheme(side)}://{_LOOPBACK}", {"chat": "/chat"}
        # Whoever passes on ends when its input does: it outlives this process by nothing, even a killed one.
        with (
            _interrupts(),
            subprocess.Popen(argv, pass_fds=kept, stdin=subprocess.PIPE) as passing,  # noqa: S603  # no shell
        ):
            try:
                opened({name: f"{base}:{port}{pages.get(name, '')}" for name, port in ports.items()})
                passing.wait()
            except KeyboardInterrupt:
                passing.terminate()
        log.outcome(intent, "done")


@contextmanager
def _interrupts() -> Iterator[None]:
    """Take a termination for an interruption."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _door(port: int) -> socket.socket:
    door = socket.socket()
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((_LOOPBACK, port))
        door.listen()
    except OSError as error:
        door.close()
        what = f"Port {port} of {_LOOPBACK} cannot be had: {error.strerror}."
        raise PortTakenError(what, port=port) from error
    return door
