"""Everything but single bits: lengths, order, foreign files, other lanes, keys and sealers."""

import base64
import hashlib
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossing_lane import MIB, NOW, YEAR, Lane, altered, filler, nothing_recorded, refused, resign
from lockgate.core.errors import LockgateError, NotCanonicalError
from lockgate.core.roots import KeyExpiredError, KeyPurposeError, Purpose, ThresholdError, UnknownKeyError
from lockgate.core.sequence import (
    CrossingState,
)
from lockgate.core.wire import digest_of, encode
from lockgate.crossing import (
    Opener,
    Received,
    RecordLedger,
    RecordSealLedger,
    SealedCrate,
    attest_collection,
)
from lockgate.crossing import errors as e
from lockgate.crossing.format import CRATE_TYPE
from lockgate.store import FileBlobs, MemoryRecords
from lockgate.store.marks import MarkKeyFile
from lockgate.trust import dsse
from lockgate.trust.errors import RootChainError, UnwrapError, WrongLaneError
from lockgate.trust.keys import new_recipient_key, new_signer
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


# --- lengths and order -------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 16, 17, MIB, MIB + 20_000])
def test_a_volume_cut_short(opener: Opener, crate: SealedCrate, cut: int) -> None:
    entry = crate.manifest.volumes[0]
    left = max(0, entry.size - cut)
    with (crate.path / entry.name).open("r+b") as file:
        file.truncate(left)
    error = refused(opener, crate, e.VolumeTruncatedError)
    assert error.where == {"file": entry.name, "offset": left, "length": entry.size - left}


@pytest.mark.parametrize("more", [b"\0", b"\0" * (MIB + 16)])
def test_a_volume_with_bytes_after_its_end(opener: Opener, crate: SealedCrate, more: bytes) -> None:
    entry = crate.manifest.volumes[1]
    with (crate.path / entry.name).open("ab") as file:
        file.write(more)
    error = refused(opener, crate, e.VolumeExtendedError)
    assert error.where == {"file": entry.name, "offset": entry.size, "length": len(more)}


@pytest.mark.parametrize("name", ["shards.idx", "crate.json", "roots/1.root.json"])
def test_the_small_files_cut_or_grown(opener: Opener, crate: SealedCrate, name: str) -> None:
    data = (crate.path / name).read_bytes()
    for other in (data[:-1], data + b"\n", data + data, b""):
        with altered(crate.path / name, other), pytest.raises(LockgateError) as caught:
            opener.receive(crate.path)
        assert caught.value.where["file"] == name


def test_two_records_swapped(opener: Opener, lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "wide", {"files/big": filler("x", 3 * MIB)}, volume_bytes=8 * MIB)
    (entry,) = crate.manifest.volumes
    start = entry.size - entry.plaintext_size - entry.records * 16
    data = bytearray((crate.path / entry.name).read_bytes())
    one, two = slice(start, start + MIB + 16), slice(start + MIB + 16, start + 2 * MIB + 32)
    data[one], data[two] = data[two], data[one]
    (crate.path / entry.name).write_bytes(data)
    error = refused(opener, crate, e.RecordDamagedError)
    assert (error.where["offset"], error.where["length"]) == (start, MIB + 16)


def test_two_volumes_under_each_other_s_name(opener: Opener, lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "equal", {"files/big": filler("x", 4 * MIB)})
    first, second = (crate.path / v.name for v in crate.manifest.volumes[:2])
    one, two = first.read_bytes(), second.read_bytes()
    assert len(one) == len(two)
    first.write_bytes(two)
    second.write_bytes(one)
    assert refused(opener, crate, e.HeaderDamagedError).where["file"] == "vol-0001.lgv"


def test_a_volume_of_another_crate(opener: Opener, lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    other = Lane(signers=dict(lane.signers), gate=lane.gate).seal(tmp_path / "other", FILES)
    shutil.copy(other.path / "vol-0001.lgv", crate.path / "vol-0001.lgv")
    assert refused(opener, crate, e.HeaderDamagedError).where["file"] == "vol-0001.lgv"


# --- foreign files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["readme.txt", ".hidden", "vol-1.lgv", "vol-0009.lgv", "vol-0001.lgv.bak", "roots/x", "par-0001.lgv"],
)
def test_a_file_that_does_not_belong(opener: Opener, lane: Lane, crate: SealedCrate, name: str) -> None:
    (crate.path / name).write_bytes(b"MZ")
    assert refused(opener, crate, e.CrateGrammarError).where["file"] == name
    assert nothing_recorded(lane)


