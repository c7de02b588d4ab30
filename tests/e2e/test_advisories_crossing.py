"""Advisory data the whole way: a folder on the low side, a crossing, the high side's shelf, a hold."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from corpora import inspection_content as make
from corpora.advisories import osv
from corpora.commands import Commands
from corpora.rulebook import rules_text
from corpora.wholelane import WholeLane
from lockgate.core.wire import stamp

RULE = '[[rule]]\nname = "known"\necosystems = ["pypi"]\nmaximum_advisory = "medium"\nhold_unknown = true'
MANIFEST = """
[[advisories]]
name = "osv-pypi"
url = "osv"
{more}"""
PYTHON = """
[[python]]
requirements = ["lock-demo=={version}"]
find_links = ["wheels"]
"""
SEVERE = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]


def record(identifier: str, *, fixed: str) -> dict[str, Any]:
    recent = stamp(datetime.now(UTC) - timedelta(days=2))
    events = (("introduced", "0"), ("fixed", fixed))
    return osv(identifier, "lock-demo", *events, modified=recent, severity=SEVERE)


class Way(WholeLane):
    """A lane whose crossings are made of a manifest that a test writes."""

    @property
    def home(self) -> tuple[str, Path]:
        return "--home", self.high

    def manifest(self, more: str = "") -> None:
        (self.folder / "manifest.toml").write_text(MANIFEST.format(more=more))

    def advise(self, *records: dict[str, Any]) -> None:
        folder = self.folder / "osv" / "PyPI"
        folder.mkdir(parents=True, exist_ok=True)
        for each in records:
            (folder / f"{each['id']}.json").write_text(json.dumps(each))

    def offer(self, version: str) -> None:
        folder = self.folder / "wheels"
        folder.mkdir(exist_ok=True)
        name = f"lock_demo-{version}-py3-none-any.whl"
        (folder / name).write_bytes(make.zipped(make.wheel_members(version=version)))

    def cross(self, sequence: int) -> None:
        """Collect, seal, carry, receive."""
        Commands().json("collect", self.folder / "manifest.toml", "--offline", "--home", self.low)
        self.demand(self.run("seal"))
        self.carry(sequence)
        self.demand(self.run("receive"))

    def sign(self, words: tuple[object, ...], request: Path) -> list[Path]:
        """Have two persons sign a request."""
        pin = Commands().json("config", "show", *self.home)["trust"]["site_pin"]
        root = ("--site-root", self.high / "trust/site.dsse.json", "--pin", pin, "--yes")
        signed = [self.folder / f"{request.stem}.{n}.json" for n in (1, 2)]
        for n, out in enumerate(signed, 1):
            key = ("--key", self.folder / f"lane/people/approver-{n}", "--out", out)
            Commands().json(*words, request, *key, *root, "--state", self.folder / "state")
        return signed

    def demand_rule(self) -> None:
        file = self.folder / "rules.toml"
        file.write_text(rules_text(RULE))
        key = ("--key", self.folder / "lane/people/operator")
        asked = Path(Commands().json("policy", "propose", file, *key, *self.home)["request"])
        signed = self.sign(("policy", "sign", "--document", file), asked)
        Commands().json("policy", "activate", file, *signed, *self.home)

    def held(self, sequence: int) -> dict[str, str]:
        found = Commands().json("gate", "inspect", sequence, *self.home)["held"]
        return {each["purl"]: each["reason"] for each in found}


@pytest.fixture
def way(tmp_path: Path) -> Way:
    """A lane that admitted advisory data, loaded it, and then demanded that nothing above medium enters."""
    lane = Way(tmp_path)
    Commands().json("lane", "init", tmp_path / "lane", "--name", "plant")
    lane.advise(record("A-1", fixed="2"))
    lane.manifest()
    lane.cross(1)
    lane.ask(1)
    lane.demand(lane.run("publish"))
    loaded = Commands().json("advisories", "load", "--admitted", *lane.home)
    assert [(each["name"], each["records"]) for each in loaded["sources"]] == [("osv-pypi", 1)]
    lane.demand_rule()
    return lane


def test_what_a_folder_on_the_low_side_says_holds_a_package_on_the_high_side(way: Way) -> None:
    way.offer("1")
    way.manifest(PYTHON.format(version="1"))
    way.cross(2)
    held = way.held(2)
    assert list(held) == ["pkg:pypi/lock-demo@1"]
    assert "A-1 is critical; the policy allows medium" in held["pkg:pypi/lock-demo@1"]
    key = ("--key", way.folder / "lane/people/operator")
    status, error = Commands().refused("gate", "request", 2, *key, *way.home)
    assert (status != 0, error["code"]) == (True, "LG-3801")
    way.offer("2")
    way.manifest(PYTHON.format(version="2"))
    way.cross(3)
    assert way.held(3) == {}, "the fixed version enters"
    way.ask(3)
    way.demand(way.run("publish"))
    served = {a.artifact.purl for a in way.served().snapshot.admitted}
    assert "pkg:pypi/lock-demo@2" in served
    assert "pkg:pypi/lock-demo@1" not in served


@pytest.mark.slow
def test_newer_records_from_the_folder_take_the_place_of_older_ones(way: Way) -> None:
    way.advise(record("A-2", fixed="3"))
    way.manifest()
    way.cross(2)
    way.ask(2)
    way.demand(way.run("publish"))
    loaded = Commands().json("advisories", "load", "--admitted", *way.home)
    assert [each["records"] for each in loaded["sources"]] == [2]
    ran = Commands().run("advisories", "match", "--purl", "pkg:pypi/lock-demo@2", *way.home, "--json")
    assert [each["id"] for each in ran.value["answers"][0]["found"]] == ["A-2"]
    assert ran.status != 0, "something is known against it"
