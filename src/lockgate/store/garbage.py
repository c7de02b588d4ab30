"""Garbage collection: blobs that nothing holds are marked, wait out a grace, and are removed.

Two phases, so that no moment is dangerous. A run first reads which blobs earlier runs marked, then
asks what is held, and removes those that were marked long enough ago, are still not held, and were
not picked up or written again. Then it marks what else nobody holds. Marks are records: a removal and
what publishes take turns by the records' serial transactions, on one host or on several. Whoever
refers to blobs picks them up before looking whether they are there (`pick_up`), and asks once more in
the transaction that makes the reference (`settle`); so a reference wins over a mark, always.

Why that is enough, whatever the clocks say: a removal needs a mark that stood before the run asked
what is held. A reference that was made before that question is in its answer; one that is made later
takes the mark away in its own transaction, or finds there that a removal came first and does not
take effect.

Readers that have a blob open keep it (a removed file lives until its last descriptor is closed).
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgate.core.ports import Clock, Progress, Silent
from lockgate.core.wire import Document, Moment, decode, encode
from lockgate.store.errors import BlobsSweptError
from lockgate.store.ports import BlobStore, DiscardingBlobs, Records, Transaction

MARKS = "garbage-mark"
"""Digest of a blob that nothing held → when that was seen."""

SWEEPS = "garbage-sweep"
_COUNT = "count"

HOLDS = "garbage-hold"
"""Random key → the blobs that work in progress holds."""
HOLD_DAYS = 30
"""How long a hold counts whose work was killed."""

BATCH = 64
"""Blobs that are removed in one transaction; whoever wants to write records waits no longer than that."""


class Mark(Document, frozen=True):
    """When a blob was first seen to be held by nothing, and how long it is."""

    seen: Moment
    size: int


class Hold(Document, frozen=True):
    """Blobs that some work needs, and since when."""

    since: Moment
    wanted: tuple[str, ...]


@dataclass(slots=True)
class Collected:
    """What a run saw: blobs in all, those held, and lengths of what it marked, removed or spared."""

    blobs: int = 0
    live: int = 0
    marked: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    spared: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbage:
    """A store whose garbage is collected.

    Args:
        records: Where marks are kept, beside what refers to the blobs.
        blobs: The store.
        clock: The present moment.
        grace: How long a blob stays marked before it may be removed.

    """

    records: Records
    blobs: DiscardingBlobs
    clock: Clock
    grace: timedelta

    def collect(
        self,
        live: Callable[[], Collection[str]],
        *,
        dry: bool = False,
        progress: Progress | None = None,
    ) -> Collected:
        """Remove what was marked long enough ago, and mark what else nothing holds.

        Args:
            live: Asks what is held; it is asked after the marks were read, which is what makes it safe.
            dry: Only say what would be done.
            progress: Told of the blobs looked at.

        Raises:
            StoreIoError: The store cannot be listed, or the disk refused; nothing that is held is lost.

        """
        shown = progress or Silent()
        marks = self._marks()
        held = live()
        now = self.clock()
        found = Collected()
        due: list[str] = []
        listed = list(self.blobs.digests())
        shown.start("garbage", len(listed))
        for digest, size in listed:
            found.blobs += 1
            shown.advance(1)
            mark = marks.pop(digest, None)
            if digest in held:
                found.live += 1
                if mark is not None:
                    found.spared[digest] = size
            elif mark is None:
                if self._aged(digest, now):
                    found.marked[digest] = size
            elif mark.seen + self.grace > now:
                found.waiting[digest] = size
            else:
                due.append(digest)
                found.removed[digest] = size
        if not dry:
            self._forget([*found.spared, *marks])  # what is left of the marks has no blob any more
            for start in range(0, len(due), BATCH):
                self._remove(due[start : start + BATCH], found)
            self._mark(found.marked, now)
        shown.finish()
        return found

    def _marks(self) -> dict[str, Mark]:
        with self.records.transaction() as tx:
            return {digest: decode(Mark, value) for digest, value in tx.scan(MARKS)}

    def _forget(self, digests: Iterable[str]) -> None:
        with self.records.transaction() as tx:
            for digest in digests:
                tx.delete(MARKS, digest)

    def _aged(self, digest: str, now: datetime) -> bool:
        """Tell whether a blob lies there longer than the grace: a younger one may yet be referred to."""
        written = self.blobs.written(digest)
        return written is not None and written + self.grace <= now

    def _mark(self, blobs: dict[str, int], now: datetime) -> None:
        with self.records.transaction() as tx:
            for digest, size in blobs.items():
                if tx.get(MARKS, digest) is None:
                    tx.insert(MARKS, digest, encode(Mark(seen=now, size=size)))

    def _remove(self, digests: Sequence[str], found: Collected) -> None:
        """Remove a few blobs inside one transaction: those whose mark still stands.

        A kill before the commit leaves marks of blobs that are gone, which the next run forgets.
        """
        with self.records.transaction() as tx:
            count = _sweeps(tx)
            tx.put(SWEEPS, _COUNT, str(count + 1).encode())
            for digest in digests:
                value = tx.get(MARKS, digest)
                written = self.blobs.written(digest)
                if value is None or (written is not None and written > decode(Mark, value).seen):
                    found.spared[digest] = found.removed.pop(digest)
                else:
                    self.blobs.discard(digest)
                tx.delete(MARKS, digest)


@contextmanager
def holding(records: Records, wanted: Collection[str], clock: Clock) -> Iterator[None]:
    """Hold blobs by a record of their own while something long works with them, and let go at its end.

    What a kill leaves behind is forgotten after `HOLD_DAYS`.
    """
    key, held = secrets.token_hex(16), tuple(sorted(wanted))
    with records.transaction() as tx:
        _unmark(tx, wanted)
        tx.insert(HOLDS, key, encode(Hold(since=clock(), wanted=held)))
    try:
        yield
    finally:
        with records.transaction() as tx:
            tx.delete(HOLDS, key)


def drop_old_holds(records: Records, now: datetime) -> None:
    """Forget what was held by work that cannot still be going on."""
    with records.transaction() as tx:
        for key, value in list(tx.scan(HOLDS)):
            if decode(Hold, value).since + timedelta(days=HOLD_DAYS) < now:
                tx.delete(HOLDS, key)


def _sweeps(tx: Transaction) -> int:
    value = tx.get(SWEEPS, _COUNT)
    return 0 if value is None else int(value)


def pick_up(records: Records, wanted: Collection[str]) -> int:
    """Take the marks off blobs that are about to be referred to, before looking whether they are there.

    Returns:
        How many removals there were so far; `settle` wants it.

    """
    with records.transaction() as tx:
        _unmark(tx, wanted)
        return _sweeps(tx)


def settle(tx: Transaction, blobs: BlobStore, wanted: Collection[str], began: int) -> None:
    """Demand, in the transaction that refers to blobs, that they are there and stay.

    Args:
        tx: The transaction that makes the reference.
        blobs: The store; it is looked at only where something was removed meanwhile.
        wanted: The digests.
        began: What `pick_up` said.

    Raises:
        BlobsSweptError: One was removed since; put it again and start anew.

    """
    _unmark(tx, wanted)
    if _sweeps(tx) != began:
        gone = next((digest for digest in wanted if not blobs.has(digest)), None)
        if gone is not None:
            raise BlobsSweptError("A blob was collected as garbage just now.", digest=gone)


def _unmark(tx: Transaction, wanted: Collection[str]) -> None:
    marked = [digest for digest, _ in tx.scan(MARKS)]
    for digest in marked:
        if digest in wanted:
            tx.delete(MARKS, digest)
