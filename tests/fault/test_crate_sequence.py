"""The sequence rules, the clock and the roots that travel, in every order."""

from datetime import timedelta
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, nothing_recorded, refused, resign
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose, UnknownKeyError
from lockgate.core.sequence import (
    BrokenChainError,
    CrossingState,
    EquivocationError,
    ReplayedCrateError,
    SequenceGapError,
)
from lockgate.crossing import Opener, Received, RecordSealLedger, SealedCrate, Waiting, mark
from lockgate.crossing import errors as e
from lockgate.crossing.ledger import RecordLedger
from lockgate.store import MemoryRecords
from lockgate.trust.errors import RootChainError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.roots import make_supply_root

FILES = {"files/big": filler("big", 2 * MIB + 25_000), "files/b": b"small"}


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def crate(lane: Lane, tmp_path: Path) -> SealedCrate:
    return lane.seal(tmp_path / "outbox", FILES)


@pytest.fixture
def opener(lane: Lane, tmp_path: Path) -> Opener:
    return lane.opener(tmp_path / "staging")


def finish(lane: Lane, sequence: int, state: CrossingState) -> None:
    with lane.high_records.transaction() as tx:
        mark(tx, sequence, state)


def test_a_published_crate_comes_again(lane: Lane, opener: Opener, crate: SealedCrate) -> None:
    opener.receive(crate.path)
    finish(lane, 1, CrossingState.PUBLISHED)
    assert refused(opener, crate, ReplayedCrateError).where["file"] == "crate.json"


