"""An agent that keeps a token's PIN in memory for its owner's own commands, for a while.

A `pin-source` may name the agent's socket in place of a file. The kernel says who asks: only
processes of the same user get the PIN, over a socket in a folder that only its owner enters.
"""

import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lockgate.core.errors import HostError, InputError
from lockgate.trust.keys_token import PIN_LIMIT

_OTHERS = 0o077
_CREDENTIALS = struct.Struct("3i")
_TURN = 0.5


class AgentPlaceError(InputError):
    """A place is not fit for an agent's socket."""

    code = "LG-1f15"
    advice = "Name a path in a folder that only you may enter, such as one below XDG_RUNTIME_DIR."


class AgentFailedError(HostError):
    """The agent cannot listen."""

    code = "LG-5f15"
    advice = "Check the path, and that no other agent listens there."


def open_agent(place: Path) -> socket.socket:
    """Return a socket that listens at a place which only its owner reaches.

    Raises:
        AgentPlaceError: Others may enter the folder, or something lies there already.
        AgentFailedError: The system refused.

    """
    folder = place.parent
    try:
        facts = folder.stat()
    except OSError as error:
        what = f"The folder {folder} cannot be used: {error.strerror}."
        raise AgentPlaceError(what) from error
    if facts.st_uid != os.getuid() or facts.st_mode & _OTHERS:
        what = f"Others than you may enter {folder}."
        raise AgentPlaceError(what)
    if place.exists():
        what = f"There is something at {place} already."
        raise AgentPlaceError(what)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(place))
        listening.listen(8)
    except OSError as error:
        listening.close()
        what = f"The agent cannot listen at {place}: {error.strerror}."
        raise AgentFailedError(what) from error
    finally:
        os.umask(before)
    return listening


def peer_of(connection: socket.socket) -> int:
    """Return the user id of whoever is at the other end, as the kernel knows it (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(data)[1])


def serve_pin(
    listening: socket.socket,
    pin: str,
    seconds: float,
    *,
    stop: Callable[[], bool] = lambda: False,
    peer: Callable[[socket.socket], int] = peer_of,
) -> int:
    """Give the PIN to processes of the same user until the time is over; return how often it was given.

    Args:
        listening: From `open_agent`; it is closed and its place is removed at the end.
        pin: The PIN.
        seconds: How long.
        stop: Tells to end early.
        peer: Tells who asks.

    """
    place, given = Path(listening.getsockname()), 0
    ends = time.monotonic() + seconds
    listening.settimeout(_TURN)
    try:
        while time.monotonic() < ends and not stop():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection, suppress(OSError):  # whoever went away gets nothing
                if peer(connection) == os.getuid():
                    connection.sendall(pin.encode()[:PIN_LIMIT])
                    given += 1
    finally:
        listening.close()
        place.unlink(missing_ok=True)
    return given
