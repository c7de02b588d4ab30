"""Whatever the bytes are: what was taken apart is put together again, and nothing hostile gets through."""

import zlib

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lockgate.crossing.delta.align import add, read_aligned, write_aligned
from lockgate.crossing.delta.anchors import Sought
from lockgate.crossing.delta.bounds import MemoryFile
from lockgate.crossing.delta.codecs import decoded, encoded
from lockgate.crossing.delta.directory import SIGNATURE, relative_directory, restore_directory
from lockgate.crossing.delta.errors import PatchError, PatchLimitError
from lockgate.crossing.delta.grouped import read_grouped
from lockgate.crossing.delta.grouping import write_grouped
from lockgate.crossing.delta.packing import packed, unpacked
from lockgate.crossing.delta.planes import GROUPED, SUBTRACT, XOR, read_planes, write_planes
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.delta.recipe import (
    Base,
    Codec,
    Piece,
    PieceKind,
    Recipe,
    Segment,
    SegmentKind,
    Source,
    Stream,
    head,
    read_recipe,
)
from lockgate.crossing.delta.seek import aligned
from lockgate.crossing.delta.tokens import decode_tokens, encode_tokens
from lockgate.crossing.delta.varints import Numbers, pack, unzigzag, zigzag

BASE = bytes(range(256)) * 40
SMALL = st.binary(max_size=3000)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a loaded machine the first draws are slow
@given(st.lists(st.integers(0, 1 << 53)))
def test_numbers_come_back(values: list[int]) -> None:
    numbers = Numbers(pack(values))
    assert numbers.column(len(values)) == values
    numbers.end()


@given(st.integers(-(1 << 52), 1 << 52))
def test_signed_numbers_come_back(value: int) -> None:
    assert unzigzag(zigzag(value)) == value


@given(SMALL, SMALL)
def test_packed_bytes_come_back(data: bytes, dictionary: bytes) -> None:
    assert unpacked(packed(data, dictionary), len(data), dictionary) == data


@given(st.data())
def test_sums_are_those_of_each_byte(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 300))
    left, right = (
        data.draw(st.binary(min_size=size, max_size=size)),
        data.draw(st.binary(min_size=size, max_size=size)),
    )
    assert b"".join(add(left, right)) == bytes((a + b) % 256 for a, b in zip(left, right, strict=True))


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=80), st.integers(0, 400))
def test_content_is_found_in_its_base(base: bytes, cut: int, more: bytes, flip: int) -> None:
    old = base * 3
    changed = bytearray(old[cut:] + more + old[:cut])
    if changed:
        changed[flip % len(changed)] ^= 0x55
    new = bytes(changed)
    assert read_aligned(write_aligned(*aligned(new, Sought(old)), old), len(new), old) == new


@given(
    st.binary(min_size=8, max_size=400), st.binary(min_size=8, max_size=400), st.sampled_from([1, 2, 4, 18])
)
def test_tensors_come_back(left: bytes, right: bytes, width: int) -> None:
    import numpy as np

    size = min(len(left), len(right)) // 8 * 8
    new, old = np.frombuffer(left[:size], np.uint8), np.frombuffer(right[:size], np.uint8)
    assert read_planes(write_planes((new ^ old).tobytes(), width, XOR), size, right[:size]) == left[:size]
    for kind, signed, bits in ((np.uint16, np.int16, 15), (np.uint32, np.int32, 31)):
        step = (new.view(kind) - old.view(kind)).view(signed)
        small = ((step << 1) ^ (step >> bits)).view(kind).tobytes()
        data = write_planes(small, kind().itemsize, SUBTRACT)
        assert read_planes(data, size, right[:size]) == left[:size]
        if kind is np.uint16:
            data = bytes([1, GROUPED]) + write_grouped(small, right[:size])
            assert read_planes(data, size, right[:size]) == left[:size]


