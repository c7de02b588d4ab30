"""Crates that are signed and not sealed: refused unless the policy permits them, and judged like others."""

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from crossing_lane import MIB, Lane, filler, flipped, nothing_recorded, refused, resign
from lockgate.core.digests import sha256
from lockgate.core.policy import Policy
from lockgate.crossing import Received
from lockgate.crossing.errors import (
    CleartextRefusedError,
    HeaderContentError,
    ManifestError,
    RecordDamagedError,
)

FILES = {"files/big": filler("clear", 2 * MIB + 9000), "files/words": b"a scanner can read this"}
OPEN = Policy(cleartext=True)


@pytest.fixture
def lane() -> Lane:
    lane = Lane(policy=OPEN)
    lane.site = lane.site_root(lane.gate)
    return lane


def test_what_is_inside_can_be_seen_and_crosses(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES, cleartext=True, parity=Fraction(1, 2))
    assert crate.manifest.open_to_all
    assert any(FILES["files/words"] in path.read_bytes() for path in crate.path.glob("vol-*"))
    (crate.path / "vol-0002.lgv").unlink()
    received = lane.opener(tmp_path / "staging").receive(crate.path)
    assert isinstance(received, Received)
    for path, data in FILES.items():
        assert lane.quarantine.read(sha256(data), limit=len(data)) == data, path


def test_it_is_refused_by_default_on_both_sides(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES, cleartext=True)
    for policy in (Policy(), Policy(cleartext=False)):
        site = msgspec.structs.replace(lane.site, policy=policy)
        refused(lane.opener(tmp_path / "staging", site=site), crate, CleartextRefusedError)
        with pytest.raises(CleartextRefusedError):
            lane.seal(tmp_path / "other", FILES, cleartext=True, site=site)
    assert nothing_recorded(lane)
    assert not list((tmp_path / "other").glob("crate-*"))


def test_nobody_alters_it_on_the_way(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES, cleartext=True)
    with flipped(crate.path / "vol-0001.lgv", 5000, 3):
        refused(lane.opener(tmp_path / "staging"), crate, RecordDamagedError)


def test_a_sealed_crate_cannot_be_passed_off_as_cleartext_nor_the_other_way(
    lane: Lane, tmp_path: Path
) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    resign(lane, sealed, cleartext=True)
    refused(lane.opener(tmp_path / "staging"), sealed, ManifestError)
    resign(lane, sealed, cleartext=False)
    refused(lane.opener(tmp_path / "staging"), sealed, ManifestError)
    resign(lane, sealed, cleartext=True, recipients=())
    refused(lane.opener(tmp_path / "staging"), sealed, ManifestError)
    volumes = tuple(
        msgspec.structs.replace(volume, commitment="0" * 64) for volume in sealed.manifest.volumes
    )
    resign(lane, sealed, cleartext=True, recipients=(), volumes=volumes)
    refused(lane.opener(tmp_path / "staging"), sealed, HeaderContentError)
