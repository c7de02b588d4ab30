"""One of the words that a rule needs is in all that its pattern finds: a look for them misses nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.prompts import attacks, benign, dressed, planted
from lockgate.guard import Channel
from lockgate.guard.rules import RULES, Rule, hits
from lockgate.guard.views import views
from lockgate.scoring.normalise import normalise


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_what_a_rule_finds_has_one_of_its_needed_words(rule: Rule, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(rule.pattern))
    assert any(word in text for word in rule.needs)


def test_rules_find_in_known_prompts_what_their_patterns_find() -> None:
    texts = [
        *attacks(),
        *planted(),
        *list(benign())[::40],
        *(d for a in list(attacks())[::25] for _, d in dressed(a)),
    ]
    for text in texts:
        for view in views(text, normalise(text).text):
            found = {hit.rule for hit in hits(view.text, Channel.RETRIEVED)}
            whole = {rule.id for rule in RULES if rule.pattern.search(view.text)}
            assert found == {each for each in whole if _watched(each)}, view.text


def _watched(name: str) -> bool:
    return any(rule.id == name and Channel.RETRIEVED in rule.channels for rule in RULES)


def test_needed_words_are_in_plain_form() -> None:
    assert all(word == re.sub(r"\s+", " ", word).lower() for rule in RULES for word in rule.needs)
