"""Sessions that the server keeps: ended by sign-out, by silence and by age, on every page at once.

A browser holds 256 random bits; the server holds their SHA-256 alone, so that whoever reads its database has
nobody's session. A session proves who looks at pages, and nothing else: approvals are signatures.
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.infer.identity.ports import Found, Source
from lockgate.store import Records, Transaction

SESSIONS = "console-session"
"""Collection of sessions, by the SHA-256 of what the browser holds."""

OWN_LIMIT = 8
"""Most sessions of one person; their oldest ends when there is another."""

SESSIONS_LIMIT = 4096
"""Most sessions; the oldest end."""

SEEN_STEP = timedelta(seconds=30)
"""How exactly it is known when a session was used last."""

_TOKEN_BYTES = 32
_TOKEN_LIMIT = 64
_DOCUMENT = 1 << 16


class Kept(Document, frozen=True):
    """A session: whose, since when, used when last, and until when at most."""

    source: Source
    subject: str
    name: str
    groups: tuple[str, ...]
    began: Moment
    seen: Moment
    until: Moment

    @property
    def found(self) -> Found:
        """Return what the source said when they signed in."""
        return Found(self.source, self.subject, self.name, self.groups)


class KeptSessions:
    """The sessions, in one database.

    Args:
        records: The database.
        clock: The present moment.
        entropy: Random bytes.
        idle: Silence after which a session ends.
        longest: Age at which it ends.

    """

    def __init__(
        self, records: Records, clock: Clock, entropy: Entropy, *, idle: timedelta, longest: timedelta
    ) -> None:
        """Keep the parts."""
        self._records = records
        self._clock = clock
        self._entropy = entropy
        self._idle = idle
        self._longest = longest

    def begin(self, found: Found, until: datetime | None = None) -> str:
        """Begin a session and return what the browser is to hold.

        Args:
            found: Who signed in.
            until: Until when their source vouches for them, where it says so.

        """
        token = base64.urlsafe_b64encode(self._entropy(_TOKEN_BYTES)).rstrip(b"=").decode()
        now = whole_second(self._clock())
        end = min(now + self._longest, until or now + self._longest)
        session = Kept(
            source=found.source,
            subject=found.subject,
            name=found.name,
            groups=found.groups,
            began=now,
            seen=now,
            until=whole_second(end),
        )
        with self._records.transaction() as tx:
            self._forget(tx, found, now)
            tx.insert(SESSIONS, _key(token), encode(session))
        return token

    def find(self, token: str) -> Kept | None:
        """Return a session that has not ended, and note that it is used; nothing for any other."""
        if not token or len(token) > _TOKEN_LIMIT:
            return None
        now, key = whole_second(self._clock()), _key(token)
        with self._records.transaction() as tx:
            data = tx.get(SESSIONS, key)
            session = decode(Kept, data, limit=_DOCUMENT, name="session") if data else None
            if session is None:
                return None
            if self._ended(session, now):
                tx.delete(SESSIONS, key)
                return None
            if now - session.seen >= SEEN_STEP:
                tx.put(SESSIONS, key, encode(msgspec.structs.replace(session, seen=now)))
        return session

    def end(self, token: str) -> None:
        """End a session; nothing happens where there is none."""
        with self._records.transaction() as tx:
            if tx.get(SESSIONS, _key(token)) is not None:
                tx.delete(SESSIONS, _key(token))

    def end_all(self, source: Source, subject: str) -> int:
        """End every session of a person; return how many there were."""
        with self._records.transaction() as tx:
            mine = [key for key, each in _all(tx) if (each.source, each.subject) == (source, subject)]
            for key in mine:
                tx.delete(SESSIONS, key)
        return len(mine)

    def _ended(self, session: Kept, now: datetime) -> bool:
        silent = now - session.seen >= self._idle
        return silent or now >= session.until or now < session.began  # a clock that went back revives nothing

    def _forget(self, tx: Transaction, found: Found, now: datetime) -> None:
        """Forget what has ended, and the oldest where there would be too many."""
        known = sorted(_all(tx), key=lambda each: each[1].began)
        gone = {key for key, each in known if self._ended(each, now)}
        mine = [key for key, each in known if (each.source, each.subject) == (found.source, found.subject)]
        gone |= set(mine[: max(0, len(mine) - OWN_LIMIT + 1)])
        gone |= {key for key, _ in known[: max(0, len(known) - SESSIONS_LIMIT + 1)]}
        for key in gone:
            tx.delete(SESSIONS, key)


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _all(tx: Transaction) -> Iterator[tuple[str, Kept]]:
    for key, data in list(tx.scan(SESSIONS)):
        yield key, decode(Kept, data, limit=_DOCUMENT, name="session")
