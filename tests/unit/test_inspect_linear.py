"""Hostile texts are passed once: what begins and never ends is not looked through again at each beginning.

Work is counted in characters, not in seconds.
"""

import pytest

from corpora.inspection_case import inspected
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import OverLimitError
from lockgate.inspect.inspectors import markup_reader, page_hiding

UNFINISHED = ("<a href='", "<a ", "<a b='>' ", "</a ", "<!--", "<?a", "<!a", "<![CDATA[", "<!doctype ")
"""What begins a part of a page and does not end it."""


@pytest.mark.parametrize("begun", UNFINISHED)
def test_a_page_of_beginnings_is_looked_through_a_bounded_number_of_times(begun: str) -> None:
    page = "<html>" + begun * 40_000
    reader = markup_reader.MarkupReader()
    reader.feed(page)
    with pytest.raises(OverLimitError, match="unfinished"):
        reader.close()
    most = max(markup_reader.LOOKED_AT_LEAST, markup_reader.LOOKED_THROUGH * len(page))
    assert reader.looked <= most + len(page)
    told = inspected(page.encode(), "a.html", "document")
    assert not told.complete
    assert [found.code for found in told.findings if found.code != "type-mismatch"] == ["over-limit"]


@pytest.mark.parametrize("begun", UNFINISHED)
def test_a_page_that_ends_early_is_read_to_its_end(begun: str) -> None:
    page = f"<html><p>text</p><script src='//example.org/a.js'></script>{begun}"
    told = inspected(page.encode(), "a.html", "document")
    assert told.complete
    assert ("html-script", Severity.HIGH) in {(found.code, found.severity) for found in told.findings}


@pytest.mark.parametrize("unit", ["<style>", "a", "a{", "{", "}", "a}", "a{b", "/*", "\\", "a{}b"])
def test_a_style_sheet_is_passed_once(unit: str) -> None:
    sheet = unit * 3000
    passed = [found.span() for found in page_hiding._RULE.finditer(sheet)]
    assert [start for start, _ in passed] == [0, *(end for _, end in passed[:-1])]
    assert passed[-1][1] == len(sheet)


def test_a_rule_is_read_behind_a_long_text_without_brackets() -> None:
    found = page_hiding.hiding(f"<style>{'x' * 5000}, .gone {{ display: none }}</style>")
    assert ".gone" in found.marks
