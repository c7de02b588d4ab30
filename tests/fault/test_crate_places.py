"""Every error that opening a crate can end with names the file and the bytes of the crate that are wrong.

All error classes of the rooms that opening reaches are sorted here. A new class fails the test until it is:
into those that a case below brings about, those about no byte of a crate (with the reason), or those that
opening never raises. Cases of the classes in `ELSEWHERE` stand in the other files of this folder, where
`refused` demands the same of each.
"""

import base64
import inspect
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import msgspec
import pytest
import test_crate_low_side as low
from test_crate_delta_tampering import OLD, WHEEL, body, carrying, sealed
from test_crate_low_side import Rogue

from crossing_lane import MIB, NOW, SBOM_BYTES, WITHOUT_RANGE, YEAR, Lane, filler, refused, resign
from lockgate.core import artifact, roots, sequence
from lockgate.core import errors as core
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.crossing import Received, SealedCrate, attest_collection, prepare
from lockgate.crossing import errors as e
from lockgate.crossing.delta import errors as delta
from lockgate.crossing.format import CRATE_TYPE
from lockgate.crossing.ledger import HELD, ledger_key
from lockgate.crossing.payload import LOCK, LOCK_ATTESTATION, Content, Entry
from lockgate.crossing.ports import Rebuilder
from lockgate.store import errors as store
from lockgate.store.marks import DigestCheck
from lockgate.trust import dsse
from lockgate.trust import errors as trust
from lockgate.trust.keys import new_signer
from lockgate.trust.roots import make_supply_root
from lockgate.trust.tuf import build

ROOMS: tuple[ModuleType, ...] = (core, artifact, roots, sequence, trust, store, e, delta)

ELSEWHERE = {
    e.RootsListError: "test_crate_sequence",
    e.ManifestError: "test_crate_tampering",
    e.RecipientNotListedError: "test_crate_tampering",
    e.NotARecipientError: "test_crate_tampering",
    e.SealerMismatchError: "test_crate_tampering",
    e.FutureCrateError: "test_crate_sequence",
    e.ShardIndexDamagedError: "test_crate_flips",
    e.HeaderDamagedError: "test_crate_tampering",
    e.RecordDamagedError: "test_crate_tampering",
    e.VolumeTruncatedError: "test_crate_tampering",
    e.VolumeExtendedError: "test_crate_tampering",
    e.HeaderContentError: "test_crate_tampering",
    e.CommitmentError: "test_crate_commitment",
    e.SealerFaultError: "test_crate_tampering",
    e.TooDamagedError: "test_crate_parity",
    e.RebuiltWrongError: "test_crate_parity",
    e.CrateExpiredError: "test_crate_sequence",
    e.CleartextRefusedError: "test_crate_cleartext",
    e.ReceiveWindowError: "test_crate_sequence",
    e.BaseMissingError: "test_crate_tampering",
    e.ClockHeldError: "test_crate_sequence",
    e.OvertakenError: "test_crate_sequence",
    sequence.ReplayedCrateError: "test_crate_sequence",
    sequence.EquivocationError: "test_crate_sequence",
    sequence.SequenceGapError: "test_crate_sequence",
    sequence.BrokenChainError: "test_crate_sequence",
    roots.KeyRevokedError: "test_crate_revoked",
    roots.ThresholdError: "test_crate_tampering",
    trust.WrongLaneError: "test_crate_low_side",
    trust.RootChainError: "test_crate_sequence",
    trust.UnwrapError: "test_crate_tampering",
    store.BlobTooLargeError: "test_crate_low_side",
    core.NotCanonicalError: "test_crate_tampering",
}

NEVER = {
    core.LockgateError: "only what is built on it is raised",
    core.InputError: "only what is built on it is raised",
    core.TrustError: "only what is built on it is raised",
    core.PolicyError: "only what is built on it is raised",
    core.LimitError: "only what is built on it is raised",
    core.HostError: "only what is built on it is raised",
    core.TooLargeError: "a bound of documents that is never below those of files and entries",
    e.SealRequestError: "sealing",
    e.SealingUnfinishedError: "sealing",
    e.VolumeSizeError: "sealing",
    e.ParityRequestError: "sealing",
    e.SourceChangedError: "sealing",
    e.CrateLimitError: "sealing",
    e.BegunLedgerError: "what a station is told to begin with",
    e.ReceiptConflictError: "receipts",
    e.ReceiptReplayedError: "receipts",
    e.ReceiptEarlyError: "receipts",
    e.SubliminalSignatureError: "receipts",
    e.CustodyChainError: "custody travels beside the crate",
    e.CustodyPlaceError: "custody travels beside the crate",
    e.NotTheClerkError: "custody travels beside the crate",
    e.CustodyForkError: "custody travels beside the crate",
    e.CustodyOlderError: "custody travels beside the crate",
    e.ChainFullError: "custody travels beside the crate",
    trust.PinMismatchError: "about this side's own root, before a crate is read",
    trust.RootFileError: "about this side's own root, before a crate is read",
    roots.RootExpiredError: "a supply root's expiry is judged by TUF, as UpdateMetadataError",
    trust.AssertionRefusedError: "approvals",
    trust.CredentialError: "approvals",
    trust.KeyFileError: "keys of this side",
    trust.TokenError: "keys of this side",
    trust.KeyFormError: "keys of this side",
    trust.KeyAddressError: "keys of this side",
    trust.TokenFailedError: "keys of this side",
    trust.CertificateNameError: "certificates of servers",
    trust.CertificateAuthorityError: "certificates of servers",
}

