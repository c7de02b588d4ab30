"""A directory that lies or stalls, and somebody in between: nothing is believed, no bound breaks."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.app.high.authority import AuthorityFolder
from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity import DirectoryConfig, Disabled, LdapDirectory
from lockgate.infer.identity import ldap_wire as wire
from lockgate.trust.authority import Bounds, Names, Use

Speaks = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TLS_GOES_ON = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plant")
    now = datetime.now(UTC).replace(microsecond=0)
    authority = AuthorityFolder(root / "ca")
    authority.make("Plant CA", Bounds.of(["plant.internal"]), now)
    authority.issue(
        "directory", Names.of(["localhost", "127.0.0.1"]), Use.SERVER, root / "tls", days=9, now=now
    )
    return root


@asynccontextmanager
async def directory(
    plant: Path, speaks: Speaks, *, tls: bool, seconds: float = 60.0
) -> AsyncIterator[LdapDirectory]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plant / "tls/cert.pem", plant / "tls/key.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speaks(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side left, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if tls else None)
    async with server:
        config = DirectoryConfig(
            host="localhost",
            port=server.sockets[0].getsockname()[1],
            tls=ssl.create_default_context(cafile=str(plant / "tls/ca.pem")),
            base="dc=x",
            start_tls=not tls,
            seconds=seconds,
        )
        yield LdapDirectory(config)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Return what else the other side said; nothing where it left without reading everything."""
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


async def read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(2)
    while (lengths := wire.length_of(head)) is None:
        head += await reader.readexactly(1)
    return await reader.readexactly(lengths[1])


def element(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    assert len(body) < 0x10000
    return bytes((tag, 0x82)) + len(body).to_bytes(2, "big") + body


def message(number: int, *parts: bytes) -> bytes:
    return element(0x30, element(2, bytes((number,))), *parts)


def entry(number: int, name: bytes, **attributes: list[bytes]) -> bytes:
    made = [
        element(0x30, element(4, key.encode()), element(0x31, *[element(4, v) for v in values]))
        for key, values in attributes.items()
    ]
    return message(number, element(0x64, element(4, name), element(0x30, *made)))


def done(number: int, code: int = 0, tag: int = 0x65) -> bytes:
    return message(number, element(tag, element(10, bytes((code,))), element(4), element(4)))


def test_what_somebody_in_between_puts_behind_the_last_word_in_the_clear_is_not_read(plant: Path) -> None:
    heard: list[bytes] = []

    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await read_message(reader))
        writer.write(TLS_GOES_ON + entry(2, b"uid=jane", uid=[b"jane"]) + done(2) + done(3, 0, 0x61))
        await writer.drain()
        heard.append(await rest_of(reader))
        over.set()

    over = asyncio.Event()

    async def run() -> None:
        async with directory(plant, speaks, tls=False) as ask:
            with pytest.raises(IdentitySourceError):
                await ask.sign_in("jane", "secret of jane")
            await over.wait()

    asyncio.run(run())
    assert len(heard) == 2
    assert b"secret of jane" not in b"".join(heard)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        TLS_GOES_ON[:-3],
        done(1, 2, 0x78),
        done(9, 0, 0x78),
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80",
        b"\x30\x85\x00\x00\x00\x00\x01",
    ],
    ids=repr,
)
def test_a_directory_that_does_not_go_on_in_tls_hears_no_password(plant: Path, answer: bytes) -> None:
    heard: list[bytes] = []

    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(answer)
        await writer.drain()
        writer.write_eof()
        heard.append(await rest_of(reader))
        over.set()

    over = asyncio.Event()

    async def run() -> None:
        async with directory(plant, speaks, tls=False) as ask:
            with pytest.raises(IdentitySourceError):
                await ask.sign_in("jane", "secret of jane")
            await over.wait()

    asyncio.run(run())
    assert heard == [b""]


