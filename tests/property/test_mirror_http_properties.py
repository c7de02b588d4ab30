"""Ranges and negotiation: for any header, the decision is sound and never an exception."""

from hypothesis import given
from hypothesis import strategies as st

from lockgate.mirror.pages.pypi import SIMPLE_HTML, SIMPLE_JSON
from lockgate.mirror.protocols.negotiate import HEADER_LIMIT, PLAIN_HTML, choose
from lockgate.mirror.ranges import Slice, Unsatisfiable, parse_range, range_holds, unchanged

sizes = st.integers(min_value=0, max_value=1 << 53)
numbers = st.one_of(st.integers(min_value=0, max_value=200), st.integers(min_value=0, max_value=1 << 60))


@given(st.text(), sizes)
def test_any_text_as_range_is_decided_within_bounds(header, size):
    part = parse_range(header, size)
    if isinstance(part, Slice):
        assert 0 <= part.start < part.stop <= size


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 200))
def test_a_range_is_what_slicing_gives(first, last, size):
    content = bytes(i % 251 for i in range(size))
    part = parse_range(f"bytes={first}-{last}", size)
    if first > last:
        assert part is None  # malformed: the whole content
    elif first >= size:
        assert isinstance(part, Unsatisfiable)
    else:
        assert isinstance(part, Slice)
        assert content[part.start : part.stop] == content[first : last + 1]


@given(st.integers(0, 300), st.integers(0, 200))
def test_open_and_suffix_ranges_are_what_slicing_gives(number, size):
    content = bytes(i % 251 for i in range(size))
    tail = parse_range(f"bytes={number}-", size)
    assert isinstance(tail, Unsatisfiable) == (number >= size)
    if isinstance(tail, Slice):
        assert content[tail.start : tail.stop] == content[number:]
    suffix = parse_range(f"bytes=-{number}", size)
    assert isinstance(suffix, Unsatisfiable) == (number == 0 or size == 0)
    if isinstance(suffix, Slice):
        assert content[suffix.start : suffix.stop] == content[-number:]


@given(st.lists(numbers, min_size=2, max_size=5), sizes)
def test_several_ranges_are_answered_whole(starts, size):
    header = "bytes=" + ",".join(f"{n}-{n + 5}" for n in starts)
    assert parse_range(header, size) is None


def test_what_is_no_byte_range_is_ignored():
    for header in ("", "bytes", "bytes=", "bytes=-", "items=0-5", "bytes=a-b", "bytes=0x1-2", "bytes=٣-٤"):
        assert parse_range(header, 100) is None
    assert parse_range("bytes=" + "9" * 5000 + "-", 100) is None
    assert parse_range(None, 100) is None
    assert parse_range("BYTES=1-2", 100) == Slice(1, 3)


def test_conditions():
    assert unchanged('"a"', '"a"')
    assert unchanged('W/"a"', '"a"')
    assert unchanged('"x", W/"y" ,"a"', '"a"')
    assert unchanged(" * ", '"a"')
    assert not unchanged(None, '"a"')
    assert not unchanged('"aa"', '"a"')
    assert not unchanged("a", '"a"')
    assert range_holds(None, '"a"')
    assert range_holds('"a"', '"a"')
    assert not range_holds('W/"a"', '"a"')
    assert not range_holds("Fri, 01 May 2026 12:00:00 GMT", '"a"')


@given(st.text(max_size=200))
def test_any_accept_header_is_decided(header):
    assert choose(header) in {None, SIMPLE_JSON, SIMPLE_HTML, PLAIN_HTML}


def test_negotiation():
    pip = f"{SIMPLE_JSON}, {SIMPLE_HTML}; q=0.1, text/html; q=0.01"
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for header, expected in {
        None: PLAIN_HTML,
        "": PLAIN_HTML,
        "*/*": PLAIN_HTML,
        "text/*": PLAIN_HTML,
        "text/html": PLAIN_HTML,
        browser: PLAIN_HTML,
        pip: SIMPLE_JSON,
        SIMPLE_JSON: SIMPLE_JSON,
        SIMPLE_JSON.upper(): SIMPLE_JSON,
        f"text/html, {SIMPLE_JSON}": SIMPLE_JSON,
        f"text/html, {SIMPLE_JSON};q=0.9": PLAIN_HTML,
        "application/vnd.pypi.simple.latest+json": SIMPLE_JSON,
        "application/vnd.pypi.simple.latest+html": SIMPLE_HTML,
        f"{SIMPLE_JSON};q=0, */*": PLAIN_HTML,
        "application/json": None,
        "application/vnd.pypi.simple.v2+json": None,
        f"{SIMPLE_JSON};q=0": None,
        f"{SIMPLE_JSON};q=nan": None,
        f"{SIMPLE_JSON};q=7": None,
        "*/*;q=0": None,
        "text/html," + "x" * HEADER_LIMIT: None,
    }.items():
        assert choose(header) == expected, header
