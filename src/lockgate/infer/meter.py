"""Measures what keys spend: reserved before an engine is asked, settled however the answer ends."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, field

from lockgate.core.errors import LockgateError
from lockgate.infer.batches import Batches
from lockgate.infer.engines.ports import Usage
from lockgate.infer.errors import LedgerUnavailableError
from lockgate.infer.ports import Principal
from lockgate.infer.queue import Priority
from lockgate.infer.quotafile import QuotaSource
from lockgate.infer.quotas import Quota, Quotas, Settled, Wanted

SETTLE_TRIES, SETTLE_SECONDS = 60, 1.0
"""How often, and how long apart, a reservation is tried to be settled."""

_Batches = Batches[Wanted | Settled, str]


@dataclass(slots=True)
class Charge:
    """What a request is charged for; who makes the answer says it before the block ends."""

    usage: Usage = field(default_factory=Usage)


class Meter:
    """The quotas of one gateway.

    Args:
        source: The quota of each key.
        quotas: Keeps what keys spend; nothing where no quotas are kept.
        executor: A thread for it.

    """

    def __init__(self, source: QuotaSource, quotas: Quotas | None, executor: Executor) -> None:
        """Keep the parts."""
        self._source = source
        self._batches: _Batches | None = Batches(quotas.work, executor) if quotas is not None else None

    def priority(self, key: Principal) -> Priority:
        """Return in which order a key's requests wait."""
        quota = self._source.find(key.id)
        return quota.priority if quota is not None else Priority.NORMAL

    def reserved(self, key: Principal, prompt: int, completion: int) -> "_Reserved":
        """Return a context in which tokens are reserved; they are settled when it ends, in whatever way.

        Entering it raises `QuotaError` when the key has not so much left, and `LedgerUnavailableError` when
        it cannot be written down.
        """
        return _Reserved(self, key, prompt, completion)

    async def reserve(self, key: Principal, prompt: int, completion: int) -> str:
        """Reserve tokens and return what names the reservation; empty where none is needed.

        Raises:
            QuotaError, LedgerUnavailableError: See `reserved`.

        """
        if self._batches is None:
            return ""
        quota = self._source.find(key.id)
        if quota is None or quota == Quota(priority=quota.priority):
            return ""
        waiting = self._batches.submit(Wanted(key.id, quota, prompt, completion))
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(self._give_back)
            raise
        except (LockgateError, OSError) as error:
            if isinstance(error, LockgateError) and error.where.get("limit"):
                raise
            what = "What the key spends could not be recorded."
            raise LedgerUnavailableError(what) from error

    def settle(self, reservation: str, usage: Usage) -> None:
        """Settle a reservation, without waiting for it."""
        if self._batches is not None and reservation:
            self._settle(self._batches, Settled(reservation, usage))

    def _settle(self, batches: "_Batches", settled: Settled, tries: int = SETTLE_TRIES) -> None:
        """Settle a reservation; where the database cannot take it now, again and again for a while."""

        def looked_at(done: asyncio.Future[str]) -> None:
            if not done.cancelled() and done.exception() is not None and tries > 1:
                loop = asyncio.get_running_loop()
                loop.call_later(SETTLE_SECONDS, self._settle, batches, settled, tries - 1)

        batches.submit(settled).add_done_callback(looked_at)

    def _give_back(self, reserved: asyncio.Future[str]) -> None:
        """Settle a reservation whose caller left before it was made: nothing was spent."""
        if self._batches is not None and not reserved.cancelled() and reserved.exception() is None:
            self._settle(self._batches, Settled(reserved.result(), Usage()))

    async def settled(self) -> None:
        """Wait until everything is written."""
        if self._batches is not None:
            await self._batches.settled()


class _Reserved:
    """Tokens that are reserved while a block runs."""

    __slots__ = ("_asked", "_charge", "_meter", "_name")

    def __init__(self, meter: Meter, key: Principal, prompt: int, completion: int) -> None:
        self._meter = meter
        self._asked = key, prompt, completion
        self._charge = Charge()
        self._name = ""

    async def __aenter__(self) -> Charge:
        self._name = await self._meter.reserve(*self._asked)
        return self._charge

    async def __aexit__(self, *_: object) -> None:
        self._meter.settle(self._name, self._charge.usage)
