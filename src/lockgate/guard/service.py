"""Checks what goes to a model: one decision for each text, with its reasons."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lockgate.core.digests import sha256
from lockgate.guard.errors import GuardTextTooLongError
from lockgate.guard.policy import Guard, GuardPolicy, Mode
from lockgate.guard.ports import Scorer
from lockgate.guard.rules import Action, Channel, Hit, hidden_hit, hits
from lockgate.guard.views import View, views
from lockgate.scoring.normalise import normalise

TEXT_CHARACTERS = 1_000_000
"""Longest text that is checked, in characters; a longer one is refused, not half looked at."""

SCORED_VIEWS = 10
"""Most readings of a text that are scored: the plain one, six without its dress, what was encoded."""

_GRAVITY = (Action.BLOCK, Action.FLAG, Action.NOTE)


class Outcome(StrEnum):
    """What a guard decided."""

    ALLOW = "allow"
    FLAG = "flag"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a text, and why.

    Attributes:
        outcome: The decision.
        hits: The rules that hit, each once, the gravest first; the classifier counts as one of them.
        sha256: Digest of the text's plain form, so that a decision can be found again.
        invisible: How many invisible characters the text has.
        score: The classifier's score; None where it was not asked.
        classifier: Which classifier that was, by its weights; empty where none was asked.
        seconds: How long each guard took.

    """

    outcome: Outcome
    hits: tuple[Hit, ...]
    sha256: str
    invisible: int
    score: float | None = None
    classifier: str = ""
    seconds: Mapping[Guard, float] = field(default_factory=dict)

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the names of the rules that hit."""
        return tuple(hit.rule for hit in self.hits)


class InputGuard:
    """Decides about texts by rules, and by a classifier where there is one.

    Args:
        policy: What a hit means in each channel.
        scorer: The classifier.
        timer: Seconds that only grow.

    """

    def __init__(
        self,
        policy: GuardPolicy,
        scorer: Scorer | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Keep the parts."""
        self._policy = policy
        self._scorer = scorer
        self._timer = timer

    @property
    def policy(self) -> GuardPolicy:
        """Return what a hit means."""
        return self._policy

    def watches(self, channel: Channel) -> bool:
        """Tell whether texts of a channel are looked at: by rules, or by a classifier where there is one."""
        policy = self._policy
        if policy.rules.get(channel, Mode.BLOCK) is not Mode.OFF:
            return True
        return self._scorer is not None and policy.classifier.get(channel, Mode.LOG) is not Mode.OFF

    def check(self, text: str, channel: Channel) -> Decision:
        """Return the decision about a text that comes from a channel.

        Raises:
            GuardTextTooLongError: It is longer than is looked at.

        """
        if len(text) > TEXT_CHARACTERS:
            what = f"A text of {len(text)} characters is more than is checked."
            raise GuardTextTooLongError(what, limit="guard.text_characters")
        began = self._timer()
        plain = normalise(text)
        readings = list(views(text, plain.text))
        found = self._ruled(readings, plain.hidden, channel)
        ruled = self._timer()
        by_rules = self._policy.rules.get(channel, Mode.BLOCK)
        mode = self._policy.classifier.get(channel, Mode.LOG)
        seconds = {Guard.RULES: ruled - began}
        if self._scorer is None or mode is Mode.OFF:
            outcome = self._outcome(found, by_rules)
            return Decision(outcome, found, sha256(plain.text.encode()), plain.invisible, seconds=seconds)
        outcome = self._outcome(tuple(hit for hit in found if hit.action is not Action.NOTE), by_rules)
        score, hit = self._scored(self._scorer, readings, channel)
        seconds[Guard.CLASSIFIER] = self._timer() - ruled
        if hit is not None:
            found = tuple(sorted((*found, hit), key=_gravest_first))
            outcome = max(outcome, self._outcome((hit,), mode), key=list(Outcome).index)
        return Decision(
            outcome, found, sha256(plain.text.encode()), plain.invisible, score, self._scorer.version, seconds
        )

    @staticmethod
    def _ruled(readings: list[View], hidden: str, channel: Channel) -> tuple[Hit, ...]:
        """Return what the rules find in the readings of a text, the gravest first."""
        gravest: dict[str, Hit] = {}
        if (hit := hidden_hit(hidden)) is not None:
            gravest[hit.rule] = hit
        for view in readings:
            for hit in hits(view.text, channel):
                if hit.rule not in gravest or _gravest_first(hit) < _gravest_first(gravest[hit.rule]):
                    gravest[hit.rule] = hit
        return tuple(sorted(gravest.values(), key=_gravest_first))

    @staticmethod
    def _scored(scorer: Scorer, readings: list[View], channel: Channel) -> tuple[float, Hit | None]:
        """Return the highest score of a text's readings, and the hit where that means one."""
        scored = [view.text for view in readings if view.scored][:SCORED_VIEWS]
        score = max(scorer.score(text, channel) for text in scored)
        if not scorer.flags(score, channel):
            return score, None
        action = Action.BLOCK if scorer.blocks(score, channel) else Action.FLAG
        return score, Hit("classifier", action, "It reads like an order to a model.")

    @staticmethod
    def _outcome(found: tuple[Hit, ...], mode: Mode) -> Outcome:
        if mode is Mode.OFF or not found:
            return Outcome.ALLOW
        blocks = mode is Mode.BLOCK and any(hit.action is Action.BLOCK for hit in found)
        return Outcome.BLOCK if blocks else Outcome.FLAG


def _gravest_first(hit: Hit) -> tuple[int, str]:
    return _GRAVITY.index(hit.action), hit.rule