JANE = {"uid": [b"jane"], "cn": [b"Jane"], "memberOf": [b"cn=a"]}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([entry(1, b"uid=jane", **JANE) + done(1), done(2, 0, 0x61)], None),
        ([entry(1, b"uid=jane", **JANE) + done(1), done(2, 49, 0x61)], BadCredentialsError),
        ([entry(1, b"uid=jane", **JANE) + done(1), done(2, 51, 0x61)], IdentitySourceError),
        ([entry(1, b"", **JANE) + done(1), done(2, 0, 0x61)], BadCredentialsError),
        ([done(1, 4), done(2, 0, 0x61)], BadCredentialsError),
        ([done(1, 50)], IdentitySourceError),
        ([done(1, 10)], IdentitySourceError),
        ([message(1, element(0x73, element(4, b"ldap://evil"))) + done(1)], BadCredentialsError),
        ([entry(1, b"a", **JANE) * 9 + done(1)], IdentitySourceError),
        ([entry(7, b"uid=jane", **JANE) + done(1)], IdentitySourceError),
        ([entry(1, b"uid=jane", uid=[b"jane"], cn=[b"\xff"]) + done(1), done(2, 0, 0x61)], None),
        ([entry(1, b"uid=\xff", **JANE) + done(1)], IdentitySourceError),
        ([entry(1, b"uid=jane", uid=[b"ja\nne"]) + done(1)], BadCredentialsError),
        ([entry(1, b"uid=jane", uid=[b"jane"], memberOf=[b"g"] * 513) + done(1)], IdentitySourceError),
        ([message(1, element(0x79, b""))], IdentitySourceError),
        ([b"\x30\x03\x02\x01\x01"], IdentitySourceError),
    ],
)
def test_answers_of_every_kind(plant: Path, answers: list[bytes], error: type[Exception] | None) -> None:
    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_message(reader)
            writer.write(answer)
            await writer.drain()
        await reader.read()

    async def run() -> None:
        async with directory(plant, speaks, tls=True) as ask:
            if error is None:
                found = await ask.sign_in("jane", "secret")
                assert found.id == "ldap:jane"
                return
            with pytest.raises(error):
                await ask.sign_in("jane", "secret")

    asyncio.run(run())


@pytest.mark.parametrize("password", ["", "\0", "x" * 1025])
def test_a_password_that_is_none_is_not_even_sent(plant: Path, password: str) -> None:
    asked = []

    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_message(reader))
        writer.write(entry(1, b"uid=jane", **JANE) + done(1) + done(2, 0, 0x61))

    async def run() -> None:
        async with directory(plant, speaks, tls=True) as ask:
            with pytest.raises(BadCredentialsError):
                await ask.sign_in("jane", password)

    asyncio.run(run())
    assert asked == []


@pytest.mark.parametrize("said", [b"", done(1)[:5]], ids=["nothing", "half a word"])
def test_a_silent_directory_is_left_after_its_time(plant: Path, said: bytes) -> None:
    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()

    async def run() -> None:
        async with directory(plant, speaks, tls=False, seconds=0.2) as ask:
            with pytest.raises(IdentitySourceError, match="TimeoutError"):
                await ask.sign_in("jane", "secret")

    asyncio.run(run())


@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_answer_breaks_the_reader(data: bytes, number: int) -> None:
    for body in (data, message(number, data)[4:], entry(number, b"x")[4:] + data):
        try:
            wire.read(body, number)
        except IdentitySourceError:
            continue
    try:
        lengths = wire.length_of(data)
    except IdentitySourceError:
        return
    assert lengths is None or lengths[1] <= wire.MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("rule", "values", "holds"),
    [
        (Disabled("nsAccountLock", "true"), [b"TRUE"], True),
        (Disabled("nsAccountLock", "true"), [b"false"], False),
        (Disabled("pwdAccountLockedTime", "*"), [b"000001010000Z"], True),
        (Disabled("pwdAccountLockedTime", "*"), [], False),
        (Disabled("userAccountControl", bit=2), [b"514"], True),
        (Disabled("userAccountControl", bit=2), [b"512"], False),
        (Disabled("userAccountControl", bit=2), [b"what"], True),
    ],
)
def test_when_somebody_counts_as_disabled(rule: Disabled, values: list[bytes], holds: bool) -> None:  # noqa: FBT001
    assert rule.holds(wire.Entry("x", {rule.attribute.lower(): tuple(values)})) is holds
