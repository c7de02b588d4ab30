"""Damage on the way: flipped, lost, cut, grown and swapped volumes, and how parity makes them whole."""

import random
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from crossing_lane import MIB, Lane, filler, flipped, nothing_recorded, refused, resign, tree
from lockgate.core.digests import sha256
from lockgate.crossing import Received, Waiting
from lockgate.crossing.errors import (
    CrateGrammarError,
    ManifestError,
    NoSpaceError,
    RebuiltWrongError,
    RecordDamagedError,
    ShardIndexDamagedError,
    TooDamagedError,
)
from lockgate.crossing.format import ParityEntry, ParityGroup
from lockgate.crossing.open import Opener
from lockgate.crossing.shards import DIGEST_SIZE, VolumeShards, read_index, write_index
from lockgate.store import MemoryBlobs, MemoryRecords

FILES = {"files/big": filler("big", 5 * MIB + 9000), "documents/ä.md": "ä".encode(), "files/none": b""}
SHARE = Fraction(1, 2)


class Bench:
    """A sealed crate with parity, opened again and again by a high side that never saw it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lane = Lane()
        self.crate = self.lane.seal(folder / "outbox", FILES, parity=SHARE, volume_bytes=MIB + 20_000)
        self.opened = 0

    @property
    def volumes(self) -> list[Path]:
        return [self.crate.path / v.name for v in self.crate.manifest.volumes]

    @property
    def parity(self) -> list[Path]:
        assert self.crate.manifest.parity is not None
        return [self.crate.path / v.name for v in self.crate.manifest.parity.volumes]

    def opener(self) -> Opener:
        """An opener with fresh records and quarantine."""
        self.opened += 1
        self.lane.high_records, self.lane.quarantine = MemoryRecords(), MemoryBlobs()
        return self.lane.opener(self.folder / f"staging-{self.opened}")

    def receive(self) -> Received | Waiting:
        return self.opener().receive(self.crate.path)

    def whole(self) -> Received:
        """Receive, and demand every file as it was collected."""
        received = self.receive()
        assert isinstance(received, Received)
        for path, data in FILES.items():
            assert self.lane.quarantine.read(sha256(data), limit=len(data)) == data, path
        left = [p.name for p in (self.folder / f"staging-{self.opened}").iterdir() if p.name[0] != "."]
        assert left == []
        return received


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("parity"))


@pytest.fixture(autouse=True)
def _as_sealed(bench: Bench, tmp_path: Path) -> Iterator[None]:
    """Give every test the crate as it was sealed; let none leave it otherwise."""
    kept = tmp_path / "kept"
    shutil.copytree(bench.crate.path, kept)
    yield
    shutil.rmtree(bench.crate.path)
    shutil.copytree(kept, bench.crate.path)


def test_what_is_whole_needs_no_repair(bench: Bench) -> None:
    assert (len(bench.volumes), len(bench.parity)) == (6, 3)
    assert bench.whole().repaired == ()


@pytest.mark.parametrize("seed", range(12))
def test_any_volumes_up_to_the_parity_may_be_lost(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # chooses what is damaged
    lost = chance.sample(bench.volumes + bench.parity, len(bench.parity))
    for path in lost:
        path.unlink()
    before = tree(bench.crate.path)
    repaired = bench.whole().repaired
    assert {d.file for d in repaired} == {p.name for p in lost if p.name.startswith("vol")}
    assert all((d.offset, d.why) == (0, "missing") for d in repaired)
    assert tree(bench.crate.path) == before


@pytest.mark.parametrize("seed", range(6))
def test_one_more_is_waited_for_and_named(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # chooses what is damaged
    lost = chance.sample(bench.volumes, 2) + chance.sample(bench.parity, 2)
    for path in lost:
        path.unlink()
    waiting = bench.receive()
    assert isinstance(waiting, Waiting)
    assert waiting.missing == tuple(sorted(p.name for p in lost if p.name.startswith("vol")))


def test_what_arrives_later_is_enough_with_what_is_staged(bench: Bench, tmp_path: Path) -> None:
    aside = [p.rename(tmp_path / p.name) for p in bench.volumes[:2] + bench.parity[:2]]
    opener = bench.opener()
    assert isinstance(opener.receive(bench.crate.path), Waiting)
    aside[-1].rename(bench.parity[1])
    received = opener.receive(bench.crate.path)
    assert isinstance(received, Received)
    assert {d.file for d in received.repaired} == {"vol-0001.lgv", "vol-0002.lgv"}


def test_a_cut_a_grown_and_a_flipped_volume_are_rebuilt_at_once(bench: Bench) -> None:
    cut, grown, flip = bench.volumes[0], bench.volumes[1], bench.volumes[2]
    cut.write_bytes(cut.read_bytes()[:-5000])
    grown.write_bytes(grown.read_bytes() + b"more")
    data = bytearray(flip.read_bytes())
    data[2] ^= 1  # the header, and so the volume's key
    data[-3] ^= 1
    flip.write_bytes(bytes(data))
    found = {(d.file, d.why) for d in bench.whole().repaired}
    assert found == {(cut.name, "truncated"), (grown.name, "extended"), (flip.name, "altered")}


def test_swapped_volumes_and_swapped_parity_are_rebuilt(bench: Bench) -> None:
    first, second = bench.volumes[3].read_bytes(), bench.parity[2].read_bytes()
    bench.volumes[3].write_bytes(second)
    bench.parity[2].write_bytes(first)
    assert {d.file for d in bench.whole().repaired} == {bench.volumes[3].name}


@pytest.mark.slow
def test_five_hundred_flips_over_volumes_parity_and_headers(bench: Bench) -> None:
    chance = random.Random(4)  # noqa: S311  # chooses what is damaged
    files = bench.volumes + bench.parity
    for number in range(520):
        path = files[number % len(files)]
        size = path.stat().st_size
        offset = chance.randrange(600) if number % 3 == 0 else chance.randrange(size)
        with flipped(path, offset, chance.randrange(8)):
            repaired = bench.whole().repaired
        # Parity is not read while every volume is whole, so that its damage is not even seen.
        assert [d.file for d in repaired] == ([path.name] if path.name.startswith("vol") else [])
        if repaired:
            assert repaired[0].offset <= offset < repaired[0].offset + repaired[0].length


def spoil(path: Path, offset: int, length: int = 1) -> None:
    """Turn every bit of a part of a file."""
    data = bytearray(path.read_bytes())
    start = offset % len(data)
    for place in range(start, start + length):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))


def test_no_file_is_whole_and_every_stripe_is_within_reach(bench: Bench) -> None:
    files = bench.volumes + bench.parity
    for path in (*files[:2], files[6]):
        spoil(path, -9)
    for path in (*files[2:4], files[7]):
        spoil(path, 30)
    assert {d.file for d in bench.whole().repaired} == {p.name for p in files[:4]}
    spoil(files[8], -9)
    refused(bench.opener(), bench.crate, TooDamagedError)


def test_too_much_damage_is_refused_and_named(bench: Bench) -> None:
    for path in bench.volumes[:4]:
        with path.open("r+b") as file:
            file.seek(40_000)
            file.write(b"x" * 50)
    for path in bench.parity:
        path.unlink()
    error = refused(bench.opener(), bench.crate, TooDamagedError)
    assert error.where["file"] == bench.volumes[0].name
    assert error.where["offset"] <= 40_000 < error.where["offset"] + error.where["length"]
    for path in bench.volumes[:4]:
        assert path.name in error.what
    assert f"{bench.parity[0].name} (missing)" in error.what


def test_without_parity_damage_is_refused_as_before(tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox", FILES)
    spoil(crate.path / "vol-0002.lgv", 5000)
    refused(lane.opener(tmp_path / "staging"), crate, RecordDamagedError)


@pytest.mark.parametrize("offset", range(0, 700, 7))
def test_an_altered_index_is_refused_at_every_place(bench: Bench, offset: int) -> None:
    with flipped(bench.crate.path / "shards.idx", offset, offset % 8):
        refused(bench.opener(), bench.crate, ShardIndexDamagedError)


def test_parity_of_another_crate_is_damage_and_a_foreign_one_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = Lane().seal(tmp_path / "other", FILES, parity=SHARE, volume_bytes=MIB + 20_000)
    for path in bench.parity:
        shutil.copy(other.path / path.name, path)
    spoil(bench.volumes[0], 5000)
    refused(bench.opener(), bench.crate, TooDamagedError)
    (bench.crate.path / "par-0009.lgv").write_bytes(b"")
    refused(bench.opener(), bench.crate, CrateGrammarError)
    assert nothing_recorded(bench.lane)


def test_repair_asks_for_room_first(bench: Bench) -> None:
    bench.volumes[0].unlink()
    needs: list[int] = []

    def free(_: Path) -> int:
        needs.append(len(needs))
        return 64 * MIB if len(needs) == 1 else 1000

    bench.lane.high_records, bench.lane.quarantine = MemoryRecords(), MemoryBlobs()
    opener = bench.lane.opener(bench.folder / "staging-room", free=free)
    refused(opener, bench.crate, NoSpaceError)
    assert len(needs) == 2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scheme": "xor"}, "scheme"),
        ({"groups": (ParityGroup(volumes=5, parity=3),)}, "groups"),
        ({"groups": (ParityGroup(volumes=6, parity=2),)}, "parity volumes"),
        ({"groups": (ParityGroup(volumes=6, parity=250),)}, "more than 255"),
        ({"groups": ()}, "groups"),
        ({"volumes": ()}, "parity volumes"),
        ({"volumes": (ParityEntry(name="par-0002.lgv", size=5),) * 3}, "parity volumes"),
        ({"volumes": tuple(ParityEntry(name=f"par-000{n}.lgv", size=5) for n in (1, 2, 3))}, "length"),
    ],
)
def test_a_sealer_cannot_lie_about_parity(bench: Bench, change: dict[str, object], word: str) -> None:
    parity = msgspec.structs.replace(bench.crate.manifest.parity, **change)
    resign(bench.lane, bench.crate, parity=parity)
    assert word in refused(bench.opener(), bench.crate, ManifestError).what


def test_wrong_parity_that_the_sealer_signed_is_told_from_damage(bench: Bench) -> None:
    path, manifest = bench.parity[0], bench.crate.manifest
    spoil(path, 5000)
    files = read_index((bench.crate.path / "shards.idx").read_bytes(), manifest.volumes, manifest.parity)
    shards = [file.shards for file in files]
    place = len(manifest.volumes)
    record = path.read_bytes()[shards[place].header_size :]
    wrong = shards[place].digests[:DIGEST_SIZE] + bytes.fromhex(sha256(record))
    shards[place] = VolumeShards(shards[place].header_size, wrong)
    index = write_index(shards[:place], shards[place:])
    (bench.crate.path / "shards.idx").write_bytes(index)
    resign(bench.lane, bench.crate, shards_sha256=sha256(index))
    bench.whole()
    bench.volumes[0].unlink()
    refused(bench.opener(), bench.crate, RebuiltWrongError)


def test_scattered_damage_over_all_files_is_found_byte_by_byte(bench: Bench) -> None:
    """Every record of every file is bad, which no erasure code repairs; each is bad somewhere else."""
    chance = random.Random(11)  # noqa: S311  # chooses what is damaged
    files = bench.volumes + bench.parity
    for path in files:
        for _ in range(6):
            spoil(path, chance.randrange(500, 17_000), chance.choice([1, 1, 40]))
    spoil(bench.volumes[0], 100_000, 4096)
    spoil(bench.volumes[1], 200_000, 4096)
    spoil(bench.volumes[2], 201_000, 4096)  # overlaps: one column with two errors
    spoil(bench.volumes[3], 20)
    received = bench.whole()
    assert {d.file for d in received.repaired} == {p.name for p in bench.volumes}


def test_scattered_damage_beside_a_lost_volume(bench: Bench) -> None:
    bench.volumes[5].unlink()
    for number, path in enumerate(bench.volumes[:5] + bench.parity):
        spoil(path, 1000 + number * 300, 50)
    assert len(bench.whole().repaired) == 6
    bench.volumes[4].unlink()
    waiting = bench.receive()
    assert isinstance(waiting, Waiting)
    assert waiting.missing == tuple(p.name for p in bench.volumes)
    assert waiting.damaged == tuple(p.name for p in bench.volumes[:4])


def test_damage_that_coincides_everywhere_is_refused_in_bounded_time(bench: Bench) -> None:
    for number, path in enumerate(bench.volumes):
        spoil(path, 3000 + number, 9000)
    refused(bench.opener(), bench.crate, TooDamagedError)
