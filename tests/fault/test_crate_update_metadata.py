"""Update metadata with a file for each delegated role, across whole crossings."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossing_lane import Lane, refused
from lockgate.core.roots import Purpose, UnknownKeyError
from lockgate.core.wire import encode
from lockgate.crossing import Received, RecordLedger, payload, prepare
from lockgate.crossing import errors as e
from lockgate.crossing.ledger import RecordSealLedger
from lockgate.crossing.payload import Entry
from lockgate.trust import tuf, tuf_layout
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.keys import new_signer
from lockgate.trust.roots import make_supply_root
from lockgate.trust.tuf import TUF_FILES

ROLES = {"python.json", "models.json", "documents.json", "meta.json", "files.json"}


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Lane:
    monkeypatch.setattr(tuf_layout, "FLAT_TARGETS", 4)
    monkeypatch.setattr(tuf_layout, "BIN_TARGETS", 2)
    return Lane()


def wheels(count: int, body: str = "") -> dict[str, bytes]:
    return {f"python/p{n}/p{n}.whl": f"{n}{body}".encode() for n in range(count)}


def cross(lane: Lane, folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Take files across and return the metadata that the high side trusts from then on."""
    received = lane.opener(folder / "staging").receive(lane.seal(folder / "outbox", files).path)
    assert isinstance(received, Received)
    assert {path for path in received.targets if not path.startswith("meta/")} == set(files)
    trusted = RecordLedger(lane.high_records).tuf()
    assert trusted == RecordSealLedger(lane.low_records).tuf()
    return trusted


def version(data: bytes) -> int:
    return int(json.loads(data)["signed"]["version"])


def test_a_change_signs_one_bin_anew(lane: Lane, tmp_path: Path) -> None:
    first = cross(lane, tmp_path, {**wheels(9), "notes.txt": b"notes"})
    bins = {f"python-{n}.json" for n in range(8)}
    assert set(first) == {*TUF_FILES, *ROLES, *bins}
    second = cross(lane, tmp_path, {**wheels(9), "python/p3/p3.whl": b"changed", "notes.txt": b"notes"})
    changed = {name for name in second if second[name] != first[name]}
    assert len(changed & bins) == 1
    assert changed - bins == {*TUF_FILES, "meta.json"}
    assert {version(second[name]) for name in changed} == {2}
    assert {version(second[name]) for name in set(second) - changed} == {1}


def test_an_ecosystem_grows_and_shrinks(lane: Lane, tmp_path: Path) -> None:
    for count in (1, 20, 40, 3, 100, 2):
        trusted = cross(lane, tmp_path, wheels(count))
    assert "python-3f.json" in trusted
    assert "python-00.json" in trusted
    assert len(trusted) == 3 + 5 + 64
    listed = json.loads(trusted["snapshot.json"])["signed"]["meta"]
    retired = {f"python-{n:x}.json" for n in range(16)}
    assert set(listed) == retired | set(trusted) - set(TUF_FILES[:2])


def test_a_void_crate_leaves_no_gap_in_the_metadata(lane: Lane, tmp_path: Path) -> None:
    cross(lane, tmp_path, wheels(9))
    lost = lane.seal(tmp_path / "outbox", wheels(9, "lost"))
    RecordSealLedger(lane.low_records).declare_void(lost.manifest.sequence)
    trusted = cross(lane, tmp_path, {**wheels(9, "lost"), "python/p0/p0.whl": b"found"})
    assert {version(data) for name, data in trusted.items() if name.startswith("python-")} >= {2, 3}


def test_a_low_side_that_forgot_its_metadata_is_refused_when_names_are_missing(
    lane: Lane, tmp_path: Path
) -> None:
    trusted = cross(lane, tmp_path, wheels(9))
    with lane.low_records.transaction() as tx:
        for name in trusted:
            tx.delete("seal-tuf", name)
    crate = lane.seal(tmp_path / "outbox", wheels(1))
    error = refused(lane.opener(tmp_path / "staging"), crate, UpdateMetadataError)
    assert "no longer lists" in error.what
    assert RecordLedger(lane.high_records).tuf() == trusted


