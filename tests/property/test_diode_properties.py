"""The diode's bookkeeping compared with plain sets, and codecs compared with themselves."""

import itertools
import tempfile

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.crossing.diode.groups import HEADERS, interleaved
from lockgate.crossing.diode.session import restore
from lockgate.crossing.diode.spans import Spans
from lockgate.crossing.diode.sums import FileSum
from lockgate.crossing.diode.table import Cut
from lockgate.crossing.diode.window import Window
from lockgate.crossing.diode.wire import HEADER, NONCE, DiodeKey
from lockgate.crossing.erasure import code, rows_of

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=40)

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine draws slowly."""


@BUSY
@given(RANGES, st.integers(0, 70), st.integers(0, 9))
def test_spans_know_just_what_a_set_of_bytes_knows(
    ranges: list[tuple[int, int]], start: int, size: int
) -> None:
    spans, there = Spans(), set[int]()
    for at, length in ranges:
        assert spans.add(at, at + length)
        there |= set(range(at, at + length))
    assert spans.total == len(there)
    if size:
        assert spans.covers(start, start + size) == (set(range(start, start + size)) <= there)
    prefix = next(n for n in range(100) if n not in there)
    assert spans.prefix == prefix
    listed = spans.as_list()
    assert listed == sorted(listed)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(listed))
    assert Spans(listed).as_list() == listed


@BUSY
@given(st.lists(st.integers(0, 200), max_size=200))
def test_the_window_takes_no_number_twice_and_none_that_is_too_old(numbers: list[int]) -> None:
    window, taken = Window(16), list[int]()
    for number in numbers:
        newest = max(taken, default=-1)
        wanted = number not in taken and number > newest - 16
        assert window.fresh(number) == wanted
        if wanted:
            window.note(number)
            taken.append(number)
    assert (window.count, window.newest) == (len(taken), max(taken, default=-1))


@BUSY
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_interleaving_gives_every_shard_its_place_and_spreads_each_block(sizes: list[int]) -> None:
    places = interleaved(tuple(sizes))
    assert sorted(np.concatenate(places).tolist()) == list(range(sum(sizes)))
    for place in places:
        assert place.tolist() == sorted(place.tolist())
    # Shards are ordered by their place within their block. A stretch `w` of that holds at most n * w + 1
    # of n shards and at least n * w - 1 of each other block, so a burst of b holds w <= (b + blocks) / total.
    total = sum(sizes)
    for burst in (1, total // 4, total // 2):
        for start in range(0, total - burst, max(1, total // 7)):
            for place, size in zip(places, sizes, strict=True):
                hit = ((place >= start) & (place < start + burst)).sum()
                assert hit <= (burst + len(sizes)) * size / total + 1


@BUSY
@given(st.binary(min_size=1, max_size=90), st.data())
def test_a_sum_depends_on_every_byte_and_its_place_and_not_on_the_order(
    content: bytes, draw: st.DataObject
) -> None:
    cut, key = Cut(3, 4, 1), DiodeKey(bytes(32)).new_session(lambda n: b"\x05" * n)
    blocks = cut.blocks(len(content))

    def total(data: bytes, order: list[int]) -> bytes:
        found = FileSum(key, 7, len(data), cut)
        for block in order:
            offset, length = cut.span(len(data), block)
            found.add(block, memoryview(data)[offset : offset + length])
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return found.complete(file.fileno())

    wanted = total(content, [])
    assert total(content, draw.draw(st.permutations(range(blocks)))) == wanted
    assert total(content, draw.draw(st.lists(st.integers(0, blocks - 1), max_size=4))) == wanted
    at = draw.draw(st.integers(0, len(content) - 1))
    assert total(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], []) != wanted
    moved = content[12:] + content[:12]
    assert (total(moved, []) == wanted) == (moved == content)


@BUSY
@given(st.integers(1, 10**6), st.integers(1, 500), st.integers(1, 60), st.integers(0, 40))
def test_blocks_cover_a_stream_once(size: int, shard: int, data: int, parity: int) -> None:
    cut = Cut(shard, data, parity)
    spans = [cut.span(size, block) for block in range(min(cut.blocks(size), 50))]
    assert spans[0][0] == 0
    assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(spans))
    last = cut.blocks(size) - 1
    assert sum(cut.span(size, last)) == size
    count, more = cut.shape(size, last)
    assert (count - 1) * shard < cut.span(size, last)[1] <= count * shard
    assert more <= parity
    assert count + more <= data + parity


@BUSY
@given(st.data())
def test_a_block_is_restored_from_any_of_enough_shards(draw: st.DataObject) -> None:
    data, parity = draw.draw(st.integers(1, 30)), draw.draw(st.integers(0, 12))
    shard = draw.draw(st.integers(1, 100))
    buffer = bytearray(np.random.default_rng(draw.draw(st.integers(0, 9))).bytes((data + parity) * shard))
    rows = np.frombuffer(buffer, np.uint8).reshape(data + parity, shard)
    code(data, parity).encode(rows_of(rows)[:data], rows_of(rows)[data:], shard)
    wanted = bytes(buffer[: data * shard])
    there = bytearray(b"\1" * (data + parity))
    for number in draw.draw(st.permutations(range(data + parity)))[:parity]:
        there[number] = 0
        buffer[number * shard : (number + 1) * shard] = b"\xee" * shard
    restore(buffer, there, data, shard)
    assert bytes(buffer[: data * shard]) == wanted


@BUSY
@given(st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_both_ways_of_writing_a_header_give_the_same_bytes(number: int, shard: int, block: int) -> None:
    session = bytes(range(24))
    made = np.zeros(1, HEADERS)
    values = (b"LGD1", np.void(session), number, 1, shard, 3, 4, 5, block, 2**63)
    for name, value in zip(HEADERS.names or (), values, strict=True):
        made[name] = value
    packed = HEADER.pack(b"LGD1", session, number, 1, shard, 3, 4, 5, block, 2**63)
    assert made.tobytes() == packed
    assert packed[NONCE] == number.to_bytes(8, "big") + bytes([1, shard, 3, 4])