@given(st.integers(0, 2**32 - 1), st.integers(0, 3000), st.sampled_from([1, 3, 60]), st.floats(0.01, 20000))
@example(1, 3000, 60, 20000.0)
@example(1, 3000, 1, 0.2)
def test_differences_of_every_size_come_back_in_groups(
    seed: int, count: int, magnitudes: int, spread: float
) -> None:
    import numpy as np

    chance = np.random.default_rng(seed)
    base = (chance.integers(0, magnitudes, count).astype(np.uint16) << 7 | 5).tobytes()
    steps = chance.standard_t(2, count) * spread * chance.choice([0.01, 1], count)
    differences = np.clip(np.abs(steps), 0, 65535).astype("<u2").tobytes()
    assert read_grouped(write_grouped(differences, base), base) == differences


@given(st.binary(max_size=60), st.binary(max_size=60), SMALL)
def test_hostile_groups_are_refused_or_read(settings: bytes, body: bytes, base: bytes) -> None:
    base = base[: len(base) // 2 * 2]
    parts = [packed(part) for part in (settings, body, body[::2], body[::3])]
    for data in (bytes([0]) + pack(len(p) for p in parts[:3]) + b"".join(parts), body + settings + b"\0"):
        try:
            assert len(read_grouped(data, base)) == len(base)
        except (PatchError, PatchLimitError):
            continue


@given(SMALL, st.integers(0, 9), st.sampled_from([0, 2, 4]))
@example(b"\xff" * 700, 6, 0)
def test_tokens_give_the_stream_back(data: bytes, level: int, strategy: int) -> None:
    machine = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    stream = (
        machine.compress(data) + machine.flush(zlib.Z_FULL_FLUSH) + machine.compress(data) + machine.flush()
    )
    assert encode_tokens(decode_tokens(stream, 1 << 20)) == stream


@given(SMALL)
def test_hostile_tokens_and_streams_are_refused_or_read(data: bytes) -> None:
    for step in (lambda: decode_tokens(data, 1 << 16), lambda: encode_tokens(data)):
        try:
            step()
        except PatchError:
            continue


@given(SMALL, st.sampled_from([(Codec.DEFLATE, 0x086), (Codec.LZMA2, 6), (Codec.ZSTD, 0x63)]))
@settings(deadline=None)
def test_members_come_back_and_never_longer_than_said(data: bytes, how: tuple[Codec, int]) -> None:
    codec, parameter = how
    body = b"".join(encoded(codec, parameter, len(data), [data]))
    reading = parameter if codec is Codec.LZMA2 else 0
    assert b"".join(decoded(codec, reading, len(data), [body])) == data
    for wrong in {max(0, len(data) - 1), len(data) + 1} - {len(data)}:
        given_bytes = 0
        try:
            for part in decoded(codec, reading, wrong, [body]):
                given_bytes += len(part)
            msg = "a wrong length was accepted"
            raise AssertionError(msg)
        except PatchError:
            assert given_bytes <= wrong


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))))
def test_a_directory_comes_back(entries: list[tuple[bytes, int, int]]) -> None:
    data = b"".join(
        SIGNATURE
        + b"\0" * 16
        + size.to_bytes(4, "little")
        + b"\0" * 4
        + len(name).to_bytes(2, "little")
        + b"\0" * 12
        + place.to_bytes(4, "little")
        + name
        for name, size, place in entries
    )
    assert restore_directory(relative_directory(data)) == data


def small_patch() -> bytes:
    body = packed(b"")  # an empty literal's data are empty; this one is only looked at by length
    recipe = Recipe(
        300,
        (Base("0" * 64, len(BASE)),),
        (
            Stream(
                (Source(0, 0, 500, Codec.RAW, 0, 500),),
                (Segment(SegmentKind.LITERAL, len(body), 0, 0, len(body)),),
            ),
            Stream(),
        ),
        (Piece(PieceKind.COPY, 0, 300 - len(body), 7), Piece(PieceKind.RAW, 0, len(body))),
    )
    return head(recipe) + body


@given(st.integers(0, 2000), st.integers(0, 255), st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_an_altered_patch_is_refused_or_bounded(place: int, value: int, cut: int) -> None:
    patch = bytearray(small_patch())
    patch[place % len(patch)] = value
    data = bytes(patch[: len(patch) - cut])
    size = 0
    try:
        for part in rebuild(MemoryFile(data), [MemoryFile(BASE)]):
            size += len(part)
    except (PatchError, PatchLimitError):
        return
    assert size == read_recipe(MemoryFile(data))[0].size
