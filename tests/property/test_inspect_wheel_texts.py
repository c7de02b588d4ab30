"""The quick reading of a wheel's texts: it says what the libraries say, or leaves it to them."""

import configparser
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.inspect.inspectors import wheel_texts

MANY = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
ODD = st.text(alphabet="aZ:=-[]# \t\r\n\x0b\x0c\x1c\x85\u2028é;,.", max_size=12)
HEADER = st.sampled_from([
    "Name: lock", "name:lock", "Version:  1.0 \t", "Requires-Dist: a", "Requires-Dist:", "From: me",
    "From me", " folded", "Na me: x", ": none", "", "Name: é\u2028Version: 2", "X-é: 1", "body",
])  # fmt: skip
POINT = st.sampled_from([
    "[console_scripts]", "[gui]", "[DEFAULT]", "[a] ", "[a]b", "lock = a:b", "lock=c", "key = e = f",
    "open =", "Lock = a", " more", "# no", "; no", "a b = c", "a : b", "", "=x", "naïve = x",
    "a = é", "[]", "[a]]",
])  # fmt: skip


def _lines(line):
    return st.lists(st.one_of(line, line, line, ODD), max_size=8).flatmap(
        lambda lines: st.sampled_from(["\n", "\n", "\r\n"]).map(lambda end: end.join([*lines, ""]))
    )


@MANY
@given(st.one_of(_lines(HEADER), ODD))
def test_headers_are_what_email_reads(text) -> None:
    expected: dict[str, list[str]] = {}
    for name, value in wheel_texts._read_headers(text):
        expected.setdefault(name.lower(), []).append(value)
    assert wheel_texts.headers(text) == expected


@MANY
@given(st.one_of(_lines(POINT), ODD))
def test_entry_points_are_what_configparser_reads(text) -> None:
    try:
        expected = wheel_texts._read_points(text)
    except configparser.Error as error:
        with pytest.raises(type(error)):
            wheel_texts.entry_points(text)
    else:
        assert wheel_texts.entry_points(text) == expected


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (wheel_texts.headers, "Metadata-Version: 2.1\nName: lock\n\nName: not\n"),
        (
            wheel_texts.entry_points,
            "[console_scripts]\nlock = lock:main\n\n[gui]\nlock=lock.gui\n",
        ),
    ],
    ids=["headers", "entry points"],
)
def test_what_is_plain_needs_no_library(monkeypatch, read, text) -> None:
    expected = read(text)
    monkeypatch.setattr(wheel_texts, "HeaderParser", None)
    monkeypatch.setattr(wheel_texts.configparser, "ConfigParser", None)
    assert expected == read(text)
    assert expected
    with suppress(TypeError):
        read(" not plain\n")
        pytest.fail("a text that is not plain is the library's to read")
