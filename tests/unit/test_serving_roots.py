"""A site root that is installed under running services is followed; a file that only lies there is not."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from corpora.ceremony import Ceremony
from corpora.registry import Registry, serving
from corpora.servers import DEADLINE
from lockgate.app.files import FRESH_NANOSECONDS
from lockgate.app.high.console import Readings
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import load_settings
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose
from lockgate.trust.dsse import open_envelope
from lockgate.trust.keys import new_signer
from lockgate.trust.roots import read_site_root, sign_site_root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ceremony:
    lane = Ceremony(tmp_path_factory.mktemp("roots")).make()
    assert lane.cross("The pump has two valves.", "gus", "hal") == 1
    return lane


@pytest.fixture
def lane(made: Ceremony, tmp_path: Path) -> Ceremony:
    return Ceremony(Path(shutil.copytree(made.folder, tmp_path / "lane")))


def rotated(lane: Ceremony, *changes: object) -> Path:
    """Return site root 2, signed by its holders; it is not installed."""
    before, out = lane.root_file("site", 1), lane.folder / "table/site-2.json"
    lane.commands.json("root", "rotate", "--after", before, *changes, "--out", out)
    return lane.sign(out, "eli", "fay", after=before)


def test_a_root_that_is_installed_under_running_services_is_followed(lane: Ceremony) -> None:
    side = load_settings(lane.high)
    models, console = SignedModels(side), Readings(side)
    with serving(lane.high) as mirror:
        demand_served(mirror, 1)
        assert models.current().channel_version == console.channel().statement.channel_version == 1
        card = lane.card("approver", "joe")
        whole = rotated(lane, "--retire", lane.keyid("gus", "approver"), "--card", card)
        assert lane.install(whole, "low", "high")["fresh"] is True
        demand_served(mirror, 1)
        # joe is in the new root alone: whoever judged by the old one would refuse.
        assert lane.cross("A third valve was added.", "joe", "hal") == 2
        demand_served(mirror, 2)
        assert models.current().channel_version == console.channel().statement.channel_version == 2
        assert {p for _, _, people in console.approvals() for p in people} == {"gus", "hal", "joe"}


def demand_served(mirror: Registry, version: int) -> None:
    """Demand that requests are answered from a version of the channel, once it is read."""
    end = time.monotonic() + DEADLINE
    while (said := json.loads(mirror.ask("GET", "/healthz").body))["version"] != version:
        assert time.monotonic() < end, said
        time.sleep(0.05)
    assert said["refused"] is None


def test_a_root_that_does_not_follow_from_the_pinned_one_changes_nothing(lane: Ceremony) -> None:
    side = load_settings(lane.high)
    roots = InstalledRoots(side)
    first = roots.newest()
    planted = lane.root_file("site", 2)
    whole = rotated(lane, "--renew").read_bytes()
    root = read_site_root(open_envelope(whole))
    mallory = [new_signer(Purpose.SITE_ROOT, name) for name in ("dora", "eli")]
    stale, forged = lane.root_file("site", 1).read_bytes(), sign_site_root(root, mallory)
    for data in (b"", b"{}", whole[:-5], stale, forged):
        planted.write_bytes(data)
        assert roots.newest() == first
        with pytest.raises(LockgateError):  # a service that starts on it does not start
            SignedModels(side)
    planted.write_bytes(whole)
    assert roots.newest().version == 2


def test_a_root_that_is_written_in_the_same_tick_as_one_that_was_refused_is_followed(lane: Ceremony) -> None:
    tick = time.time_ns()
    roots = InstalledRoots(load_settings(lane.high), lambda: tick + 9_000_000)
    whole = rotated(lane, "--renew").read_bytes()
    mallory = [new_signer(Purpose.SITE_ROOT, name) for name in ("dora", "eli")]
    forged = sign_site_root(read_site_root(open_envelope(whole)), mallory)
    assert len(forged) == len(whole)
    planted = lane.root_file("site", 2)
    for data, version in ((forged, 1), (whole, 2)):
        planted.write_bytes(data)
        os.utime(planted, ns=(tick, tick))
        assert roots.newest().version == version


def test_what_was_not_written_lately_is_not_read_again(lane: Ceremony) -> None:
    now = time.time_ns() + FRESH_NANOSECONDS
    assert len({InstalledRoots(load_settings(lane.high), lambda: now).token() for _ in range(3)}) == 1
    earlier = InstalledRoots(load_settings(lane.high), lambda: now - 10**18)  # a clock that was set back
    assert earlier.token() == earlier.token()


def test_a_root_that_is_taken_away_again_is_not_forgotten_by_a_running_service(lane: Ceremony) -> None:
    roots = InstalledRoots(load_settings(lane.high))
    lane.install(rotated(lane, "--renew"), "high")
    assert roots.newest().version == 2
    lane.root_file("site", 2).unlink()
    assert roots.newest().version == 2
    (lane.high / "trust/site.dsse.json").unlink()
    assert roots.newest().version == 2
