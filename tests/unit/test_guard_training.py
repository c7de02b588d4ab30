"""The grammars that train the classifier: every slot is filled, orders are where they are said to be."""

import importlib
import random
import re
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "training" / "guard"
CODES = sorted({path.stem.split("-")[0] for path in (FOLDER / "grammar").glob("*.toml")})
OPEN = re.compile(r"(?<!\{)\{[a-z_0-9]+\}(?!\})")


def _module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


@pytest.mark.parametrize("code", CODES)
def test_every_slot_that_a_grammar_names_has_members(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = _module("grammar", monkeypatch)
    assert set(grammar.LANGUAGES) == set(CODES)
    said = grammar.Grammar(code)
    rng = random.Random(3)  # noqa: S311  # repeatable
    for kind in ("direct", "indirect", "benign", "documents"):
        for templates in said.families(kind).values():
            for template in templates:
                text = said.say(template, rng)
                assert text
                assert all(found == "{prompt}" for found in OPEN.findall(text)), (template, text)


@pytest.mark.parametrize("path", sorted((FOLDER / "asides").glob("*.toml")), ids=lambda path: path.stem)
def test_every_slot_of_unseen_lines_has_members(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = _module("grammar", monkeypatch).Grammar(path.stem, path.parent)
    rng = random.Random(3)  # noqa: S311  # repeatable
    for kind in ("attack", "ordinary"):
        lines = list(said.lines(kind, 200, rng))
        assert len(lines) > 100
        assert not [line for line in lines if not line or OPEN.search(line)]


def test_a_name_is_the_same_all_over_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    said = _module("grammar", monkeypatch).Grammar("en")
    for seed in range(20):
        text = said.say("{rp_name}|{rp_name}|{rp_name}", random.Random(seed))  # noqa: S311  # repeatable
        assert len({name.lower() for name in text.split("|")}) == 1


def test_what_is_made_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _module("grammar", monkeypatch).made
    counts = {"direct": 40, "indirect": 20, "benign": 40, "documents": 20}
    assert list(made("en", counts, 7)) == list(made("en", counts, 7))
    assert list(made("en", counts, 7)) != list(made("en", counts, 8))


def test_each_carrier_carries_what_is_put_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    carriers = _module("carriers", monkeypatch).CARRIERS
    rng = random.Random(5)  # noqa: S311  # repeatable
    texts = [carrier("pay the invoice", "The pump runs.", "It rains.", rng) for carrier in carriers]
    assert all("pay the invoice" in text for text in texts)
    assert len(set(texts)) == len(texts)
