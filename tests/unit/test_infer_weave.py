"""Citation marks stand right behind their sentences, and text waits no longer than it must."""

from collections.abc import Sequence

import pytest

from infer_doubles import HANDBOOK, LiteralCiter
from lockgate.infer import CitedSentence, Citer
from lockgate.infer.errors import KnowledgeUnavailableError
from lockgate.infer.weave import LOOKAHEAD, UNSUPPORTED, Weaver

FIRST = "The night shift begins at 22:15."


def test_text_leaves_as_it_comes_but_for_space_at_its_end() -> None:
    weaver = Weaver(LiteralCiter(HANDBOOK))
    assert weaver.feed("The night ") == "The night"
    assert weaver.feed("shift") == " shift"
    assert weaver.feed(" begins at 22:15.") == " begins at 22:15."
    assert weaver.feed(" ") == ""
    assert weaver.feed("It") == " [1] It"
    assert weaver.finish() == f" {UNSUPPORTED}"
    assert [c.number for c in weaver.citations] == [1]


def test_what_follows_a_possible_end_waits_for_the_decision() -> None:
    weaver = Weaver(Late())
    assert weaver.feed(f"{FIRST} It is") == FIRST
    assert weaver.finish() == f" {UNSUPPORTED} It is {UNSUPPORTED}"


def test_an_undecided_citer_cannot_hold_the_text_for_ever() -> None:
    weaver = Weaver(Late())
    assert weaver.feed("e.g. this") == "e.g."
    shown = weaver.feed(" and" + "d" * LOOKAHEAD)
    assert shown.startswith(" this and")


def test_number_with_a_point_is_no_end() -> None:
    assert Weaver(Late()).feed("It takes 3.5 MW") == "It takes 3.5 MW"


def test_empty_answer_has_no_mark() -> None:
    weaver = Weaver(LiteralCiter(HANDBOOK))
    assert weaver.feed("  ") == ""
    assert weaver.finish() == ""


def test_foreign_sentence_is_an_error() -> None:
    class Lying(Citer):
        def feed(self, text: str) -> Sequence[CitedSentence]:
            return [CitedSentence("never said", ())]

        def finish(self) -> Sequence[CitedSentence]:
            return []

    with pytest.raises(KnowledgeUnavailableError):
        Weaver(Lying()).feed("said")


class Late(Citer):
    """Decides only at the end."""

    def __init__(self) -> None:
        self._inner = LiteralCiter("")
        self._text = ""

    def feed(self, text: str) -> Sequence[CitedSentence]:
        self._text += text
        return []

    def finish(self) -> Sequence[CitedSentence]:
        return [*self._inner.feed(self._text), *self._inner.finish()]
