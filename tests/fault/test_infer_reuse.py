"""An engine that closes a connection just as it is used again fails nobody."""

import asyncio

import pytest

from lockgate.infer import EngineLimits, EngineRequest, Message
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.errors import EngineUnavailableError

ANSWER = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)


class Closing:
    """Answers so many requests of a connection; takes the next one and closes without a word."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.connections = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for number in range(self.answers + 1):
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if b"content-length" in line.lower()
                )
                await reader.readexactly(length)
                if number < self.answers:
                    writer.write(HEAD + ANSWER)
                    await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def ask(client: ChatClient) -> str:
    request = EngineRequest(messages=(Message("user", "Hi"),), max_tokens=5, options={})
    return "".join([piece.text async for piece in client.chat(request)])


async def against(server: Closing, times: int) -> list[str]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    client = ChatClient(f"http://127.0.0.1:{port}", "small", limits=EngineLimits())
    try:
        return [await ask(client) for _ in range(times)]
    finally:
        await client.close()
        listening.close()
        await listening.wait_closed()


def test_a_connection_that_ends_when_it_is_used_again_is_replaced() -> None:
    server = Closing(answers=2)
    assert asyncio.run(against(server, 5)) == ["Hi"] * 5
    assert server.connections == 3
    assert server.requests == 7, "the third and the fifth were asked twice"


def test_a_new_connection_that_ends_is_the_engines_failure() -> None:
    server = Closing(answers=0)
    with pytest.raises(EngineUnavailableError):
        asyncio.run(against(server, 1))
    assert server.requests == 1
