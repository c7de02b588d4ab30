"""People whom the site itself gave a name and a password: for sites without a directory or an issuer.

Passwords are kept as scrypt codes (RFC 7914) with a salt of their own; a name that nobody has costs as much
time as one that somebody has.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from pathlib import Path
from typing import Annotated

import msgspec

from lockgate.core.ports import Entropy
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.errors import BadCredentialsError, PersonError
from lockgate.infer.identity.ports import Directory, Found, Source
from lockgate.infer.keys import replace_file

PEOPLE_FORMAT = "lockgate-people/1"
PEOPLE_LIMIT = 1000
"""Most people that the file has."""

PEOPLE_BYTES = 4 << 20
"""Largest file that is read, in bytes."""

PASSWORD_LEAST, PASSWORD_MOST = 12, 256
"""Shortest and longest password, in characters."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_COST, _BLOCK, _LANES = 1 << 15, 8, 1  # 32 MiB, about a tenth of a second
_MEMORY = 64 << 20
_SALT_BYTES, _CODE_BYTES = 16, 32


class Person(Document, frozen=True):
    """One person: salt and scrypt code of the password (base64), and the groups that grants go by."""

    name: str
    salt: str
    code: str
    groups: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()


class People(Document, frozen=True):
    """Everybody in the file."""

    format: str
    people: tuple[Person, ...] = ()


class LocalDirectory(Directory):
    """People in one canonical file (mode 0600), read anew for each question."""

    def __init__(self, path: Path) -> None:
        """Name the file; it may not exist yet."""
        self._path = path

    def all(self) -> tuple[Person, ...]:
        """Return everybody."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        return decode(People, data, limit=PEOPLE_BYTES, name="The file of people").people

    def put(self, name: str, password: str, groups: tuple[str, ...], entropy: Entropy) -> None:
        """Add somebody, or give them another password and other groups.

        Raises:
            PersonError: The name or the password cannot be used, or there are too many people.

        """
        if not _NAME.fullmatch(name):
            what = f"{name[:80]!r} is no name: small letters, digits, dots and hyphens."
            raise PersonError(what)
        if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
            what = f"A password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters."
            raise PersonError(what)
        others = [person for person in self.all() if person.name != name]
        if len(others) >= PEOPLE_LIMIT:
            what = f"There are {PEOPLE_LIMIT} people, as many as may be."
            raise PersonError(what)
        salt = entropy(_SALT_BYTES)
        code = base64.b64encode(_code(password, salt)).decode()
        made = Person(name=name, salt=base64.b64encode(salt).decode(), code=code, groups=groups)
        self._write([*others, made])

    def remove(self, name: str) -> None:
        """Take somebody off; their sessions end at the next request.

        Raises:
            PersonError: There is nobody of this name.

        """
        kept = [person for person in self.all() if person.name != name]
        if len(kept) == len(self.all()):
            what = f"There is nobody called {name[:80]!r}."
            raise PersonError(what)
        self._write(kept)

    async def sign_in(self, name: str, password: str) -> Found:
        """Return who knows this password."""
        person = self._person(name)
        salt = base64.b64decode(person.salt) if person else b"\0" * _SALT_BYTES
        found = await asyncio.to_thread(_code, password[: PASSWORD_MOST + 1], salt)
        wanted = base64.b64decode(person.code) if person else b"\0" * _CODE_BYTES
        same = hmac.compare_digest(found, wanted)
        if person is None or not same:
            what = "The name or the password is wrong."
            raise BadCredentialsError(what)
        return _found(person)

    async def standing(self, subject: str) -> Found | None:
        """Return what is known of somebody now; nothing where they were removed."""
        person = self._person(subject)
        return _found(person) if person else None

    def _person(self, name: str) -> Person | None:
        return next((person for person in self.all() if person.name == name), None)

    def _write(self, people: list[Person]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        ordered = tuple(sorted(people, key=lambda person: person.name))
        replace_file(self._path, encode(People(format=PEOPLE_FORMAT, people=ordered)))


def _found(person: Person) -> Found:
    return Found(Source.LOCAL, person.name, person.name, person.groups)


def _code(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=_CODE_BYTES
    )
