"""Quotas: what a key may spend in a day (UTC) and have running, reserved before dispatch and settled after.

A reservation counts as spent in full until it is settled, so that no number of requests at once, in one
process or several, can spend more than the quota. It is durable before an engine is asked. What a process
that died had reserved stays spent: nobody knows how much of it the engine made.

A prompt is reserved at a bound that no tokenizer exceeds (a token of byte-level vocabularies is at least one
byte) and settled at what the engine counted.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.engines.ports import Count, Usage
from lockgate.infer.errors import QuotaError
from lockgate.infer.queue import Priority
from lockgate.store.ports import Records, Transaction

DAY = "quota-day"
"""Collection of what keys spent, by key and day."""

_RUNNING, _OPEN = "quota-running", "quota-open"
_log = structlog.get_logger("lockgate.infer")


class Quota(Document, frozen=True):
    """What one key may spend. None: without a bound."""

    requests: Count | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    concurrent: Count | None = None
    priority: Priority = Priority.NORMAL


class Spent(Document, frozen=True):
    """What a key spent on one day, reservations included."""

    requests: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Open(Document, frozen=True):
    """A reservation that was not settled."""

    key: str
    day: str
    owner: str
    prompt_tokens: Count
    completion_tokens: Count


class Wanted(msgspec.Struct, frozen=True):
    """What one request may come to."""

    key: str
    quota: Quota
    prompt_tokens: int
    completion_tokens: int


class Settled(msgspec.Struct, frozen=True):
    """What a reservation came to; no usage where the engine told none and what was reserved stays spent."""

    reservation: str
    usage: Usage


def owner_of(pid: int) -> str | None:
    """Return what names a living process for ever: boot, number and start (proc(5)); None when it is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
    return f"{boot}:{pid}:{started}"


def alive(owner: str) -> bool:
    """Tell whether the process that a name was made of still lives."""
    _, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    return pid.isdigit() and owner_of(int(pid)) == owner


class Quotas:
    """Keeps what keys spend, in a database that the gateways of a site share. Blocking.

    Args:
        records: The database.
        clock: Says which day it is.
        entropy: Names reservations.
        owner: Names this process.
        lives: Tells whether a process still lives.

    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        entropy: Entropy,
        owner: str | None = None,
        lives: Callable[[str], bool] = alive,
    ) -> None:
        """Keep the parts."""
        self._records = records
        self._clock = clock
        self._entropy = entropy
        self._owner = owner or owner_of(os.getpid()) or "unknown"
        self._lives = lives

    def work(self, items: Sequence[Wanted | Settled]) -> list[str | Exception]:
        """Reserve and settle in one transaction; a reservation's result is its name, or why it is refused."""
        try:
            with self._records.transaction() as tx:
                accounts, day = _Accounts(tx), self._today()
                results = [
                    self._reserve(accounts, day, item)
                    if isinstance(item, Wanted)
                    else self._settle(accounts, item)
                    for item in items
                ]
                accounts.write()
                return results
        except (LockgateError, OSError) as error:
            _log.error("quotas cannot be kept", error=str(error))
            raise

    def spent(self, key: str) -> tuple[Spent, int]:
        """Return what a key spent today, and how many of its requests run."""
        with self._records.transaction() as tx:
            return _spent(tx, key, self._today()), _running(tx, key)

    def recover(self) -> int:
        """Close what processes that died had reserved: it stays spent, and runs no more. Return how many."""
        closed = 0
        with self._records.transaction() as tx:
            for name, value in list(tx.scan(_OPEN)):
                reserved = decode(_Open, value)
                if reserved.owner != self._owner and not self._lives(reserved.owner):
                    _put_running(tx, reserved.key, _running(tx, reserved.key) - 1)
                    tx.delete(_OPEN, name)
                    closed += 1
        return closed

    def _today(self) -> str:
        return f"{self._clock().astimezone(UTC):%Y-%m-%d}"

    def _reserve(self, accounts: "_Accounts", day: str, wanted: Wanted) -> str | Exception:
        quota = wanted.quota
        before, running = accounts.spent(wanted.key, day), accounts.running(wanted.key)
        after = Spent(
            requests=before.requests + 1,
            prompt_tokens=before.prompt_tokens + wanted.prompt_tokens,
            completion_tokens=before.completion_tokens + wanted.completion_tokens,
        )
        for name in ("requests", "prompt_tokens", "completion_tokens"):
            most = getattr(quota, name)
            if most is not None and getattr(after, name) > most:
                what = f"This key has {most - getattr(before, name)} of its {most} {_said(name)} a day left."
                return QuotaError(what, limit=f"quota.{name}", retry_after=_until_midnight(self._clock()))
        if quota.concurrent is not None and running >= quota.concurrent:
            what = f"This key has {running} requests running, as many as it may."
            return QuotaError(what, limit="quota.concurrent")
        name = self._entropy(16).hex()
        reserved = _Open(
            key=wanted.key,
            day=day,
            owner=self._owner,
            prompt_tokens=wanted.prompt_tokens,
            completion_tokens=wanted.completion_tokens,
        )
        accounts.open(name, reserved, after)
        return name

    def _settle(self, accounts: "_Accounts", settled: Settled) -> str:
        """Put what was used in place of what was reserved, on the day of the reservation.

        An engine that counts more than was reserved lies or errs: the reservation is then what was spent.
        """
        reserved = accounts.reservation(settled.reservation)
        if reserved is None:
            return settled.reservation  # another process took this one for dead: it stays spent
        before, usage = accounts.spent(reserved.key, reserved.day), settled.usage
        prompt = max(0, reserved.prompt_tokens - usage.prompt_tokens)
        completion = max(0, reserved.completion_tokens - usage.completion_tokens)
        after = Spent(
            requests=before.requests,
            prompt_tokens=max(0, before.prompt_tokens - prompt),
            completion_tokens=max(0, before.completion_tokens - completion),
        )
        accounts.close(settled.reservation, reserved, after)
        return settled.reservation


