"""A production lane made by its holders, each in a folder of their own, through the commands alone."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.commands import Commands, Ran

LANE = "plant-2"
SUPPLY_HOLDERS = ("ann", "bob", "cay")
SITE_HOLDERS = ("dora", "eli", "fay")
APPROVERS = ("gus", "hal", "ivy")
LOW = ("collector", "sealer", "targets", "snapshot", "timestamp")


@dataclass
class Ceremony:
    """The people and their machines: one folder for each, and nothing shared but documents."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)  # person → address of a key in a token
    commands: Commands = field(default_factory=Commands)

    def by(self, person: str) -> Commands:
        """Return the command line on somebody's machine."""
        return self.commands

    def home(self, person: str) -> Path:
        return self.folder / person

    @property
    def low(self) -> Path:
        return self.folder / "low"

    @property
    def high(self) -> Path:
        return self.folder / "high"

    def key(self, person: str) -> str:
        return self.keys.get(person, str(self.home(person) / "keys"))

    def card(self, purpose: str, person: str, key: str | Path | None = None, machine: str = "") -> Path:
        """Make a card where the person is, and give it to the table."""
        name = f"{person}-{purpose}"
        own = self.home(person) / f"{name}.card"
        place = key or self.key(person)
        made = ("--purpose", purpose, "--person", person, "--lane", LANE, "--key", place, "--out", own)
        self.by(machine or person).json("root", "card", *made)
        return self.carry(own, f"table/{name}.card")

    def carry(self, document: Path, to: str) -> Path:
        """Give somebody a copy of a document."""
        target = self.folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(document, target)
        return target

    def sign(self, document: Path, *people: str, after: Path | None = None) -> Path:
        """Hand a document round: each holder signs a copy alone and hands on what they signed."""
        for person in people:
            ran = self.try_sign(document, person, after)
            assert ran.status == 0, ran.err
            document = self.home(person) / f"signed-{document.name}"
        return self.carry(document, f"table/{document.name.replace('signed-', '')}")

    def try_sign(self, document: Path, person: str, after: Path | None = None) -> Ran:
        got = self.carry(document, f"{person}/{document.name}")
        out = self.home(person) / f"signed-{document.name}"
        more = ("--after", self.carry(after, f"{person}/before.json")) if after else ()
        words = ("root", "sign", got, "--key", self.key(person), "--out", out, "--yes", "--json")
        return self.by(person).run(*words, *more)

    def init(self, kind: str, cards: list[Path], *more: object) -> Path:
        out = self.folder / f"table/{kind}.json"
        listed = [word for card in cards for word in ("--card", card)]
        self.commands.json("root", "init", "--kind", kind, "--lane", LANE, "--out", out, *listed, *more)
        return out

    def supply(self) -> Path:
        cards = [self.card("supply-root", person) for person in SUPPLY_HOLDERS]
        cards += [self.card(purpose, f"low-{purpose}", self.low / "keys", "low") for purpose in LOW]
        return self.init("supply", cards, "--threshold", "supply-root=2")

    def site(self) -> Path:
        cards = [self.card("site-root", person) for person in SITE_HOLDERS]
        cards += [self.card("approver", person) for person in APPROVERS]
        cards += [self.card("operator", "ora")]
        cards += [
            self.card(p, f"gate-{p}", self.high / "keys", "high") for p in ("inspector", "log", "recipient")
        ]
        return self.init("site", cards, "--threshold", "site-root=2")

    def make(self) -> "Ceremony":
        """Make both roots and both sides."""
        supply = self.sign(self.supply(), "ann", "bob")
        site = self.sign(self.site(), "dora", "eli")
        for side in ("low", "high"):
            self.join(side, supply, site)
        return self

    def join(self, side: str, supply: Path, site: Path) -> Any:
        roots = ("--supply", supply, "--site", site, "--home", self.folder / side)
        return self.by(side).json("lane", "join", "--side", side, *roots, "--yes")

    def collect(self, text: str) -> None:
        documents = self.folder / "documents"
        documents.mkdir(exist_ok=True)
        (documents / "01-pump.md").write_text(f"# Pump\n\n{text}\n")
        manifest = self.folder / "manifest.toml"
        manifest.write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
        self.by("low").json("collect", manifest, "--offline", "--home", self.low)

    def seal(self) -> Path:
        """Seal what was collected and carry the crate to the inbox."""
        crate = Path(self.by("low").json("seal", "--home", self.low)["path"])
        target = self.high / "inbox" / crate.name
        shutil.copytree(crate, target)
        return target

    def request(self, sequence: int) -> Path:
        own = ("--key", self.key("ora"), "--home", self.high)
        return Path(self.by("high").json("gate", "request", sequence, *own)["request"])

    @property
    def site_roots(self) -> list[Path]:
        later = sorted(self.high.glob("trust/*.site.dsse.json"))
        return [self.high / "trust/site.dsse.json", *later]

    def approve(self, request: Path, *people: str) -> list[Path]:
        """Have people approve on their own machines."""
        out = []
        for person in people:
            roots = [word for root in self.site_roots for word in ("--site-root", root)]
            trusted = (*roots, "--pin", self.site_pin, "--state", self.home(person) / "seen")
            target = request.with_suffix(f".{person}.json")
            ran = self.by(person).run(
                "approve", request, "--key", self.key(person), *trusted, "--yes", "--out", target
            )
            assert ran.status == 0, ran.err
            out.append(target)
        return out

    @property
    def site_pin(self) -> str:
        return self.commands.json("config", "show", "--home", self.high)["trust"]["site_pin"]

    def publish(self, sequence: int, *people: str) -> Any:
        signed = self.approve(self.request(sequence), *people)
        return self.by("high").json("gate", "publish", *signed, "--home", self.high)

    def cross(self, text: str, *people: str) -> int:
        """Bring a document across and publish it; return the crossing's number."""
        self.collect(text)
        received = self.by("high").json("receive", self.seal(), "--home", self.high)
        sequence = int(received["sequence"])
        self.by("high").json("gate", "inspect", sequence, "--home", self.high)
        self.publish(sequence, *people)
        return sequence

    def keyid(self, person: str, purpose: str, kind: str = "site") -> str:
        """Return the id of a person's key, from the high side's newest root."""
        for root in self.commands.json("root", "show", "--home", self.high):
            if root["kind"] == kind:
                for keyid, held in root["keys"].items():
                    if (held["person"], held["purpose"]) == (person, purpose):
                        return keyid
        raise LookupError(person)

    def root_file(self, kind: str, version: int) -> Path:
        """Return the high side's file of a root's version."""
        if kind == "supply":
            return self.high / f"trust/{version}.root.json"
        name = "site.dsse.json" if version == 1 else f"{version}.site.dsse.json"
        return self.high / "trust" / name

    def install(self, document: Path, *sides: str) -> Any:
        done = None
        for side in sides:
            done = self.commands.json("root", "install", document, "--yes", "--home", self.folder / side)
        return done