def test_an_error_about_one_target_names_the_byte_of_the_crate_where_it_stands(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate = lane.seal(tmp_path / "outbox", wheels(9))
    plain, path = tuf.answering, "python/p3/p3.whl"
    monkeypatch.setattr(
        tuf, "answering", lambda role, asked: ([], True) if asked == path else plain(role, asked)
    )
    error = refused(lane.opener(tmp_path / "staging"), crate, UpdateMetadataError)
    assert "not delegated to it" in error.what
    assert error.where["path"] == path
    volume = (crate.path / error.where["file"]).stat().st_size
    assert error.where["length"] == 1
    assert 0 < error.where["offset"] < volume


@pytest.mark.parametrize("role", [Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP])
def test_a_new_root_takes_a_role_its_key(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Purpose
) -> None:
    """After the root that names the new key has crossed, the removed key signs nothing any more."""
    first = cross(lane, tmp_path, wheels(9))
    removed, lane.signers[role] = lane.signers[role], new_signer(role, "successor")
    lane.low_roots.append(make_supply_root(lane.supply_root(2), lane.holders[:2]))
    second = cross(lane, tmp_path, wheels(9))
    kept = {name for name in second if second[name] == first[name]}
    assert bool(kept) is (role is not Purpose.TARGETS)
    lane.signers[role] = removed
    sealer = lane.sealer(tmp_path / "outbox")
    with pytest.raises(UnknownKeyError):
        sealer.seal(lane.request(wheels(10)))
    monkeypatch.setattr(prepare.Preparer, "demand_keys", lambda *_: None)  # a low side that lies
    refused(lane.opener(tmp_path / "staging"), sealer.seal(lane.request(wheels(10))), UpdateMetadataError)
    assert RecordLedger(lane.high_records).tuf() == second


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[list[Any]], object]], None]]:
    """Let the low side write another payload index."""

    def use(change: Callable[[list[Any]], object]) -> None:
        def other(entries: list[Entry]) -> bytes:
            changed = msgspec.to_builtins(entries)
            change(changed)
            text = encode({"entries": changed, "format": "lockgate-payload/1"})
            return payload.MAGIC + len(text).to_bytes(8, "big") + text

        monkeypatch.setattr(prepare, "payload_prefix", other)

    yield use
    monkeypatch.undo()


def swapped(first: int, second: int) -> Callable[[list[Any]], object]:
    def change(entries: list[Any]) -> None:
        entries[first], entries[second] = entries[second], entries[first]

    return change


@pytest.mark.parametrize(
    "change",
    [
        swapped(0, 1),
        swapped(2, 3),
        swapped(3, 4),
        lambda i: i[3].update(kind="whole"),
        lambda i: i[3].update(path="files/json"),
        lambda i: i[-1].update(path="tuf/zzz.json"),
        lambda i: i[3].update(path="tuf/../python.json"),
    ],
)
def test_metadata_stands_where_the_format_says(
    lane: Lane,
    index: Callable[[Callable[[list[Any]], object]], None],
    tmp_path: Path,
    change: Callable[[list[Any]], object],
) -> None:
    index(change)
    crate = lane.seal(tmp_path / "outbox", wheels(2))
    refused(lane.opener(tmp_path / "staging"), crate, e.PayloadError)
    assert RecordLedger(lane.high_records).tuf() == {}


def test_metadata_is_bounded_in_files_and_bytes(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate = lane.seal(tmp_path / "outbox", wheels(9))
    opener = lane.opener(tmp_path / "staging")
    monkeypatch.setattr("lockgate.crossing.payload.FILES_LIMIT", 15)
    refused(opener, crate, e.PayloadError)
    monkeypatch.undo()
    monkeypatch.setattr("lockgate.crossing.quarantine.TUF_LIMIT", 5000)
    assert "at most 5000 are read" in refused(opener, crate, e.PayloadError).what
    monkeypatch.undo()
    assert isinstance(opener.receive(crate.path), Received)
