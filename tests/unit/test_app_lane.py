"""A new lane: two homes, two roots, a key for each purpose and person, and nothing readable by others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.app.lane.lane import LaneExistsError, NewLane, make_demo_lane
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import (
    DemoRootError,
    audit_log,
    log_origin,
    recipient_key,
    signer_from,
    site_root,
    supply_root,
)
from lockgate.core.errors import InputError
from lockgate.core.roots import Purpose, RootExpiredError
from lockgate.trust.errors import KeyFileError, PinMismatchError, RootChainError, RootFileError
from lockgate.trust.roots import make_supply_root

NOW = datetime(2026, 5, 1, 12, 0, 0, 999, tzinfo=UTC)


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> NewLane:
    return make_demo_lane(tmp_path_factory.mktemp("lanes") / "one", "plant-2", NOW)


@pytest.fixture
def own(tmp_path: Path) -> NewLane:
    return make_demo_lane(tmp_path, "plant-2", NOW)


def side(lane: NewLane, name: str = "high") -> Side:
    return load_settings(lane.high if name == "high" else lane.low)


@pytest.mark.parametrize("name", ["low", "high"])
def test_both_sides_pin_the_same_roots(lane: NewLane, name: str) -> None:
    here = side(lane, name)
    assert (here.lane, here.settings.lane.side, here.settings.lane.assurance) == ("plant-2", name, "demo")
    assert (here.settings.trust.supply_pin, here.settings.trust.site_pin) == (lane.supply_pin, lane.site_pin)
    supply, site = supply_root(here)[1], site_root(here, NOW)
    assert {supply.assurance, site.assurance} == {"demo"}
    assert {supply.lane, site.lane} == {"plant-2"}
    assert supply.threshold(Purpose.SUPPLY_ROOT) == site.threshold(Purpose.SITE_ROOT) == 2
    assert lane.supply_words != lane.site_words
    assert lane.site_words.count("-") == 7


def test_every_purpose_has_its_own_keys_and_no_side_holds_the_others(lane: NewLane) -> None:
    supply, site = supply_root(side(lane))[1], site_root(side(lane), NOW)
    purposes = [held.purpose for root in (supply, site) for held in root.keys.values()]
    # A transfer station is a machine of its own: it joins a lane later, with a key that it makes itself.
    assert set(purposes) == set(Purpose) - {Purpose.SCANNER}
    publics = [held.key.public for root in (supply, site) for held in root.keys.values()]
    assert len(set(publics)) == len(publics)
    low, high = ({p.stem for p in (home / "keys").glob("*.pem")} for home in (lane.low, lane.high))
    assert low == {"collector", "sealer", "targets", "snapshot", "timestamp"}
    assert high == {"inspector", "log", "recipient", "repository"}
    assert not {"approver", "operator", "site-root", "supply-root"} & (low | high)
    assert {p.name for p in lane.people["operator"].glob("*.pem")} == {"operator.pem", "approver.pem"}
    assert {p.name for p in lane.people["approver-1"].glob("*.pem")} == {"approver.pem"}


def test_keys_and_passphrases_are_readable_by_their_owner_alone(lane: NewLane) -> None:
    secrets = [p for p in lane.low.parent.rglob("*") if p.suffix in {".pem", ".pass"}]
    assert len(secrets) == 2 * (3 + 5 + 3 + 3 + 2 + 4 + 3 + 1 + 2 + 2)
    assert {oct(p.stat().st_mode & 0o777) for p in secrets} == {"0o600"}
    assert {oct(p.parent.stat().st_mode & 0o777) for p in secrets} == {"0o700"}
    assert len({p.read_bytes() for p in secrets}) == len(secrets)


def test_each_key_opens_and_is_the_one_that_the_root_lists(lane: NewLane) -> None:
    here = side(lane)
    supply, site = supply_root(here)[1], site_root(here, NOW)
    for folder in [lane.low / "keys", lane.high / "keys", *lane.people.values()]:
        for file in folder.glob("*.pem"):
            if file.stem == "recipient":
                continue
            root = (
                supply
                if folder.name == "clerk-low"
                or file.stem in {"supply-root", *(p.stem for p in (lane.low / "keys").iterdir())}
                else site
            )
            signer = signer_from(folder, Purpose(file.stem), root)
            assert root.held(signer.keyid, Purpose(file.stem), NOW).person == signer.person
    assert recipient_key(here).recipient_id in site.recipients


def test_a_lane_is_never_made_over_another(lane: NewLane, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in lane.low.parent.rglob("*") if p.is_file()}
    with pytest.raises(LaneExistsError):
        make_demo_lane(lane.low.parent, "other", NOW)
    assert {p: p.read_bytes() for p in lane.low.parent.rglob("*") if p.is_file()} == before
    for name in ("low", "high", "people"):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(LaneExistsError):
            make_demo_lane(tmp_path / name, "other", NOW)


@pytest.mark.parametrize("name", ["", "Plant", "a b", "a_b", "ä", "a\n", 'a"', "a/b", "\u00b2"])
def test_names_with_other_characters_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="lane name"):
        make_demo_lane(tmp_path, name, NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_production_side_refuses_demo_roots(own: NewLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_LANE__ASSURANCE", "production")
    for refuse in (lambda: site_root(side(own), NOW), lambda: supply_root(side(own))):
        with pytest.raises(DemoRootError, match="'demo'"):
            refuse()


def test_altered_missing_and_exchanged_roots_are_refused(own: NewLane, lane: NewLane) -> None:
    here = side(own)
    site, supply = own.high / "trust" / "site.dsse.json", own.high / "trust" / "1.root.json"
    for file, read in ((site, lambda: site_root(here, NOW)), (supply, lambda: supply_root(here))):
        good = file.read_bytes()
        file.write_bytes((lane.high / "trust" / file.name).read_bytes())
        with pytest.raises(PinMismatchError):
            read()
        file.unlink()
        with pytest.raises(RootFileError):
            read()
        file.write_bytes(good)
        read()


def test_newer_supply_roots_are_followed_from_the_pinned_one(own: NewLane) -> None:
    here = side(own)
    trust = own.high / "trust"
    root = supply_root(here)[1]
    holders = [signer_from(own.people[f"supply-holder-{n}"], Purpose.SUPPLY_ROOT, root) for n in (1, 2, 3)]
    for version in range(2, 12):
        facts = {f: getattr(root, f) for f in root.__struct_fields__}
        newer = type(root)(**{**facts, "version": version})
        (trust / f"{version}.root.json").write_bytes(make_supply_root(newer, holders[1:]))
    (trust / "notes.root.json").write_text("not one of ours")
    assert supply_root(here)[1].version == 11
    (trust / "5.root.json").unlink()
    with pytest.raises(RootChainError):
        supply_root(here)


def test_keys_that_are_missing_or_do_not_open_are_named(own: NewLane) -> None:
    here = side(own)
    site = site_root(here, NOW)
    folder = own.people["approver-1"]
    assert signer_from(folder, Purpose.APPROVER, site).person == "approver-1"
    with pytest.raises(KeyFileError, match="operator"):
        signer_from(folder, Purpose.OPERATOR, site)
    (folder / "approver.pass").write_text("wrong")
    with pytest.raises(KeyFileError, match="does not open"):
        signer_from(folder, Purpose.APPROVER, site)
    (folder / "approver.pass").unlink()
    with pytest.raises(KeyFileError, match=r"passphrase file .*approver\.pass"):
        signer_from(folder, Purpose.APPROVER, site)
    (own.high / "keys" / "recipient.pass").unlink()
    with pytest.raises(KeyFileError, match=r"recipient\.pass"):
        recipient_key(here)
    stranger = signer_from(own.people["supply-holder-1"], Purpose.SUPPLY_ROOT, site)
    assert stranger.person == "unknown"


def test_a_year_later_the_root_still_serves_and_no_longer_admits(lane: NewLane) -> None:
    later = NOW + timedelta(days=366)
    with pytest.raises(RootExpiredError):
        site_root(side(lane), later)
    assert site_root(side(lane), None).version == 1


def test_each_side_has_a_log_of_its_own(own: NewLane) -> None:
    assert log_origin(side(own, "low")) == "lockgate/plant-2/low"
    low, high = audit_log(side(own, "low")), audit_log(side(own, "high"))
    low.intent("one")
    assert (low.size(), high.size()) == (1, 0)
    assert audit_log(side(own, "low")).size() == 1
