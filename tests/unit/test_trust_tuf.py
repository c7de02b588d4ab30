"""Update metadata: built for a crossing, verified in the order of TUF's client workflow."""

import json
from datetime import datetime, timedelta

import pytest
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from corpora.trusted import LATER, NOW, Supply
from lockgate.core.roots import Purpose
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.tuf import TUF_FILES, Target, TufSigners, build, verify
from lockgate.trust.tuf_layout import ECOSYSTEMS, OTHERS

UNTIL = NOW + timedelta(days=45)
TARGETS = {"lock.json": Target(10, "a" * 64), "blobs/" + "b" * 64: Target(0, "b" * 64)}
SUPPLY = Supply()
ROOT = SUPPLY.signed(1)


def crossing(
    version: int, supply: Supply = SUPPLY, expires: datetime = UNTIL, targets: dict[str, Target] = TARGETS
) -> dict[str, bytes]:
    return build(targets, version, supply.online, expires)


def refused(
    files: dict[str, bytes], trusted: dict[str, bytes], at: datetime = NOW, root: bytes = ROOT
) -> None:
    with pytest.raises(UpdateMetadataError):
        verify(root, files, trusted, at)


def test_what_was_built_verifies_and_names_every_target() -> None:
    delegated = {f"{name}.json" for name in (*ECOSYSTEMS, OTHERS)}
    assert set(crossing(1)) == set(TUF_FILES) | delegated
    assert verify(ROOT, crossing(1), {}, NOW) == TARGETS
    assert verify(ROOT, crossing(2), crossing(1), NOW) == TARGETS
    assert verify(ROOT, crossing(7, targets={}), crossing(2), NOW) == {}


def test_metadata_only_moves_forward() -> None:
    trusted = crossing(5)
    refused(crossing(4), trusted)
    refused(crossing(5), trusted)
    refused(trusted, trusted)
    assert verify(ROOT, crossing(6), trusted, NOW) == TARGETS


def test_expiry_stops_the_new_but_not_the_memory_of_the_old() -> None:
    assert verify(ROOT, crossing(1), {}, UNTIL - timedelta(seconds=1)) == TARGETS
    refused(crossing(1), {}, UNTIL)
    late = UNTIL + timedelta(days=100)
    newer = crossing(3, expires=late + timedelta(days=1))
    assert verify(ROOT, newer, crossing(2), late) == TARGETS
    refused(crossing(1, expires=late + timedelta(days=1)), crossing(2), late)


@pytest.mark.parametrize("name", TUF_FILES)
def test_every_file_must_be_there(name: str) -> None:
    files = crossing(1)
    del files[name]
    with pytest.raises(UpdateMetadataError, match=f"brings no {name}"):
        verify(ROOT, files, {}, NOW)


@pytest.mark.parametrize("name", TUF_FILES)
def test_files_of_different_crossings_do_not_mix(name: str) -> None:
    other = crossing(2, targets={"evil": Target(1, "e" * 64)})
    refused({**crossing(3), name: other[name]}, {})
    refused({**other, name: crossing(3)[name]}, {})


@pytest.mark.parametrize("name", TUF_FILES)
def test_files_do_not_stand_for_one_another(name: str) -> None:
    for other in TUF_FILES:
        if other != name:
            refused({**crossing(1), name: crossing(1)[other]}, {})
    refused({**crossing(1), name: ROOT}, {})
    refused({**crossing(1), name: b""}, {})
    refused({**crossing(1), name: b"{}"}, {})


@pytest.mark.parametrize("name", TUF_FILES)
def test_an_altered_file_is_refused(name: str) -> None:
    files = crossing(1)
    for at in range(0, len(files[name]), 11):
        changed = bytearray(files[name])
        changed[at] ^= 1
        refused({**files, name: bytes(changed)}, {})


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_each_role_needs_its_own_key(role: str) -> None:
    keys = {"targets": SUPPLY.targets, "snapshot": SUPPLY.snapshot, "timestamp": SUPPLY.timestamp}
    stranger = new_signer(Purpose(role), role)
    wrong = [stranger, *(signer for name, signer in keys.items() if name != role)]
    for signer in wrong:
        refused(build(TARGETS, 1, TufSigners(**{**keys, role: signer}), UNTIL), {})


def test_after_a_key_rotation_the_new_keys_count_and_the_old_do_not() -> None:
    after = Supply(SUPPLY.holders, SUPPLY.collector)
    root = after.signed(2)
    trusted = crossing(5)
    assert verify(root, crossing(6, after), trusted, NOW) == TARGETS
    refused(crossing(6), trusted, root=root)
    refused(crossing(6, after), trusted)
    half = Supply(SUPPLY.holders, SUPPLY.collector, SUPPLY.targets, SUPPLY.snapshot)
    assert verify(half.signed(2), crossing(6, half), trusted, NOW) == TARGETS


def signed_by(signed: Targets | Snapshot | Timestamp, signer: Signer) -> bytes:
    metadata = Metadata(signed)
    metadata.sign(signer.raw)
    return metadata.to_bytes()


def test_a_snapshot_cannot_go_back_under_a_newer_timestamp() -> None:
    """The timestamp's key alone must not be able to offer an older set of targets."""
    old, trusted = crossing(2), crossing(5)
    meta = MetaFile.from_data(2, old["snapshot.json"], ["sha256"])
    stamp = signed_by(Timestamp(version=9, expires=UNTIL, snapshot_meta=meta), SUPPLY.timestamp)
    refused({**old, "timestamp.json": stamp}, trusted)
    roles = {n: MetaFile.from_data(2, old[n], ["sha256"]) for n in old if n not in TUF_FILES[:2]}
    snapshot = signed_by(Snapshot(version=9, expires=UNTIL, meta=roles), SUPPLY.snapshot)
    meta = MetaFile.from_data(9, snapshot, ["sha256"])
    stamp = signed_by(Timestamp(version=9, expires=UNTIL, snapshot_meta=meta), SUPPLY.timestamp)
    files = {**old, "timestamp.json": stamp, "snapshot.json": snapshot}
    refused(files, trusted)
    assert verify(ROOT, files, {}, NOW) == TARGETS


def test_a_target_without_sha256_is_refused() -> None:
    weak = TargetFile(length=1, hashes={"sha512": "a" * 128}, path="x")
    targets = signed_by(Targets(version=1, expires=UNTIL, targets={"x": weak}), SUPPLY.targets)
    top = MetaFile.from_data(1, targets, ["sha256"])
    snapshot = signed_by(Snapshot(version=1, expires=UNTIL, meta={"targets.json": top}), SUPPLY.snapshot)
    meta = MetaFile.from_data(1, snapshot, ["sha256"])
    stamp = signed_by(Timestamp(version=1, expires=UNTIL, snapshot_meta=meta), SUPPLY.timestamp)
    refused({"timestamp.json": stamp, "snapshot.json": snapshot, "targets.json": targets}, {})


def test_what_is_no_root_is_refused() -> None:
    refused(crossing(1), {}, root=b"{}")
    refused(crossing(1), {}, root=Supply().signed(1))
    assert json.loads(ROOT)["signed"]["_type"] == "root"


def test_metadata_is_the_same_for_the_same_crossing() -> None:
    assert crossing(3) == crossing(3)
    assert crossing(3)["timestamp.json"] != crossing(3, expires=LATER)["timestamp.json"]
