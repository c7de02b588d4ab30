"""A directory of the closed network (LDAP version 3, RFC 4511) as a source of identities.

Somebody is looked up by the name that they typed, and proves to be it by a bind with what the directory
answered as their object's name. Nothing is said before TLS holds, and no password is empty: a directory takes
a bind with an empty one for an anonymous one and says success (section 5.1.2 of RFC 4513).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity import ldap_wire as wire
from lockgate.infer.identity.claims import NAME_LIMIT
from lockgate.infer.identity.ports import (
    GROUP_NAME_LIMIT,
    GROUPS_LIMIT,
    SUBJECT_LIMIT,
    Directory,
    Found,
    Source,
)

DIRECTORY_SECONDS = 10.0
"""How long a directory may take for one look, all its steps together."""

PASSWORD_LIMIT = 1024
"""Longest password that is passed on, in bytes."""

_MEMBER_OF = "memberof"
_REFUSED = frozenset({19, 32, 48, 49, 50, 53})
"""Result codes with which a directory refuses a person's bind: wrong, locked, expired or forbidden."""

_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class Disabled:
    """When somebody counts as disabled: an attribute that has a value, any value, or a bit.

    Written as ``nsAccountLock=true``, ``pwdAccountLockedTime=*`` or ``userAccountControl&2``.
    """

    attribute: str
    value: str = ""
    bit: int = 0

    def holds(self, entry: wire.Entry) -> bool:
        """Tell whether an object says so."""
        values = [
            value.decode("utf-8", "replace") for value in entry.attributes.get(self.attribute.lower(), ())
        ]
        if self.bit:
            return any(not value.lstrip("-").isdigit() or int(value) & self.bit for value in values)
        return bool(values) if self.value == "*" else self.value.lower() in [each.lower() for each in values]


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """Where a directory is and how its objects are made.

    Attributes:
        host: Its name, which its certificate has to have.
        port: Its port.
        tls: What its certificate is judged by.
        start_tls: Whether TLS begins by a request (port 389), or with the connection (port 636).
        base: Below which people are.
        user: The attribute with the name that people type.
        name: The attribute with their name for others' eyes.
        groups: Below which groups are; empty: people's objects name them (`memberOf`).
        member: The attribute of a group with its members' names of objects.
        group: The attribute with a group's own name.
        bind_name: As whom to look up; empty: as nobody.
        bind_password: That one's password.
        disabled: When somebody counts as disabled.
        seconds: How long one look may take.

    """

    host: str
    port: int
    tls: ssl.SSLContext
    base: str
    start_tls: bool = False
    user: str = "uid"
    name: str = "cn"
    groups: str = ""
    member: str = "member"
    group: str = "cn"
    bind_name: str = ""
    bind_password: str = field(default="", repr=False)
    disabled: tuple[Disabled, ...] = ()
    seconds: float = DIRECTORY_SECONDS


class LdapDirectory(Directory):
    """Asks one directory; each look has a connection of its own."""

    def __init__(self, config: DirectoryConfig) -> None:
        """Keep the configuration; nothing is asked yet."""
        self._config = config

    async def sign_in(self, name: str, password: str) -> Found:
        """Return who somebody is who knows the password."""
        if not password or len(password.encode()) > PASSWORD_LIMIT or "\0" in password:
            what = "The name or the password is not right."
            raise BadCredentialsError(what)
        async with self._asking() as talk:
            known = await self._look(talk, name)
            if known is None:
                what = "The name or the password is not right."
                raise BadCredentialsError(what)
            object_name, found = known
            await talk.bind(object_name, password, theirs=True)
        return found

    async def standing(self, subject: str) -> Found | None:
        """Return what the directory says of somebody now; nothing where they are gone or disabled."""
        async with self._asking() as talk:
            known = await self._look(talk, subject)
        return known[1] if known is not None and known[1].subject == subject else None

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator["_Talk"]:
        """Connect, begin TLS, bind as the one who looks up, and say goodbye at the end."""
        config = self._config
        try:
            async with asyncio.timeout(config.seconds):
                talk = await _Talk.begin(config)
                try:
                    if config.bind_name:
                        await talk.bind(config.bind_name, config.bind_password)
                    yield talk
                    await talk.leave()
                finally:
                    await talk.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            _logger.warning("the directory failed", host=config.host, error=repr(error))
            what = f"The directory cannot be asked: {type(error).__name__}."
            raise IdentitySourceError(what) from error

    async def _look(self, talk: "_Talk", name: str) -> tuple[str, Found] | None:
        """Look somebody up; nothing where there is no such one, several, or a disabled one."""
        config = self._config
        if not 1 <= len(name) <= SUBJECT_LIMIT or not name.isprintable():
            return None
        wanted = {config.user, config.name, *(each.attribute for each in config.disabled)}
        if not config.groups:
            wanted.add(_MEMBER_OF)
        search = wire.Search(
            config.base, ((config.user, name),), tuple(sorted(wanted)), 2, int(config.seconds)
        )
        entries = await talk.search(search)
        if len(entries) != 1 or not entries[0].name:
            return None
        entry = entries[0]
        subjects = _texts(entry, config.user)
        if len(subjects) != 1 or any(each.holds(entry) for each in config.disabled):
            return None
        shown = next(iter(_texts(entry, config.name)), subjects[0])[:NAME_LIMIT]
        return entry.name, Found(Source.LDAP, subjects[0], shown, await self._groups(talk, entry))

    async def _groups(self, talk: "_Talk", entry: wire.Entry) -> tuple[str, ...]:
        config = self._config
        if not config.groups:
            found = list(_texts(entry, _MEMBER_OF))
        else:
            equal = ((config.member, entry.name),)
            search = wire.Search(config.groups, equal, (config.group,), GROUPS_LIMIT + 1, int(config.seconds))
            found = [name for each in await talk.search(search) for name in _texts(each, config.group)]
        if len(found) > GROUPS_LIMIT:
            what = f"Somebody is in more than {GROUPS_LIMIT} groups."
            raise IdentitySourceError(what, limit="groups")
        return tuple(name for name in found if len(name) <= GROUP_NAME_LIMIT)


