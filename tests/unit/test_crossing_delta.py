"""Delta crates: what was sent before is built on, and what comes out is what a full crossing brings."""

from dataclasses import replace
from pathlib import Path

import pytest

from crossing_lane import Lane, chance_bytes, refused
from delta_files import deb, safetensors, tgz, wheel
from lockgate.core.sequence import CrossingState
from lockgate.crossing import Received, RecordLedger, RecordSealLedger, SealedCrate, mark
from lockgate.crossing.errors import BaseFileMissingError, BaseMissingError, SealRequestError
from lockgate.crossing.needs import per_medium

FIRST = {
    "python/pkg-1.0-py3-none-any.whl": wheel("1.0", 0),
    "npm/left-1.0.tgz": tgz("1.0", 0),
    "debian/tool_1.0_all.deb": deb("1.0", 0),
    "models/base/model.safetensors": safetensors(4, 0, "a"),
    "documents/a.md": b"# a\n" * 400,
    "files/noise": chance_bytes(1, 30_000),
}
SECOND = {
    "python/pkg-1.1-py3-none-any.whl": wheel("1.1", 60),
    "npm/left-1.1.tgz": tgz("1.1", 60),
    "debian/tool_1.1_all.deb": deb("1.1", 60),
    "models/base/model.safetensors": safetensors(4, 2, "b"),
    "documents/a.md": b"# a\n" * 400,
    "documents/b.md": b"# b\n" * 500,
    "files/other": chance_bytes(2, 30_000),
}


@pytest.fixture
def lane() -> Lane:
    return Lane()


def seal(lane: Lane, folder: Path, files: dict[str, bytes], **request: object) -> SealedCrate:
    return lane.sealer(folder / "outbox").seal(lane.request(files, **({"delta": True} | request)))


def receive(lane: Lane, folder: Path, crate: SealedCrate) -> Received:
    received = lane.opener(folder / "staging").receive(crate.path)
    assert isinstance(received, Received)
    return received


def test_a_delta_ends_in_the_same_quarantine_as_a_full_crossing(lane: Lane, tmp_path: Path) -> None:
    first = seal(lane, tmp_path, FIRST)
    assert (first.manifest.kind, first.manifest.needs) == ("full", {})
    receive(lane, tmp_path, first)
    second = seal(lane, tmp_path, SECOND)
    assert second.manifest.kind == "delta"
    assert second.manifest.needs == {1: first.crate_sha256}
    received = receive(lane, tmp_path, second)
    for path, data in SECOND.items():
        assert lane.quarantine.read(received.targets[path].sha256) == data
    whole = sum(map(len, SECOND.values()))
    assert second.manifest.plaintext_size < whole // 3


def test_the_plan_says_how_and_why_each_file_crosses(lane: Lane, tmp_path: Path) -> None:
    receive(lane, tmp_path, seal(lane, tmp_path, FIRST))
    plan = lane.sealer(tmp_path / "outbox").plan(lane.request(SECOND, delta=True))
    kinds = {file.path: file.kind for file in plan.entries if not file.path.startswith("meta/")}
    assert kinds == {
        "python/pkg-1.1-py3-none-any.whl": "patch",
        "npm/left-1.1.tgz": "patch",
        "debian/tool_1.1_all.deb": "patch",
        "models/base/model.safetensors": "tensors",
        "documents/a.md": "same",
        "documents/b.md": "packed",
        "files/other": "whole",
    }
    assert plan.bases.keys() == {"1"}
    assert all(file.why for file in plan.entries)
    sealed = seal(lane, tmp_path, SECOND)
    assert sealed.manifest.plaintext_size == plan.payload


