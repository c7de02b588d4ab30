"""The queue before an engine: bounded, by priority, and fair between keys."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable
from enum import StrEnum

from lockgate.infer.errors import QueueFullError
from lockgate.infer.limits import EngineLimits


class Priority(StrEnum):
    """Who goes first where several wait."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


TURNS = (Priority.HIGH,) * 4 + (Priority.NORMAL,) * 2 + (Priority.LOW,)
"""In which order the priorities get free slots: none starves."""

_Waiting = OrderedDict[str, deque[asyncio.Future[None]]]


class Slots:
    """Lets as many answers at an engine as it has room for; others wait, in turn by priority and key.

    A key that sends much waits behind its own requests, not before those of others. A key may fill at most
    half of the queue.

    Args:
        limits: How many run, how many wait, and for how long.
        instances: How many programs stand behind the engine.

    """

    def __init__(self, limits: EngineLimits, instances: int = 1) -> None:
        """Begin with every slot free."""
        self._limits = limits
        self._free = limits.running * instances
        self._queues: dict[Priority, _Waiting] = {priority: OrderedDict() for priority in Priority}
        self._turn = 0
        self.waiting = 0
        self.running = 0

    def held(self, key: str = "", priority: Priority = Priority.NORMAL) -> "_Slot":
        """Return a context in which a slot is held.

        Entering it raises `QueueFullError` when too many wait already, or no slot became free in time.
        """
        return _Slot(self, key, priority)

    async def take(self, key: str, priority: Priority) -> None:
        """Take a slot.

        Raises:
            QueueFullError: Too many wait already, or none became free in time.

        """
        if self._free and not self.waiting:
            self._free -= 1
        else:
            await self._wait(key, priority)
        self.running += 1

    def give_back(self) -> None:
        """Give a slot back."""
        self.running -= 1
        self._give()

    async def _wait(self, key: str, priority: Priority) -> None:
        limits = self._limits
        mine = self._queues[priority].get(key)
        if self.waiting >= limits.waiting:
            what = f"{self.waiting} requests wait for the engine already."
            raise QueueFullError(what, limit="engine.waiting")
        if mine is not None and len(mine) * 2 >= max(2, limits.waiting):
            what = f"{len(mine)} requests of this key wait for the engine already."
            raise QueueFullError(what, limit="engine.waiting")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues[priority].setdefault(key, deque()).append(turn)
        self.waiting += 1
        try:
            async with asyncio.timeout(limits.wait_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # the slot came just now: somebody else's turn
                self._give()
            else:
                self._leave(key, priority, turn)
            if isinstance(error, TimeoutError):
                what = f"No slot of the engine became free within {limits.wait_seconds:g} seconds."
                raise QueueFullError(what, limit="engine.wait_seconds") from error
            raise

    def _leave(self, key: str, priority: Priority, turn: asyncio.Future[None]) -> None:
        queue = self._queues[priority]
        queue[key].remove(turn)
        if not queue[key]:
            del queue[key]
        self.waiting -= 1

    def _give(self) -> None:
        """Hand a slot to whose turn it is, or keep it."""
        for _ in TURNS:
            priority = TURNS[self._turn]
            self._turn = (self._turn + 1) % len(TURNS)
            queue = self._queues[priority]
            if queue:
                key, waiting = queue.popitem(last=False)
                turn = waiting.popleft()
                if waiting:
                    queue[key] = waiting  # behind the other keys
                self.waiting -= 1
                turn.set_result(None)
                return
        self._free += 1


class _Slot:
    """A slot that is held while a block runs."""

    __slots__ = ("_key", "_priority", "_slots")

    def __init__(self, slots: Slots, key: str, priority: Priority) -> None:
        self._slots, self._key, self._priority = slots, key, priority

    def __aenter__(self) -> Awaitable[None]:
        return self._slots.take(self._key, self._priority)

    async def __aexit__(self, *_: object) -> None:
        self._slots.give_back()
