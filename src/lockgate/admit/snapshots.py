"""Building the snapshot that a publication would make, with every page that serves it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from lockgate.admit.ports import PageMaker
from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.core.snapshot import SNAPSHOT_FORMAT, Admitted, Generated, Snapshot
from lockgate.core.wire import encode, whole_second
from lockgate.store.ports import BlobStore

PAGE_SOURCE_LIMIT = 1 << 30
"""Longest file that a page may be computed from, in bytes."""


def slot_of(admitted: Admitted) -> tuple[str, ...]:
    """Return what a new artifact replaces: a document or repository its older self, others the same purl."""
    artifact = admitted.artifact
    if artifact.kind in {Kind.DOCUMENT, Kind.GIT}:
        return artifact.kind, artifact.name
    return artifact.kind, artifact.purl


def merged(*snapshots: Snapshot | None) -> tuple[Admitted, ...]:
    """Return what several snapshots hold; of what replaces one another, that of the newest crossing."""
    every = [a for snapshot in snapshots if snapshot is not None for a in snapshot.admitted]
    return tuple({slot_of(a): a for a in sorted(every, key=lambda a: a.crossing)}.values())


class SnapshotMaker:
    """Makes snapshots; pages and the snapshot itself are written to quarantine until approved."""

    def __init__(self, quarantine: BlobStore, blobs: BlobStore, pages: PageMaker) -> None:
        """Read new artifacts from quarantine and known ones from the store."""
        self._quarantine = quarantine
        self._blobs = blobs
        self._pages = pages

    def _read(self, digest: str) -> bytes:
        store = self._quarantine if self._quarantine.has(digest) else self._blobs
        return store.read(digest, limit=PAGE_SOURCE_LIMIT)

    def make(
        self, lane: str, served: Iterable[Admitted], fresh: Sequence[Admitted], now: datetime
    ) -> Snapshot:
        """Return the snapshot of what is served and what is new, and keep its bytes in quarantine."""
        kept = {slot_of(a): a for a in served}
        kept.update({slot_of(a): a for a in fresh})
        return self._of(lane, kept.values(), now)

    def subset(self, served: Snapshot, kept: Sequence[Admitted]) -> Snapshot:
        """Return what is left of a snapshot, dated like it, and keep its bytes in quarantine."""
        return self._of(served.lane, kept, served.created)

    def _of(self, lane: str, entries: Iterable[Admitted], now: datetime) -> Snapshot:
        admitted = tuple(sorted(entries, key=lambda a: a.artifact.purl))
        generated = []
        for page in self._pages.pages(admitted, self._read):
            self._quarantine.put_bytes(page.body)
            generated.append(
                Generated(
                    path=page.path, media_type=page.media_type, size=len(page.body), sha256=sha256(page.body)
                )
            )
        snapshot = Snapshot(
            format=SNAPSHOT_FORMAT,
            lane=lane,
            created=whole_second(now),
            admitted=admitted,
            generated=tuple(sorted(generated, key=lambda g: g.path)),
        )
        self._quarantine.put_bytes(encode(snapshot))
        return snapshot
