"""Expressions over the XML of documents go through a text once, whatever tags are left open in it.

An expression that begins with an angle bracket begins again at each of them. What it repeats without a bound
must therefore stop at the next one, or at a quotation mark: no two tries go through the same character.
"""

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

import pytest

from lockgate.inspect.inspectors import model_texts, office_styles, ooxml, xml_elements, xml_programs

_MODULES = (model_texts, office_styles, ooxml, xml_elements, xml_programs)
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}
_BOUND = 1_000
_MARKS = frozenset(map(ord, "<\"'"))
_OPEN = (
    "<w:style ", '<w:style w:type="paragraph" w:styleId="a">', "<w:p>", "<w:r>", "<a:r>", "<style:style ",
    '<style:style style:name="a">', '<text:p text:style-name="a">', '<x:connection refreshOnLoad="1">',
    "<f>|'", "<draw:image xlink:href=", "<Relationship a", "<w:delText>",
)  # fmt: skip


def _expressions():
    for module in _MODULES:
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str) and "<" in value.pattern:
                yield pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")


def _taken(item) -> set[int]:
    """Return which of the marks one item of an expression may take."""
    kind, said = item
    if kind is codes.LITERAL:
        return {said} & _MARKS
    if kind is codes.NOT_LITERAL:
        return set(_MARKS - {said})
    if kind is codes.IN:
        listed = {mark for mark in _MARKS if any(_lists(part, mark) for part in said)}
        return set(_MARKS) - listed if said[0][0] is codes.NEGATE else listed
    return set(_MARKS) if kind is codes.ANY else set()


def _lists(part, mark: int) -> bool:
    kind, said = part
    if kind is codes.CATEGORY:
        return said in {codes.CATEGORY_NOT_SPACE, codes.CATEGORY_NOT_WORD, codes.CATEGORY_NOT_DIGIT}
    return (kind is codes.LITERAL and said == mark) or (kind is codes.RANGE and said[0] <= mark <= said[1])


def _repeated(tree):
    """Yield what an expression repeats without a bound."""
    for kind, said in tree:
        if kind in _REPEATS and said[1] > _BOUND:
            yield from said[2]
        parts = said if isinstance(said, tuple | list) else (said,)
        for part in parts:
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, parser.SubPattern):
                    yield from _repeated(inner)


@pytest.mark.parametrize("expression", list(_expressions()))
def test_what_is_repeated_stops_at_the_next_tag(expression: re.Pattern[str]) -> None:
    tree = parser.parse(expression.pattern, expression.flags)
    greedy = [item for item in _repeated(tree) if _taken(item) == _MARKS]
    assert not greedy, expression.pattern


def test_an_expression_that_begins_again_is_told() -> None:
    for pattern in (r"<w:p[^>]*>", r"<w:r>(.*?)</w:r>", r"<a>([\s\S]*?)</a>", r"<a>(?:(?!</a>)[\s\S])*"):
        tree = parser.parse(pattern, re.DOTALL)
        assert any(_taken(item) == _MARKS for item in _repeated(tree)), pattern


@pytest.mark.parametrize("opened", _OPEN)
def test_a_megabyte_of_open_tags_gives_no_element(opened: str) -> None:
    text = opened * ((1 << 20) // len(opened))
    pairs = (
        (ooxml._RUN, ooxml._RUN_END),
        (ooxml._STYLE, ooxml._STYLE_END),
        (office_styles._STYLE, office_styles._STYLE_END),
    )
    for start, end in pairs:
        assert not list(xml_elements.elements(start, end, text))


def test_each_character_belongs_to_one_element() -> None:
    text = "<w:r><w:r a='b'>first</w:r><w:r/>second</w:r></w:r><w:r>third"
    found = [body for _, body in xml_elements.elements(ooxml._RUN, ooxml._RUN_END, text)]
    assert found == ["<w:r a='b'>first", "second"]
    assert sum(map(len, found)) <= len(text)
