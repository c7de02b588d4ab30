"""A low side that holds every one of its keys and lies inside the encryption: refused, nothing kept."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossing_lane import MIB, NOW, Lane, filler, refused, tree
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState
from lockgate.core.wire import encode
from lockgate.crossing import (
    SBOM,
    Received,
    RecordLedger,
    SealedCrate,
    attest_collection,
    payload,
    prepare,
    seal,
)
from lockgate.crossing import errors as e
from lockgate.crossing.payload import Content, Entry, PayloadSource
from lockgate.store.errors import BlobTooLargeError
from lockgate.trust.errors import UpdateMetadataError, WrongLaneError
from lockgate.trust.tuf import Target, TufSigners, build

FILES = {"files/a": filler("a", 4000), "files/b": b"b"}


@pytest.fixture
def lane() -> Lane:
    return Lane()


class Rogue:
    """Patches the low side's program, as somebody who owns that machine could."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def __call__(self, name: str, other: object) -> None:
        self._patch.setattr(prepare if hasattr(prepare, name) else seal, name, other)

    def targets(self, change: Callable[[dict[str, Target]], object]) -> None:
        """Sign update metadata that names other targets."""

        def other(
            targets: Mapping[str, Target], version: int, signers: TufSigners, expires: datetime, *_: object
        ) -> dict[str, bytes]:
            changed = dict(targets)
            change(changed)
            return build(changed, version, signers, expires)

        self("build", other)

    def index(self, change: Callable[[list[Any]], object]) -> None:
        """Write another payload index."""

        def other(entries: list[Entry]) -> bytes:
            changed = msgspec.to_builtins(entries)
            change(changed)
            text = encode({"entries": changed, "format": "lockgate-payload/1"})
            return payload.MAGIC + len(text).to_bytes(8, "big") + text

        self("payload_prefix", other)


@pytest.fixture
def rogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rogue]:
    yield Rogue(monkeypatch)
    monkeypatch.undo()


def refuse(lane: Lane, crate: SealedCrate, tmp_path: Path, error: type[LockgateError]) -> LockgateError:
    """Demand a refusal after which the crossing is recorded and its metadata is not promoted."""
    raised = refused(lane.opener(tmp_path / "staging"), crate, error)
    ledger = RecordLedger(lane.high_records)
    assert ledger.entries()[crate.manifest.sequence].state is CrossingState.RECORDED
    assert ledger.tuf() == {}
    return raised


def no_files_kept(lane: Lane) -> bool:
    """Tell whether quarantine lacks every file of the lock."""
    return not any(lane.quarantine.has(lane.low_blobs.put_bytes(data)) for data in FILES.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("files/b"),
        lambda t: t.update({"files/c": Target(0, "0" * 64)}),
        lambda t: t.update({"files/b": Target(2, t["files/b"].sha256)}),
    ],
)
def test_metadata_that_names_other_files(
    lane: Lane, rogue: Rogue, tmp_path: Path, change: Callable[[dict[str, Target]], object]
) -> None:
    rogue.targets(change)
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.TargetSetError)
    assert no_files_kept(lane)


class Unchecked(PayloadSource):
    """A source that swaps a content for another one of the same length."""

    def __init__(self, prefix: bytes, contents: tuple[Content, ...]) -> None:
        other = Entry(path="files/b", kind="whole", size=1, sha256=sha256(b"X"))
        swapped = tuple(
            Content(other, lambda: io.BytesIO(b"X")) if c.entry.path == other.path else c for c in contents
        )
        super().__init__(prefix, swapped)


def test_a_file_with_other_bytes_than_promised(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    rogue("PayloadSource", Unchecked)
    held = lane.quarantine.put_bytes(FILES["files/a"])  # of an earlier crossing
    error = refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.TargetMismatchError)
    assert error.where["path"] == "files/b"
    assert dict(lane.quarantine.digests()) == {held: len(FILES["files/a"])}, "nothing new stays"


def test_a_payload_that_brings_other_bytes_under_an_honest_lock(
    lane: Lane, rogue: Rogue, tmp_path: Path
) -> None:
    """Lock and update metadata agree; only the payload's own index vouches for the forged file."""
    honest = prepare.whole_contents
    entry = Entry(path="files/b", kind="whole", size=1, sha256=sha256(b"X"))
    forged = Content(entry, lambda: io.BytesIO(b"X"))
    rogue(
        "whole_contents",
        lambda request, blobs: tuple(
            forged if c.entry.path == entry.path else c for c in honest(request, blobs)
        ),
    )
    rogue.targets(lambda t: t.update({"files/b": Target(1, sha256(FILES["files/b"]))}))
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.TargetSetError)
    assert not lane.quarantine.has(entry.sha256)


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.append(i[-1]),
        lambda i: i.reverse(),
        lambda i: i.pop(0),
        lambda i: i[-1].update(path="../../etc/passwd"),
        lambda i: i[-1].update(path="/etc/passwd"),
        lambda i: i[-1].update(path="files/a"),
        lambda i: i[-1].update(kind="tuf"),
        lambda i: i[-1].update(kind="script"),
        lambda i: i[-1].update(size=2),
        lambda i: i[-1].update(size=-1),
        lambda i: i[-1].update(size=1 << 60),
        lambda i: i[-1].update(extra=1),
        lambda i: i.clear(),
    ],
)
def test_a_payload_index_that_lies(
    lane: Lane, rogue: Rogue, tmp_path: Path, change: Callable[[list[Any]], object]
) -> None:
    rogue.index(change)
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.PayloadError)
    assert lane.quarantine._blobs == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        b"LGPAY1\r\n",
        b"LGPAY2\r\n" + bytes(8),
        b"LGPAY1\r\n" + b"\xff" * 8,
        b"LGPAY1\r\n" + bytes(7) + b"\x02{}",
        b"LGPAY1\r\n" + bytes(7) + b"\x0d" + b'{"format": 1}',
    ],
)
def test_a_payload_that_begins_otherwise(lane: Lane, rogue: Rogue, tmp_path: Path, prefix: bytes) -> None:
    rogue("payload_prefix", lambda _: prefix)
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.PayloadError)


