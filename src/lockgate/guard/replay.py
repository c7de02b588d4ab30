"""Replaying texts against two sets of guards: which decisions change, and what a change would let through.

The texts are appealed ones and the site's own cases. Beside them stand the attacks of the red team's suite:
whoever loosens a guard for a harmless text sees here which attacks pass with it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from lockgate.core.digests import sha256
from lockgate.core.ports import Entropy
from lockgate.core.wire import Document
from lockgate.guard.appeals import Passage
from lockgate.guard.egress import OutputFilter
from lockgate.guard.policy import GuardPolicy
from lockgate.guard.ports import Scorer
from lockgate.guard.redteam import Case
from lockgate.guard.rules import Channel
from lockgate.guard.service import InputGuard, Outcome

ANSWER = "answer"
"""The channel of a model's answer, which the output filter decides about."""

SNAPSHOT_FORMAT = "lockgate-guard-decisions/1"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A text that is replayed. `source` is ``appeal``, ``case`` or ``attack``."""

    source: str
    id: str
    passage: Passage


class Ruling(Document, frozen=True):
    """What guards decide about a text: the outcome, the rules that hit, and the classifier's score."""

    outcome: Outcome
    rules: tuple[str, ...] = ()
    score: str = ""


class Rulings(Document, frozen=True):
    """The decisions of one set of guards, kept to be compared with those of another release.

    `guards` says which: the classifier and the version of Lockgate. `rulings` go by the text's name: its
    source, id and digest.
    """

    format: str
    guards: str
    rulings: dict[str, Ruling]


@dataclass(frozen=True, slots=True)
class Changed:
    """A text about which two sets of guards decide otherwise."""

    item: Replayed
    before: Ruling
    after: Ruling

    @property
    def looser(self) -> bool:
        """Tell whether less is done about it than before."""
        order = list(Outcome)
        return order.index(self.after.outcome) < order.index(self.before.outcome)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change of guards does.

    Attributes:
        changed: Texts about which they decide otherwise; attacks are not among them.
        let_through: Attacks about which less is done than before.
        caught: Attacks about which more is done.
        stopped: Cases of the site's own set that would be blocked.
        attacks: How many attacks there are.
        stopped_attacks: How many of them are blocked before and after.

    """

    changed: tuple[Changed, ...]
    let_through: tuple[Changed, ...]
    caught: tuple[Changed, ...]
    stopped: tuple[Replayed, ...]
    attacks: int
    stopped_attacks: tuple[int, int]

    @property
    def safe(self) -> bool:
        """Tell whether the change lets no attack through and stops no case of the site's own set."""
        return not (self.let_through or self.stopped)


class Bench:
    """One set of guards that texts are replayed against.

    Args:
        policy: What each guard does.
        scorer: The classifier.

    """

    def __init__(self, policy: GuardPolicy, scorer: Scorer | None) -> None:
        """Keep the parts."""
        self._policy = policy
        self._input = InputGuard(policy, scorer)

    def rule(self, passage: Passage) -> Ruling:
        """Return what these guards decide about a text.

        Raises:
            GuardTextTooLongError: It is longer than is looked at.

        """
        if passage.channel == ANSWER:
            return self._answered(passage.text)
        decision = self._input.check(passage.text, Channel(passage.channel))
        score = "" if decision.score is None else f"{decision.score:.3f}"
        return Ruling(outcome=decision.outcome, rules=decision.rules, score=score)

    def _answered(self, text: str) -> Ruling:
        """Decide about an answer; canaries are random and system prompts not kept, so neither counts."""
        through = OutputFilter(self._policy)
        through.feed(text)
        through.finish()
        rules = tuple(sorted(f"{guard.value}:{what}" for guard, what in through.hits))
        met = Outcome.FLAG if rules else Outcome.ALLOW
        return Ruling(outcome=Outcome.BLOCK if through.stopped else met, rules=rules)


def attacks_of(cases: Iterable[Case]) -> list[Replayed]:
    """Return the texts of a suite's attacks, in the channel that they come by."""
    return [
        Replayed("attack", case.id, passage)
        for case in cases
        if case.shows is not None
        for passage in _passages(case.body)
    ]


def _passages(body: Mapping[str, Any]) -> Iterable[Passage]:
    """Yield what guards look at of a request in the OpenAI API's form: the carrier of an attack."""
    for message in body["messages"]:
        content = message["content"]
        if message["role"] == "tool":
            yield Passage(channel=Channel.TOOL.value, text=content)
        elif message["role"] == "user" and isinstance(content, list):
            parts = (part for part in content if part.get("lockgate_channel") == "retrieved")
            yield from (Passage(channel=Channel.RETRIEVED.value, text=part["text"]) for part in parts)
        elif message["role"] == "user" and not any(each["role"] == "tool" for each in body["messages"]):
            yield Passage(channel=Channel.USER.value, text=content)


def repeatable() -> Entropy:
    """Return bytes that are the same in each replay: words of attacks that differed would score otherwise."""
    numbers = count()
    return lambda size: (hashlib.sha256(b"replay %d" % next(numbers)).digest() * (size // 32 + 1))[:size]


def named(item: Replayed) -> str:
    """Return a text's name: whose it is, and the digest of the very text."""
    return f"{item.source}:{item.id}:{item.passage.channel}:{sha256(item.passage.text.encode())}"


def ruled(bench: Bench, items: Sequence[Replayed]) -> dict[str, Ruling]:
    """Return what guards decide about texts, by name."""
    return {named(item): bench.rule(item.passage) for item in items}


def compared(
    items: Sequence[Replayed], before: Mapping[str, Ruling], after: Mapping[str, Ruling]
) -> Comparison:
    """Return what becomes of texts by a change; a text that one side never saw is not compared."""
    known = [item for item in items if named(item) in before and named(item) in after]
    both = [Changed(item, before[named(item)], after[named(item)]) for item in known]
    others = [each for each in both if each.before.outcome is not each.after.outcome]
    attacks = [each for each in both if each.item.source == "attack"]
    return Comparison(
        changed=tuple(each for each in others if each.item.source != "attack"),
        let_through=tuple(each for each in others if each.item.source == "attack" and each.looser),
        caught=tuple(each for each in others if each.item.source == "attack" and not each.looser),
        stopped=tuple(
            each.item for each in both if each.item.source == "case" and each.after.outcome is Outcome.BLOCK
        ),
        attacks=len(attacks),
        stopped_attacks=(
            sum(each.before.outcome is Outcome.BLOCK for each in attacks),
            sum(each.after.outcome is Outcome.BLOCK for each in attacks),
        ),
    )
