"""Ceremonies through the commands: production lanes, rotations, lost and stolen keys."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from corpora.ceremony import Ceremony
from corpora.clocks import until_another_second
from corpora.fatal import killed
from lockgate.app.keys import signing_key
from lockgate.app.lane import install
from lockgate.app.settings import load_settings
from lockgate.app.trust import site_root, utc_now
from lockgate.core.roots import Purpose
from lockgate.trust.roots import countersign_site_root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ceremony:
    """A production lane on which one crossing was published by gus and hal."""
    lane = Ceremony(tmp_path_factory.mktemp("ceremony")).make()
    assert lane.cross("The pump has two valves.", "gus", "hal") == 1
    return lane


@pytest.fixture
def lane(made: Ceremony, tmp_path: Path) -> Ceremony:
    """A copy of the lane, to be changed."""
    return Ceremony(Path(shutil.copytree(made.folder, tmp_path / "lane")))


def test_a_production_lane_is_made_by_holders_who_share_nothing_but_documents(made: Ceremony) -> None:
    for side in ("low", "high"):
        config = tomllib.loads((made.folder / side / "lockgate.toml").read_text())
        assert config["lane"] == {"name": "plant-2", "side": side, "assurance": "production"}
    shown = made.commands.json("root", "show", "--home", made.high)
    assert [root["assurance"] for root in shown] == ["production", "production"]
    assert shown == made.commands.json("root", "show", "--home", made.low)
    holders = [made.home(person) for person in ("ann", "bob", "cay", "dora", "eli", "fay")]
    assert {f.name for h in holders for f in h.rglob("*.pem")} == {"supply-root.pem", "site-root.pem"}
    assert not list(made.home("cay").glob("signed-*")), "two of three holders were enough"
    listed = made.commands.json("gate", "list", "--home", made.high)
    assert [c["state"] for c in listed["crossings"]] == ["published"]


def test_a_root_without_enough_holders_makes_no_side(made: Ceremony, tmp_path: Path) -> None:
    lane = Ceremony(tmp_path / "lane")
    supply, site = lane.supply(), lane.site()
    one = lane.sign(supply, "ann")
    whole = lane.sign(site, "dora", "eli")
    said = lane.commands.json("root", "inspect", one)
    assert (said["signed"], said["missing"], said["whole"]) == (["ann"], 1, False)
    join = ("lane", "join", "--side", "high", "--yes", "--home", lane.high)
    refused = lane.commands.refused
    assert refused(*join, "--supply", one, "--site", whole)[1]["code"] == "LG-2105"
    two = lane.sign(one, "cay")
    shutil.copy(site, tmp_path / "unsigned.json")
    assert not (lane.high / "lockgate.toml").exists()
    other = made.root_file("site", 1)
    pins = ("--site-pin", "0" * 64, "--supply-pin", "0" * 64)
    assert refused(*join, "--supply", two, "--site", whole, *pins)[1]["code"] == "LG-2104"
    assert refused(*join, "--supply", whole, "--site", two)[1]["code"] == "LG-2103"
    fresh = lane.init("site", sorted((lane.folder / "table").glob("*.card"))[:0] + _cards(lane), *_demo())
    demo = lane.sign(fresh, "dora", "eli")
    assert refused(*join, "--supply", two, "--site", demo)[1]["code"] == "LG-2103"
    assert not (lane.high / "lockgate.toml").exists()
    assert other.is_file()


def _cards(lane: Ceremony) -> list[Path]:
    wanted = ("site-root", "approver", "operator", "inspector", "log", "recipient")
    cards = sorted((lane.folder / "table").glob("*.card"))
    return [c for c in cards if c.stem.rpartition("-")[2] in wanted or c.stem.endswith("site-root")]


def _demo() -> tuple[str, ...]:
    return ("--threshold", "site-root=2", "--assurance", "demo")


def test_a_production_side_refuses_a_demo_root(lane: Ceremony) -> None:
    demo = lane.folder / "demo"
    pins = lane.commands.json("lane", "init", demo, "--name", "plant-2")
    for name in ("1.root.json", "site.dsse.json"):
        shutil.copy(demo / "high/trust" / name, lane.high / "trust" / name)
    text = (demo / "high/lockgate.toml").read_text().replace('assurance = "demo"', 'assurance = "production"')
    (lane.high / "lockgate.toml").write_text(text)
    assert pins["assurance"] == "demo"
    assert lane.commands.refused("root", "show", "--home", lane.high)[1]["code"] == "LG-2f01"
    assert lane.commands.refused("gate", "list", "--home", lane.high)[1]["code"] == "LG-2f01"


def test_a_lost_site_key_is_replaced_by_the_holders_that_remain(lane: Ceremony) -> None:
    lost = lane.keyid("dora", "site-root")
    shutil.rmtree(lane.home("dora"))
    card = lane.card("site-root", "gil")
    out = lane.folder / "table/site-2.json"
    changed = ("--drop", lost[:12], "--card", card, "--renew")
    said = lane.commands.json("root", "rotate", "--kind", "site", "--home", lane.high, *changed, "--out", out)
    assert any(line.startswith("DROPS site-root key") and "dora" in line for line in said["changes"])
    before = lane.root_file("site", 1)
    half = lane.sign(out, "eli", after=before)
    refused = lane.commands.refused("root", "install", half, "--yes", "--home", lane.high)
    assert refused[1]["code"] == "LG-2005"
    # Two of the new version, but only one of the version before it.
    other = lane.sign(half, "gil", after=before)
    said = lane.commands.json("root", "inspect", other, "--after", before)
    assert (said["missing"], said["missing_before"]) == (0, 1)
    assert (
        lane.commands.refused("root", "install", other, "--yes", "--home", lane.high)[1]["code"] == "LG-2005"
    )
    whole = lane.sign(half, "fay", after=before)
    for side in ("low", "high"):
        assert lane.install(whole, side)["fresh"] is True
        assert lane.install(whole, side)["fresh"] is False
    assert lane.cross("A third valve was added.", "hal", "ivy") == 2
    assert site_root(load_settings(lane.high), utc_now()).version == 2


def test_the_policy_is_written_changed_and_each_change_shown_to_who_signs(
    lane: Ceremony, tmp_path: Path
) -> None:
    file, out = tmp_path / "policy.json", tmp_path / "next.json"
    shown = lane.commands.json("policy", "show", "--home", lane.high, "--out", file)
    policy = json.loads(file.read_bytes())
    assert policy == shown["policy"]
    unchanged = lane.commands.json(
        "root", "rotate", "--kind", "site", "--home", lane.high, "--policy", file, "--out", out
    )
    assert not [line for line in unchanged["changes"] if line.startswith("policy")]
    file.write_text(json.dumps(policy | {"station": {"required": True, "scanners": ["clamav"]}}))
    said = lane.commands.json(
        "root", "rotate", "--kind", "site", "--home", lane.high, "--policy", file, "--out", out
    )
    changes = [line for line in said["changes"] if line.startswith("policy")]
    assert changes == ["policy, station.required: True", "policy, station.scanners: clamav"]
    before = lane.root_file("site", 1)
    assert changes[0] in lane.commands.run("root", "inspect", out, "--after", before).out


def test_a_stranger_cannot_sign_and_a_stray_signature_refuses_the_document(lane: Ceremony) -> None:
    out = lane.folder / "table/site-2.json"
    lane.commands.json("root", "rotate", "--kind", "site", "--home", lane.high, "--renew", "--out", out)
    before = lane.root_file("site", 1)
    lane.card("site-root", "mallory")
    assert "LG-1005" in lane.try_sign(out, "mallory", before).err
    assert "LG-1005" in lane.try_sign(out, "eli").err, "what is changed shows only beside the version before"
    keys = lane.home("ann") / "keys"
    for kind in ("pem", "pass"):
        shutil.copy(keys / f"supply-root.{kind}", keys / f"site-root.{kind}")
    assert "LG-1005" in lane.try_sign(lane.root_file("site", 1), "ann").err
    mallory = signing_key(lane.home("mallory") / "keys", Purpose.SITE_ROOT)
    stray = lane.folder / "table/stray.json"
    stray.write_bytes(countersign_site_root(out.read_bytes(), mallory))
    assert "LG-2102" in lane.try_sign(stray, "eli", before).err


def test_a_newer_site_root_that_is_taken_away_stops_admission_and_not_serving(lane: Ceremony) -> None:
    _rotate(lane, "--renew")
    newest = lane.root_file("site", 2)
    kept = newest.read_bytes()
    newest.unlink()
    lane.collect("Another text.")
    crate = lane.seal()
    assert lane.commands.refused("receive", crate, "--home", lane.high)[1]["code"] == "LG-2f13"
    assert lane.commands.refused("gate", "list", "--home", lane.high)[1]["code"] == "LG-2f13"
    assert site_root(load_settings(lane.high), None).version == 1, "what serves goes on"
    newest.write_bytes(kept)
    assert lane.commands.json("receive", crate, "--home", lane.high)["sequence"] == 2


def _rotate(lane: Ceremony, *changes: object, kind: str = "site", sides: tuple[str, ...] = ("low", "high")):
    holders = ("eli", "fay") if kind == "site" else ("bob", "cay")
    home = lane.high if kind == "site" else lane.low
    version = max(
        root["version"] for root in lane.commands.json("root", "show", "--home", home) if root["kind"] == kind
    )
    before = lane.carry(_newest(lane, kind, home, version), f"table/{kind}-{version}.json")
    out = lane.folder / f"table/{kind}-{version + 1}.json"
    lane.commands.json("root", "rotate", "--after", before, *changes, "--out", out)
    whole = lane.sign(out, *holders, after=before)
    lane.install(whole, *sides)
    return whole


def _newest(lane: Ceremony, kind: str, home: Path, version: int) -> Path:
    if kind == "supply":
        return home / f"trust/{version}.root.json"
    return home / "trust" / ("site.dsse.json" if version == 1 else f"{version}.site.dsse.json")


def test_a_retired_approver_approves_nothing_new_and_what_they_approved_is_served(lane: Ceremony) -> None:
    gus = lane.keyid("gus", "approver")
    card = lane.card("approver", "joe")
    _rotate(lane, "--retire", gus, "--card", card)
    until_another_second()  # a key that is retired signs nothing new from the next second on
    lane.collect("Newer.")
    lane.commands.json("receive", lane.seal(), "--home", lane.high)
    lane.commands.json("gate", "inspect", 2, "--home", lane.high)
    request = lane.request(2)
    with pytest.raises(AssertionError, match="LG-2004"):
        lane.approve(request, "gus")
    signed = lane.approve(request, "joe", "hal")
    assert lane.commands.json("gate", "publish", *signed, "--home", lane.high)["operation"] == "publish"


def test_dropping_an_approver_whose_signature_is_served_is_refused(lane: Ceremony) -> None:
    gus = lane.keyid("gus", "approver")
    with pytest.raises(AssertionError, match="LG-3f13"):
        _rotate(lane, "--drop", gus, "--card", lane.card("approver", "joe"))
    assert not lane.root_file("site", 2).exists()
    lane.cross("Signed by others.", "hal", "ivy")
    _rotate(lane, "--drop", gus, "--card", lane.card("approver", "kim"), sides=("high",))
    assert site_root(load_settings(lane.high), utc_now()).version == 2


def test_the_site_revokes_a_sealer_by_itself(lane: Ceremony) -> None:
    lane.collect("Sealed before the theft was known.")
    waiting = lane.seal()
    lane.commands.json("receive", waiting, "--home", lane.high)
    lane.commands.json("gate", "inspect", 2, "--home", lane.high)
    request = lane.request(2)
    signed = lane.approve(request, "hal", "ivy")
    sealer = lane.keyid("low-sealer", "sealer", "supply")
    before = lane.carry(lane.root_file("site", 1), "table/site-1.json")
    out = lane.folder / "table/site-2.json"
    by_home = ("root", "revoke", sealer[:12], "--home", lane.high, "--out", out)
    short = lane.commands.json(*by_home)
    said = lane.commands.json("root", "revoke", sealer, "--after", before, "--out", out)
    assert said["changes"] == short["changes"]
    assert said["changes"][-1] == f"REVOKES supply key {sealer[:16]}"
    lane.install(lane.sign(out, "eli", "fay", after=before), "high")
    # What the key sealed later is refused, and nothing is recorded of it.
    lane.collect("Sealed by the thief.")
    later = lane.seal()
    status, error = lane.commands.refused("receive", later, "--home", lane.high)
    assert (status, error["code"], error["where"]["file"]) == (3, "LG-2007", "crate.json")
    # What waits at the gate is not admitted, signed or not.
    refused = lane.commands.refused("gate", "publish", *signed, "--home", lane.high)
    assert refused[1]["code"] == "LG-2803"
    own = ("--key", lane.key("ora"), "--home", lane.high)
    assert lane.commands.refused("gate", "request", 2, *own)[1]["code"] == "LG-2803"
    # What was admitted stays, and is listed for review.
    found = lane.commands.json("root", "affected", sealer, "--home", lane.high)
    assert [(f["sequence"], f["state"], f["channels"]) for f in found] == [
        (1, "published", ["stable"]),
        (2, "inspected", []),
    ]
    assert found[0]["artifacts"]
    assert lane.commands.json("root", "affected", "0" * 64, "--home", lane.high) == []
    assert lane.commands.json("root", "affected", sealer[:12], "--home", lane.high) == found
    for text in (sealer[:3], "0" * 12):  # too short, and nobody's
        assert lane.commands.refused("root", "affected", text, "--home", lane.high)[1]["code"] == "LG-1005"


def _new_sealer(lane: Ceremony) -> None:
    old = lane.keyid("low-sealer", "sealer", "supply")
    for name in ("sealer.pem", "sealer.pass"):
        (lane.low / "keys" / name).rename(lane.folder / f"stolen-{name}")
    card = lane.card("sealer", "low-sealer-2", lane.low / "keys")
    _rotate(lane, "--drop", old, "--card", card, kind="supply", sides=("low",))


def test_a_supply_root_that_a_crate_brings_ends_a_sealer(lane: Ceremony) -> None:
    old = lane.keyid("low-sealer", "sealer", "supply")
    forged = Ceremony(Path(shutil.copytree(lane.folder, lane.folder.parent / "thief")))
    _new_sealer(lane)
    assert lane.cross("Sealed with the new key.", "hal", "ivy") == 2
    shown = lane.commands.json("root", "show", "--home", lane.high)
    assert shown[0]["version"] == 2, "the crate brought the newer supply root"
    # The thief seals with the old key, from the low side as it was.
    forged.cross("First.", "hal", "ivy")
    forged.collect("Sealed by the thief.")
    crate = forged.seal()
    target = lane.high / "inbox" / crate.name
    shutil.copytree(crate, target)
    status, error = lane.commands.refused("receive", target, "--home", lane.high)
    assert (status, error["code"]) == (3, "LG-2002")
    found = lane.commands.json("root", "affected", old, "--home", lane.high)
    assert [(f["sequence"], f["state"]) for f in found] == [(1, "published")]
    listed = lane.commands.json("gate", "list", "--home", lane.high)
    assert [c["state"] for c in listed["crossings"]] == ["published", "published"]


@pytest.mark.parametrize(
    ("name", "before"), [("_durable", True), ("_durable", False), ("_raise_floor", False)]
)
def test_a_kill_while_a_root_is_installed_is_completed(lane: Ceremony, name: str, *, before: bool) -> None:
    out = lane.folder / "table/site-2.json"
    old = lane.root_file("site", 1)
    lane.commands.json("root", "rotate", "--after", old, "--renew", "--out", out)
    whole = lane.sign(out, "eli", "fay", after=old)
    side = load_settings(lane.high)
    looked = install.follow(side, [whole])
    killed(lambda: install.install_root(side, looked, utc_now()), (install, name), before=before)
    assert site_root(side, None).version == (1 if before else 2)
    lane.install(whole, "high")
    assert site_root(side, utc_now()).version == 2
    lane.root_file("site", 2).unlink()
    assert lane.commands.refused("gate", "list", "--home", lane.high)[1]["code"] == "LG-2f13"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_while_a_side_is_made_leaves_no_side(made: Ceremony, tmp_path: Path, step: int) -> None:
    roots = [made.root_file(kind, 1).read_bytes() for kind in ("supply", "site")]
    counter = iter(range(1, 9))
    real = install._durable

    def counted(target: Path, data: bytes) -> None:
        if next(counter) == step:
            install.fatal()
        real(target, data)

    def work() -> None:
        install._durable = counted
        install.join_lane(tmp_path / "side", "high", *roots, utc_now())

    install.fatal = lambda: None
    try:
        killed(work, (install, "fatal"), before=True)
    finally:
        del install.fatal
    assert not (tmp_path / "side/lockgate.toml").exists()
    assert install.join_lane(tmp_path / "side", "high", *roots, utc_now()).site_pin == made.site_pin
