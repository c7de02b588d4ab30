"""Sites for mirrors whose snapshots are made as the gate makes them, in parts or as one document."""

from corpora.mirrorsite import START, MirrorSite, statement_for
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.parts import parts_of
from lockgate.core.wire import encode


class SpreadSite(MirrorSite):
    """A site whose snapshots are in parts."""

    parted_from = 0

    def snapshot(self):
        making = SnapshotMaker(self.blobs, self.blobs, MirrorPages(), parted_from=self.parted_from)
        return making.make("test", (), self.entries, START)

    def publish(self, **changes):
        self.version += 1
        statement = statement_for(self.snapshot(), self.version, **changes)
        self.write_channel(encode(statement))
        return statement

    def part(self, key):
        """Return the file of the newest snapshot's part."""
        view = self.view()
        view.refresh()
        return self.blobs.path(parts_of(view.table.snapshot).name(key).sha256)


class FlatSite(SpreadSite):
    """A site whose snapshots are one document."""

    parted_from = 1_000_000

    def publish(self, **changes):
        self.blobs.put_bytes(encode(self.snapshot()))
        return super().publish(**changes)
