"""What the handlers of all protocols share."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import unquote

from starlette.requests import Request

from lockgate.mirror.access import CALLER, Worlds
from lockgate.mirror.blobs import VerifiedBlobs
from lockgate.mirror.continuity import CLIENT, PEER
from lockgate.mirror.entries import Table
from lockgate.mirror.metrics import Metrics
from lockgate.mirror.misses import Misses
from lockgate.mirror.spread.survey import Surveyed
from lockgate.mirror.uses import Uses
from lockgate.mirror.view import SignedView


@dataclass(frozen=True, slots=True)
class Site:
    """The view, the blobs behind it, and what is counted."""

    view: SignedView
    blobs: VerifiedBlobs
    metrics: Metrics
    misses: Misses
    uses: Uses
    worlds: Worlds | None = None
    surveys: dict[str, "asyncio.Task[Surveyed]"] = field(default_factory=dict)

    async def table(self) -> Table:
        """Return the table for one request: the one that its client began with. Ask once per request.

        Raises:
            NothingPublishedError: There is none.

        """
        if self.view.stale():
            await asyncio.to_thread(self.view.refresh)
        return await self._seen(self.view.continuity.table(self.view.table, CLIENT.get(), PEER.get()))

    async def newest(self) -> Table:
        """Return the newest table, whatever the client began with."""
        return await self._seen(self.view.table)

    async def older(self) -> tuple[Table, ...]:
        """Return tables before the newest, for addresses that name their content alone."""
        return tuple([await self._seen(table) for table in self.view.continuity.older()])

    async def survey(self, table: Table) -> Surveyed | None:
        """Return what was gathered from all parts of a table's snapshot; None: it is no snapshot in parts.

        All who need it before it is there wait for one and the same thread.

        Raises:
            LockgateError: A part cannot be read, or is another one.

        """
        lookups = table.lookups
        if lookups is None:
            return None
        if lookups.survey.done:
            return lookups.survey.result
        digest = lookups.parts.digest
        task = self.surveys.get(digest)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(lambda: lookups.survey.result))
            self.surveys[digest] = task
            task.add_done_callback(lambda _: self.surveys.pop(digest, None))
        return await asyncio.shield(task)

    async def _seen(self, whole: Table) -> Table:
        """Return what the caller may see of a table."""
        caller = CALLER.get()
        if self.worlds is None:
            return whole
        return await self.worlds.table(whole, caller.labels if caller else frozenset())

    def missed(self, protocol: str, name: str) -> None:
        """Note that something was asked for that is not in the snapshot."""
        self.metrics.misses.labels(protocol).inc()
        self.misses.add(protocol, name)


def segments(request: Request) -> list[str]:
    """Return the path's segments, each decoded by itself: an encoded slash splits nothing."""
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    path = raw.decode("latin-1").partition("?")[0]
    return [unquote(part) for part in path.removeprefix("/").split("/")]
