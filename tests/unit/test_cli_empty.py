"""Lists in which there is nothing say so in words: a heading over nothing looks like a failure."""

from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.homes import HighSide

LISTS = {
    ("gate", "list"): "No crossing has arrived",
    ("gateway", "key", "list"): "No key was made",
    ("guard", "appeals", "list"): "No appeal",
    ("guard", "tool", "show"): "No tool is named",
    ("media", "list"): "No medium is known",
    ("request", "list"): "No request",
    ("request", "misses"): "Nothing was missed",
    ("submit", "list"): "Nothing was submitted",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return HighSide.new(tmp_path_factory.mktemp("empty")).lane.high


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_an_empty_list_says_so(home: Path, words: tuple[str, ...]) -> None:
    done = Commands().run(*words, "--home", home)
    assert done.status == 0, done.err
    assert LISTS[words] in done.out
    assert "┏" not in done.out
