"""The console's answer to who let something in: the same lines as the terminal's, and the proof as a file."""

import pytest
from test_console_pages import HOSTILE, ask, show

from console_double import TRACED, Fixed
from lockgate.app.gate.told import told
from lockgate.console.format import size
from lockgate.console.pages import build_app
from lockgate.console.shell import SEARCH_POLICY


def test_the_page_asks_before_it_answers() -> None:
    data = Fixed()
    page = show("/who", data)
    assert page.status == 200
    assert 'name="what"' in page.text
    assert page.headers["content-security-policy"] == SEARCH_POLICY
    assert data.traced == []


def test_it_names_who_asked_who_approved_and_every_line_of_the_terminal() -> None:
    page = show("/who?what=a%2Fb")
    assert page.status == 200
    assert "ada and ben let it in; olga had asked" in page.plain
    for name, text in told(TRACED.let_in, size, "stable 1").items():
        assert f"{name} {text}" in page.plain
    assert f'href="/who/proof?what={TRACED.let_in.sha256}"' in page.text
    assert "/crossings/2/artifact?purl=pkg%3Ahuggingface/a/b%402" in page.text


def test_the_proof_is_the_file_that_the_terminal_writes() -> None:
    answer = show(f"/who/proof?what={TRACED.let_in.sha256}")
    assert answer.text.encode() == TRACED.proof
    assert answer.headers["content-type"] == "application/json"
    name = f"{TRACED.let_in.sha256[:12]}.proof.json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [("nobody", 404, "LG-380a"), ("twice", 409, "LG-1805"), ("unproven", 503, "LG-2")],
)
def test_what_nobody_let_in_or_cannot_be_proven_is_said_with_code_and_advice(
    what: str, status: int, code: str
) -> None:
    page = show(f"/who?what={what}")
    assert page.status == status
    assert code in page.plain
    assert "let it in;" not in page.plain
    assert f"/catalogue?text={what}" in page.text
    assert show(f"/who/proof?what={what}").status == 503


@pytest.mark.parametrize("target", [f"/who?what={'a' * 513}", "/who/proof", "/who/proof?what=%20"])
def test_a_question_that_is_none_is_refused_before_anybody_is_asked(target: str) -> None:
    data = Fixed()
    assert ask(build_app(data), target).status == 400
    assert data.traced == []


def test_what_is_asked_is_only_text() -> None:
    page = show(f"/who?what={HOSTILE.replace('&', '%26')}")
    assert page.status == 404
    assert "<script>" not in page.text
    assert "<img src=x" not in page.text
