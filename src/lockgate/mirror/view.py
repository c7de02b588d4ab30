"""The signed view: the table that is served now, and when another one takes its place."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from lockgate.core.emergency import Debt, judge_debt
from lockgate.core.errors import LockgateError
from lockgate.core.parts import snapshot_digest
from lockgate.core.statement import Operation, Statement
from lockgate.mirror.continuity import Continuity
from lockgate.mirror.entries import Table
from lockgate.mirror.errors import NothingPublishedError, OlderChannelError, WrongStatementError
from lockgate.mirror.ports import ChannelVerifier, VerifiedChannel
from lockgate.mirror.tables import build_table

RETRY_SECONDS = 5.0
"""How long a refused channel is left alone when it does not change."""

_NEVER = object()


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """What the view serves, what was wrong with the last channel that it refused, and what is owed."""

    statement: Statement | None
    refused: LockgateError | None
    owed: tuple[Statement, ...] = ()

    def debt(self, now: datetime) -> Debt:
        """Return how urgent the second signature is under the oldest emergency that lacks it."""
        return judge_debt(self.owed, now)


class SignedView:
    """Holds one immutable table; swaps it as a whole when a newer channel verifies.

    A channel that does not verify changes nothing: the table before it goes on being served.

    Args:
        verifier: Reads and checks the channel.
        elapsed: Seconds on a clock that never goes back.

    """

    def __init__(self, verifier: ChannelVerifier, elapsed: Callable[[], float]) -> None:
        """Start with nothing; the first `refresh` loads the channel."""
        self._verifier = verifier
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._seen: Hashable = _NEVER
        self._table: Table | None = None
        self._refused: LockgateError | None = None
        self._refused_at = 0.0
        self._loading = False
        self._owed: tuple[Statement, ...] = ()
        self.continuity = Continuity(elapsed)

    @property
    def table(self) -> Table:
        """Return the table of the newest channel that verified.

        Raises:
            NothingPublishedError: None ever did.

        """
        table = self._table
        if table is None:
            what = "Nothing is published on this channel yet."
            raise NothingPublishedError(what)
        return table

    @property
    def status(self) -> ViewStatus:
        """Return what is served and what was refused."""
        table = self._table
        return ViewStatus(table.statement if table else None, self._refused, self._owed)

    def stale(self) -> bool:
        """Tell whether the channel may have changed since it was last read (one stat).

        While the first snapshot is being loaded it may: whoever asks then waits for it.
        """
        if self._loading and self._table is None:
            return True
        if self._verifier.token() != self._seen:
            return True
        return self._refused is not None and self._elapsed() - self._refused_at >= RETRY_SECONDS

    def refresh(self) -> bool:
        """Read the channel again when it changed; tell whether a new table is served.

        Safe to call from many threads: one reads, the others go on with the table there is.
        """
        if not self._lock.acquire(blocking=self._table is None):
            return False
        try:
            self._loading = False
            if not self.stale():
                return False
            self._loading = True
            return self._load()
        finally:
            self._loading = False
            self._lock.release()

    def _load(self) -> bool:
        # Taken before reading: a change while we read makes the next request look again.
        self._seen = self._verifier.token()
        try:
            channel = self._verifier.current()
            self._check(channel)
            if self._table and channel.statement == self._table.statement:
                self._refused, self._owed = None, channel.owed
                return False
            table = build_table(channel.statement, channel.snapshot, channel.repository, self._table)
        except LockgateError as error:
            self._refused, self._refused_at = error, self._elapsed()
            return False
        if self._table is not None:
            self.continuity.moved(self._table, table)
        self._table, self._refused, self._owed = table, None, channel.owed
        return True

    def _check(self, channel: VerifiedChannel) -> None:
        """Check what can be checked without keys: the verifier is trusted, and checked anyway."""
        statement = channel.statement
        if (
            statement.operation is Operation.REJECT
            or snapshot_digest(channel.snapshot) != statement.snapshot_sha256
        ):
            what = f"The statement of channel {statement.channel!r} does not publish the snapshot beside it."
            raise WrongStatementError(what, version=statement.channel_version)
        if self._table is None:
            return
        served = self._table.statement
        newer = statement.channel_version > served.channel_version
        if not newer and statement != served:
            what = f"Channel version {statement.channel_version} follows {served.channel_version}."
            raise OlderChannelError(what, channel=statement.channel)
