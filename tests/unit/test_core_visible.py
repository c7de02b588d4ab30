"""Texts of others as people read them: nothing in them is hidden, and nothing moves what stands beside it."""

import json

import pytest

from lockgate.core.visible import REPLACEMENT, shortened, tame, tame_json, visible

PLAIN = ["", "pkg:pypi/numpy@2.2.0", "ä/日本", "Ünïcödé “quoted” €", "a b"]
HIDDEN = {
    "a\x1b[2Jb": r"a\x1b[2Jb",
    "a\nb": r"a\nb",
    "a\u202eb": r"a\u202eb",
    "a\u2066b\u2069": r"a\u2066b\u2069",
    "a\u2028b": r"a\u2028b",
    "a\u200bb": r"a\u200bb",
    "a\u3164b": r"a\u3164b",
    "a\ufe0fb": r"a\ufe0fb",
    "a\x9b31mb": r"a\x9b31mb",
    "a\udcffb": r"a\udcffb",
    "a\U000e0041b": r"a\U000e0041b",
}


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert tame(text) == text
    assert json.loads(tame_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", HIDDEN)
def test_what_is_not_seen_is_written_out(text: str) -> None:
    assert visible(text) == HIDDEN[text]


def test_a_terminal_is_given_lines_and_tabs_and_nothing_else_that_it_obeys() -> None:
    assert (
        tame("a\tb\nc\r\x1b]0;title\x07\u202e\udcff")
        == f"a\tb\nc{REPLACEMENT}{REPLACEMENT}]0;title" + 3 * REPLACEMENT
    )
    assert tame("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e", (
        "scripts that need a joiner keep it"
    )


def test_json_for_a_terminal_means_the_same_and_is_always_utf8() -> None:
    value = {"a\u202e": ["\x9b", "\udcff", "\x1b", "\n", "日本"]}
    text = tame_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert text.isprintable()
    text.encode()


def test_a_long_text_is_cut_and_says_so() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
