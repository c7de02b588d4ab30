"""What the commands of keys, quotas and grants say when they have done it, and of a name that is none."""

from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.homes import HighSide

run = Commands().run


@pytest.fixture
def home(tmp_path: Path) -> tuple[object, ...]:
    return ("--home", HighSide.new(tmp_path).lane.high)


def test_each_says_what_holds_now(home: tuple[object, ...]) -> None:
    run("gateway", "key", "add", "desk [1]", *home)
    quota = ("gateway", "quota", "set", "desk [1]")
    assert run(*quota, "--requests", 5, "--concurrent", 2, *home).out == (
        "desk [1]: 5 requests a day, 2 at once, priority normal\n"
    )
    assert run(*quota, *home).out == "desk [1]: no bound, priority normal\n"
    asked = run(*quota, "--tokens-out", 7, "--priority", "high", *home, "--json").value
    assert (asked["name"], asked["completion_tokens"], asked["priority"]) == ("desk [1]", 7, "high")
    assert run("gateway", "key", "remove", "desk [1]", *home).out == (
        "The key desk [1] is refused from the next request on\n"
    )


def test_grants_say_who_may_see_what(home: tuple[object, ...]) -> None:
    grant = ("gateway", "grant")
    said = run(*grant, "set", "oidc", "desk [1]", "--label", "public", "--auditor", *home).out
    assert said == "oidc: the group desk [1] may see public, as auditor, user\n"
    assert (
        run(*grant, "shut-out", "oidc:jane", *home).out == "oidc:jane is refused from the next request on\n"
    )
    assert run(*grant, "list", *home, "--json").value["shut_out"] == ["oidc:jane"]
    assert "may ask again" in run(*grant, "let-in", "oidc:jane", *home).out
    assert run(*grant, "remove", "oidc", "desk [1]", *home).out == (
        "oidc: the group desk [1] is granted nothing\n"
    )
    assert run(*grant, "list", *home, "--json").value["grants"] == []


@pytest.mark.parametrize("words", [("quota", "set"), ("quota", "show"), ("key", "remove")])
def test_a_name_that_no_key_has_is_told_where_names_are(
    home: tuple[object, ...], words: tuple[str, str]
) -> None:
    ran = run("gateway", *words, "nobody", *home)
    assert ran.status == 2
    assert "LG-1a05 No API key is named 'nobody'" in ran.err
    assert "gateway key list" in ran.err
