"""The cadence of a lane: on which days crossings are planned, and which of them did not come."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Cadence:
    """A crossing every so many days from a first day on, and how late one may be."""

    first: date
    every_days: int
    grace_days: int

    def planned(self, since: date, count: int) -> tuple[date, ...]:
        """Return the next planned days from a day on, that day included."""
        behind = max(0, (since - self.first).days)
        start = self.first + timedelta(days=-(-behind // self.every_days) * self.every_days)
        return tuple(start + timedelta(days=n * self.every_days) for n in range(count))

    def serves(self, received: date) -> date:
        """Return the planned day that a crossing stands for: the nearest, the later of two."""
        half = timedelta(days=self.every_days // 2)
        since = received - self.first + half
        return self.first + timedelta(days=since.days // self.every_days * self.every_days)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lane keeps its cadence: the next planned day, the last crossing, the days that were missed."""

    next: date
    last: date | None
    missed: tuple[date, ...]


def standing(cadence: Cadence, received: Iterable[datetime], now: datetime) -> Standing:
    """Return how the cadence stands.

    A planned day is missed when its grace is over and neither a crossing of its own nor a later one
    came: the next crossing makes up for all before it, since it brings everything that is wanted.

    Args:
        cadence: The plan.
        received: When crossings were received.
        now: The present moment.

    """
    today = now.date()
    days = [moment.date() for moment in received]
    last = max(days, default=None)
    begin = cadence.serves(last) + timedelta(days=1) if last else cadence.first
    over = today - timedelta(days=cadence.grace_days + 1)
    count = max(0, (over - max(begin, cadence.first)).days // cadence.every_days + 1)
    missed = tuple(day for day in cadence.planned(max(begin, cadence.first), count) if day <= over)
    return Standing(cadence.planned(today, 1)[0], last, missed)
