"""One flipped bit anywhere in a crate is refused, by the file and the byte range that it lies in."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossing_lane import Lane, filler, flipped, tree
from lockgate.core.errors import LockgateError
from lockgate.crossing import Received, RecordLedger, SealedCrate, Waiting
from lockgate.crossing.errors import (
    HeaderDamagedError,
    RecordDamagedError,
    ShardIndexDamagedError,
)
from lockgate.crossing.format import RECORD_SIZE, TAG_SIZE
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.errors import RootFileError


@dataclass
class Side:
    """A high side with a crate in its inbox."""

    lane: Lane
    crate: SealedCrate
    home: Path

    def __post_init__(self) -> None:
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs()
        self.opener = self.lane.opener(self.home, ledger=RecordLedger(self.records), quarantine=self.blobs)
        first = self.crate.manifest.volumes[0]
        self.header = first.size - first.plaintext_size - first.records * TAG_SIZE

    def state(self) -> tuple[object, ...]:
        """Everything that a refusal must leave alone."""
        return (
            dict(self.records._data),
            dict(self.blobs._blobs),
            self.lane.high_roots.versions(),
            tree(self.home),
        )

    def refused(self, name: str, offset: int, bit: int) -> LockgateError:
        """Flip a bit, demand a refusal that names the file and a range with the byte, and return it."""
        with flipped(self.crate.path / name, offset, bit), pytest.raises(LockgateError) as caught:
            self.opener.receive(self.crate.path)
        where = caught.value.where
        assert where["file"] == name, f"bit {bit} of byte {offset}: {caught.value}"
        assert where["offset"] <= offset < where["offset"] + where["length"], f"byte {offset}: {caught.value}"
        return caught.value

    def size(self, name: str) -> int:
        return (self.crate.path / name).stat().st_size


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lane, SealedCrate]]:
    lane = Lane()
    files = {"files/big": filler("big", 2 * RECORD_SIZE + 25_000), "files/b": b"small"}
    sealed = lane.seal(tmp_path_factory.mktemp("outbox"), files)
    assert [v.records for v in sealed.manifest.volumes] == [2, 2]
    inbox = tree(sealed.path)
    yield lane, sealed
    assert tree(sealed.path) == inbox


@pytest.fixture(scope="module")
def fresh(crate: tuple[Lane, SealedCrate], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """A side that has staged nothing of the crate."""
    side = Side(*crate, tmp_path_factory.mktemp("fresh"))
    yield side
    # After all the damage the same crate is whole and opens: nothing of it was left behind.
    assert isinstance(side.opener.receive(side.crate.path), Received)


@pytest.fixture(scope="module")
def begun(crate: tuple[Lane, SealedCrate], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """A side that has recorded the crate and staged its first volume."""
    side = Side(*crate, tmp_path_factory.mktemp("begun"))
    last = side.crate.path / side.crate.manifest.volumes[-1].name
    aside = side.home / "aside"
    last.rename(aside)
    assert isinstance(side.opener.receive(side.crate.path), Waiting)
    aside.rename(last)
    yield side
    assert isinstance(side.opener.receive(side.crate.path), Received)


def spread(start: int, length: int, count: int) -> list[tuple[int, int]]:
    """Positions over a region, its first and last byte among them, each with some bit."""
    rng = random.Random(f"{start} {length}")  # noqa: S311  # positions, not secrets
    chosen = {0, length - 1, *(rng.randrange(length) for _ in range(count - 2))}
    return [(start + at, rng.randrange(8)) for at in sorted(chosen)]


def test_four_hundred_bytes_of_crate_json(fresh: Side) -> None:
    before = fresh.state()
    for offset, bit in spread(0, fresh.size("crate.json"), 400):
        fresh.refused("crate.json", offset, bit)
    assert fresh.state() == before


@pytest.mark.slow
def test_every_byte_of_crate_json(fresh: Side) -> None:
    before = fresh.state()
    size = fresh.size("crate.json")
    for offset, bit in [(at, at % 8) for at in range(size)]:
        fresh.refused("crate.json", offset, bit)
    assert fresh.state() == before


def test_every_bit_of_some_bytes_of_crate_json(fresh: Side) -> None:
    for offset, _ in spread(0, fresh.size("crate.json"), 10):
        for bit in range(8):
            fresh.refused("crate.json", offset, bit)


def test_the_supply_root_that_travels(fresh: Side) -> None:
    before = fresh.state()
    for offset, bit in spread(0, fresh.size("roots/1.root.json"), 100):
        fresh.refused("roots/1.root.json", offset, bit)
    assert fresh.state() == before


def test_a_root_signature_in_another_notation_is_refused(fresh: Side) -> None:
    """Hex digits in capitals would verify; no byte of a root is free."""
    data = (fresh.crate.path / "roots/1.root.json").read_bytes()
    at = data.index(b'"sig":"') + 7
    letter = next(i for i in range(at, at + 128) if data[i] in b"abcdef")
    assert isinstance(fresh.refused("roots/1.root.json", letter, 5), RootFileError)


def test_every_byte_of_the_shard_index(begun: Side) -> None:
    before = begun.state()
    for offset in range(begun.size("shards.idx")):
        assert isinstance(begun.refused("shards.idx", offset, offset % 8), ShardIndexDamagedError)
    assert begun.state() == before


@pytest.mark.parametrize("number", [1, 2])
def test_the_header_of_a_volume(fresh: Side, begun: Side, number: int) -> None:
    """Magic, length and every part of the header."""
    side = fresh if number == 1 else begun
    positions = [(at, at % 8) for at in range(12)] + spread(12, side.header - 12, 60)
    for offset, bit in positions:
        error = side.refused(f"vol-{number:04d}.lgv", offset, bit)
        assert isinstance(error, HeaderDamagedError)
        assert (error.where["offset"], error.where["length"]) == (0, side.header)
    assert side.blobs._blobs == {}


@pytest.mark.parametrize("part", ["body", "tag"])
@pytest.mark.parametrize("record", [0, 1])
@pytest.mark.parametrize("number", [1, 2])
def test_the_records_of_a_volume(fresh: Side, begun: Side, number: int, record: int, part: str) -> None:
    """Body and tag of a full record and of the last one."""
    side = fresh if number == 1 else begun
    entry = side.crate.manifest.volumes[number - 1]
    start = side.header + record * (RECORD_SIZE + TAG_SIZE)
    body = min(RECORD_SIZE, entry.plaintext_size - record * RECORD_SIZE)
    staged = tree(side.home)
    for offset, bit in spread(start, body, 20) if part == "body" else spread(start + body, TAG_SIZE, 16):
        error = side.refused(entry.name, offset, bit)
        assert isinstance(error, RecordDamagedError)
        assert (error.where["offset"], error.where["length"]) == (start, body + TAG_SIZE)
    assert tree(side.home) == staged
    assert side.blobs._blobs == {}
