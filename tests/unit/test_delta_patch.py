"""Patches give the very same bytes back, are short, and say what they could not do."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from delta_files import PAIRS, chance, code, foreign_deflate, foreign_tgz, tar, tgz
from lockgate.crossing.delta.anchors import Sought
from lockgate.crossing.delta.bounds import MemoryFile, Readable, Spool
from lockgate.crossing.delta.choose import Choice, Chooser
from lockgate.crossing.delta.chunks import ChunkIndex
from lockgate.crossing.delta.codecs import deflate_parameter
from lockgate.crossing.delta.layout import layout
from lockgate.crossing.delta.matching import first_bytes, match
from lockgate.crossing.delta.plan import OldFile, Planner
from lockgate.crossing.delta.proof import Proven
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.delta.recipe import Codec, SegmentKind, read_recipe
from lockgate.crossing.delta.recompress import members, reproduced, thoroughly
from lockgate.crossing.delta.seek import aligned
from lockgate.crossing.delta.spans import Span
from lockgate.crossing.delta.tokens import decode_tokens, encode_tokens


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def old_file(data: bytes, name: str = "pkg-1.0") -> OldFile:
    return OldFile(name, hashlib.sha256(data).hexdigest(), MemoryFile(data))


def spool() -> Spool:
    return Spool(os.memfd_create("spool"))


def rebuilt(patch: Readable | None, *bases: bytes) -> bytes:
    assert patch is not None
    return b"".join(rebuild(patch, [MemoryFile(base) for base in bases]))


def choose(pool: ThreadPoolExecutor, name: str, new: bytes, old: bytes | None, *held: bytes) -> Choice:
    index = ChunkIndex()
    for number, data in enumerate(held):
        index.add(old_file(data, f"held-{number}"))
    chooser = Chooser(pool, spool(), lambda: index)
    before = None if old is None else old_file(old)
    return chooser.choose(name, hashlib.sha256(new).hexdigest(), MemoryFile(new), before)


@pytest.mark.parametrize("case", PAIRS)
def test_a_patch_of_members_gives_the_file_back_and_is_short(pool: ThreadPoolExecutor, case: str) -> None:
    name, old, new = PAIRS[case]
    patch = Planner(pool, spool()).members(name, MemoryFile(new), old_file(old))
    assert rebuilt(patch.file, old) == new
    assert patch.kept == ()
    most = 3 if case in {"safetensors", "gguf"} else 12
    assert patch.size * most < len(new), f"{patch.size} of {len(new)} bytes"


@pytest.mark.parametrize(("most", "times"), [(1 << 25, 3), (1000, 5)])
def test_a_foreign_member_is_taken_apart_once_for_planning_where_its_tokens_can_be_kept(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, most: int, times: int
) -> None:
    taken = []

    def counted(data: bytes, limit: int) -> bytes:
        taken.append(len(data))
        return decode_tokens(data, limit)

    for room in ("codecs", "recompress"):
        monkeypatch.setattr(f"lockgate.crossing.delta.{room}.decode_tokens", counted)
    monkeypatch.setattr("lockgate.crossing.delta.recompress._KEPT_MOST", most)
    name, old, new = PAIRS["tgz of a foreign compressor"]
    patch = Planner(pool, spool()).members(name, MemoryFile(new), old_file(old))
    assert len(taken) == times  # the third time proves the patch, and takes the old one apart by itself
    assert rebuilt(patch.file, old) == new


@pytest.mark.parametrize(
    ("case", "kind", "codecs"),
    [
        ("wheel", "zip", {Codec.RAW, Codec.DEFLATE}),
        ("tgz", "gzip", {Codec.RAW, Codec.DEFLATE}),
        ("deb in xz", "ar", {Codec.RAW, Codec.LZMA2}),
        ("deb in zst", "ar", {Codec.RAW, Codec.ZSTD}),
        ("layer in zst", "zstd", {Codec.ZSTD}),
        ("safetensors", "safetensors", {Codec.RAW}),
        ("gguf", "gguf", {Codec.RAW}),
    ],
)
def test_a_layout_covers_its_file(case: str, kind: str, codecs: set[Codec]) -> None:
    name, _, new = PAIRS[case]
    found, spans = layout(MemoryFile(new), name)
    assert found == kind
    assert {span.codec for span in spans} == codecs
    assert [span.offset for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == len(new)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_cut_file_is_still_patched_as_bytes(pool: ThreadPoolExecutor, cut: float) -> None:
    for case in ("wheel", "tgz", "deb in xz", "gguf", "safetensors"):
        name, old, new = PAIRS[case]
        part = new[: int(len(new) * cut)]
        patch = Planner(pool, spool()).members(name, MemoryFile(part), old_file(old))
        assert rebuilt(patch.file, old) == part


def test_renamed_members_are_matched() -> None:
    name, old, new = PAIRS["wheel"]
    files = MemoryFile(new), MemoryFile(old)
    spans, before = ([s for s in layout(file, name)[1] if s.name] for file in files)
    found = match(
        spans,
        before,
        lambda s: first_bytes(members(files[0], s)),
        lambda s: first_bytes(members(files[1], s)),
    )
    names = {span.name: other.name for span, other in found.items()}
    assert names["pkg-1.1.dist-info/METADATA"] == "pkg-1.0.dist-info/METADATA"
    assert names["pkg.libs/lib-11111111.so"] == "pkg.libs/lib-10101010.so"


def test_likeness_is_found_without_any_name() -> None:
    samples = {Span(n, 1, name=f"n{n}"): code(n, 50_000) for n in range(4)}
    new = Span(9, 1, name="entirely-else")
    found = match([new], list(samples), lambda _: code(2, 50_000, 40), lambda span: samples[span])
    assert found[new].name == "n2"


def test_tensors_are_written_as_planes_of_differences(pool: ThreadPoolExecutor) -> None:
    name, old, new = PAIRS["safetensors"]
    patch = Planner(pool, spool()).members(name, MemoryFile(new), old_file(old))
    recipe, _ = read_recipe(patch.file)
    assert {segment.kind for segment in recipe.streams[1].segments} == {SegmentKind.PLANES}
    assert patch.kind == "tensors"


def test_a_compressor_that_cannot_be_run_again_is_taken_apart_into_tokens() -> None:
    stream = foreign_deflate(tar("1.0", 0))
    tokens = decode_tokens(stream, 1 << 24)
    assert encode_tokens(tokens) == stream
    assert tokens != stream


@pytest.mark.parametrize("bound", ["TOKENS_LIMIT", "TOKENS_CONTENT_LIMIT"])
def test_a_member_that_cannot_be_made_again_is_kept_alone_and_named(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"lockgate.crossing.delta.recompress.{bound}", 0)
    name, old, new = PAIRS["tgz of a foreign compressor"]
    choice = choose(pool, name, new, old)
    patch = Planner(pool, spool()).members(name, MemoryFile(new), old_file(old))
    assert rebuilt(patch.file, old) == new
    assert patch.kept == ("pkg-1.1#1",)
    assert choice.size > len(new) // 2


def test_a_setting_that_is_right_for_the_beginning_alone_is_found_out(pool: ThreadPoolExecutor) -> None:
    def archive(seed: int) -> bytes:
        # Noise is stored alike at every level; what follows is not.
        words = chance(seed).choices([b"alpha ", b"alphabet ", b"beta ", b"betatron "], k=60_000)
        return gzip.compress(chance("noise").randbytes(1_600_000) + b"".join(words), 9, mtime=0)

    old, new = archive(1), archive(2)
    span = next(span for span in layout(MemoryFile(new), "a.gz")[1] if span.name)
    guessed, right = reproduced(MemoryFile(new), span), thoroughly(MemoryFile(new), span)
    assert (guessed and guessed.parameter) == deflate_parameter(6, 8, 0)
    assert (right and right.parameter) == deflate_parameter(9, 8, 0)
    patch = Planner(pool, spool()).members("a.gz", MemoryFile(new), old_file(old, "a.gz"))
    assert (patch.kept, patch.gives) == ((), hashlib.sha256(new).hexdigest())
    assert patch.size < 120_000
    assert rebuilt(patch.file, old) == new


def test_the_right_one_of_several_copies_is_followed() -> None:
    # Three copies lack other bytes each, and some alike: anchors are found in one and in another by turns.
    whole = chance("copies").randbytes(200_000)
    holes = [bytearray(whole) for _ in range(4)]
    for number, copy in enumerate(holes[:3]):
        for at in (*range(30 * number, len(copy), 90), *range(500, len(copy), 1000)):
            copy[at : at + 20] = bytes(20)
    base = b"".join(map(bytes, holes))
    triples, differences, inserted = aligned(whole, Sought(base))
    assert not inserted
    assert not any(differences)
    assert len(triples) < 30


def test_a_member_that_only_moved_is_found_where_its_compressor_cannot_be_run_again(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.crossing.delta.recompress.TOKENS_LIMIT", 0)
    old, new = foreign_tgz("1.0", 0), bytearray(foreign_tgz("1.0", 0))
    new[-9] ^= 1  # in the last bytes of the stream: it cannot be inflated any more
    choice = choose(pool, "pkg-1.1.tgz", bytes(new), old)
    assert choice.size < 400
    assert rebuilt(choice.patch, old) == bytes(new)


def test_what_is_not_like_anything_crosses_whole(pool: ThreadPoolExecutor) -> None:
    new = chance(1).randbytes(50_000)
    choice = choose(pool, "a.bin", new, chance(2).randbytes(50_000))
    assert (choice.kind, choice.size, choice.patch) == ("whole", 50_000, None)


def test_text_without_a_base_is_packed(pool: ThreadPoolExecutor) -> None:
    new = b"a line of text that repeats\n" * 3000
    choice = choose(pool, "a.md", new, None)
    assert choice.kind == "packed"
    assert rebuilt(choice.patch) == new
    assert choice.size < 200


def test_chunks_are_taken_from_any_file_that_is_held(pool: ThreadPoolExecutor) -> None:
    chooser = chance(3)
    first, second, fresh = (chooser.randbytes(400_000) for _ in range(3))
    new = second[100_000:] + fresh[:20_000] + first[:300_000]
    choice = choose(pool, "bundle.bin", new, None, first, second)
    assert choice.kind == "chunks"
    bases = {hashlib.sha256(data).hexdigest(): data for data in (first, second)}
    assert rebuilt(choice.patch, *(bases[sha] for sha in choice.bases)) == new
    assert choice.size < 200_000


def test_a_patch_that_does_not_give_the_file_back_is_not_chosen(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old, new = PAIRS["tgz"]
    monkeypatch.setattr("lockgate.crossing.delta.choose.rebuild", lambda patch, bases: iter([b"other"]))
    monkeypatch.setattr("lockgate.crossing.delta.plan.prove", lambda *_: Proven("0" * 64))
    choice = choose(pool, name, new, old)
    assert choice.kind == "whole"
    assert "very same" in choice.why


def test_long_streams_are_patched_in_segments(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.crossing.delta.segments.SEGMENT", 60_000)
    monkeypatch.setattr("lockgate.crossing.delta.segments.WINDOW", 150_000)
    monkeypatch.setattr("lockgate.crossing.delta.segments._SLACK", 30_000)
    for case in ("wheel", "tgz", "deb in xz", "safetensors"):
        name, old, new = PAIRS[case]
        patch = Planner(pool, spool()).members(name, MemoryFile(new), old_file(old))
        recipe, _ = read_recipe(patch.file)
        assert len(recipe.streams[1].segments) >= 2
        assert max(s.high - s.low for s in recipe.streams[1].segments) <= 150_000
        assert rebuilt(patch.file, old) == new
        assert patch.size * 3 < len(new)


def test_an_empty_file_and_an_empty_base(pool: ThreadPoolExecutor) -> None:
    assert choose(pool, "a", b"", None).kind == "whole"
    patch = Planner(pool, spool()).members("a", MemoryFile(tgz("1", 0)), old_file(b""))
    assert rebuilt(patch.file, b"") == tgz("1", 0)
