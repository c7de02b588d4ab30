"""Two thousand and more altered bytes in every region of volumes and parity, each refused by its own error.

Regions that are shorter than two thousand bytes are altered at every byte. Recorded beside the result of
the run: how many positions of each region were tried, and the codes of the refusals.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from test_crate_flips import Side, begun, crate, fresh  # noqa: F401  # fixtures

from crossing_lane import Lane, altered, filler, flipped, refused
from lockgate.crossing import Received
from lockgate.crossing.errors import TooDamagedError
from lockgate.crossing.format import RECORD_SIZE, TAG_SIZE
from lockgate.crossing.mend import Mender
from lockgate.crossing.repair import Damage

POSITIONS = 2000
HEADER, RECORD = "LG-2709", "LG-270a"


def regions(side: Side, number: int) -> Iterator[tuple[str, int, int, str]]:
    """Yield every region of a volume: its name, its first byte, its length, and the code of the refusal."""
    entry = side.crate.manifest.volumes[number - 1]
    data = (side.crate.path / entry.name).read_bytes()
    keys = data.index(b'"keys":{')
    after = data.index(b"}", keys)
    yield "magic", 0, 8, HEADER
    yield "length of the header", 8, 4, HEADER
    yield "header, before the keys", 12, keys - 12, HEADER
    yield "wrapped keys", keys, after - keys, HEADER
    yield "header, after the keys", after, side.header - after, HEADER
    for record in range(entry.records):
        name = "last record" if record == entry.records - 1 else "record"
        start = side.header + record * (RECORD_SIZE + TAG_SIZE)
        body = min(RECORD_SIZE, entry.plaintext_size - record * RECORD_SIZE)
        yield f"{name}, body", start, body, RECORD
        yield f"{name}, tag", start + body, TAG_SIZE, RECORD


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_two_thousand_positions_in_every_region_of_a_volume(
    fresh: Side,  # noqa: F811
    begun: Side,  # noqa: F811
    number: int,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    side = fresh if number == 1 else begun
    name = side.crate.manifest.volumes[number - 1].name
    rng = random.Random(name)  # noqa: S311  # which bytes, not a secret
    covered = tried = 0
    before = None
    for region, start, length, code in regions(side, number):
        covered += length
        every = [(start + at, at % 8) for at in range(length)]
        positions = every if length <= POSITIONS else rng.sample(every, POSITIONS)
        for offset, bit in positions:
            assert side.refused(name, offset, bit).code == code, f"{region}, byte {offset}"
        assert len(positions) >= min(length, POSITIONS)
        tried += len(positions)
        record_testsuite_property(f"{name}, {region}", f"{len(positions)} of {length} bytes: {code}")
        before = before or side.state()
        assert side.state() == before, "store, records, roots and staging are unchanged"
    assert covered == side.size(name), "no byte of the volume belongs to no region"
    assert tried > 4000


@pytest.mark.slow
def test_every_bit_of_the_shard_index_and_of_the_header(begun: Side, fresh: Side) -> None:  # noqa: F811
    before = begun.state()
    for offset in range(begun.size("shards.idx")):
        for bit in range(8):
            assert begun.refused("shards.idx", offset, bit).code == "LG-2708"
    assert begun.state() == before
    for offset in range(fresh.header):
        for bit in range(8):
            assert fresh.refused("vol-0001.lgv", offset, bit).code == HEADER


@pytest.mark.slow
def test_two_thousand_positions_in_every_region_of_a_parity_volume(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Each is found and named; what needs that part of the parity is refused, and says which part it is."""
    lane, rng = Lane(), random.Random("parity")  # noqa: S311  # which bytes, not a secret
    files = {"files/big": filler("big", RECORD_SIZE + 9000)}
    crate = lane.seal(tmp_path / "outbox", files, parity=Fraction(1, 2))  # noqa: F811
    parity, mender = crate.manifest.parity, Mender()
    assert parity is not None
    name = parity.volumes[0].name
    first = crate.manifest.volumes[0]
    header = first.size - first.plaintext_size - first.records * TAG_SIZE
    starts = [0, *range(header, parity.volumes[0].size, RECORD_SIZE + TAG_SIZE), parity.volumes[0].size]
    assert len(starts) == 1 + first.records + 1
    for start, end in pairwise(starts):
        every = [(at, at % 8) for at in range(start, end)]
        positions = every if len(every) <= POSITIONS else rng.sample(every, POSITIONS)
        for offset, bit in positions:
            with flipped(crate.path / name, offset, bit):
                assert mender.check(crate.path).damages == (Damage(name, start, end - start, "altered"),)
        record_testsuite_property(f"{name}, {start} to {end}", f"{len(positions)} positions found")
        with ExitStack() as spoilt:
            for other in (first, *parity.volumes[1:]):
                spoilt.enter_context(altered(crate.path / other.name, bytes(other.size)))
            for offset, bit in positions[:20]:
                with flipped(crate.path / name, offset, bit):
                    error = refused(lane.opener(tmp_path / "staging"), crate, TooDamagedError)
                assert (error.where["file"], error.where["offset"]) == (first.name, 0)
                assert f"{name} (altered at {start}, {end - start} bytes)" in error.what
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)
