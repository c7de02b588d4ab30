"""A demo lane as its people use it, by commands alone: what tests start from that kill the commands."""

import base64
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.commands import Commands, Ran
from lockgate.app.gate.gate import open_gate
from lockgate.app.settings import load_settings
from lockgate.app.trust import site_root
from lockgate.approve import ChannelReader, VerifiedChannel
from lockgate.crossing.ledger import SEALED
from lockgate.store import FileBlobs, open_records
from lockgate.trust.attest import DERIVATION

MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MANIFEST = '[[documents]]\ncollection = "notes"\nfolder = "documents"\n'
VOLUME = 2 << 20
OPERATIONS = ("seal", "receive", "publish")


def _is_attestation(path: Path) -> bool:
    """Tell whether a blob is a signed statement (in-toto) that publishing makes: who let in, which form."""
    data = path.read_bytes()
    if not data.startswith(b'{"payload":"eyJfdHlwZSI6'):  # base64 of ``{"_type":``
        return False
    said = json.loads(base64.b64decode(json.loads(data)["payload"]))
    return "blobs" in path.parts or said["predicateType"] == DERIVATION


@dataclass(frozen=True)
class WholeLane:
    """A folder with `low`, `high` and `people`; crossing 1 is published, crossing 2 is on its way."""

    folder: Path

    @property
    def low(self) -> Path:
        return self.folder / "lane/low"

    @property
    def high(self) -> Path:
        return self.folder / "lane/high"

    @classmethod
    def make(cls, folder: Path) -> "WholeLane":
        """Make a lane whose first crossing is published and whose second one is collected."""
        lane = cls(folder)
        lockgate = Commands().json
        (folder / "documents").mkdir(parents=True)
        (folder / "manifest.toml").write_text(MANIFEST)
        lockgate("lane", "init", folder / "lane", "--name", "plant")
        settings = lane.low / "lockgate.toml"
        settings.write_text(re.sub(r"volume_bytes = \d+", f"volume_bytes = {VOLUME}", settings.read_text()))
        lane.collect("01-pump.md", "The pump has two valves.")
        lane.demand(lane.run("seal"))
        lane.carry(1)
        lane.demand(lane.run("receive"))
        lane.ask(1)
        lane.demand(lane.run("publish"))
        lane.collect("02-valve.md", "A valve opens. " * 150_000)
        return lane

    def collect(self, name: str, text: str) -> None:
        """Collect one more document on the low side."""
        (self.folder / "documents" / name).write_text(f"# {name}\n\n{text}\n")
        Commands().json("collect", self.folder / "manifest.toml", "--offline", "--home", self.low)

    def before(self, operation: str) -> None:
        """Bring the second crossing to where an operation is next."""
        if operation == "seal":
            return
        self.demand(self.run("seal"))
        self.carry(2)
        if operation == "publish":
            self.demand(self.run("receive"))
            self.ask(2)

    def carry(self, sequence: int) -> None:
        """Carry a crate from the outbox to the inbox."""
        (crate,) = (self.low / "outbox").glob(f"crate-{sequence:06d}-*")
        shutil.copytree(crate, self.high / "inbox" / crate.name)

    def ask(self, sequence: int) -> None:
        """Inspect and request a crossing, and have two persons approve it."""
        high, lockgate = ("--home", self.high), Commands().json
        lockgate("gate", "inspect", sequence, *high)
        asked = lockgate("gate", "request", sequence, "--key", self.folder / "lane/people/operator", *high)
        pin = lockgate("config", "show", *high)["trust"]["site_pin"]
        root = ("--site-root", self.high / "trust/site.dsse.json", "--pin", pin, "--yes")
        for n in (1, 2):
            key = ("--key", self.folder / f"lane/people/approver-{n}", "--out", self.approval(n))
            lockgate("approve", asked["request"], *key, *root, "--state", self.folder / "state")

    def approval(self, number: int) -> Path:
        return self.folder / f"approved-{number}.json"

    def run(self, operation: str) -> Ran:
        """Carry out an operation by its command, in this process."""
        if operation == "seal":
            words: tuple[Any, ...] = ("seal", "--home", self.low)
        elif operation == "receive":
            crate = max((self.high / "inbox").iterdir())
            words = ("receive", crate, "--home", self.high)
        else:
            for n in (1, 2):
                assert self.approval(n).is_file()
            words = ("gate", "publish", self.approval(1), self.approval(2), "--home", self.high)
        return Commands().run(*words, "--json")

    @staticmethod
    def demand(ran: Ran) -> Ran:
        assert ran.status == 0, ran.err
        return ran

    def served(self) -> VerifiedChannel:
        """Read the channel as a mirror does, and every byte that it names."""
        side = load_settings(self.high)
        blobs = FileBlobs(side.home.blobs)
        file = side.home.channels / "stable.dsse.json"
        verified = ChannelReader(site_root(side, None), "stable", file, blobs).current()
        named = [file for admitted in verified.snapshot.admitted for file in admitted.artifact.files]
        for each in (*named, *verified.snapshot.generated):
            assert len(blobs.read(each.sha256)) == each.size
        return verified

    def state(self) -> dict[str, Any]:
        """Return what the high side holds; moments are masked, they are those of the run."""
        side = load_settings(self.high)
        open_gate(side)  # as the next command does: it completes what a crash left
        records = open_records(side.home.records_url)
        try:
            with records.transaction() as tx:
                rows = {c: {k: MOMENT.sub(b"", v) for k, v in tx.scan(c)} for c in tx.collections()}
        finally:
            records.close()
        # Attestations are signed anew by each run: one blob more after a kill, which nothing names.
        attested, derived = rows.pop("admission", {}), rows.pop("derived", {})
        for folder, kept in ((side.home.blobs, attested), (side.home.quarantine, derived)):
            for digest in kept.values():
                assert (folder / digest[:2].decode() / digest.decode()).is_file()
        names = ("blobs", "quarantine", "channels", "inbox", "trust")
        files = {
            str(path.relative_to(self.high))
            for name in names
            for path in (self.high / name).rglob("*")
            if path.is_file() and not path.name.startswith(".") and not _is_attestation(path)
        }
        channels = {p.name: p.read_bytes() for p in (self.high / "channels").glob("*.json")}
        return {
            "rows": rows,
            "files": files,
            "channels": channels,
            "attested": [sorted(attested), sorted(derived)],
        }

    def crates(self) -> list[Path]:
        """Return what the low side finished, oldest first."""
        return sorted((self.low / "outbox").glob("crate-*"))

    def sealed(self) -> dict[str, bytes]:
        """Return the low side's ledger."""
        records = open_records(load_settings(self.low).home.records_url)
        try:
            with records.transaction() as tx:
                return dict(tx.scan(SEALED))
        finally:
            records.close()
