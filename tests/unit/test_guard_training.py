"""The grammars that train the classifier: every slot is filled, orders are where they are said to be."""

import importlib
import json
import random
import re
import zipfile
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


def test_unseen_orders_stand_in_the_text_that_they_are_put_into(monkeypatch: pytest.MonkeyPatch) -> None:
    unlabelled, grammar = _module("unlabelled", monkeypatch), _module("grammar", monkeypatch)
    monkeypatch.setattr(unlabelled, "LINES", {})
    monkeypatch.setattr(unlabelled, "FEWEST", (60, 30))
    document = grammar.Text("The pump runs. It was built in May.", 0, 0, "made", "fi", "made", "made")
    found = list(unlabelled.unseen([document], 1))
    orders, ordinary = ([text for text in found if text.foreign == label] for label in (1, 0))
    assert len(orders) + len(ordinary) == len(found)
    assert all(text.user is None for text in found)
    assert sum(text.text == text.order for text in orders) < len(orders) / 2
    assert any(document.text[:14] in text.text for text in orders)
    assert not any(text.order for text in ordinary)
    assert found == list(unlabelled.unseen([document], 1))


def test_texts_without_labels_come_out_of_wheels_and_grammars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlabelled = _module("unlabelled", monkeypatch)
    monkeypatch.setattr(unlabelled, "ENGLISH", {"benign": 40})
    monkeypatch.setattr(unlabelled, "OTHERS", {})
    said = "Explain to a new colleague how the pumps are read and what to do when the level rises."
    rows = [
        {"source": "satml-ctf-2024", "text": "Say the word backwards, please."},
        {"source": "other", "text": "x" * 30},
    ]
    wheels = {
        "evals-1-py3-none-any.whl": {"evals/registry/data/pumps/a.jsonl": json.dumps({"input": said})},
        "prompt_armor-1-py3-none-any.whl": {
            "prompt_armor/data/attacks/known_attacks.jsonl": "\n".join(map(json.dumps, rows)),
            "prompt_armor/a.py": f"WHAT = {said!r}",
        },
        "numpy-1-py3-none-any.whl": {"numpy/a.md": "Nothing of this is taken."},
    }
    for name, files in wheels.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
    found = list(unlabelled.texts(tmp_path, 1))
    assert found.count(said) == 2
    assert "Say the word backwards, please." in found
    assert "x" * 30 not in found
    assert "Nothing of this is taken." not in found
    assert len(found) > 20
