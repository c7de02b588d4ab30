"""Canonical text, words, numbers and sentences."""

import pytest

from lockgate.knowledge.sentences import SENTENCE_LIMIT, SentenceSplitter, sentence_spans
from lockgate.knowledge.text import canonical, content_words, negates, numbers, one_line, stem


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def test_canonical_form_unifies_lines_spaces_and_composition() -> None:
    assert canonical("  e\u0301te\u0301 \r\n\r\n\r\n a\u00a0\t b \r") == "\u00e9t\u00e9\n\na b"


def test_canonical_form_drops_what_nobody_sees() -> None:
    tagged = "in\u200bvis\u202eible\U000e0041 \x00text\ufeff\u00ad\ue000"
    assert canonical(tagged) == "invisible text"


def test_joiners_that_scripts_need_stay() -> None:
    assert (
        canonical("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )


def test_one_line() -> None:
    assert one_line("a\nb\n\nc") == "a b c"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("batteries", "battery"),
        ("tests", "tested"),
        ("stopped", "stop"),
        ("hydrants", "hydrant"),
        ("litres", "liter"),
        ("colour", "colors"),
        ("classes", "class"),
    ],
)
def test_kindred_forms_meet(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_different_words_stay_apart() -> None:
    assert len({stem(word) for word in ("gas", "gate", "this", "thin", "bus", "burn")}) == 6


def test_content_words_skip_what_says_nothing_and_spell_numbers_as_digits() -> None:
    assert content_words("How long do the three batteries last?") == ["3", "battery", "last"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at 01:30 and 0.4", {"01:30", "0.4"}),
        ("85,000 litres", {"85000"}),
        ("eight of 8", {"8"}),
        ("one host", set()),
        ("bay 007", {"7"}),
    ],
)
def test_numbers(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_negation() -> None:
    assert negates("It isn\u2019t so")
    assert negates("Nobody enters")
    assert not negates("Notice the noon bell")


def test_sentences_end_where_they_should() -> None:
    text = 'It lasts 2.5 hours, e.g. at night. "Stop!" Then go (slowly.) Now?\n- A line\n3. Third item. End'
    assert split(text) == [
        "It lasts 2.5 hours, e.g. at night.",
        '"Stop!"',
        "Then go (slowly.)",
        "Now?",
        "- A line",
        "3. Third item.",
        "End",
    ]


def test_a_small_letter_after_a_stop_goes_on() -> None:
    assert split("See fig. two. It is approx. Five metres.") == [
        "See fig. two.",
        "It is approx. Five metres.",
    ]


def test_a_sentence_without_end_is_cut_at_a_space() -> None:
    text = "word " * 1000
    spans = sentence_spans(text)
    assert len(spans) > 1
    assert all(end - start <= SENTENCE_LIMIT for start, end in spans)
    assert " ".join(text[start:end] for start, end in spans) == text.strip()


def test_a_word_without_end_is_cut_anyway() -> None:
    assert [end - start for start, end in sentence_spans("x" * (SENTENCE_LIMIT + 5))] == [SENTENCE_LIMIT, 5]


def test_a_splitter_waits_until_the_end_is_certain() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("It lasts 2") == []
    assert splitter.feed(".5 hours.") == []
    assert splitter.feed(" ") == []
    assert splitter.feed("Then") == ["It lasts 2.5 hours."]
    assert splitter.finish() == [" Then"]
    assert splitter.finish() == []