class _Accounts:
    """What one transaction reads and changes: a key's records once each, however many requests share them.

    A statement for each would cost a request more than its log.

    Args:
        tx: The transaction; what changes is in it once `write` was called.

    """

    def __init__(self, tx: Transaction) -> None:
        """Begin with nothing read."""
        self._tx = tx
        self._spent: dict[tuple[str, str], Spent] = {}
        self._running: dict[str, int] = {}
        self._opened: dict[str, _Open] = {}
        self._days: set[tuple[str, str]] = set()
        self._keys: set[str] = set()

    def spent(self, key: str, day: str) -> Spent:
        """Return what a key has spent on a day."""
        found = self._spent.get((key, day))
        if found is None:
            found = self._spent[key, day] = _spent(self._tx, key, day)
        return found

    def running(self, key: str) -> int:
        """Return how many requests of a key run."""
        found = self._running.get(key)
        if found is None:
            found = self._running[key] = _running(self._tx, key)
        return found

    def reservation(self, name: str) -> _Open | None:
        """Return a reservation that is open."""
        found = self._opened.get(name)
        if found is not None:
            return found
        value = self._tx.get(_OPEN, name)
        return None if value is None else decode(_Open, value)

    def open(self, name: str, reserved: _Open, spent: Spent) -> None:
        """Open a reservation, with what its key has spent then."""
        self._opened[name] = reserved
        self._change(reserved, spent, 1)

    def close(self, name: str, reserved: _Open, spent: Spent) -> None:
        """Close a reservation, with what its key has spent then."""
        if self._opened.pop(name, None) is None:
            self._tx.delete(_OPEN, name)
        self._change(reserved, spent, -1)

    def _change(self, reserved: _Open, spent: Spent, more: int) -> None:
        key, day = reserved.key, (reserved.key, reserved.day)
        self._spent[day] = spent
        self._running[key] = max(0, self.running(key) + more)
        self._days.add(day)
        self._keys.add(key)

    def write(self) -> None:
        """Write what changed."""
        tx = self._tx
        tx.insert_all([(_OPEN, name, encode(reserved)) for name, reserved in self._opened.items()])
        for key, day in self._days:
            tx.put(DAY, f"{key}:{day}", encode(self._spent[key, day]))
        for key in self._keys:
            _put_running(tx, key, self._running[key])


def _spent(tx: Transaction, key: str, day: str) -> Spent:
    value = tx.get(DAY, f"{key}:{day}")
    return Spent() if value is None else decode(Spent, value)


def _running(tx: Transaction, key: str) -> int:
    value = tx.get(_RUNNING, key)
    return 0 if value is None else int(value)


def _put_running(tx: Transaction, key: str, count: int) -> None:
    tx.put(_RUNNING, key, str(max(0, count)).encode())


def _said(name: str) -> str:
    return {"prompt_tokens": "tokens in", "completion_tokens": "tokens out"}.get(name, name)


def _until_midnight(now: datetime) -> int:
    """Return the whole seconds until the next day (UTC) begins."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1, int((day - now).total_seconds()) + 1)
