"""A hostile sealer's deltas: each is refused, and quarantine holds what it held before."""

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crossing_lane import Lane, refused
from delta_files import gguf, wheel
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.crossing import Received, RecordLedger, SealedCrate
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.deltas import DeltaPlanner, Planned
from lockgate.crossing.errors import (
    BaseFileMissingError,
    ManifestError,
    PayloadError,
    SandboxMissingError,
    TargetMismatchError,
)
from lockgate.crossing.payload import Content, Entry

OLD = {"python/pkg-1.0.whl": wheel("1.0", 0), "models/a.gguf": gguf("a", 0)}
NEW = {"python/pkg-1.1.whl": wheel("1.1", 60), "models/a.gguf": gguf("a", 0), "documents/a.md": b"text"}
WHEEL = "python/pkg-1.1.whl"
Change = Callable[[Content], Content]


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    lane = Lane()
    first = lane.sealer(tmp_path / "outbox").seal(lane.request(OLD))
    assert isinstance(lane.opener(tmp_path / "staging").receive(first.path), Received)
    return lane


def sealed(lane: Lane, folder: Path, monkeypatch: pytest.MonkeyPatch, change: Change) -> SealedCrate:
    """Seal a delta of which the wheel's entry was changed by a sealer that lies."""
    plan = DeltaPlanner.plan

    def lying(self: DeltaPlanner, targets: list[Content]) -> Planned:
        planned = plan(self, targets)
        planned.contents = [change(c) if c.entry.path == WHEEL else c for c in planned.contents]
        return planned

    monkeypatch.setattr(DeltaPlanner, "plan", lying)
    return lane.sealer(folder / "outbox").seal(lane.request(NEW, delta=True))


def carrying(content: Content, data: bytes, **changes: object) -> Content:
    entry = msgspec.structs.replace(content.entry, carried=len(data), carried_sha256=sha256(data), **changes)
    return Content(entry, lambda: io.BytesIO(data))


def body(content: Content) -> bytes:
    with content.open() as stream:
        return stream.read()


def in_vain(lane: Lane, folder: Path, crate: SealedCrate, error: type[LockgateError]) -> LockgateError:
    before = set(lane.quarantine._blobs)
    caught = refused(lane.opener(folder / "staging"), crate, error)
    assert set(lane.quarantine._blobs) == before
    assert RecordLedger(lane.high_records).held(2) is None
    assert not list((folder / "staging").glob(".patch"))
    return caught


def test_a_patch_whose_bytes_were_altered(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(content: Content) -> Content:
        data = bytearray(body(content))
        data[len(data) // 2] ^= 1
        return carrying(content, bytes(data))

    crate = sealed(lane, tmp_path, monkeypatch, change)
    with pytest.raises((PatchError, TargetMismatchError)):
        lane.opener(tmp_path / "staging").receive(crate.path)
    assert RecordLedger(lane.high_records).held(2) is None


@pytest.mark.parametrize("data", [b"", b"LGDLT1\r\n", b"x" * 1000])
def test_a_patch_that_is_none(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    crate = sealed(lane, tmp_path, monkeypatch, lambda content: carrying(content, data))
    assert in_vain(lane, tmp_path, crate, PatchError).where["path"] == WHEEL


def test_a_patch_against_a_file_that_no_named_crossing_carried(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The high side holds these bytes, but not by a crossing that the crate names.
    other = lane.quarantine.put_bytes(b"from somewhere else")
    crate = sealed(lane, tmp_path, monkeypatch, lambda c: carrying(c, body(c), bases=(other,)))
    in_vain(lane, tmp_path, crate, BaseFileMissingError)


def test_a_patch_that_names_other_bases_than_its_entry(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped = sha256(OLD["models/a.gguf"])
    crate = sealed(lane, tmp_path, monkeypatch, lambda c: carrying(c, body(c), bases=(swapped,)))
    in_vain(lane, tmp_path, crate, PatchError)


def test_the_same_file_that_was_never_carried(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(content: Content) -> Content:
        entry = content.entry
        same = Entry(path=entry.path, kind="same", size=entry.size, sha256=entry.sha256)
        return Content(same, io.BytesIO)

    lane.quarantine.put_bytes(NEW[WHEEL])
    crate = sealed(lane, tmp_path, monkeypatch, change)
    in_vain(lane, tmp_path, crate, BaseFileMissingError)


def test_a_patch_that_was_not_carried_whole(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate = sealed(lane, tmp_path, monkeypatch, lambda content: carrying(content, body(content)[:-9]))
    in_vain(lane, tmp_path, crate, PatchError)


def test_a_whole_entry_that_says_how_much_is_carried(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(content: Content) -> Content:
        return Content(msgspec.structs.replace(content.entry, kind="whole"), content.open)

    crate = sealed(lane, tmp_path, monkeypatch, change)
    in_vain(lane, tmp_path, crate, PayloadError)


def test_a_full_crate_that_brings_deltas(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.crossing.prepare.DELTA", "full")
    crate = sealed(lane, tmp_path, monkeypatch, lambda content: content)
    assert crate.manifest.kind == "full"
    refused(lane.opener(tmp_path / "staging"), crate, ManifestError)


def test_a_delta_where_nothing_rebuilds(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crate = sealed(lane, tmp_path, monkeypatch, lambda content: content)
    opener = lane.opener(tmp_path / "staging", rebuilder=None)
    refused(opener, crate, SandboxMissingError)
    assert 2 not in RecordLedger(lane.high_records).entries()
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)
