"""Run the mirror's application on granian."""

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from lockgate.mirror.errors import CannotListenError

CONNECTIONS = 512
"""How many requests are worked on at a time; more wait in the system's queue."""

HEADER_SECONDS = 15
"""How long a client may take to send its request's head."""

STOP_SECONDS = 10
"""How long running downloads may go on after a stop was asked for."""


def serve(factory: str, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; ready when ``/healthz`` answers.

    Args:
        factory: ``package.module:function`` that returns the application; it is called in the
            worker process, which inherits this one's environment.
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        CannotListenError: The address is taken or not ours.

    """
    server = Granian(
        factory,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=1,
        backpressure=CONNECTIONS,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        workers_kill_timeout=STOP_SECONDS,
        log_access=False,
    )
    try:
        server.serve()
    except (OSError, RuntimeError) as error:
        what = f"The mirror cannot listen on {host} port {port}."
        raise CannotListenError(what, reason=str(error)) from error