THIS_SIDE = {
    store.BlobMissingError: "quarantine lost a file",
    store.BlobMismatchError: "quarantine holds an altered file; in a crate it is TargetMismatchError",
    store.StoreIoError: "the disk",
    store.RecordExistsError: "the records",
    store.StaleRecordError: "the records",
    store.RecordsUnavailableError: "the records",
    store.RecordKeyError: "the records",
    store.StoreAddressError: "the configuration",
    store.SchemaOutdatedError: "the records",
    store.SchemaUnknownError: "the records",
    store.RecordsConflictError: "the records",
    store.SpoolFullError: "the disk",
    store.BlobsSweptError: "the store",
}
"""About this side's own store and records: nothing in the crate is wrong."""

Make = Callable[[Lane, Rogue, Path, pytest.MonkeyPatch], SealedCrate]
CASES: dict[str, tuple[type[LockgateError], Make, str]] = {}
"""What a low side with all of its keys does, by name: the error that it meets, and the path that it names."""


def case(error: type[LockgateError], path: str = "") -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        CASES[make.__name__] = (error, make, path)
        return make

    return keep


def classes(rooms: tuple[ModuleType, ...]) -> set[type[LockgateError]]:
    return {
        one
        for room in rooms
        for one in vars(room).values()
        if inspect.isclass(one) and issubclass(one, LockgateError) and one.__module__ == room.__name__
    }


