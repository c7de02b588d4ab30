"""The one encoding: what is canonical, and that nothing else is read."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from lockgate.core.errors import MalformedDocumentError, NotCanonicalError, TooLargeError
from lockgate.core.wire import (
    Document,
    Moment,
    decode,
    digest_of,
    encode,
    fault_place,
    stamp,
    whole_second,
)


class Sample(Document, frozen=True):
    number: int
    text: str
    at: Moment
    more: dict[str, int] = msgspec.field(default_factory=dict)


SAMPLE = Sample(number=7, text="å\n", at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), more={"b": 1, "a": 2})
CANONICAL = '{"at":"2026-01-02T03:04:05Z","more":{"a":2,"b":1},"number":7,"text":"å\\n"}'.encode()


def test_the_encoding_is_sorted_tight_and_utf8() -> None:
    assert encode(SAMPLE) == CANONICAL
    assert decode(Sample, CANONICAL) == SAMPLE
    assert digest_of(SAMPLE) == digest_of(decode(Sample, CANONICAL))


VARIANTS = {
    "space": CANONICAL.replace(b'"number":7', b'"number": 7'),
    "line end": CANONICAL + b"\n",
    "leading space": b" " + CANONICAL,
    "order": b'{"more":{"a":2,"b":1},"at":"2026-01-02T03:04:05Z","number":7,"text":"\xc3\xa5\\n"}',
    "inner order": CANONICAL.replace(b'{"a":2,"b":1}', b'{"b":1,"a":2}'),
    "escape of a letter": CANONICAL.replace("å".encode(), b"\\u00e5"),
    "long escape": CANONICAL.replace(b"\\n", b"\\u000a"),
    "solidus": CANONICAL.replace(b"\\n", b"\\/"),
    "same key twice": CANONICAL.replace(b'"number":7', b'"number":7,"number":7'),
    "other value under one key": CANONICAL.replace(b'"number":7', b'"number":6,"number":7'),
    "inner key twice": CANONICAL.replace(b'"a":2', b'"a":2,"a":2'),
    "minus zero": CANONICAL.replace(b'"number":7', b'"number":-0'),
    "offset for Z": CANONICAL.replace(b"05Z", b"05+00:00"),
    "another zone": CANONICAL.replace(b"03:04:05Z", b"05:34:05+02:30"),
    "another zone, with a fraction": CANONICAL.replace(b"03:04:05Z", b"02:04:05.500000-01:00"),
    "lower-case z": CANONICAL.replace(b"05Z", b"05z"),
    "empty fraction": CANONICAL.replace(b"05Z", b"05.000Z"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_content_in_other_bytes_is_refused(name: str) -> None:
    with pytest.raises(NotCanonicalError) as refused:
        decode(Sample, VARIANTS[name])
    assert 0 <= refused.value.where["offset"] <= len(VARIANTS[name])


def test_a_text_that_looks_like_a_time_in_another_zone_is_a_text() -> None:
    sample = msgspec.structs.replace(SAMPLE, text="2026-01-02T03:04:05+02:00")
    assert decode(Sample, encode(sample)) == sample


@pytest.mark.parametrize("depth", ["list", "dict", "struct", "none"])
def test_a_time_in_another_zone_is_found_wherever_it_is(depth: str) -> None:
    class Deep(Document, frozen=True):
        many: tuple[Moment, ...] = ()
        named: dict[str, Moment | None] = msgspec.field(default_factory=dict)
        inner: Sample | None = None

    east = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    found: dict[str, Any] = {
        "list": {"many": (SAMPLE.at, east)},
        "dict": {"named": {"a": None, "b": east}},
        "struct": {"inner": msgspec.structs.replace(SAMPLE, at=east)},
        "none": {"inner": SAMPLE},
    }
    data = encode(Deep(**found[depth]))
    if depth == "none":
        assert decode(Deep, data) == Deep(inner=SAMPLE)
        return
    with pytest.raises(NotCanonicalError) as refused:
        decode(Deep, data)
    assert data[refused.value.where["offset"] :].startswith(b"+02:00")


MALFORMED = {
    "nothing": b"",
    "cut short": CANONICAL[:-1],
    "two documents": CANONICAL + CANONICAL,
    "byte order mark": b"\xef\xbb\xbf" + CANONICAL,
    "broken UTF-8": CANONICAL.replace("å".encode(), b"\xff"),
    "unknown escape": CANONICAL.replace(b"\\n", b"\\q"),
    "half a surrogate pair": CANONICAL.replace(b"\\n", b"\\ud800"),
    "unknown field": CANONICAL.replace(b'"number":7', b'"number":7,"other":1'),
    "missing field": CANONICAL.replace(b'"number":7,', b""),
    "text for a number": CANONICAL.replace(b":7", b':"7"'),
    "fraction": CANONICAL.replace(b":7", b":7.5"),
    "whole fraction": CANONICAL.replace(b":7", b":7.0"),
    "exponent": CANONICAL.replace(b":7", b":7e1"),
    "leading zero": CANONICAL.replace(b":7", b":07"),
    "truth": CANONICAL.replace(b":7", b":true"),
    "not a number": CANONICAL.replace(b":7", b":NaN"),
    "comment": CANONICAL.replace(b'"number"', b'/**/"number"'),
    "time without zone": CANONICAL.replace(b"05Z", b"05"),
    "depth": b"[" * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_a_document_of_the_type_is_malformed(name: str) -> None:
    with pytest.raises(MalformedDocumentError, match="sample is malformed"):
        decode(Sample, MALFORMED[name], name="sample")


MISPLACED = {
    "nothing": {"offset": 0},
    "cut short": {"offset": len(CANONICAL) - 1},
    "two documents": {"offset": len(CANONICAL)},
    "byte order mark": {"offset": 0},
    "broken UTF-8": {"offset": CANONICAL.index("å".encode())},
    "comment": {"offset": CANONICAL.index(b'"number"')},
    "unknown escape": {"offset": CANONICAL.index(b"\\n") + 1},
    "not a number": {"offset": CANONICAL.index(b":7") + 1},
    "text for a number": {"field": "$.number"},
    "fraction": {"field": "$.number"},
    "time without zone": {"field": "$.at"},
    "unknown field": {"field": "$"},
    "missing field": {"field": "$"},
}


@pytest.mark.parametrize("name", MISPLACED)
def test_what_is_malformed_is_located_in_the_document(name: str) -> None:
    with pytest.raises(MalformedDocumentError) as refused:
        decode(Sample, MALFORMED[name], name="sample")
    assert refused.value.where == {"document": "sample", **MISPLACED[name]}


def test_a_place_that_is_not_known_is_not_told() -> None:
    with pytest.raises(MalformedDocumentError) as refused:
        decode(dict[str, Any], b'{"a":' + MALFORMED["depth"], name="sample")
    assert refused.value.where == {"document": "sample"}
    assert fault_place(UnicodeDecodeError("utf-8", b"", 0, 0, "elsewhere"), b"whole") == {"offset": 5}


@pytest.mark.parametrize("data", [b'{"a":1.5}', b'{"a":[1.0]}', b'{"a":{"b":1e3}}', b'{"a":-0.0}'])
def test_untyped_content_has_no_fractions_either(data: bytes) -> None:
    with pytest.raises(MalformedDocumentError, match="fraction"):
        decode(dict[str, Any], data)


def test_whole_numbers_of_any_length_keep_every_digit() -> None:
    for number in (0, -1, 1 << 53, (1 << 64) - 1, 1 << 64, -(1 << 70), 10**40):
        assert decode(dict[str, Any], encode({"n": number})) == {"n": number}


def test_an_over_long_document_is_not_parsed() -> None:
    assert decode(Sample, CANONICAL, limit=len(CANONICAL)) == SAMPLE
    with pytest.raises(TooLargeError, match=f"at most {len(CANONICAL) - 1} are read"):
        decode(Sample, CANONICAL, limit=len(CANONICAL) - 1)
    with pytest.raises(TooLargeError):
        decode(Sample, b"[" * 5, limit=4)


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": object()}, "\ud800"])
def test_what_has_no_canonical_form_is_not_encoded(value: object) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        encode(value)


def test_moments_are_cut_to_seconds_in_utc() -> None:
    east = datetime(2026, 5, 1, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert whole_second(east) == datetime(2026, 4, 30, 23, 2, 3, tzinfo=UTC)
    assert stamp(east) == "2026-04-30T23:02:03Z"
