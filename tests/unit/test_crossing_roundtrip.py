"""What is sealed arrives: over several volumes, in parts, again and again."""

from pathlib import Path

import pytest

from crossing_lane import MIB, Lane, filler, tree
from lockgate.core.sequence import CrossingState
from lockgate.crossing import LOCK, SBOM, Received, RecordLedger, Waiting

FILES = {
    "python/large.whl": filler("large", 2 * MIB + 77),
    "documents/empty.md": b"",
    "documents/small.md": b"# small\n",
    "models/a/b/weights.gguf": filler("weights", MIB + MIB // 2),
}


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_every_file_arrives_with_its_digest(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    assert len(sealed.manifest.volumes) == 4
    before = tree(sealed.path)

    received = lane.opener(tmp_path / "staging").receive(sealed.path)

    assert isinstance(received, Received)
    assert received.manifest == sealed.manifest
    assert received.crate_sha256 == sealed.crate_sha256
    for path, data in FILES.items():
        assert lane.quarantine.read(received.targets[path].sha256) == data
    assert {LOCK, SBOM} <= received.targets.keys()
    assert [a.purl for a in received.lock.artifacts] == [f"pkg:generic/{path}@1" for path in FILES]
    assert tree(sealed.path) == before
    assert [p.name for p in (tmp_path / "staging").iterdir()] == [".receiving"]


def test_names_sizes_and_contents_stay_inside_the_encryption(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    carried = b"".join(p.read_bytes() for p in sealed.path.rglob("*") if p.is_file())
    for path, data in FILES.items():
        assert path.encode() not in carried
        assert not data or data[:64] not in carried
    assert b"documents" not in carried


def test_volumes_come_in_any_order_over_several_media(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    aside = tmp_path / "aside"
    aside.mkdir()
    names = [v.name for v in sealed.manifest.volumes]
    for name in names:
        (sealed.path / name).rename(aside / name)
    opener = lane.opener(tmp_path / "staging")
    left = set(names)
    for name in (names[2], names[0], names[3]):
        (aside / name).rename(sealed.path / name)
        left.remove(name)
        waiting = opener.receive(sealed.path)
        assert isinstance(waiting, Waiting)
        assert set(waiting.missing) == left
        (sealed.path / name).rename(aside / name)  # the medium leaves again
    (aside / names[1]).rename(sealed.path / names[1])
    assert isinstance(opener.receive(sealed.path), Received)


def test_receiving_again_gives_the_same(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    opener = lane.opener(tmp_path / "staging")
    first = opener.receive(sealed.path)
    assert opener.receive(sealed.path) == first
    assert RecordLedger(lane.high_records).entries()[1].state is CrossingState.QUARANTINED


def test_crossings_follow_one_another(lane: Lane, tmp_path: Path) -> None:
    opener = lane.opener(tmp_path / "staging")
    digests = []
    for number in (1, 2, 3):
        sealed = lane.seal(tmp_path / "outbox", {f"files/{number}": str(number).encode()})
        assert sealed.manifest.sequence == number
        assert sealed.manifest.previous_sha256 == (digests[-1] if digests else "0" * 64)
        assert isinstance(opener.receive(sealed.path), Received)
        digests.append(sealed.crate_sha256)
    entries = RecordLedger(lane.high_records).entries()
    assert [entries[n].crate_sha256 for n in (1, 2, 3)] == digests


def test_staged_plaintext_that_rotted_is_staged_again(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.seal(tmp_path / "outbox", FILES)
    last = sealed.path / sealed.manifest.volumes[-1].name
    last.rename(tmp_path / "later")
    opener = lane.opener(tmp_path / "staging")
    assert isinstance(opener.receive(sealed.path), Waiting)
    (staged,) = (tmp_path / "staging").glob("*/vol-0002.lgv")
    data = bytearray(staged.read_bytes())
    data[500_000] ^= 1
    staged.write_bytes(data)
    (tmp_path / "later").rename(last)
    received = opener.receive(sealed.path)
    assert isinstance(received, Received)
    assert lane.quarantine.read(received.targets["python/large.whl"].sha256) == FILES["python/large.whl"]
