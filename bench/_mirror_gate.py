"""What one more artifact costs at the gate of a site that has many.

    python bench/_mirror_gate.py FOLDER COUNT

Prints one JSON object. The site is as two persons published it: locks, verdicts, their signatures, the
snapshot and its statement are real and on disk. Wheels are named and stand there without their bytes: a
gate opens none that it has. Then one wheel more goes the whole way, twice: the first publication under a
policy and a site root judges everything that is served, the next judges what is new.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from _mirror_kinds import wheel
from _mirror_publish import copied, memory_mb

from corpora.gates import START, Scripted, World
from lockgate.admit import ToInspect
from lockgate.admit.model import (
    CHANNELS,
    CROSSINGS,
    HISTORY,
    ChannelPointer,
    Crossing,
    Verdicts,
    crossing_key,
)
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages
from lockgate.approve import request
from lockgate.core.artifact import LOCK_FORMAT, Artifact, Lock
from lockgate.core.parts import snapshot_digest
from lockgate.core.sequence import CrossingState
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING, Operation
from lockgate.core.wire import encode
from lockgate.store import FileBlobs, open_records
from lockgate.trust.attest import INSPECTION, attest

IN_ONE = 20_000
"""How many artifacts one crossing brought."""

LINKS = 50_000
"""How many names one file gets: file systems bound it."""

T = TypeVar("T")


class Site:
    """A gate over a disk, and what its people do."""

    def __init__(self, folder: Path) -> None:
        """Begin with nothing published."""
        self.world = World()
        self.world.records = open_records(f"sqlite:///{folder}/records.sqlite")
        self.world.blobs, self.world.quarantine = (
            FileBlobs(folder / "blobs"),
            FileBlobs(folder / "quarantine"),
        )
        self.world.maker = MirrorPages()
        self._folder = folder

    def fill(self, count: int) -> None:
        """Have many artifacts published, some thousands a crossing."""
        entries: list[Admitted] = []
        last: Crossing | None = None
        for number in range(0, count, IN_ONE):
            artifacts = [wheel(each).artifact for each in range(number, min(number + IN_ONE, count))]
            last = self._crossed(number // IN_ONE + 1, artifacts)
            entries += [
                Admitted(
                    artifact=artifact,
                    crossing=last.sequence,
                    crate_sha256=last.crate_sha256,
                    verdicts_sha256=last.verdicts_sha256,
                    outcome="clean",
                )
                for artifact in artifacts
            ]
        self._stand(entries)
        world = self.world
        maker = SnapshotMaker(world.quarantine, world.blobs, MirrorPages())
        snapshot = copied(maker.make("test", (), entries, START), frozenset(), world.quarantine, world.blobs)
        for each in {entry.verdicts_sha256 for entry in entries}:
            world.blobs.put_bytes(world.quarantine.read(each))
        statement = world.gate._statement(  # noqa: SLF001 - what it would have asked for
            Operation.PUBLISH, last, "stable", world.operator, snapshot_digest(snapshot)
        )
        asked = request(statement, world.operator, world.site, world.now)
        pointer = ChannelPointer(
            version=1,
            snapshot_sha256=snapshot_digest(snapshot),
            statement_sha256=world.blobs.put_bytes(world.signed(asked, "ap-1", "ap-2")),
            previous_sha256=NOTHING,
            published=START,
        )
        with world.records.transaction() as tx:
            tx.put(CHANNELS, "stable", encode(pointer))
            tx.put(HISTORY, f"stable:{pointer.snapshot_sha256}", encode(pointer))

    def _stand(self, entries: list[Admitted]) -> None:
        """Give each file its name in the store."""
        root, source = self._folder / "blobs", self._folder / "wheel"
        for number in range(256):
            (root / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        for number, entry in enumerate(entries):
            if number % LINKS == 0:
                source = source.with_name(f"wheel{number}")
                source.write_bytes(b"")
            digest = entry.artifact.files[0].sha256
            os.link(source, root / digest[:2] / digest)

    def _crossed(self, sequence: int, artifacts: list[Artifact]) -> Crossing:
        """Put a crossing on record as it was inspected and published."""
        world, crate = self.world, hashlib.sha256(b"crate%d" % sequence).hexdigest()
        lock = Lock(
            format=LOCK_FORMAT,
            lane="test",
            created=START,
            manifest_sha256=NOTHING,
            artifacts=tuple(artifacts),
        )
        items = [ToInspect(a, f, self._folder) for a in artifacts for f in a.files]
        verdicts = Verdicts(
            crossing=sequence, crate_sha256=crate, inspected=START, verdicts=tuple(Scripted().inspect(items))
        )
        subjects = {verdict.path: verdict.sha256 for verdict in verdicts.verdicts}
        crossing = Crossing(
            sequence=sequence,
            crate_id=f"crate-{sequence:06d}",
            crate_sha256=crate,
            lock_sha256=world.quarantine.put_bytes(encode(lock)),
            received=START,
            state=CrossingState.PUBLISHED,
            verdicts_sha256=world.quarantine.put_bytes(encode(verdicts)),
            attestation_sha256=world.quarantine.put_bytes(
                attest(subjects, INSPECTION, verdicts, world.inspector)
            ),
        )
        with world.records.transaction() as tx:
            tx.insert(CROSSINGS, crossing_key(sequence), encode(crossing))
        return crossing

    def one_more(self, number: int, sequence: int) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield the steps of publishing one wheel more, each with its name."""
        world, gate = self.world, self.world.gate
        artifact = wheel(number).artifact
        data = b"%d" % number
        said: dict[str, bytes] = {}

        def arrive() -> None:
            world.quarantine.put_bytes(data)
            lock = Lock(
                format=LOCK_FORMAT, lane="test", created=START, manifest_sha256=NOTHING, artifacts=(artifact,)
            )
            crate = hashlib.sha256(b"crate%d" % sequence).hexdigest()
            gate.quarantined(
                sequence, f"crate-{sequence:06d}", crate, world.quarantine.put_bytes(encode(lock))
            )

        def ask() -> None:
            said["request"] = gate.request(sequence, "stable", world.operator)

        def approve() -> None:
            said["approved"] = world.signed(said["request"], "ap-1", "ap-2")

        yield "received", arrive
        yield "inspected", lambda: gate.inspect(sequence, Scripted())
        yield "asked for", ask
        yield "shown", lambda: gate.differ.draw(gate.crossing(sequence), "stable")
        yield "approved", approve
        yield "published", lambda: gate.execute(said["approved"])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of a piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Fill a site, publish one more twice, and print what each step took."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder)
    site.fill(count)
    first = -(-count // IN_ONE) + 1
    steps = [
        {name: timed(work) for name, work in site.one_more(count + turn, first + turn)} for turn in range(2)
    ]
    print(json.dumps({"steps": steps, "most_mb": memory_mb()}))


if __name__ == "__main__":
    main()
