"""Names and passwords: proved by the directory or the site's own file, remembered for a time, not guessed."""

import asyncio
import base64
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from lockgate.infer.errors import BadCredentialsError, TooManyRequestsError
from lockgate.infer.identity.ports import Credentials, Directory, Found, Identities, Source
from lockgate.infer.identity.session import Seal, Session

BY_PASSWORD = frozenset({Source.LDAP, Source.LOCAL})
"""Sources that are asked anew whether somebody who signed in is still there."""

SEEN_LIMIT = 4096
"""Most callers that are remembered, and most names whose failures are counted."""

AT_ONCE = 8
"""How many looks at the directory run at once."""

WAITING = 64
"""How many wait for one; more are refused."""

FAILURES, FAILURE_SECONDS = 5, 300.0
"""So many wrong passwords for one name within so many seconds, and the name is not tried for as long."""


class Passwords:
    """Asks the directory, within bounds, and remembers what it said for `stale_seconds`.

    Args:
        directory: The directory.
        secret: Random bytes of this process: passwords are remembered as a code under them alone.
        stale_seconds: How long an answer of the directory counts.
        monotonic: Seconds that never go back.

    """

    def __init__(
        self,
        directory: Directory,
        secret: bytes,
        stale_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the parts."""
        self._directory = directory
        self._secret = secret
        self._stale = stale_seconds
        self._monotonic = monotonic
        self._seen: OrderedDict[bytes, tuple[Found, float]] = OrderedDict()
        self._standing: OrderedDict[str, tuple[Found | None, float]] = OrderedDict()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def sign_in(self, name: str, password: str) -> Found:
        """Return who knows this password.

        Raises:
            BadCredentialsError: Nobody of that name does.
            TooManyRequestsError: It was wrong too often, or too many sign in at once.
            IdentitySourceError: The directory cannot be asked.

        """
        code = hmac.digest(self._secret, f"{len(name)}:{name}{password}".encode(), "sha256")
        found = self._seen.get(code)
        if found is not None and self._monotonic() - found[1] < self._stale:
            return found[0]
        self._demand_few_failures(name)
        try:
            async with self._turn():
                known = await self._directory.sign_in(name, password)
        except BadCredentialsError:
            self._failed(name)
            raise
        self._failures.pop(name.lower(), None)
        _remember(self._seen, code, (known, self._monotonic()))
        _remember(self._standing, known.subject, (known, self._monotonic()))
        return known

    async def standing(self, subject: str) -> Found | None:
        """Return what the directory says of somebody who signed in, asked anew when that is old.

        Raises:
            TooManyRequestsError: Too many are looked up at once.
            IdentitySourceError: The directory cannot be asked.

        """
        kept = self._standing.get(subject)
        if kept is not None and self._monotonic() - kept[1] < self._stale:
            return kept[0]
        async with self._turn():
            known = await self._directory.standing(subject)
        _remember(self._standing, subject, (known, self._monotonic()))
        return known

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING:
            what = f"{WAITING} others wait for the directory."
            raise TooManyRequestsError(what, limit="directory_waiting")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def _demand_few_failures(self, name: str) -> None:
        recent = [
            at for at in self._failures.get(name.lower(), ()) if self._monotonic() - at < FAILURE_SECONDS
        ]
        if len(recent) >= FAILURES:
            what = "This name was tried with wrong passwords too often."
            wait = int(recent[0] + FAILURE_SECONDS - self._monotonic()) + 1
            raise TooManyRequestsError(what, limit="password_failures", retry_after=wait)

    def _failed(self, name: str) -> None:
        recent = [*self._failures.get(name.lower(), ()), self._monotonic()][-FAILURES:]
        _remember(self._failures, name.lower(), recent)


async def proved(sources: Iterable[Passwords], name: str, password: str) -> Found:
    """Return who knows the password, by any source; each is asked in turn, whoever the name belongs to.

    Raises:
        BadCredentialsError: Nobody of that name does.
        TooManyRequestsError, IdentitySourceError: See `Passwords.sign_in`.

    """
    refused = BadCredentialsError("Nobody signs in with a password here.")
    for source in sources:
        try:
            return await source.sign_in(name, password)
        except BadCredentialsError as error:
            refused = error
    raise refused


_K = TypeVar("_K")
_V = TypeVar("_V")


def _remember(table: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > SEEN_LIMIT:
        table.popitem(last=False)


class BasicPasswords(Identities):
    """Takes a name and a password with each request (RFC 7617), for programs that know no other way."""

    def __init__(self, passwords: Mapping[Source, Passwords]) -> None:
        """Keep what proves them."""
        self._passwords = passwords

    async def find(self, credentials: Credentials) -> Found | None:
        """Return who knows the password; nothing where the request brings none."""
        scheme, _, coded = (credentials.authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        except ValueError as error:
            what = "The name and the password are not written as they have to be."
            raise BadCredentialsError(what) from error
        if not colon:
            what = "There is no password."
            raise BadCredentialsError(what)
        return await proved(self._passwords.values(), name, password)


class Sessions(Identities):
    """Takes the sessions of the chat page; a directory is asked anew whether their holder is still there."""

    def __init__(self, seal: Seal, passwords: Mapping[Source, Passwords]) -> None:
        """Keep what opens them."""
        self._seal = seal
        self._passwords = passwords

    async def find(self, credentials: Credentials) -> Found | None:
        """Return whose session it is; nothing where the request brings none."""
        if credentials.session is None or credentials.authorization is not None:
            return None
        return await self.standing(self._seal.session(credentials.session))

    async def standing(self, session: Session) -> Found:
        """Return what is known of a session's holder now.

        Raises:
            BadCredentialsError: Their source knows them no more, or is no source any more.

        """
        if session.source not in BY_PASSWORD:
            return session.found
        source = self._passwords.get(session.source)
        known = await source.standing(session.subject) if source is not None else None
        if known is None:
            what = "Your name is not known any more, or was disabled."
            raise BadCredentialsError(what)
        return known