def _texts(entry: wire.Entry, attribute: str) -> tuple[str, ...]:
    """Return the values of an attribute that are printable text."""
    found = [value.decode("utf-8", "replace") for value in entry.attributes.get(attribute.lower(), ())]
    return tuple(text for text in found if text.isprintable() and "\ufffd" not in text)


class _Talk:
    """One connection, in TLS from its first word about anybody."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._reader = reader
        self._writer = writer
        self._number = number

    @classmethod
    async def begin(cls, config: DirectoryConfig) -> "_Talk":
        """Connect and begin TLS.

        What is asked in the clear is read to its last byte and no further, straight from the socket: whatever
        somebody in between put behind it is taken for TLS, and fails as that.

        """
        loop = asyncio.get_running_loop()
        number = 0
        found = await loop.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)  # noqa: FBT003  # the standard library's signature
            await loop.sock_connect(connection, address)
            if config.start_tls:
                number += 1
                await loop.sock_sendall(connection, wire.start_tls(number))
                _demand_tls(wire.read(await _clear(connection), number))
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=config.tls, server_hostname=config.host, limit=wire.MESSAGE_LIMIT
            )
        except BaseException:
            connection.close()
            raise
        return cls(reader, writer, number)

    async def bind(self, name: str, password: str, *, theirs: bool = False) -> None:
        """Prove to be somebody: the one who looks up, or the person who signs in.

        Raises:
            BadCredentialsError: The person's password is not right, or they may not sign in.
            IdentitySourceError: The directory refuses the one who looks up, or does not work.

        """
        result = await self._ask(wire.bind(self._next(), name, password))
        if theirs and isinstance(result, wire.Result) and result.code in _REFUSED:
            what = "The name or the password is not right."
            raise BadCredentialsError(what)
        if result != wire.Result(wire.SUCCESS):
            whom = "the person who signs in" if theirs else "the one who looks people up"
            what = f"The directory refused {whom}: {result}."
            raise IdentitySourceError(what)

    async def search(self, wanted: wire.Search) -> list[wire.Entry]:
        """Return what is found, at most as much as was asked for."""
        self._writer.write(wire.search(self._next(), wanted))
        await self._writer.drain()
        found: list[wire.Entry] = []
        for _ in range(2 * wanted.most + 2):  # objects, references, and the end
            answer = await self._read()
            if isinstance(answer, wire.Entry):
                found.append(answer)
            elif answer is not None:
                if answer.code not in {wire.SUCCESS, wire.SIZE_EXCEEDED}:
                    what = f"The directory cannot look people up: {answer}."
                    raise IdentitySourceError(what)
                return found
        what = "The directory answers more than was asked for."
        raise IdentitySourceError(what, limit="ldap_entries")

    async def leave(self) -> None:
        """Say goodbye."""
        self._writer.write(wire.unbind(self._next()))
        await self._writer.drain()

    async def close(self) -> None:
        """Cut the connection, without waiting for the directory's farewell."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, message: bytes) -> wire.Result | wire.Entry | None:
        self._writer.write(message)
        await self._writer.drain()
        return await self._read()

    async def _read(self) -> wire.Result | wire.Entry | None:
        head = await self._reader.readexactly(2)
        while (lengths := wire.length_of(head)) is None:
            head += await self._reader.readexactly(1)
        return wire.read(await self._reader.readexactly(lengths[1]), self._number)


def _demand_tls(answer: wire.Result | wire.Entry | None) -> None:
    if answer != wire.Result(wire.SUCCESS):
        what = "The directory does not go on in TLS."
        raise IdentitySourceError(what)


async def _clear(connection: socket.socket) -> bytes:
    """Return the body of one message, read from the socket to its last byte and no further."""
    loop = asyncio.get_running_loop()

    async def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = await loop.sock_recv(connection, count - len(data))
            if not part:
                raise asyncio.IncompleteReadError(data, count)
            data += part
        return data

    head = await exactly(2)
    while (lengths := wire.length_of(head)) is None:
        head += await exactly(1)
    return await exactly(lengths[1])
