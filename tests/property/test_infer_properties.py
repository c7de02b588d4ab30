"""What holds for every input: streams cut anywhere, marks that only add, requests of any bytes."""

import contextlib
import itertools
import json
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infer_doubles import HANDBOOK, LiteralCiter
from lockgate.core.errors import LockgateError
from lockgate.infer.errors import EngineGarbageError
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import parse
from lockgate.infer.sse import EventParser, event
from lockgate.infer.weave import Weaver

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["model", "messages", "stream", "stop", "n", "tools", "role", "content", "x"])


_PLAIN = st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.lists(st.text(_PLAIN, min_size=1)),
    st.lists(st.integers(0, 10_000)),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_events_do_not_depend_on_where_the_stream_was_cut(
    payloads: list[str], places: list[int], line_end: bytes
) -> None:
    data = b": hello\n\n" + b"".join(event(p.encode()) for p in payloads) + b"id: 1\n\n"
    data = data.replace(b"\n", line_end)
    parser = EventParser(1 << 20)
    found = [payload for part in cut(data, places) for payload in parser.feed(part)]
    found += parser.feed(b"\n\n")
    assert found == [p.encode() for p in payloads]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_make_events_or_a_bound_and_memory_stays_bounded(parts: list[bytes]) -> None:
    parser = EventParser(64)
    with contextlib.suppress(EngineGarbageError):
        for part in parts:
            for payload in parser.feed(part):
                assert len(payload) <= 64
            assert len(parser._rest) <= 64
            assert sum(map(len, parser._data)) <= 64


_EVENTS = st.lists(
    st.sampled_from([b"data: ", b"data:", b"\n", b"\n\n", b"\r\n", b"a", b'{"b":1}', b": c", b"id: 1"])
).map(b"".join)


@given(_EVENTS)
def test_events_that_come_whole_are_read_as_those_that_come_byte_by_byte(data: bytes) -> None:
    whole, single = EventParser(32), EventParser(32)
    try:
        expected = [payload for at in range(len(data)) for payload in single.feed(data[at : at + 1])]
    except EngineGarbageError:
        return
    assert whole.feed(data) + whole.feed(b"\n\n") == expected + single.feed(b"\n\n")


_TRAPS = ["3.5", "e.g.", "Dr.", "so!", "\n", "\n\n", "why?", '"No."', " "]
_WORDS = st.sampled_from([*HANDBOOK.split(" "), *_TRAPS])


@given(st.lists(_WORDS, max_size=40), st.lists(st.integers(0, 500)))
def test_marks_only_add_and_do_not_depend_on_the_cuts(words: list[str], places: list[int]) -> None:
    text = " ".join(words)
    weaver = Weaver(LiteralCiter(HANDBOOK))
    parts = [part.decode() for part in cut(text.encode(), places)]
    out = "".join(weaver.feed(part) for part in parts) + weaver.finish()
    assert re.sub(r" (\[\d+\]|\[unsupported\])", "", out) == text.rstrip()
    whole = Weaver(LiteralCiter(HANDBOOK))
    assert whole.feed(text) + whole.finish() == out


_BODIES = st.dictionaries(_NAMES, _JSON, max_size=5).map(lambda body: json.dumps(body).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.binary(max_size=200) | _BODIES)
def test_any_body_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(LockgateError):
        parse(data, GatewayLimits())