@pytest.mark.parametrize("name", ["crate.json", "shards.idx", "vol-0001.lgv", "roots/1.root.json", "roots"])
def test_a_link_instead_of_a_file(opener: Opener, crate: SealedCrate, tmp_path: Path, name: str) -> None:
    (crate.path / name).rename(tmp_path / "elsewhere")
    (crate.path / name).symlink_to(tmp_path / "elsewhere")
    assert refused(opener, crate, e.CrateGrammarError).where["file"] == name


@pytest.mark.parametrize("name", ["crate.json", "vol-0001.lgv", "roots/1.root.json"])
def test_a_pipe_instead_of_a_file_does_not_block(opener: Opener, crate: SealedCrate, name: str) -> None:
    (crate.path / name).unlink()
    os.mkfifo(crate.path / name)
    assert refused(opener, crate, e.CrateGrammarError).where["file"] == name


@pytest.mark.parametrize("name", ["crate.json", "shards.idx", "roots"])
def test_a_crate_that_lacks_a_part(opener: Opener, crate: SealedCrate, tmp_path: Path, name: str) -> None:
    (crate.path / name).rename(tmp_path / "taken")
    assert refused(opener, crate, e.NotACrateError).where["file"] == name


def test_a_folder_with_another_name(opener: Opener, crate: SealedCrate, tmp_path: Path) -> None:
    link = tmp_path / "crate-000001-abcdef"
    link.symlink_to(crate.path)
    refused(opener, link, e.NotACrateError)
    refused(opener, crate.path.rename(tmp_path / "crate-000009-abcdef"), e.ManifestError)
    refused(opener, (tmp_path / "crate-000009-abcdef").rename(tmp_path / "stuff"), e.NotACrateError)
    refused(opener, tmp_path / "crate-000001-000000", e.NotACrateError)


# --- who sealed, for whom, where ---------------------------------------------------------------


