"""Group commit: events that arrive while one transaction is being made durable share the next one.

No event waits for others to come: whoever finds nobody committing commits what is queued, at once.
So a lone append costs one transaction, as before, and many at a time share its cost.
"""

from collections.abc import Callable, Sequence
from threading import Condition

from lockgate.audit.errors import AuditUnavailableError

BATCH_EVENTS = 256
"""Most events that share one transaction; it keeps each one well below 20 ms on ordinary disks."""


class _Ticket:
    """One event that waits to be durable, and what became of it."""

    __slots__ = ("data", "error", "index")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.index: int | None = None
        self.error: Exception | None = None

    @property
    def settled(self) -> bool:
        return self.index is not None or self.error is not None


class GroupCommit:
    """Lets threads share transactions.

    Args:
        commit: Writes events in one transaction and returns the index of the first one; all of
            them are durable on return, or none was written and it raises.
        most: Most events at a time; 1 gives each event a transaction of its own.

    """

    def __init__(self, commit: Callable[[Sequence[bytes]], int], most: int = BATCH_EVENTS) -> None:
        """Begin with nothing queued."""
        self._commit = commit
        self._most = most
        self._waiting: list[_Ticket] = []
        self._busy = False
        self._changed = Condition()

    def append(self, data: bytes) -> int:
        """Write an event and return its index, once it is durable.

        Raises whatever `commit` raised for the group that it was part of.
        """
        ticket = _Ticket(data)
        with self._changed:
            self._waiting.append(ticket)
        while not ticket.settled:
            group = self._lead(ticket)
            if group:
                self._settle(group)
        if ticket.error is not None:
            raise ticket.error
        return ticket.index or 0

    def alone(self, group: Sequence[bytes]) -> int:
        """Write events in one transaction of their own and return the index of the first.

        Raises whatever `commit` raised.
        """
        with self._changed:
            while self._busy:
                self._changed.wait()
            self._busy = True
        try:
            return self._commit(group)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _lead(self, ticket: _Ticket) -> list[_Ticket]:
        """Wait until the ticket is settled (nothing to do) or take a group to commit."""
        with self._changed:
            while self._busy and not ticket.settled:
                self._changed.wait()
            if ticket.settled:
                return []
            self._busy = True
            group = self._waiting[: self._most]
            del self._waiting[: self._most]
            return group

    def _settle(self, group: list[_Ticket]) -> None:
        first = 0
        failed: Exception | None = None
        try:
            first = self._commit([ticket.data for ticket in group])
        except Exception as error:  # noqa: BLE001  # each waiting caller raises it
            failed = error
        except BaseException as stop:
            what = f"Writing the log was interrupted: {type(stop).__name__}."
            failed = AuditUnavailableError(what)
            raise
        finally:
            with self._changed:
                for at, ticket in enumerate(group):
                    ticket.error = failed
                    ticket.index = None if failed else first + at
                self._busy = False
                self._changed.notify_all()