def test_an_older_crate_after_a_newer_one(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    first, second = (lane.seal(tmp_path / "outbox", FILES) for _ in range(2))
    opener.receive(first.path)
    opener.receive(second.path)
    finish(lane, 1, CrossingState.REJECTED)
    assert refused(opener, first, ReplayedCrateError).where["file"] == "crate.json"


def test_a_gap(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    first, _, third = (lane.seal(tmp_path / "outbox", FILES) for _ in range(3))
    opener.receive(first.path)
    before = dict(lane.high_records._data)
    assert refused(opener, third, SequenceGapError).where["missing"] == 2
    assert lane.high_records._data == before


def test_lost_crates_are_declared_void(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    first, second, third = (lane.seal(tmp_path / "outbox", FILES) for _ in range(3))
    opener.receive(first.path)
    ledger = RecordSealLedger(lane.low_records)
    with pytest.raises(e.CrossingStateError):
        ledger.declare_void(2)
    ledger.declare_void(3)
    ledger.declare_void(2)
    fourth = lane.seal(tmp_path / "outbox", FILES)
    assert fourth.manifest.void == {"2": second.crate_sha256, "3": third.crate_sha256}
    assert isinstance(opener.receive(fourth.path), Received)
    assert refused(opener, second, ReplayedCrateError).where["file"] == "crate.json"
    assert refused(opener, third, ReplayedCrateError).where["file"] == "crate.json"
    fifth = lane.seal(tmp_path / "outbox", FILES)
    assert fifth.manifest.void == {}
    assert isinstance(opener.receive(fifth.path), Received)


def test_two_crates_under_one_number(lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path) -> None:
    lane.low_records = MemoryRecords()
    twin = lane.seal(tmp_path / "twin", FILES)
    assert twin.manifest.sequence == 1
    opener.receive(crate.path)
    assert refused(opener, twin, EquivocationError).where["file"] == "crate.json"


def test_another_history(lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path) -> None:
    opener.receive(crate.path)
    second = lane.seal(tmp_path / "outbox", FILES)
    resign(lane, second, previous_sha256="7" * 64)
    assert refused(opener, second, BrokenChainError).where["file"] == "crate.json"


def test_a_crate_that_was_overtaken(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    first, second = (lane.seal(tmp_path / "outbox", FILES) for _ in range(2))
    (first.path / "vol-0002.lgv").rename(tmp_path / "late")
    assert isinstance(opener.receive(first.path), Waiting)
    assert isinstance(opener.receive(second.path), Received)
    (tmp_path / "late").rename(first.path / "vol-0002.lgv")
    assert refused(opener, first, e.OvertakenError).where["file"] == "crate.json"


def test_an_expired_crate(lane: Lane, opener: Opener, crate: SealedCrate) -> None:
    lane.clock.now = crate.manifest.expires
    assert refused(opener, crate, e.CrateExpiredError).where["file"] == "crate.json"
    assert nothing_recorded(lane)
    lane.clock.now -= timedelta(seconds=1)
    assert isinstance(opener.receive(crate.path), Received)


def test_expiry_is_judged_when_the_manifest_is_recorded(
    lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path
) -> None:
    (crate.path / "vol-0002.lgv").rename(tmp_path / "late")
    lane.clock.now = crate.manifest.expires - timedelta(seconds=1)
    opener.receive(crate.path)
    (tmp_path / "late").rename(crate.path / "vol-0002.lgv")
    lane.clock.now += timedelta(days=3)
    assert isinstance(opener.receive(crate.path), Received)


def test_volumes_that_come_after_the_window(
    lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path
) -> None:
    (crate.path / "vol-0002.lgv").rename(tmp_path / "late")
    opener.receive(crate.path)
    (tmp_path / "late").rename(crate.path / "vol-0002.lgv")
    lane.clock.now += timedelta(seconds=Policy().receive_seconds + 1)
    assert refused(opener, crate, e.ReceiveWindowError).where["file"] == "crate.json"


def test_a_crate_from_the_future(lane: Lane, opener: Opener, crate: SealedCrate) -> None:
    lane.clock.now = NOW - timedelta(seconds=Policy().skew_seconds + 1)
    assert refused(opener, crate, e.FutureCrateError).where["file"] == "crate.json"


def test_a_crate_dated_ahead_within_the_skew_does_not_raise_the_floor_past_the_clock(
    lane: Lane, opener: Opener, crate: SealedCrate
) -> None:
    lane.clock.now = NOW - timedelta(seconds=Policy().skew_seconds)
    assert isinstance(opener.receive(crate.path), Received)
    assert RecordLedger(lane.high_records).floor() == lane.clock.now


def test_a_clock_turned_back(lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path) -> None:
    opener.receive(crate.path)
    second = lane.seal(tmp_path / "outbox", FILES)
    lane.clock.now = NOW - timedelta(days=3650)
    assert refused(opener, second, e.ClockHeldError).where["file"] == "crate.json"
    lane.clock.now = NOW
    assert isinstance(opener.receive(second.path), Received)


# --- roots that travel -------------------------------------------------------------------------


def rotated(lane: Lane, *by: Signer) -> bytes:
    """Version 2 of the supply root with another sealer."""
    lane.signers[Purpose.SEALER] = new_signer(Purpose.SEALER, "second-sealer")
    return make_supply_root(lane.supply_root(2), by or lane.holders[:2])


def test_a_new_root_travels_with_the_crate(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    old = lane.signers[Purpose.SEALER]
    lane.low_roots.append(rotated(lane))
    crate = lane.seal(tmp_path / "outbox", FILES)
    assert isinstance(opener.receive(crate.path), Received)
    assert lane.high_roots.versions() == lane.low_roots
    lane.signers[Purpose.SEALER], new = old, lane.signers[Purpose.SEALER]
    lane.low_roots.pop()
    stale = lane.seal(tmp_path / "outbox", FILES)
    assert refused(opener, stale, UnknownKeyError).where["file"] == "crate.json"
    assert new.keyid != old.keyid


def test_a_root_that_the_old_holders_did_not_sign(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    strangers = [new_signer(Purpose.SUPPLY_ROOT, f"stranger-{n}") for n in range(2)]
    lane.holders = (*strangers, lane.holders[0])
    lane.low_roots.append(rotated(lane))
    crate = lane.seal(tmp_path / "outbox", FILES)
    assert refused(opener, crate, RootChainError).where["file"] == "roots/2.root.json"
    assert len(lane.high_roots.versions()) == 1


def test_a_new_root_is_not_kept_when_its_crate_is_refused(lane: Lane, opener: Opener, tmp_path: Path) -> None:
    lane.low_roots.append(rotated(lane))
    crate = lane.seal(tmp_path / "outbox", FILES)
    resign(lane, crate, created=NOW + timedelta(days=20))
    assert refused(opener, crate, e.FutureCrateError).where["file"] == "crate.json"
    assert len(lane.high_roots.versions()) == 1
    assert nothing_recorded(lane)


def test_a_root_under_another_version_s_name(opener: Opener, crate: SealedCrate) -> None:
    (crate.path / "roots/1.root.json").rename(crate.path / "roots/2.root.json")
    assert refused(opener, crate, e.RootsListError).where["file"] == "roots/2.root.json"


def test_a_root_that_crate_json_does_not_list(lane: Lane, opener: Opener, crate: SealedCrate) -> None:
    root = make_supply_root(lane.supply_root(2), lane.holders[:2])
    (crate.path / "roots/2.root.json").write_bytes(root)
    assert refused(opener, crate, e.RootsListError).where["file"] == "roots/2.root.json"
    assert len(lane.high_roots.versions()) == 1
