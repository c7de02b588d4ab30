"""Keys that the site root revokes: whatever they signed of a crate refuses it, and nothing else changes."""

from pathlib import Path

import msgspec
import pytest

from crossing_lane import Lane, nothing_recorded, refused
from lockgate.core.roots import KeyRevokedError, Purpose
from lockgate.crossing import Received
from lockgate.trust.keys import new_signer
from lockgate.trust.roots import make_supply_root


def revoke(lane: Lane, *keyids: str) -> None:
    lane.site = msgspec.structs.replace(lane.site, revoked=tuple(sorted(keyids)))


@pytest.mark.parametrize(
    ("purpose", "file"),
    [
        (Purpose.SEALER, "crate.json"),
        (Purpose.COLLECTOR, "meta/lock.dsse.json"),
        (Purpose.TARGETS, "tuf/targets.json"),
        (Purpose.SNAPSHOT, "tuf/snapshot.json"),
        (Purpose.TIMESTAMP, "tuf/timestamp.json"),
    ],
)
def test_a_crate_that_a_revoked_key_signed(purpose: Purpose, file: str, tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox")
    revoke(lane, lane.signers[purpose].keyid)
    error = refused(lane.opener(tmp_path / "staging"), crate, KeyRevokedError)
    assert (error.where["file"] if purpose is Purpose.SEALER else error.where["path"]) == file
    assert error.where["keyid"] == lane.signers[purpose].keyid
    assert list(lane.quarantine.digests()) == []
    if purpose is Purpose.SEALER:
        assert nothing_recorded(lane)
    revoke(lane, "0" * 64)
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)


def test_a_new_supply_root_that_a_revoked_holder_signed(tmp_path: Path) -> None:
    lane = Lane()
    old = lane.signers[Purpose.SEALER]
    lane.signers[Purpose.SEALER] = new_signer(Purpose.SEALER, "low-sealer-2")
    lane.low_roots.append(make_supply_root(lane.supply_root(2), lane.holders[:2]))
    crate = lane.seal(tmp_path / "outbox")
    revoke(lane, lane.holders[0].keyid)
    error = refused(lane.opener(tmp_path / "staging"), crate, KeyRevokedError)
    assert error.where["file"] == "roots/2.root.json"
    assert len(lane.high_roots.versions()) == 1
    assert nothing_recorded(lane)
    # A revoked sealer that the newer root dropped is nobody any more; the new one is believed.
    revoke(lane, old.keyid)
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)
    assert len(lane.high_roots.versions()) == 2


def test_what_was_recorded_before_the_revocation_is_not_opened_after_it(tmp_path: Path) -> None:
    lane = Lane()
    files = {f"files/{n}": bytes([n]) * (1 << 20) for n in range(3)}
    crate = lane.seal(tmp_path / "outbox", files)
    part = tmp_path / "part" / crate.path.name
    part.parent.mkdir()
    crate.path.rename(part)
    last = max(part.glob("vol-*.lgv"))
    kept = last.read_bytes()
    last.unlink()
    assert not isinstance(lane.opener(tmp_path / "staging").receive(part), Received)
    last.write_bytes(kept)
    revoke(lane, lane.signers[Purpose.SEALER].keyid)
    refused(lane.opener(tmp_path / "staging"), part, KeyRevokedError)
    assert list(lane.quarantine.digests()) == []
