"""A production lane with a transfer station: a recipient of its own, a key that signs what a scanner says."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from corpora.ceremony import Ceremony
from corpora.commands import Ran
from corpora.scanners import MARK, clam_data, clamscan, program
from lockgate.core.policy import Policy, StationRule
from lockgate.core.profiles import PROFILES
from lockgate.core.wire import encode

RULE = StationRule(scanners=("clamav",), database_age=86400)
STATION = "station-1"


def policy(rule: StationRule = RULE, **more: object) -> Policy:
    base = msgspec.structs.replace(PROFILES["small-team"].policy(), approvers=2)
    return msgspec.structs.replace(base, station=rule, **more)


@dataclass
class StationLane(Ceremony):
    """A lane whose policy demands a station's report."""

    demanded: Policy | None = None

    @property
    def station(self) -> Path:
        return self.folder / "station"

    def site(self) -> Path:
        cards = [self.card("site-root", person) for person in ("dora", "eli", "fay")]
        cards += [self.card("approver", person) for person in ("gus", "hal", "ivy")]
        cards += [self.card("operator", "ora")]
        for purpose in ("inspector", "log", "recipient"):
            cards.append(self.card(purpose, f"gate-{purpose}", self.high / "keys", "high"))
        for purpose in ("scanner", "recipient"):
            cards.append(self.card(purpose, STATION, self.station / "keys", "station"))
        rules = self.folder / "policy.json"
        rules.write_bytes(encode(self.demanded or policy()))
        return self.init("site", cards, "--threshold", "site-root=2", "--policy", rules)

    def make(self) -> "StationLane":
        supply = self.sign(self.supply(), "ann", "bob")
        site = self.sign(self.site(), "dora", "eli")
        for side in ("low", "high", "station"):
            self.join(side, supply, site)
        self.settings(clam_data(self.folder / "data"))
        return self

    def settings(self, data: Path, **more: str) -> None:
        """Name ClamAV in the station's settings."""
        keys = {
            "adapter": "command",
            "scanner": "clamav",
            "version_command": f"{program('clamscan')} --version",
            "database": str(data),
            "command": clamscan(data),
            "largest_bytes": 4 << 20,
            **more,
        }
        text = (self.station / "lockgate.toml").read_text().partition("\n[station]")[0]
        lines = [f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in keys.items()]
        (self.station / "lockgate.toml").write_text("\n".join([text, "[station]", *lines, ""]))

    def cross(self, *texts: str, more: tuple[object, ...] = ()) -> Path:
        """Collect documents, seal them, and carry the crate to the station and to the high side."""
        documents = self.folder / "documents"
        shutil.rmtree(documents, ignore_errors=True)
        documents.mkdir()
        for number, text in enumerate(texts):
            (documents / f"{number:02d}.md").write_text(f"# Note {number}\n\n{text}\n")
        manifest = self.folder / "manifest.toml"
        manifest.write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
        self.commands.json("collect", manifest, "--offline", "--home", self.low)
        crate = Path(self.commands.json("seal", "--home", self.low, *more)["path"])
        for side in (self.station, self.high):
            shutil.copytree(crate, side / "inbox" / crate.name)
        return self.station / "inbox" / crate.name

    def scan(self, crate: Path, *more: object) -> Ran:
        return self.commands.run("station", "scan", crate, "--home", self.station, "--json", *more)

    def scanned(self, crate: Path, status: int = 0) -> Any:
        ran = self.scan(crate)
        assert ran.status == status, ran.err + ran.out
        return ran.value

    def receive(self, crate: Path) -> int:
        there = self.high / "inbox" / crate.name
        return int(self.commands.json("receive", there, "--home", self.high)["sequence"])

    def record(self, sequence: int, report: object) -> Ran:
        return self.commands.run("station", "record", sequence, report, "--home", self.high, "--json")

    def inspect(self, sequence: int) -> Any:
        return self.commands.json("gate", "inspect", sequence, "--home", self.high)


BAD = f"This note has {MARK.decode()} in it."
