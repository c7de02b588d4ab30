"""A window into an isolated network: connections to loopback outside lead to loopback inside.

Run inside as ``python -m lockgate.isolate.window FD:PORT …``. A socket belongs to the network namespace in
which it was made (network_namespaces(7)): those that this process inherits listen outside. It accepts what
comes by them and connects it to the same machine inside. It can reach nothing outside by itself, and ends
when its standard input does, so with whoever started it.
"""

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

_PIECE = 1 << 16
_LOOPBACK = "127.0.0.1"


async def serve(doors: Sequence[tuple[socket.socket, int]]) -> None:
    """Pass on what comes, until standard input ends.

    Args:
        doors: Bound sockets, each with the port inside that it leads to.

    """
    servers = []
    for door, port in doors:

        async def joined(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port
        ) -> None:
            await _join(port, reader, writer)

        servers.append(await asyncio.start_server(joined, sock=door))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)  # nobody writes there: it ends
    await ended.wait()
    for server in servers:
        server.close()


async def _join(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes both ways until both sides said all; where nobody listens inside, hang up."""
    try:
        far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
    except ConnectionError:
        pass  # one side went away; the other is told by the closing
    finally:
        for each in (writer, far_writer):
            each.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def main(arguments: Sequence[str]) -> None:
    """Open the doors that the arguments name."""
    doors = []
    for each in arguments:
        descriptor, port = each.split(":")
        doors.append((socket.socket(fileno=int(descriptor)), int(port)))
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(doors))


if __name__ == "__main__":
    main(sys.argv[1:])
