"""Properties of layout, shard index, payload and pipeline over many shapes."""

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossing_lane import Lane, filler
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.crossing import Received
from lockgate.crossing.errors import ManifestError, PayloadError, SourceChangedError
from lockgate.crossing.format import TAG_SIZE, VolumeEntry, record_count, record_length
from lockgate.crossing.layout import capacity, layout
from lockgate.crossing.payload import (
    Content,
    Entry,
    PayloadReader,
    PayloadSource,
    judge,
    payload_prefix,
)
from lockgate.crossing.pipeline import Stage
from lockgate.crossing.shards import DIGEST_SIZE, VolumeShards, index_size, read_index, write_index

MIB = 1 << 20


@given(st.integers(0, 50 * MIB))
def test_capacity_is_the_most_that_fits(sealed: int) -> None:
    def size(plain: int) -> int:
        return plain + record_count(plain) * TAG_SIZE

    room = capacity(sealed)
    assert size(room) <= sealed
    assert size(room + 1) > sealed


@given(
    payload=st.integers(1, 40 * MIB),
    volume=st.integers(4096, 9 * MIB),
    recipients=st.integers(1, 3),
)
@settings(max_examples=60)
def test_a_layout_holds_the_payload_exactly(payload: int, volume: int, recipients: int) -> None:
    names = [str(n) * 64 for n in range(recipients)]
    volume = max(volume, payload // 500)
    volumes = layout(payload, volume, "lane", "0" * 32, names)
    assert sum(v.plaintext_size for v in volumes) == payload
    assert [v.number for v in volumes] == list(range(1, len(volumes) + 1))
    assert all(v.size <= volume for v in volumes)
    assert all(
        sum(record_length(v.plaintext_size, n) for n in range(v.records)) == v.plaintext_size for v in volumes
    )
    assert all(v.plaintext_size == capacity(volume - v.header_size) for v in volumes[:-1])


@given(
    sizes=st.lists(st.integers(0, 6000), max_size=6),
    volume=st.integers(4096, 20_000),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_is_what_gets_written_and_it_opens(sizes: list[int], volume: int) -> None:
    lane = Lane()
    files = {f"files/{n}": filler(str(n), size) for n, size in enumerate(sizes)}
    with TemporaryDirectory() as folder:
        sealer = lane.sealer(Path(folder) / "outbox", volume_bytes=volume)
        request = lane.request(files)
        plan = sealer.plan(request)
        assert not (Path(folder) / "outbox").exists()
        sealed = sealer.seal(request)
        written = {p.name: p.stat().st_size for p in sealed.path.glob("vol-*")}
        assert written == {v.name: v.size for v in plan.volumes}
        assert sum(written.values()) == plan.sealed
        received = lane.opener(Path(folder) / "staging").receive(sealed.path)
        assert isinstance(received, Received)
        assert {p: lane.quarantine.read(received.targets[p].sha256) for p in files} == files


def entries_of(shapes: list[tuple[int, int]]) -> tuple[list[VolumeEntry], list[VolumeShards]]:
    volumes, shards = [], []
    for number, (header, plain) in enumerate(shapes, 1):
        records = record_count(plain)
        digests = hashlib.shake_128(bytes([number])).digest(DIGEST_SIZE * (records + 1))
        shards.append(VolumeShards(header, digests))
        volumes.append(
            VolumeEntry(
                name=f"vol-{number:04d}.lgv",
                size=header + plain + records * TAG_SIZE,
                records=records,
                plaintext_size=plain,
                commitment="0" * 64,
            )
        )
    return volumes, shards


shapes = st.lists(st.tuples(st.integers(12, 2000), st.integers(1, 5 * MIB)), min_size=1, max_size=5)


@given(shapes)
def test_the_shard_index_reads_back(shape: list[tuple[int, int]]) -> None:
    volumes, shards = entries_of(shape)
    data = write_index(shards)
    assert len(data) == index_size(volumes)
    assert [file.shards for file in read_index(data, volumes)] == shards


@given(shapes, st.data())
def test_an_index_of_other_volumes_is_refused(shape: list[tuple[int, int]], data: st.DataObject) -> None:
    volumes, shards = entries_of(shape)
    index = bytearray(write_index(shards))
    # Any byte that is not part of a digest is determined by crate.json.
    fixed, at = list(range(12)), 12
    for volume in volumes:
        fixed += range(at, at + 16)
        at += 16 + DIGEST_SIZE * (volume.records + 1)
    index[data.draw(st.sampled_from(fixed))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ManifestError):
        read_index(bytes(index), volumes)


def contents(bodies: list[bytes]) -> list[Content]:
    names = ["tuf/timestamp.json", "tuf/snapshot.json", "tuf/targets.json"]
    names += [f"files/{n}" for n in range(max(0, len(bodies) - 3))]
    return [
        Content(
            Entry(
                path=name,
                kind="tuf" if name.startswith("tuf/") else "whole",
                size=len(body),
                sha256=sha256(body),
            ),
            lambda body=body: io.BytesIO(body),  # type: ignore[misc]
        )
        for name, body in zip(names, bodies, strict=True)
    ]


bodies = st.lists(st.binary(max_size=300), min_size=3, max_size=7)


@given(bodies, st.lists(st.integers(1, 500), min_size=1, max_size=8))
def test_a_payload_cut_anywhere_reads_back(parts: list[bytes], cuts: list[int]) -> None:
    listed = contents(parts)
    prefix = payload_prefix([c.entry for c in listed])
    total = len(prefix) + sum(map(len, parts))
    source, volumes, left = PayloadSource(prefix, listed), [], total
    while left:
        buffer = bytearray(min(left, cuts[len(volumes) % len(cuts)]))
        judge(source.fill(memoryview(buffer)))
        volumes.append(bytes(buffer))
        left -= len(buffer)
    judge(source.finish())
    with PayloadReader([lambda v=v: io.BytesIO(v) for v in volumes], total) as reader:  # type: ignore[misc]
        index = reader.index()
        assert index == tuple(c.entry for c in listed)
        assert [reader.exactly(e.size) for e in index] == parts
        assert reader.read(1) == b""


@given(bodies, st.lists(st.integers(1, 200), min_size=1, max_size=6), st.data())
def test_readers_that_part_at_any_entry_each_read_their_own(
    parts: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    listed = contents(parts)
    payload = payload_prefix([c.entry for c in listed]) + b"".join(parts)
    volumes: list[bytes] = []
    while left := payload[sum(map(len, volumes)) :]:
        volumes.append(left[: cuts[len(volumes) % len(cuts)]])
    with PayloadReader([lambda v=v: io.BytesIO(v) for v in volumes], len(payload)) as reader:  # type: ignore[misc]
        index = reader.index()
        read: dict[str, bytes] = {}
        apart: list[tuple[Entry, PayloadReader]] = []
        for entry in index:
            if data.draw(st.booleans()):
                apart.append((entry, reader.fork()))
                reader.skip(entry.size)
            else:
                read[entry.path] = reader.exactly(entry.size)
        assert reader.read(1) == b""
        reader.skip(1)  # there is nothing to go behind
        for entry, other in data.draw(st.permutations(apart)):
            with other:
                read[entry.path] = other.exactly(entry.size)
    assert [read[entry.path] for entry in index] == parts


@given(bodies, st.data())
def test_a_source_that_is_not_its_entry_is_noticed(parts: list[bytes], data: st.DataObject) -> None:
    listed = contents(parts)
    which = data.draw(st.integers(0, len(parts) - 1))
    other = data.draw(st.binary(max_size=320).filter(lambda b: b != parts[which]))
    listed[which] = Content(listed[which].entry, lambda: io.BytesIO(other))
    prefix = payload_prefix([c.entry for c in listed])
    source = PayloadSource(prefix, listed)
    payload = bytearray(len(prefix) + sum(map(len, parts)))

    def read() -> None:
        judge(source.fill(memoryview(payload)))
        judge(source.finish())

    with pytest.raises(SourceChangedError):
        read()


@given(st.binary(max_size=200))
def test_any_bytes_as_a_payload_are_refused(data: bytes) -> None:
    with PayloadReader([lambda: io.BytesIO(data)], len(data)) as reader, pytest.raises(PayloadError):
        reader.index()


@given(st.integers(0, 40), st.integers(0, 40))
def test_stages_end_with_whoever_reads_them(items: int, taken: int) -> None:
    def count() -> Iterator[int]:
        yield from range(items)

    with Stage(count(), depth=2) as first, Stage((n * 2 for n in first), depth=2) as second:
        got = [n for _, n in zip(range(taken), second, strict=False)]
    assert got == [n * 2 for n in range(min(items, taken))]
    assert threading.active_count() == 1


def test_an_error_in_a_stage_is_raised_where_the_items_are_read() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise LockgateError("The third thread failed.")

    with (
        pytest.raises(LockgateError, match="third thread"),
        Stage(failing()) as first,
        Stage(n for n in first) as second,
    ):
        assert list(second) == [1]
