"""Connections to engines: what is kept for the next request, and what an engine cannot do with one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from infer_doubles import until
from lockgate.infer.engines.link import AROUND_BYTES, HEAD_BYTES, WAITING_BYTES, Link, LinkError, Links
from lockgate.infer.errors import EngineOptionError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=x\r\nContent-Length: 2\r\n\r\nHi"


class Engine:
    """Does one thing after the head of each request; counts connections."""

    def __init__(self, answer: Serve) -> None:
        self.answer = answer
        self.connections = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def __aenter__(self) -> Links:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.links = Links(f"http://127.0.0.1:{port}", connect_seconds=10)
        return self.links

    async def __aexit__(self, *_: object) -> None:
        self.links.close()
        self.server.close()
        await self.server.wait_closed()


async def asked(links: Links) -> Link:
    link = await links.take()
    link.send(links.question("/"))
    await link.head()
    return link


async def body(link: Link) -> bytes:
    data = b""
    while part := await link.read():
        data += part
    return data


def sends(*parts: bytes) -> Serve:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def run() -> None:
        engine = Engine(sends(b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE))
        async with engine as links:
            for _ in range(3):
                link = await asked(links)
                assert (link.status, link.media, await body(link)) == (200, "text/plain", b"Hi")
                link.release(ended=True)
        assert engine.connections == 1

    asyncio.run(run())


def test_fields_behind_a_body_do_not_change_what_it_is() -> None:
    async def run() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        engine = Engine(sends(head + b"2\r\nHi\r\n0\r\nContent-Type: text/html\r\n\r\n"))
        async with engine as links:
            for _ in range(2):
                link = await asked(links)
                assert (link.media, await body(link)) == ("text/plain", b"Hi")
                link.release(ended=True)
        assert engine.connections == 1

    asyncio.run(run())


def test_an_answer_behind_the_answer_is_never_taken_for_the_next_one() -> None:
    async def run() -> None:
        engine = Engine(sends(WHOLE + WHOLE.replace(b"Hi", b"No")))
        async with engine as links:
            for _ in range(3):
                link = await asked(links)
                assert await body(link) == b"Hi"
                link.release(ended=True)
        assert engine.connections == 3

    asyncio.run(run())


def test_what_comes_while_nobody_asks_ends_the_connection() -> None:
    async def run() -> None:
        go = asyncio.Event()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(WHOLE)
            await go.wait()
            writer.write(WHOLE.replace(b"Hi", b"No"))

        engine = Engine(answer)
        async with engine as links:
            link = await asked(links)
            assert await body(link) == b"Hi"
            link.release(ended=True)
            go.set()
            await until(lambda: link.closed)
            assert await body(await asked(links)) == b"Hi"
        assert engine.connections == 2

    asyncio.run(run())


def test_a_body_that_ends_later_than_its_last_part_keeps_its_connection() -> None:
    async def run() -> None:
        go = asyncio.Event()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nHi\r\n")
            await go.wait()
            writer.write(b"0\r\n\r\n")

        engine = Engine(answer)
        async with engine as links:
            link = await asked(links)
            assert await link.read() == b"Hi"
            link.release(ended=True)
            go.set()
            await until(lambda: link.keeps)
            assert await asked(links) is link
        assert engine.connections == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_BYTES + 1),
        b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_BYTES // 20),
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["endless field", "endless information", "no HTTP", "two lengths", "upgrade"],
)
def test_heads_that_are_none_break_the_connection(data: bytes) -> None:
    async def run() -> None:
        async with Engine(sends(data)) as links:
            with pytest.raises(LinkError):
                await asyncio.wait_for(asked(links), 30)

    asyncio.run(run())


def test_an_engine_that_floods_waits_until_its_bytes_are_taken() -> None:
    async def run() -> None:
        sent = 0

        async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 64 << 20:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
            writer.close()

        async with Engine(flood) as links:
            link = await asked(links)
            await until(lambda: link._paused)
            assert link._size < WAITING_BYTES + (1 << 20)
            assert sent < 64 << 20, "the engine was not held up"
            assert len(await body(link)) == 64 << 20
            link.release(ended=True)

    asyncio.run(run())


@pytest.mark.parametrize("flood", [b"a" * 65536, b"X: a\r\n" * 10_000], ids=["field", "fields"])
def test_fields_behind_a_body_have_a_bound(flood: bytes) -> None:
    async def run() -> None:
        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nHi\r\n0\r\nX: ")
            for _ in range(32 * AROUND_BYTES // len(flood)):
                writer.write(flood)
                await writer.drain()
            writer.write(b"\r\n\r\n")

        async with Engine(endless) as links:
            link = await asked(links)
            with pytest.raises(LinkError, match="around a body"):
                await body(link)
            assert link.closed

    asyncio.run(run())


def test_what_comes_behind_an_answer_that_was_taken_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.infer.engines.link.LINGER_SECONDS", 3600.0)

    async def run() -> None:
        go = asyncio.Event()

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nHi")
            await go.wait()
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

        async with Engine(endless) as links:
            link = await asked(links)
            assert await link.read() == b"Hi"
            link.release(ended=True)
            go.set()
            await until(lambda: link.closed)
            assert link._size < AROUND_BYTES + (1 << 20)

    asyncio.run(run())


def test_what_frames_a_body_does_not_hold_it_up() -> None:
    async def run() -> None:
        framed = b"2;" + b"x" * (16 * WAITING_BYTES) + b"\r\nHi\r\n0\r\n\r\n"
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with Engine(sends(head, framed)) as links:
            link = await asked(links)
            assert await asyncio.wait_for(body(link), 60) == b"Hi"
            link.release(ended=True)

    asyncio.run(run())


def test_a_wait_that_is_given_up_raises_even_where_the_end_of_the_connection_ends_the_body() -> None:
    async def run() -> None:
        hangs = asyncio.Event()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nHi")
            await hangs.wait()

        async with Engine(answer) as links:
            link = await asked(links)
            assert await link.read() == b"Hi"
            waiting = asyncio.ensure_future(link.read())
            await asyncio.sleep(0)
            link.give_up(TimeoutError())
            with pytest.raises(TimeoutError):
                await waiting
            await until(lambda: link.closed)
            with pytest.raises(TimeoutError):
                await link.read()
            hangs.set()

    asyncio.run(run())


def test_a_token_cannot_bring_a_field_of_its_own() -> None:
    for secret in ("a\r\nX: y", "a\nb", "é", "a\0"):
        with pytest.raises(EngineOptionError):
            Links("http://127.0.0.1:1", secret, connect_seconds=1)