@case(e.PayloadError)
def a_wrong_mark(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue("payload_prefix", lambda _: b"LGPAY2\r\n" + bytes(8))
    return lane.seal(folder, low.FILES)


@case(e.PayloadError)
def no_index_at_all(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue("payload_prefix", lambda _: b"")
    return lane.seal(folder, low.FILES)


@case(e.PayloadError)
def a_member_twice(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue.index(lambda entries: entries[-1].update(path="files/a"))
    return lane.seal(folder, low.FILES)


@case(e.PayloadError)
def a_path_that_climbs(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue.index(lambda entries: entries[-1].update(path="../../etc/passwd"))
    return lane.seal(folder, low.FILES)


@case(e.PayloadError)
def a_length_that_lies(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue.index(lambda entries: entries[-1].update(size=1 << 60))
    return lane.seal(folder, low.FILES)


@case(e.TargetMismatchError, "files/b")
def other_bytes(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue("PayloadSource", low.Unchecked)
    return lane.seal(folder, low.FILES)


@case(e.TargetSetError, "files/b")
def metadata_without_a_file(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue.targets(lambda targets: targets.pop("files/b"))
    return lane.seal(folder, low.FILES)


@case(trust.UpdateMetadataError)
def expired_metadata(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    rogue("build", lambda targets, version, signers, *_: build(targets, version, signers, NOW))
    return lane.seal(folder, low.FILES)


def attested(lane: Lane, rogue: Rogue, folder: Path, envelope: bytes) -> SealedCrate:
    """Seal with another attestation of the collector, which a low side that lies does not look at."""
    rogue("check_collection", lambda *_: None)
    return lane.sealer(folder).seal(lane.request(low.FILES, lock_attestation=envelope))


@case(roots.UnknownKeyError, LOCK_ATTESTATION)
def a_collector_nobody_knows(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    stranger = new_signer(Purpose.COLLECTOR, "stranger")
    envelope = attest_collection(lane.lock(low.FILES), SBOM_BYTES, stranger)
    return attested(lane, rogue, folder, envelope)


@case(roots.KeyPurposeError, LOCK_ATTESTATION)
def a_key_for_something_else(lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch) -> SealedCrate:
    envelope = attest_collection(lane.lock(low.FILES), SBOM_BYTES, lane.signers[Purpose.SEALER])
    return attested(lane, rogue, folder, envelope)


@case(roots.KeyExpiredError, LOCK_ATTESTATION)
def a_collector_key_that_expired(
    lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch
) -> SealedCrate:
    late = new_signer(Purpose.COLLECTOR, "late")
    keys = {s.keyid: s.held(NOW + YEAR) for s in (*lane.holders, *lane.signers.values())}
    root = lane.supply_root(2, keys=keys | {late.keyid: late.held(NOW - YEAR)})
    lane.low_roots.append(make_supply_root(root, lane.holders[:2]))
    return attested(lane, rogue, folder, attest_collection(lane.lock(low.FILES), SBOM_BYTES, late))


@case(trust.EnvelopeError, LOCK_ATTESTATION)
def an_envelope_of_something_else(
    lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch
) -> SealedCrate:
    return attested(lane, rogue, folder, dsse.sign("text/plain", b"{}", [lane.signers[Purpose.COLLECTOR]]))


@case(trust.SignatureError, LOCK_ATTESTATION)
def a_signature_over_something_else(
    lane: Lane, rogue: Rogue, folder: Path, _: pytest.MonkeyPatch
) -> SealedCrate:
    collector = lane.signers[Purpose.COLLECTOR]
    envelope = attest_collection(lane.lock(low.FILES), SBOM_BYTES, collector)
    return attested(lane, rogue, folder, dsse.attach(envelope, collector.keyid, collector.sign(b"other")))


def locked(lane: Lane, folder: Path, *artifacts: artifact.Artifact) -> SealedCrate:
    """Seal a lock that no honest program can make, attested as it is."""
    request = lane.request(low.FILES)
    msgspec.structs.force_setattr(request.lock, "artifacts", artifacts)
    envelope = attest_collection(request.lock, SBOM_BYTES, lane.signers[Purpose.COLLECTOR])
    return lane.sealer(folder).seal(replace(request, lock_attestation=envelope))


@case(artifact.DoubledPackageError, LOCK)
def a_lock_with_one_package_twice(lane: Lane, _: Rogue, folder: Path, __: pytest.MonkeyPatch) -> SealedCrate:
    first, second = lane.request(low.FILES).lock.artifacts
    return locked(lane, folder, first, msgspec.structs.replace(second, purl=first.purl))


@case(artifact.UnsafePathError, LOCK)
def a_lock_with_one_path_twice(lane: Lane, _: Rogue, folder: Path, __: pytest.MonkeyPatch) -> SealedCrate:
    first, second = lane.request(low.FILES).lock.artifacts
    return locked(lane, folder, first, second, msgspec.structs.replace(second, purl="pkg:generic/again@1"))


@case(core.MalformedDocumentError)
def a_manifest_that_is_none(lane: Lane, _: Rogue, folder: Path, __: pytest.MonkeyPatch) -> SealedCrate:
    crate = lane.seal(folder, low.FILES)
    signer = lane.signers[Purpose.SEALER]
    (crate.path / "crate.json").write_bytes(dsse.sign(CRATE_TYPE, b'{"format":7}', [signer]))
    return crate


@case(e.CrossingStateError)
def a_crossing_of_which_nothing_is_held(
    lane: Lane, _: Rogue, folder: Path, __: pytest.MonkeyPatch
) -> SealedCrate:
    crate = lane.seal(folder, low.FILES)
    assert isinstance(lane.opener(folder / "staging").receive(crate.path), Received)
    with lane.high_records.transaction() as tx:
        tx.delete(HELD, ledger_key(1))
    return crate


@case(delta.PatchError, WHEEL)
def a_patch_that_is_none(lane: Lane, _: Rogue, folder: Path, patch: pytest.MonkeyPatch) -> SealedCrate:
    return sealed(held(lane, folder), folder, patch, lambda content: carrying(content, b"x" * 1000))


@case(e.TargetMismatchError, WHEEL)
def another_patch_than_the_index_names(
    lane: Lane, _: Rogue, folder: Path, patch: pytest.MonkeyPatch
) -> SealedCrate:
    def change(content: Content) -> Content:
        data = body(content)
        entry = msgspec.structs.replace(content.entry, carried_sha256="7" * 64)
        return Content(entry, lambda: io.BytesIO(data), lambda: DigestCheck(sha256(data)))

    return sealed(held(lane, folder), folder, patch, change)


@case(e.BaseFileMissingError, WHEEL)
def a_base_that_no_named_crossing_carried(
    lane: Lane, _: Rogue, folder: Path, patch: pytest.MonkeyPatch
) -> SealedCrate:
    def change(content: Content) -> Content:
        return carrying(content, body(content), bases=("7" * 64,))

    return sealed(held(lane, folder), folder, patch, change)


def held(lane: Lane, folder: Path) -> Lane:
    """Return the lane after a first crossing that deltas may build on."""
    first = lane.sealer(folder / "outbox").seal(lane.request(OLD))
    assert isinstance(lane.opener(folder / "staging").receive(first.path), Received)
    return lane


class Greedy(Rebuilder):
    """Rebuilds nothing: each patch takes more than it may."""

    @contextmanager
    def rebuild(self, patch: Path, bases: Mapping[str, Path], size: int) -> Iterator[BinaryIO]:
        raise delta.PatchLimitError("A patch took more than it may.", limit="seconds")
        yield


def places(error: LockgateError, path: str) -> None:
    assert error.where.get("path", "") == path
    assert str(error.where["file"]) in str(error), "the sentence names it"
    assert error.as_dict()["where"]["file"] == error.where["file"], "and so does --json"


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_place_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error, make, path = CASES[name]
    lane = Lane()
    crate = make(lane, Rogue(monkeypatch), tmp_path / "outbox", monkeypatch)
    monkeypatch.undo()
    places(refused(lane.opener(tmp_path / "outbox" / "staging"), crate, error), path)


def test_a_patch_over_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane()
    crate = sealed(held(lane, tmp_path), tmp_path, monkeypatch, lambda content: content)
    opener = lane.opener(tmp_path / "staging", rebuilder=Greedy())
    places(refused(opener, crate, delta.PatchLimitError), WHEEL)


def test_the_bytes_at_the_place_are_the_wrong_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a crate that is signed and not sealed, what is named can be looked at."""
    lane = Lane(policy=Policy(cleartext=True))
    lane.site = lane.site_root(lane.gate)
    Rogue(monkeypatch)("PayloadSource", low.Unchecked)
    files = {"files/a": filler("a", MIB - 3000), "files/b": b"b", "files/c": filler("c", 2 * MIB)}
    crate = lane.sealer(tmp_path / "outbox", cleartext=True).seal(lane.request(files))
    where = refused(lane.opener(tmp_path / "staging"), crate, e.TargetMismatchError).where
    data = (crate.path / where["file"]).read_bytes()
    assert data[where["offset"] : where["offset"] + where["length"]] == b"X"
    assert (where["path"], where["length"]) == ("files/b", 1)


def test_a_file_over_several_volumes_is_named_from_its_first_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, honest = Lane(), prepare.whole_contents
    other = filler("other", 3 * MIB)
    files = {"files/a": filler("a", 3 * MIB), "files/z": b"z"}
    entry = Entry(path="files/a", kind="whole", size=len(other), sha256=sha256(files["files/a"]))
    # The index promises one file and the records carry another one of the same length.
    forged = Content(entry, lambda: io.BytesIO(other), lambda: DigestCheck(sha256(other)))
    Rogue(monkeypatch)(
        "whole_contents",
        lambda request, blobs: tuple(
            forged if c.entry.path == entry.path else c for c in honest(request, blobs)
        ),
    )
    crate = lane.seal(tmp_path / "outbox", files)
    where = refused(lane.opener(tmp_path / "staging"), crate, e.TargetMismatchError).where
    first, *_, last = crate.manifest.volumes
    assert (where["file"], where["last_file"]) == (first.name, last.name)
    assert where["offset"] + where["length"] == first.size
    assert where["last_length"] == last.size - 16 - len(b"z")


def test_the_field_of_crate_json_is_named(tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox")
    resign(lane, crate, previous_sha256="7" * 64)
    error = refused(lane.opener(tmp_path / "staging"), crate, sequence.BrokenChainError)
    data = (crate.path / "crate.json").read_bytes()
    start, length = error.where["offset"], error.where["length"]
    assert error.where["field"] == "$.previous_sha256"
    assert b"7" * 64 in base64.b64decode(data[start : start + length])
    assert length < 100


def test_every_error_is_sorted() -> None:
    brought = {error for error, _, _ in CASES.values()} | {delta.PatchLimitError}
    with_place = brought | set(ELSEWHERE)
    without = set(NEVER) | set(THIS_SIDE) | set(WITHOUT_RANGE)
    assert with_place | without == classes(ROOMS)
    assert not with_place & without
    for error, file in ELSEWHERE.items():
        assert error.__name__ in (Path(__file__).parent / f"{file}.py").read_text(), error
    assert all((NEVER | THIS_SIDE | WITHOUT_RANGE).values()), "each with its reason"
