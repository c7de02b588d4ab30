"""A high side on disk with its gate and its people; what tests of backup and restore start from."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from corpora.gates import Scripted
from lockgate.app.gate.gate import execute, open_gate, operator_key
from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.record.backup import OpenedBackup, make_backup
from lockgate.app.record.restore import Floor, Restoration, ask, prepare, restore
from lockgate.app.settings import Side, load_settings
from lockgate.app.stores import records_of
from lockgate.app.trust import signer_from, site_root, utc_now
from lockgate.approve import approve
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.ports import Silent
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.core.wire import encode, whole_second
from lockgate.crossing.ledger import LEDGER, ledger_key
from lockgate.store import FileBlobs


def crate(sequence: int) -> str:
    return sha256(b"crate%d" % sequence).hexdigest()


@dataclass
class HighSide:
    """A high side whose crossings arrive without a crate."""

    lane: NewLane
    folder: Path

    @classmethod
    def new(cls, folder: Path) -> "HighSide":
        return cls(make_demo_lane(folder / "lane", "harbour", utc_now()), folder)

    @property
    def side(self) -> Side:
        return load_settings(self.lane.high)

    @classmethod
    def with_model(cls, folder: Path) -> "HighSide":
        """Return one that serves a model of seven bytes, `small`."""
        made = cls.new(folder)
        digest = FileBlobs(made.side.home.quarantine).put_bytes(b"weights")
        path = "models/tests/small/weights.gguf"
        small = Artifact(
            purl=f"pkg:huggingface/tests/small@{'a' * 40}",
            kind=Kind.MODEL,
            name="tests/small",
            version="a" * 40,
            files=(ArtifactFile(path=path, role=Role.WEIGHTS, size=7, sha256=digest),),
            attributes={"task": "chat"},
        )
        made.arrive_with(1, small)
        execute(made.side, made.ask_to_publish(1))
        return made

    def arrive(self, sequence: int, *names: str) -> None:
        quarantine = FileBlobs(self.side.home.quarantine)
        artifacts = []
        for name in names:
            digest = quarantine.put_bytes(name.encode())
            file = ArtifactFile(path=f"documents/{name}", role=Role.DOCUMENT, size=len(name), sha256=digest)
            purl = f"pkg:generic/{name}@1"
            artifacts.append(Artifact(purl=purl, kind=Kind.DOCUMENT, name=name, version="1", files=(file,)))
        self.arrive_with(sequence, *artifacts)

    def arrive_with(self, sequence: int, *artifacts: Artifact) -> None:
        """Let artifacts arrive whose bytes lie in quarantine already."""
        side = self.side
        quarantine = FileBlobs(side.home.quarantine)
        lock = Lock(
            format=LOCK_FORMAT,
            lane=side.lane,
            created=whole_second(utc_now()),
            manifest_sha256="0" * 64,
            artifacts=artifacts,
        )
        entry = LedgerEntry(
            sequence=sequence,
            crate_sha256=crate(sequence),
            state=CrossingState.RECORDED,
            previous_sha256=crate(sequence - 1) if sequence > 1 else "0" * 64,
        )
        records = records_of(side)
        with records.transaction() as tx:
            tx.insert(LEDGER, ledger_key(sequence), encode(entry))
        records.close()
        digest = quarantine.put_bytes(encode(lock))
        open_gate(side).quarantined(sequence, f"crate-{sequence:06d}-abcdef", crate(sequence), digest)

    def ask_to_publish(self, sequence: int) -> list[Path]:
        gate = open_gate(self.side)
        gate.inspect(sequence, Scripted())
        return self.signed(gate.request(sequence, "stable", self.operator), f"publish-{sequence}")

    def publish(self, sequence: int, *names: str) -> None:
        self.arrive(sequence, *names)
        execute(self.side, self.ask_to_publish(sequence))

    @property
    def operator(self):
        return operator_key(self.side, self.lane.people["operator"])

    def signed(
        self, request: bytes, name: str, people: Sequence[str] = ("approver-1", "approver-2")
    ) -> list[Path]:
        side, files = self.side, []
        site = site_root(side, None)
        for person in people:
            files.append(self.folder / f"{name}.{person}.json")
            signer = signer_from(self.lane.people[person], Purpose.APPROVER, site)
            files[-1].write_bytes(approve(request, signer, site, utc_now()))
        return files

    def backup(self, name: str = "backup", *, with_blobs: bool = True) -> OpenedBackup:
        return make_backup(self.side, self.folder / name, self.operator, Silent(), with_blobs=with_blobs)

    def lose(self, *names: str) -> None:
        """Lose files and folders of the home; without names, all that it remembers."""
        for name in names or ("records.sqlite", "audit.sqlite", "channels", "blobs"):
            for path in self.lane.high.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def ask_to_restore(self, floor: Floor = Floor(), name: str = "backup") -> list[Path]:  # noqa: B008
        return self.signed(
            ask(self.side, prepare(self.side, self.folder / name, floor), self.operator), "restore"
        )

    def restore(self, floor: Floor = Floor(), name: str = "backup") -> Restoration:  # noqa: B008
        return restore(self.side, self.folder / name, floor, self.ask_to_restore(floor, name))

    def records(self) -> dict[tuple[str, str], bytes]:
        held = records_of(self.side)
        with held.transaction() as tx:
            found = {(c, k): v for c in tx.collections() for k, v in tx.scan(c)}
        held.close()
        return found
