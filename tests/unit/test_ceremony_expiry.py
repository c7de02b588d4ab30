"""Roots and keys that end: warned of beforehand, admission stops, serving goes on, a late site recovers."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from corpora.ceremony import Ceremony
from lockgate.app.check import doctor
from lockgate.app.crossing import receive
from lockgate.app.high import console
from lockgate.app.high.channel import channel_reader
from lockgate.app.high.console import Readings
from lockgate.app.lane import install, standing
from lockgate.app.settings import load_settings
from lockgate.app.trust import site_root
from lockgate.console.home import HomeData
from lockgate.console.pages import Pages
from lockgate.core.errors import LockgateError
from lockgate.core.roots import RootExpiredError

MODULES = (
    "lockgate.app.trust",
    "lockgate.app.check.doctor",
    "lockgate.app.crossing.receive",
    "lockgate.app.gate.gate",
    "lockgate.app.gate.approve",
    "lockgate.console.home",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ceremony:
    lane = Ceremony(tmp_path_factory.mktemp("ceremony")).make()
    assert lane.cross("The pump has two valves.", "gus", "hal") == 1
    return lane


@pytest.fixture
def lane(made: Ceremony, tmp_path: Path) -> Ceremony:
    return Ceremony(Path(shutil.copytree(made.folder, tmp_path / "lane")))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch):
    """Set the clock of everything that asks for the present moment by so many days."""

    def move(days: int) -> datetime:
        moment = datetime.now(UTC) + timedelta(days=days)
        for module in MODULES:
            monkeypatch.setattr(f"{module}.utc_now", lambda: moment)
        return moment

    return move


def scraped(lane: Ceremony) -> dict[str, float]:
    pages = Pages(HomeData(Readings(load_settings(lane.high))))
    lines = generate_latest(pages.registry).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines)
        if name.startswith("lockgate_trust")
    }


def test_metrics_and_doctor_say_how_long_every_key_lives(lane: Ceremony, later) -> None:
    def points() -> dict[str, str]:
        found = doctor.examine(lane.high)
        return {p.name: p.state for p in found if p.name.startswith(("Key", "Site", "Supply"))}

    assert points() == {"Supply root": "ok", "Site root": "ok", "Keys": "ok"}
    left = scraped(lane)
    named = [name for name in left if 'what="approver"' in name and 'person="gus"' in name]
    assert len(named) == 1
    assert 363 * 86400 < left[named[0]] <= 365 * 86400
    kinds = {name.split('what="')[1].split('"')[0] for name in left if "what=" in name}
    assert {"root", "recipient", "log", "sealer", "targets", "site-root", "supply-root"} <= kinds
    later(350)
    found = points()
    assert {found["Site root"], found["Supply root"], found["Key for approver"]} == {"soon"}
    assert lane.commands.run("doctor", "--home", lane.high, "--json").status in {0, 1}
    later(370)
    assert points()["Site root"] == "missing"
    left = scraped(lane)
    assert all(value < 0 for name, value in left.items() if "seconds_left" in name)
    assert left["lockgate_trust_broken"] == 0
    (lane.high / "trust/1.root.json").write_bytes(b"{}")
    assert scraped(lane) == {"lockgate_trust_broken": 1.0}


def test_an_expired_site_root_stops_admission_and_services_start_all_the_same(
    lane: Ceremony, later, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.collect("Newer.")
    crate = lane.seal()
    moment = later(366)
    side = load_settings(lane.high)
    with pytest.raises(RootExpiredError):
        site_root(side, moment)
    with pytest.raises(RootExpiredError):
        receive.receive_crate(side, crate, None)
    # What a service does when it starts: the root, the channel through its approvers' signatures, the pages.
    assert channel_reader(side, "mirror").current().approvers == {"gus", "hal"}
    assert console.Readings(side).channel().statement.crossing == 1
    assert lane.commands.json("root", "show", "--home", lane.high)[1]["kind"] == "site"
    assert standing.expiries(side, moment)[0].days_left(moment) < 0


def test_a_site_that_was_late_still_follows_a_new_root(lane: Ceremony, later) -> None:
    before = lane.carry(lane.root_file("site", 1), "table/site-1.json")
    moment = later(400)
    out = lane.folder / "table/site-2.json"
    # Every key ended with the root; the holders make new ones and vouch for them with the old.
    monkey = [lane.card(p, f"{who}-new") for p, who in (("site-root", "dora"), ("site-root", "eli"))]
    monkey += [lane.card("approver", f"{who}-new") for who in ("gus", "hal")]
    monkey += [lane.card("operator", "ora-new")]
    monkey += [lane.card(p, f"gate-{p}-new") for p in ("inspector", "log")]
    monkey += [lane.card("recipient", "gate-new", lane.high / "keys-new")]
    cards = [word for card in monkey for word in ("--card", card)]
    lane.commands.json("root", "rotate", "--after", before, *cards, "--out", out)
    half = lane.sign(out, "dora-new", "eli-new", after=before)
    side = load_settings(lane.high)
    with pytest.raises(LockgateError) as caught:
        install.install_root(side, install.follow(side, [half]), moment)
    assert caught.value.code == "LG-2005"
    whole = lane.sign(half, "dora", "fay", after=before)
    install.install_root(side, install.follow(side, [whole]), moment)
    assert site_root(side, moment).version == 2
    assert channel_reader(side, "mirror").current().approvers == {"gus", "hal"}
