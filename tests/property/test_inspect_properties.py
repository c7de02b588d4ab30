"""Whatever bytes come: inspection answers, and what it calls clean reads as the original did."""

import bz2
import io
import zipfile

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora import inspection_content as make
from corpora.inspection_corpus import BAD, GOOD, WHEEL, inspected
from lockgate.inspect.inspectors import images

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A text stays one when it is cut, and a static library between two members.
LOOSE = {"ar", "mp3", "openpgp", "r-database", "glibc-locale", "gconv", "magic", "bmff", "matroska"}
LOOSE |= {
    "tesseract",
    "text-utf16",
    "python",
    "markdown",
    "jpeg",
    "text",
    "text-latin1",
    "empty",
    "xml",
    "mail",
}
# Whole without the padding at its end, which a package has whose last member has an odd length.
PADDED = {"tar", "pdf", "cpio", "xz", "deb"}
STRUCTURED = {case.title: case for case in GOOD if case.detected and case.detected not in LOOSE}
FLIPPED = {case.title: case for case in (*GOOD, *BAD) if 0 < len(case.data) < 20_000}
WHEEL_BYTES = make.wheel(
    {"lock_demo/m.gguf": make.gguf(), "lock_demo/a.npz": make.zipped({"x.npy": make.npy()})}
)


def _members(data: bytes):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


@QUICK
@given(st.sampled_from(sorted(FLIPPED)), st.data())
def test_flips_never_make_inspection_fail(title, draw) -> None:
    case = FLIPPED[title]
    data = bytearray(case.data)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    part = inspected(bytes(data), case.name, case.kind)
    assert 0 <= part.covered <= part.size == len(data)
    assert part.findings or (part.complete and part.covered == part.size)


@QUICK
@given(st.sampled_from(sorted(STRUCTURED)), st.floats(0, 1, exclude_max=True))
def test_a_part_of_a_structured_file_is_never_whole(title, share) -> None:
    case = STRUCTURED[title]
    cut = case.data[: int(len(case.data) * share)]
    part = inspected(cut, case.name, case.kind)
    bad = any(found.severity != "info" for found in part.findings)
    padding = part.detected in PADDED and not case.data[len(cut) :].strip(b"\x00\n")
    loose = part.detected in LOOSE  # a magic of plain letters that was cut is a word
    first = title == "two streams of bzip2" and cut == bz2.compress(b"text")  # whole, as one stream of two is
    ended = part.detected == "dbf" and case.data[len(cut) :] == b"\x1a"  # which tables may lack
    assert bad or not part.complete or not cut or padding or loose or first or ended


@QUICK
@given(st.sampled_from(sorted(STRUCTURED)), st.binary(min_size=1, max_size=80))
def test_bytes_behind_a_structured_file_are_noticed(title, tail) -> None:
    case = STRUCTURED[title]
    part = inspected(case.data + tail, case.name, case.kind)
    bad = any(found.severity != "info" for found in part.findings)
    harmless = not tail.strip(b"\x00\t\n\x0c\r ") or tail.startswith(b"%")
    fills = part.detected in {"png", "jpeg"} and len(tail) <= images.FILL
    assert bad or not part.complete or harmless or fills


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(WHEEL_BYTES) - 1), st.integers(1, 255))
def test_a_wheel_that_stays_good_reads_as_before(at, flip) -> None:
    data = bytearray(WHEEL_BYTES)
    data[at] ^= flip
    part = inspected(bytes(data), WHEEL, "python")
    bad = any(found.severity != "info" for found in part.findings)
    if part.complete and not bad:
        assert _members(bytes(data)) == _members(WHEEL_BYTES)


@QUICK
@given(st.binary(max_size=400), st.sampled_from(["a.py", "a.json", "a.md", "a.html", "a.npy", "a.pkl", "a"]))
def test_any_bytes_get_an_answer(data, name) -> None:
    part = inspected(data, name, "document")
    assert part.covered <= part.size
    assert part.complete or part.findings


@QUICK
@given(
    st.sampled_from(
        [b"GGUF\x03\x00\x00\x00", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"%PDF-1.4\n", b"\x80\x04"]
    ),
    st.binary(max_size=300),
)
def test_any_bytes_behind_a_magic_get_an_answer(magic, rest) -> None:
    part = inspected(magic + rest, "a", "model")
    assert not (part.complete and part.covered == part.size)
