"""Custody by commands: packed, handed over, received, recorded, shown to approvers, bound by them."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from corpora.commands import Commands, Ran
from lockgate.app.crossing import custody
from lockgate.app.high.console import Readings
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.settings import load_settings
from lockgate.app.trust import signer_from, site_root
from lockgate.console.home import HomeData
from lockgate.core.policy import CustodyRule
from lockgate.core.roots import Purpose
from lockgate.trust.roots import sign_site_root, site_root_pin

SEALS = ("--seal", "a104 311", "--seal", "A104312")
LOW, HIGH = ("--place", "Low counter"), ("--place", "High counter")


def demand(lane: Path, rule: CustodyRule) -> None:
    """Put a rule for custody into a lane's policy: a site root signed anew, pinned on both sides."""
    low, high = load_settings(lane / "low"), load_settings(lane / "high")
    old = site_root(high, None)
    new = msgspec.structs.replace(old, policy=msgspec.structs.replace(old.policy, custody=rule))
    holders = [signer_from(lane / f"people/site-holder-{n}", Purpose.SITE_ROOT, old) for n in (1, 2)]
    envelope = sign_site_root(new, holders)
    for side in (low, high):
        (side.home.trust / "site.dsse.json").write_bytes(envelope)
        text = side.home.config.read_text().replace(side.settings.trust.site_pin, site_root_pin(envelope))
        side.home.config.write_text(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lane that demands custody, with two crates in the outbox."""
    folder = tmp_path_factory.mktemp("custody")
    (folder / "documents").mkdir()
    (folder / "documents/01-pump.md").write_text("# Pump\n\nThe pump has two valves.\n")
    (folder / "manifest.toml").write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
    make_demo_lane(folder / "lane", "plant", datetime.now(UTC))
    demand(folder / "lane", CustodyRule(maximum_seconds=3600))
    run = Commands().json
    run("collect", folder / "manifest.toml", "--offline", "--home", folder / "lane/low")
    for _ in range(2):
        run("seal", "--home", folder / "lane/low")
    return folder


class Counters:
    """Both counters of a lane, by commands."""

    def __init__(self, folder: Path) -> None:
        self.lane, self.run = folder / "lane", Commands()
        self.low, self.high = ("--home", self.lane / "low"), ("--home", self.lane / "high")
        self.crates = sorted((self.lane / "low/outbox").glob("crate-*"))
        self.chain = self.lane / "chain.json"

    def key(self, person: str) -> tuple[object, ...]:
        return ("--key", self.lane / "people" / person)

    def begin(self, n: int = 0, *more: object) -> Any:
        words = ("--medium", "bd-0017", *SEALS, "--out", self.chain, *LOW, *self.key("clerk-low"), *self.low)
        return self.run.json("custody", "begin", self.crates[n], *words, *more)

    def hand(self, to: str, *more: object, seals: tuple[str, ...] = SEALS) -> Ran:
        words = (self.chain, "--to", to, *seals, *LOW, *self.key("clerk-low"), *self.low, "--json")
        return self.run.run("custody", "hand", *words, *more)

    def receive(self, giver: str, *more: object, seals: tuple[str, ...] = SEALS) -> Ran:
        words = (self.chain, "--from", giver, *seals, *HIGH, *self.key("clerk-high"), *self.high, "--json")
        return self.run.run("custody", "receive", *words, *more)

    def arrive(self, n: int = 0) -> None:
        there = self.lane / "high/inbox" / self.crates[n].name
        shutil.copytree(self.crates[n], there)
        self.run.json("receive", there, *self.high)
        self.run.json("gate", "inspect", n + 1, *self.high)

    def request(self, n: int = 1) -> tuple[object, ...]:
        return ("gate", "request", n, *self.key("operator"), *self.high)

    def record(self, n: int = 1) -> tuple[object, ...]:
        return ("custody", "record", n, self.chain, *self.high)


@pytest.fixture
def counters(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counters:
    shutil.copytree(made / "lane", tmp_path / "lane")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Counters(tmp_path)


def test_a_package_goes_the_whole_way(counters: Counters, tmp_path: Path) -> None:
    first = counters.begin()
    assert (first["handover"]["seals"], first["handover"]["media"]) == (["A104311", "A104312"], ["BD-0017"])
    assert counters.hand("courier-7").value["step"] == 1
    counters.arrive()
    assert counters.run.refused(*counters.request())[1]["code"] == "LG-3850"
    slip = custody.short_code(1, first["handover"]["crate_sha256"])
    done = counters.receive("courier-7", "--slip", slip.lower(), "--crate", counters.crates[0])
    assert done.value["site_signers"] == ["clerk-high"]
    assert counters.run.json(*counters.record())["handovers"] == 3
    shown = counters.run.json("custody", "show", 1, *counters.high)
    assert (shown["findings"], len(shown["chain"])) == ([], 3)
    drawn = counters.run.run("custody", "show", 1, *counters.high).out
    assert re.search(r"clerk-low → courier-7 .*\n.*\n.*\n.*\n.*courier-7 → clerk-high", drawn)
    assert "an unbroken chain, nothing found" in drawn
    page = HomeData(Readings(load_settings(counters.lane / "high"))).custody(1)
    assert msgspec.json.decode(msgspec.json.encode(page)) == shown
    asked = counters.run.json(*counters.request())
    report = Path(asked["request"]).with_suffix(".custody.json")
    assert msgspec.json.decode(report.read_bytes())["chain"] == shown["chain"]
    pin = counters.run.json("config", "show", *counters.high)["trust"]["site_pin"]
    root = ("--site-root", counters.lane / "high/trust/site.dsse.json", "--pin", pin, "--yes")
    signed = []
    for person in ("approver-1", "approver-2"):
        signed.append(tmp_path / f"{person}.json")
        words = ("approve", asked["request"], *counters.key(person), *root, "--out", signed[-1])
        assert counters.run.json(*words)["custody"] == []
    counters.run.json("gate", "publish", *signed, *counters.high)
    assert counters.run.refused(*counters.record())[1]["code"] == "LG-3750"


def test_an_approver_signs_nothing_whose_way_is_not_shown(counters: Counters, tmp_path: Path) -> None:
    counters.begin()
    counters.hand("courier-7")
    counters.arrive()
    counters.receive("courier-7")
    counters.run.json(*counters.record())
    asked = Path(counters.run.json(*counters.request())["request"])
    pin = counters.run.json("config", "show", *counters.high)["trust"]["site_pin"]
    root = ("--site-root", counters.lane / "high/trust/site.dsse.json", "--pin", pin, "--yes")
    words = ("approve", asked, *counters.key("approver-1"), *root, "--out", tmp_path / "signed.json")
    report = asked.with_suffix(".custody.json")
    whole = report.read_bytes()
    report.write_bytes(whole.replace(b"courier-7", b"courier-8"))
    assert counters.run.refused(*words)[1]["code"] == "LG-1f50"
    report.unlink()
    assert counters.run.refused(*words)[1]["code"] == "LG-1f50"
    assert not (tmp_path / "signed.json").exists()
    (tmp_path / "elsewhere.json").write_bytes(whole)
    assert counters.run.json(*words, "--custody", tmp_path / "elsewhere.json")["person"] == "approver-1"


def test_a_counter_signs_nothing_that_differs_until_it_was_told_to(counters: Counters) -> None:
    counters.begin()
    counters.hand("courier-7")
    before = counters.chain.read_bytes()
    refused = [
        counters.receive("courier-7", seals=("--seal", "A104311")),
        counters.receive("courier-7", seals=("--seal", "A104311", "--seal", "A104313")),
        counters.receive("courier-8"),
        counters.receive("courier-7", "--medium", "BD-0018"),
        counters.receive("courier-8", "--despite"),
    ]
    assert {ran.error["code"] for ran in refused} == {"LG-2f50"}
    assert counters.receive("courier-7", "--slip", "2-0000-0000-0000").error["code"] == "LG-2751"
    assert counters.receive("courier-7", "--crate", counters.crates[1]).error["code"] == "LG-2751"
    assert counters.chain.read_bytes() == before
    told = counters.receive("courier-8", "--despite", "--note", "security officer Lee, by telephone")
    assert told.status == 0
    counters.arrive()
    counters.run.json(*counters.record())
    found = counters.run.json("custody", "show", 1, *counters.high)["findings"]
    assert [f["kind"] for f in found] == ["gap"]
    assert "BREAKS THE CHAIN" in counters.run.run("custody", "show", 1, *counters.high).out


def test_the_chain_of_another_crate_is_not_recorded(counters: Counters) -> None:
    counters.begin(1)
    counters.hand("courier-7")
    counters.receive("courier-7")
    counters.arrive(0)
    assert counters.run.refused(*counters.record(1))[1]["code"] == "LG-2751"
    assert counters.run.refused(*counters.record(2))[1]["code"] == "LG-3f50"
    shown = counters.run.json("custody", "show", 1, *counters.high)
    assert [f["kind"] for f in shown["findings"]] == ["missing"]


def test_a_clerk_signs_for_two_couriers_from_paper_and_the_other_party_signs_too(counters: Counters) -> None:
    counters.begin()
    counters.hand("courier-7")
    was = (datetime.now(UTC) - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M")
    words = ("--from", "courier-7", "--at", was, "--note", "paper slip, signed by both")
    assert counters.hand("courier-8", *words).value["handover"]["clerk"] == "clerk-low"
    assert counters.receive("courier-8").status == 0
    checked = counters.run.json(
        "custody", "check", counters.chain, "--crate", counters.crates[0], *counters.high
    )
    assert {f["kind"] for f in checked["findings"]} == {"clock", "paper"}
    other = counters.run.run(
        "custody", "sign", counters.chain, *counters.key("clerk-low"), *counters.low, "--json"
    )
    assert other.error["code"] == "LG-2752"
    fresh = counters.lane / "direct.json"
    counters.chain = fresh
    counters.begin(1)
    counters.hand("clerk-high")
    both = counters.run.json("custody", "sign", fresh, *counters.key("clerk-high"), *counters.high)
    assert both["signers"] == ["clerk-high", "clerk-low"]
    assert "clerk-low → clerk-high" in counters.run.run("custody", "check", fresh, *counters.low).out


def test_photographs_and_keys_are_what_they_say(counters: Counters, tmp_path: Path) -> None:
    photo = tmp_path / "seal.jpg"
    photo.write_bytes(b"a picture")
    said = counters.begin(0, "--photo", photo)
    assert said["handover"]["photos"] == [custody.photo_digest(photo)]
    missing = ("--photo", tmp_path / "none.jpg")
    assert counters.hand("courier-7", *missing).error["code"] == "LG-1f09"
    assert counters.hand("courier-7", seals=("--seal", "A1/2")).error["code"] == "LG-1020"
    assert counters.hand("courier-7", seals=("--seal", "A1", "--seal", "a 1")).error["code"] == "LG-1020"
    stolen = ("custody", "hand", counters.chain, "--to", "x", *SEALS, *LOW, *counters.key("approver-1"))
    assert counters.run.refused(*stolen, *counters.low)[0] != 0
    lie = json.loads(counters.chain.read_bytes())
    lie["handovers"][0]["signatures"][0]["keyid"] = "0" * 64
    counters.chain.write_text(json.dumps(lie, separators=(",", ":"), sort_keys=True))
    assert counters.hand("courier-7").error["code"] == "LG-2002"


def test_who_packs_again_says_why(counters: Counters) -> None:
    counters.begin()
    new = ("--seal", "B1")
    assert counters.hand("clerk-low", seals=new).error["code"] == "LG-2f50"
    said = counters.hand("clerk-low", "--note", "customs opened it", seals=new).value
    assert said["handover"]["seals"] == ["B1"]
    checked = counters.run.json("custody", "check", counters.chain, *counters.high)
    assert [f["kind"] for f in checked["findings"]] == ["packed-again", "unfinished"]


def test_each_side_draws_its_own_slip_from_the_verified_crate(counters: Counters, tmp_path: Path) -> None:
    counters.begin()
    counters.hand("courier-7")
    config = counters.lane / "high/lockgate.toml"
    for text in (config, counters.lane / "low/lockgate.toml"):
        text.write_text(text.read_text() + '\n[custody]\ncall = "+49 30 555 0199"\n')
    pictures = []
    for side in ("low", "high"):
        out = ("--out", tmp_path / f"{side}.pdf", "--png", tmp_path / f"{side}.png")
        words = ("custody", "slip", counters.crates[0], "--chain", counters.chain, *out)
        said = counters.run.json(*words, "--home", counters.lane / side)
        pictures.append((tmp_path / f"{side}.png").read_bytes())
    assert pictures[0] == pictures[1]
    seen = zxingcpp.read_barcodes(Image.open(tmp_path / "low.png"), zxingcpp.BarcodeFormat.QRCode)
    assert [code.text for code in seen] == [f"LGC1:PLANT:1:{said['crate_sha256'].upper()}"]
    assert counters.receive("courier-7", "--slip", seen[0].text).status == 0
    text = pypdfium2.PdfDocument(tmp_path / "low.pdf")[0].get_textpage().get_text_bounded()
    assert "STOP AND CALL +49 30 555 0199" in text
    assert "courier-7" in text
    other = ("custody", "slip", counters.crates[1], "--chain", counters.chain, "--out", tmp_path / "x.pdf")
    assert counters.run.refused(*other, *counters.low)[1]["code"] == "LG-2751"
    manifest = counters.crates[0] / "crate.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"sig":"A', b'"sig":"B').replace(b"=", b"A", 1))
    altered = ("custody", "slip", counters.crates[0], "--out", tmp_path / "x.pdf", *counters.high)
    assert counters.run.refused(*altered)[0] != 0
    assert not (tmp_path / "x.pdf").exists()
