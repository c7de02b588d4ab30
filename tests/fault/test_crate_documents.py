"""What is wrong inside a document of a crate is named by its own bytes, also when it turns out later.

The crates are signed and not sealed, so that what an error names can be looked at in the volumes.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_crate_low_side import Rogue

from crossing_lane import NOW, SBOM_BYTES, Lane, filler, refused
from lockgate.core.artifact import DoubledPackageError
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError, MalformedDocumentError, NotCanonicalError
from lockgate.core.policy import Policy
from lockgate.core.roots import KeyRevokedError, Purpose
from lockgate.core.wire import decode, encode
from lockgate.crossing import Received, SealedCrate, attest_collection, contents
from lockgate.crossing.errors import TargetSetError
from lockgate.crossing.ledger import HELD, ledger_key
from lockgate.crossing.payload import LOCK, LOCK_ATTESTATION, SBOM
from lockgate.crossing.ports import Held
from lockgate.trust.attest import COLLECTION, attest
from lockgate.trust.errors import UpdateMetadataError, WrongLaneError
from lockgate.trust.tuf import build

FILES = {"files/a": filler("a", 4000), "files/b": b"b"}


@pytest.fixture
def lane() -> Lane:
    made = Lane(policy=Policy(cleartext=True))
    made.site = made.site_root(made.gate)
    return made


@pytest.fixture
def rogue(monkeypatch: pytest.MonkeyPatch) -> Rogue:
    return Rogue(monkeypatch)


def named(crate: SealedCrate, error: LockgateError) -> bytes:
    """Return the bytes of the crate that an error names."""
    data = (crate.path / str(error.where["file"])).read_bytes()
    assert "last_file" not in error.where
    return data[error.where["offset"] : error.where["offset"] + error.where["length"]]


def sealed(lane: Lane, rogue: Rogue, folder: Path, lock: bytes, attestation: bytes = b"") -> SealedCrate:
    """Seal some bytes as the lock, attested by the collector as they are."""
    request = lane.request(FILES)
    by_collector = attestation or attest(
        {LOCK: sha256(lock), SBOM: sha256(SBOM_BYTES)},
        COLLECTION,
        contents.Collection(lane=lane.name, manifest_sha256=sha256(b""), created=NOW),
        lane.signers[Purpose.COLLECTOR],
    )
    rogue("check_collection", lambda *_: None)
    honest = contents.whole_contents

    def other(asked: contents.SealRequest, blobs: Any) -> Any:
        found = honest(asked, blobs)
        return tuple(contents._in_memory(LOCK, "whole", lock) if c.entry.path == LOCK else c for c in found)

    rogue("whole_contents", other)
    return lane.sealer(folder, cleartext=True).seal(replace(request, lock_attestation=by_collector))


def plain(lane: Lane) -> dict[str, Any]:
    return json.loads(encode(lane.request(FILES).lock))  # type: ignore[no-any-return]


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lock: lock.update(lane="elsewhere"), (WrongLaneError, b'"elsewhere"')),
        (lambda lock: lock.update(format="lockgate-lock/9"), (TargetSetError, b'"lockgate-lock/9"')),
        (lambda lock: lock["artifacts"][1].update(kind="spell"), (MalformedDocumentError, b'"spell"')),
        (lambda lock: lock["artifacts"][1]["files"][0].update(size=-7), (MalformedDocumentError, b"-7")),
        (
            lambda lock: lock["artifacts"][1].update(purl=lock["artifacts"][0]["purl"]),
            (DoubledPackageError, b'"pkg:generic/files/a@1"'),
        ),
    ],
)
def test_the_wrong_field_of_a_lock_is_named(
    lane: Lane, rogue: Rogue, tmp_path: Path, change: Change, told: tuple[type[LockgateError], bytes]
) -> None:
    lock = plain(lane)
    change(lock)
    crate = sealed(lane, rogue, tmp_path / "outbox", encode(lock))
    error, wrong = told
    assert named(crate, refused(lane.opener(tmp_path / "staging"), crate, error)) == wrong


def test_the_file_that_lock_and_metadata_do_not_share_is_named(
    lane: Lane, rogue: Rogue, tmp_path: Path
) -> None:
    lock = plain(lane)
    lock["artifacts"][1]["files"][0]["size"] = 3
    crate = sealed(lane, rogue, tmp_path / "outbox", encode(lock))
    error = refused(lane.opener(tmp_path / "staging"), crate, TargetSetError)
    assert json.loads(named(crate, error)) == lock["artifacts"][1]["files"][0]
    fewer = Lane(policy=lane.policy)
    fewer.site = fewer.site_root(fewer.gate)
    lock = plain(fewer)
    lock["artifacts"].pop()
    crate = sealed(fewer, rogue, tmp_path / "fewer", encode(lock))
    error = refused(fewer.opener(tmp_path / "staging"), crate, TargetSetError)
    assert json.loads(named(crate, error)) == lock["artifacts"]


def test_the_first_byte_that_is_not_canonical_is_named(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    lock = encode(plain(lane)).replace(b'"lane":', b'"lane": ')
    crate = sealed(lane, rogue, tmp_path / "outbox", lock)
    error = refused(lane.opener(tmp_path / "staging"), crate, NotCanonicalError)
    assert named(crate, error) == b" "
    assert error.where["byte"] == lock.index(b'"lane": ') + len(b'"lane":')


@pytest.mark.parametrize("cut", [1, 100])
def test_a_cut_lock_is_named_by_a_byte_of_its_own(lane: Lane, rogue: Rogue, tmp_path: Path, cut: int) -> None:
    lock = encode(plain(lane))[:-cut]
    crate = sealed(lane, rogue, tmp_path / "outbox", lock)
    error = refused(lane.opener(tmp_path / "staging"), crate, MalformedDocumentError)
    assert named(crate, error) == lock[-1:]


def test_the_wrong_field_of_an_attestation_is_named_by_the_characters_that_carry_it(
    lane: Lane, rogue: Rogue, tmp_path: Path
) -> None:
    other = attest_collection(
        lane.request({"files/c": b"c"}).lock, SBOM_BYTES, lane.signers[Purpose.COLLECTOR]
    )
    crate = sealed(lane, rogue, tmp_path / "outbox", encode(plain(lane)), other)
    error = refused(lane.opener(tmp_path / "staging"), crate, TargetSetError)
    characters = named(crate, error)
    assert b'"meta/lock.json"' in base64.b64decode(characters)
    payload = json.loads(other)["payload"].encode()
    assert characters in payload
    assert len(characters) < len(payload) // 2


def test_the_expiry_of_update_metadata_is_named(lane: Lane, rogue: Rogue, tmp_path: Path) -> None:
    past = NOW - timedelta(days=1)
    rogue("build", lambda targets, version, signers, *_: build(targets, version, signers, past))
    crate = lane.seal(tmp_path / "outbox", FILES, cleartext=True)
    error = refused(lane.opener(tmp_path / "staging"), crate, UpdateMetadataError)
    assert named(crate, error) == b'"2026-02-28T12:00:00Z"'


def received(lane: Lane, folder: Path) -> SealedCrate:
    crate = lane.seal(folder / "outbox", FILES, cleartext=True)
    assert isinstance(lane.opener(folder / "staging").receive(crate.path), Received)
    return crate


def revoke_the_collector(lane: Lane) -> None:
    lane.site = msgspec.structs.replace(lane.site, revoked=(lane.signers[Purpose.COLLECTOR].keyid,))


def test_what_is_refused_when_it_was_received_already_is_named_as_well(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate = received(lane, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("lockgate.crossing.quarantine.LOCK_FORMAT", "lockgate-lock/2")
        error = refused(lane.opener(tmp_path / "staging"), crate, TargetSetError)
    assert named(crate, error) == b'"lockgate-lock/1"'
    revoke_the_collector(lane)
    error = refused(lane.opener(tmp_path / "staging"), crate, KeyRevokedError)
    assert error.where["path"] == LOCK_ATTESTATION
    with lane.high_records.transaction() as tx:
        held = decode(Held, tx.get(HELD, ledger_key(1)) or b"")
    assert sha256(named(crate, error)) == held.meta[LOCK_ATTESTATION]


def test_what_was_received_before_places_were_kept_is_named_by_its_path(lane: Lane, tmp_path: Path) -> None:
    crate = received(lane, tmp_path)
    with lane.high_records.transaction() as tx:
        held = decode(Held, tx.get(HELD, ledger_key(1)) or b"")
        tx.put(HELD, ledger_key(1), encode(msgspec.structs.replace(held, starts=msgspec.UNSET)))
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)
    revoke_the_collector(lane)
    with pytest.raises(KeyRevokedError) as caught:
        lane.opener(tmp_path / "staging").receive(crate.path)
    assert caught.value.where["path"] == LOCK_ATTESTATION
    assert "file" not in caught.value.where