def attested(lane: Lane, /, **changes: Any) -> seal.SealRequest:
    """A request whose lock the collector attested as it is."""
    lock = msgspec.structs.replace(lane.request(FILES).lock, **changes)
    envelope = attest_collection(lock, b"{}", lane.signers[Purpose.COLLECTOR])
    return seal.SealRequest(lock, envelope, b"{}")


def test_a_lock_of_another_lane(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    honest = prepare.whole_contents
    request = attested(lane, lane="elsewhere")
    rogue("whole_contents", lambda _, blobs: honest(request, blobs))
    disguised = replace(request, lock=msgspec.structs.replace(request.lock, lane=lane.name))
    crate = lane.sealer(tmp_path / "outbox").seal(disguised)
    refuse(lane, crate, tmp_path, WrongLaneError)
    assert no_files_kept(lane)


def test_a_lock_of_another_format(lane: Lane, tmp_path: Path) -> None:
    crate = lane.sealer(tmp_path / "outbox").seal(attested(lane, format="lockgate-lock/9"))
    refuse(lane, crate, tmp_path, e.TargetSetError)


def test_a_lock_that_names_fewer_files(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    """A file beside the lock would escape the approvers' eyes."""
    honest = prepare.whole_contents
    extra = lane.low_blobs.put_bytes(b"stowaway")
    stowaway = Content(
        Entry(path="files/stowaway", kind="whole", size=8, sha256=extra), lambda: io.BytesIO(b"stowaway")
    )
    rogue("whole_contents", lambda request, blobs: (*honest(request, blobs), stowaway))
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.TargetSetError)
    assert not lane.quarantine.has(extra)
    assert no_files_kept(lane)


def test_a_crate_without_a_bill_of_materials(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    honest = prepare.whole_contents
    rogue("check_collection", lambda *_: None)
    rogue(
        "whole_contents",
        lambda request, blobs: tuple(c for c in honest(request, blobs) if c.entry.path != SBOM),
    )
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, e.TargetSetError)


def test_a_document_over_its_bound(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES)
    monkeypatch.setattr("lockgate.crossing.quarantine.META_LIMIT", 500)
    refuse(lane, crate, tmp_path, e.PayloadError)
    monkeypatch.setattr("lockgate.crossing.quarantine._small", lambda p, entry: p.exactly(entry.size))
    monkeypatch.setattr("lockgate.crossing.quarantine.META_LIMIT", 200)
    refuse(lane, crate, tmp_path, BlobTooLargeError)


def test_metadata_that_expired_before_the_crate(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    rogue("build", lambda targets, version, signers, *_: build(targets, version, signers, NOW))
    refuse(lane, lane.seal(tmp_path / "outbox", FILES), tmp_path, UpdateMetadataError)


def test_metadata_older_than_what_is_trusted(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    opener = lane.opener(tmp_path / "staging")
    assert isinstance(opener.receive(lane.seal(tmp_path / "outbox", FILES).path), Received)
    trusted = RecordLedger(lane.high_records).tuf()
    rogue("build", lambda targets, _, signers, until, *__: build(targets, 1, signers, until + timedelta(1)))
    refused(opener, lane.seal(tmp_path / "outbox", {"files/z": b"z"}), UpdateMetadataError)
    assert RecordLedger(lane.high_records).tuf() == trusted


def test_what_a_refused_payload_staged_does_not_stay_in_the_way(lane: Lane, tmp_path: Path) -> None:
    """A mismatch after an earlier run's staging is tried again from the sealed volumes."""
    crate = lane.seal(tmp_path / "outbox", {"files/a": filler("a", 2 * MIB)})
    last = crate.path / crate.manifest.volumes[-1].name
    last.rename(tmp_path / "later")
    opener = lane.opener(tmp_path / "staging")
    opener.receive(crate.path)
    (staged,) = (tmp_path / "staging").glob("*/vol-0001.lgv")
    staged.write_bytes(bytes(staged.stat().st_size))
    (tmp_path / "later").rename(last)
    (crate.path / "vol-0001.lgv").rename(tmp_path / "gone")
    refused(opener, crate, e.PayloadError)
    (tmp_path / "gone").rename(crate.path / "vol-0001.lgv")
    assert isinstance(opener.receive(crate.path), Received)
    assert tree(tmp_path / "staging") == {}