def test_a_crate_for_another_lane(lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    resign(lane, crate, lane="elsewhere")
    refused(lane.opener(tmp_path / "staging"), crate, WrongLaneError)
    assert nothing_recorded(lane)


def test_a_crate_of_another_lane_s_roots(opener: Opener, lane: Lane, tmp_path: Path) -> None:
    other = Lane(gate=lane.gate).seal(tmp_path / "other", FILES)
    assert refused(opener, other, RootChainError).where["file"] == "roots/1.root.json"
    shutil.copy(lane.seal(tmp_path / "o").path / "roots/1.root.json", other.path / "roots/1.root.json")
    assert refused(opener, other, UnknownKeyError).where["file"] == "crate.json"


def test_a_key_of_another_purpose(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    resign(lane, crate, lane.signers[Purpose.COLLECTOR])
    assert refused(opener, crate, KeyPurposeError).where["file"] == "crate.json"


def test_a_signature_more_than_the_root_knows(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    resign(lane, crate, lane.signers[Purpose.SEALER], new_signer(Purpose.SEALER, "stranger"))
    refused(opener, crate, UnknownKeyError)


def test_no_signature_at_all(opener: Opener, crate: SealedCrate) -> None:
    envelope = dsse.open_envelope((crate.path / "crate.json").read_bytes())
    (crate.path / "crate.json").write_bytes(dsse.sign(CRATE_TYPE, envelope.payload, []))
    refused(opener, crate, ThresholdError)


def test_too_few_sealers(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox")
    thresholds = {Purpose.SUPPLY_ROOT: 2, Purpose.SEALER: 2}
    root = make_supply_root(lane.supply_root(2, thresholds=thresholds), lane.holders[:2])
    lane.high_roots.add(2, root)
    refused(lane.opener(tmp_path / "staging"), crate, ThresholdError)


def test_the_payload_of_another_envelope_type(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    other = dsse.sign("application/json", encode(crate.manifest), [lane.signers[Purpose.SEALER]])
    (crate.path / "crate.json").write_bytes(other)
    with pytest.raises(LockgateError) as caught:
        opener.receive(crate.path)
    assert caught.value.code == "LG-2101"


def test_a_signed_manifest_in_another_encoding(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    loose = msgspec.json.format(encode(crate.manifest), indent=1)
    (crate.path / "crate.json").write_bytes(dsse.sign(CRATE_TYPE, loose, [lane.signers[Purpose.SEALER]]))
    assert refused(opener, crate, NotCanonicalError).where["file"] == "crate.json"


def test_an_expired_sealer_key(lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    lane.clock.now = NOW + YEAR + timedelta(seconds=1)
    refused(lane.opener(tmp_path / "staging"), crate, KeyExpiredError)


def test_another_sealer_named_than_signed(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    sealer = msgspec.structs.replace(crate.manifest.sealer, person="somebody-else")
    resign(lane, crate, sealer=sealer)
    refused(opener, crate, e.SealerMismatchError)


def test_a_recipient_that_the_site_does_not_publish(lane: Lane, tmp_path: Path) -> None:
    spy = new_recipient_key("spy")
    crate = lane.seal(tmp_path / "outbox", FILES, site=lane.site_root(lane.gate, spy))
    refused(lane.opener(tmp_path / "staging"), crate, e.RecipientNotListedError)
    with pytest.raises(e.RecipientNotListedError):
        lane.sealer(tmp_path / "o").seal(lane.request(FILES, recipients=(spy.recipient_id,)))
    assert nothing_recorded(lane)


def test_a_recipient_key_that_expired(lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    stale = lane.site_root(lane.gate, until=NOW)
    refused(lane.opener(tmp_path / "staging", site=stale), crate, e.RecipientNotListedError)
    with pytest.raises(e.RecipientNotListedError):
        lane.seal(tmp_path / "o", FILES, site=stale)


def test_a_side_that_is_no_recipient(lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    opener = lane.opener(tmp_path / "staging", keys=(new_recipient_key("other"),))
    refused(opener, crate, e.NotARecipientError)


def test_of_several_recipients_each_can_open(lane: Lane, tmp_path: Path) -> None:
    second = new_recipient_key("second")
    lane.site = lane.site_root(lane.gate, second)
    crate = lane.seal(tmp_path / "outbox", FILES)
    for number, key in enumerate((lane.gate, second)):
        records = RecordLedger(MemoryRecords())
        opener = lane.opener(tmp_path / f"staging-{number}", keys=(key,), ledger=records)
        assert isinstance(opener.receive(crate.path), Received)


# --- the sealer's own faults -------------------------------------------------------------------


def reseal_volume(lane: Lane, crate: SealedCrate, data: bytes) -> None:
    """Let the sealer sign hashes of an altered first volume."""
    (crate.path / "vol-0001.lgv").write_bytes(data)
    index = bytearray((crate.path / "shards.idx").read_bytes())
    header = int.from_bytes(index[20:24], "big")
    records = crate.manifest.volumes[0].records
    pieces = [data[:header]]
    pieces += [data[header + n * (MIB + 16) : header + (n + 1) * (MIB + 16)] for n in range(records)]
    for number, piece in enumerate(pieces):
        index[28 + 32 * number : 60 + 32 * number] = hashlib.sha256(piece).digest()
    (crate.path / "shards.idx").write_bytes(index)
    resign(lane, crate, shards_sha256=hashlib.sha256(index).hexdigest())


def test_a_record_that_never_decrypted(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    data = bytearray((crate.path / "vol-0001.lgv").read_bytes())
    data[-1] ^= 1
    reseal_volume(lane, crate, bytes(data))
    error = refused(opener, crate, e.SealerFaultError)
    assert error.where["file"] == "vol-0001.lgv"
    assert error.where["offset"] + error.where["length"] == len(data)


def test_a_key_wrapped_for_another_place(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    """The wrapped key of the second volume, in the header of the first one."""
    first = (crate.path / "vol-0001.lgv").read_bytes()
    second = (crate.path / "vol-0002.lgv").read_bytes()
    at = first.index(b'"keys":{"') + len(b'"keys":{"') + 64 + len('":"')
    length = len(base64.b64encode(bytes(65 + 32 + 16)))
    reseal_volume(lane, crate, first[:at] + second[at : at + length] + first[at + length :])
    error = refused(opener, crate, UnwrapError)
    assert (error.where["file"], error.where["offset"]) == ("vol-0001.lgv", 0)
    assert error.where["length"] > at + length


def test_a_key_that_was_not_committed_to(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    first, second = crate.manifest.volumes
    changed = msgspec.structs.replace(first, commitment=second.commitment)
    resign(lane, crate, volumes=(changed, second))
    refused(opener, crate, e.CommitmentError)


def test_a_header_of_another_volume(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    data = (crate.path / "vol-0001.lgv").read_bytes().replace(b'"volume":1', b'"volume":2', 1)
    reseal_volume(lane, crate, data)
    refused(opener, crate, e.HeaderContentError)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "delta"},
        {"format": "lockgate-crate/2"},
        {"volumes": ()},
        {"recipients": ()},
        {"expires": NOW},
        {"void": {"01": "0" * 64}},
    ],
)
def test_a_manifest_that_this_version_does_not_read(
    opener: Opener, lane: Lane, crate: SealedCrate, changes: dict[str, Any]
) -> None:
    resign(lane, crate, **changes)
    assert refused(opener, crate, e.ManifestError).where["file"] == "crate.json"


def test_an_index_that_contradicts_the_manifest(opener: Opener, lane: Lane, crate: SealedCrate) -> None:
    index = bytearray((crate.path / "shards.idx").read_bytes())
    index[23] ^= 1  # the length of the first header
    (crate.path / "shards.idx").write_bytes(index)
    resign(lane, crate, shards_sha256=hashlib.sha256(index).hexdigest())
    assert refused(opener, crate, e.ManifestError).where["file"] == "shards.idx"


def test_a_base_that_nobody_holds(lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path) -> None:
    opener.receive(crate.path)
    second = lane.seal(tmp_path / "o", FILES)
    bases = {"1": "5" * 64}
    resign(lane, second, kind="delta", bases=bases, base_sha256=digest_of(bases))
    error = refused(opener, second, e.BaseMissingError)
    assert error.where["crossing"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "delta"},
        {"kind": "delta", "bases": {}},
        {"base_sha256": "5" * 64},
        {"kind": "full", "bases": {"1": "5" * 64}},
        {"kind": "delta", "bases": {"01": "5" * 64}},
        {"kind": "delta", "bases": {"2": "5" * 64}},
        {"kind": "delta", "bases": {"1": "5" * 64}, "base_sha256": "6" * 64},
    ],
)
def test_bases_that_contradict_the_crate(
    lane: Lane, opener: Opener, crate: SealedCrate, tmp_path: Path, changes: dict[str, Any]
) -> None:
    opener.receive(crate.path)
    second = lane.seal(tmp_path / "o", FILES)
    digest = {"base_sha256": digest_of(changes["bases"])} if "bases" in changes else {}
    resign(lane, second, **(digest | changes))
    refused(opener, second, e.ManifestError)


# --- what was collected ------------------------------------------------------------------------


def test_a_lock_that_no_collector_attested(lane: Lane, tmp_path: Path) -> None:
    request = lane.request(FILES)
    forged = attest_collection(request.lock, request.sbom, lane.signers[Purpose.SEALER])
    with pytest.raises(KeyPurposeError):
        lane.sealer(tmp_path / "o").seal(replace(request, lock_attestation=forged))
    with pytest.raises(e.TargetSetError):
        lane.sealer(tmp_path / "o").seal(replace(request, sbom=b"{}"))


def test_the_high_side_checks_the_collector_itself(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealer who skips the check gains nothing."""
    request = lane.request(FILES)
    forged = attest_collection(request.lock, request.sbom, lane.signers[Purpose.SEALER])
    with monkeypatch.context() as low:
        low.setattr("lockgate.crossing.prepare.check_collection", lambda *_: None)
        crate = lane.sealer(tmp_path / "o").seal(replace(request, lock_attestation=forged))
    refused(lane.opener(tmp_path / "staging"), crate, KeyPurposeError)
    state = RecordLedger(lane.high_records).entries()[1].state
    assert state is CrossingState.RECORDED


def test_a_source_that_changed_discards_the_crate(lane: Lane, tmp_path: Path) -> None:
    request = lane.request(FILES)
    digest = next(f.sha256 for a in request.lock.artifacts for f in a.files if f.path == "files/b")
    lane.low_blobs._blobs[digest] = b"SMALL"  # type: ignore[attr-defined]
    with pytest.raises(e.SourceChangedError):
        lane.sealer(tmp_path / "outbox").seal(request)
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]
    assert RecordSealLedger(lane.low_records).peek().sequence == 1


@pytest.mark.parametrize("left", ["mark", "digest"])
def test_a_blob_changed_in_its_folder_discards_the_crate(tmp_path: Path, left: str) -> None:
    """Whoever writes to the store's folder changes a blob, and its mark or takes that away."""
    marked = FileBlobs(tmp_path / "blobs", MarkKeyFile(tmp_path / "marks.key"))
    lane = Lane(low_blobs=marked)
    request = lane.request(FILES)
    assert lane.sealer(tmp_path / "before").seal(request).path.is_dir()
    digest = next(f.sha256 for a in request.lock.artifacts for f in a.files if f.path == "files/b")
    blob = marked.path(digest)
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    mark = blob.with_name(f"{digest}.mark")
    if left == "digest":
        mark.unlink()
    else:
        mark.write_bytes(mark.read_bytes()[:-16] + bytes(16))
    with pytest.raises(e.SourceChangedError):
        lane.sealer(tmp_path / "outbox").seal(request)
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]