def test_the_plan_counts_pieces_of_each_medium(lane: Lane, tmp_path: Path) -> None:
    plan = lane.sealer(tmp_path / "outbox").plan(lane.request(FIRST))
    needs = {need.medium: need for need in per_medium(plan)}
    assert {name: need.pieces for name, need in needs.items()} == dict.fromkeys(needs, 1)
    assert needs["dvd"].size > plan.sealed
    huge = replace(plan, volumes=plan.volumes[:1] * (60_000_000_000 // plan.volumes[0].size))
    needs = {need.medium: need for need in per_medium(huge)}
    assert [needs[name].pieces for name in ("dvd", "bd25", "bd50", "bd100")] == [13, 3, 2, 1]
    assert needs["bd25"].seconds >= 2 * huge.sealed // 18_000_000


def test_unacknowledged_crossings_are_built_on_and_given_up_ones_are_not(lane: Lane, tmp_path: Path) -> None:
    seal(lane, tmp_path, FIRST)
    seal(lane, tmp_path, {"documents/b.md": SECOND["documents/b.md"]})
    assert seal(lane, tmp_path, SECOND).manifest.needs.keys() == {1, 2}
    ledger = RecordSealLedger(lane.low_records)
    ledger.declare_void(3)
    ledger.declare_void(2)
    assert seal(lane, tmp_path, SECOND).manifest.needs.keys() == {1}


def test_since_builds_on_earlier_crossings_only_and_full_on_none(lane: Lane, tmp_path: Path) -> None:
    seal(lane, tmp_path, FIRST)
    seal(lane, tmp_path, SECOND)
    assert seal(lane, tmp_path, SECOND, since=1).manifest.needs.keys() == {1}
    assert seal(lane, tmp_path, SECOND, delta=False).manifest.kind == "full"
    with pytest.raises(SealRequestError):
        seal(lane, tmp_path, SECOND, since=9)


def test_a_delta_whose_base_did_not_arrive_is_refused_before_anything(lane: Lane, tmp_path: Path) -> None:
    seal(lane, tmp_path, FIRST)
    RecordSealLedger(lane.low_records).declare_void(1)
    second = seal(lane, tmp_path, SECOND)
    third = seal(lane, tmp_path, SECOND | {"documents/c.md": b"c"})
    # The high side gets the third crate alone; the second is on record there without having been opened.
    opener = lane.opener(tmp_path / "staging")
    volumes = [second.path / volume.name for volume in second.manifest.volumes]
    for volume in volumes:
        volume.rename(tmp_path / volume.name)
    opener.receive(second.path)
    error = refused(opener, third, BaseMissingError)
    assert "crossing 2" in error.what
    assert error.where["crate"] == second.crate_sha256
    assert 3 not in RecordLedger(lane.high_records).entries()
    assert [path.name for path in (tmp_path / "staging").glob("*")] == [".receiving"]


@pytest.mark.parametrize("state", [CrossingState.REJECTED, CrossingState.INCOMPLETE])
def test_what_was_rejected_is_never_built_on(lane: Lane, tmp_path: Path, state: CrossingState) -> None:
    receive(lane, tmp_path, seal(lane, tmp_path, FIRST))
    second = seal(lane, tmp_path, SECOND)
    with lane.high_records.transaction() as tx:
        mark(tx, 1, state)
    error = refused(lane.opener(tmp_path / "staging"), second, BaseMissingError)
    assert state in error.what


def test_a_base_that_was_altered_or_removed_is_not_used(lane: Lane, tmp_path: Path) -> None:
    first = receive(lane, tmp_path, seal(lane, tmp_path, FIRST))
    second = seal(lane, tmp_path, SECOND)
    digest = first.targets["python/pkg-1.0-py3-none-any.whl"].sha256
    kept = lane.quarantine._blobs[digest]
    before = set(lane.quarantine._blobs)
    lane.quarantine._blobs[digest] = kept[:-1] + b"x"
    refused(lane.opener(tmp_path / "staging"), second, BaseFileMissingError)
    del lane.quarantine._blobs[digest]
    refused(lane.opener(tmp_path / "staging"), second, BaseFileMissingError)
    lane.quarantine._blobs[digest] = kept
    assert set(lane.quarantine._blobs) == before
    receive(lane, tmp_path, second)
