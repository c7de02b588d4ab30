"""Checks what goes to a model: one decision for each text, with its reasons."""

from dataclasses import dataclass
from enum import StrEnum

from lockgate.core.digests import sha256
from lockgate.guard.errors import GuardTextTooLongError
from lockgate.guard.normalise import normalise
from lockgate.guard.policy import GuardPolicy, Mode
from lockgate.guard.rules import Action, Channel, Hit, hidden_hit, hits
from lockgate.guard.views import views

TEXT_CHARACTERS = 1_000_000
"""Longest text that is checked, in characters; a longer one is refused, not half looked at."""


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
        hits: The rules that hit, each once, the gravest first.
        sha256: Digest of the text's plain form, so that a decision can be found again and appealed.
        invisible: How many invisible characters the text has.

    """

    outcome: Outcome
    hits: tuple[Hit, ...]
    sha256: str
    invisible: int

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the names of the rules that hit."""
        return tuple(hit.rule for hit in self.hits)


class InputGuard:
    """Decides about texts by rules.

    Args:
        policy: What a hit means in each channel.

    """

    def __init__(self, policy: GuardPolicy) -> None:
        """Keep the policy."""
        self._policy = policy

    def check(self, text: str, channel: Channel) -> Decision:
        """Return the decision about a text that comes from a channel.

        Raises:
            GuardTextTooLongError: It is longer than is looked at.

        """
        if len(text) > TEXT_CHARACTERS:
            what = f"A text of {len(text)} characters is more than is checked."
            raise GuardTextTooLongError(what, limit="guard.text_characters")
        plain = normalise(text)
        gravest: dict[str, Hit] = {}
        if (hit := hidden_hit(plain.hidden)) is not None:
            gravest[hit.rule] = hit
        for view in views(text, plain.text):
            for hit in hits(view.text, channel):
                if hit.rule not in gravest or hit.action is Action.BLOCK:
                    gravest[hit.rule] = hit
        found = tuple(sorted(gravest.values(), key=lambda each: (each.action is Action.FLAG, each.rule)))
        return Decision(self._outcome(found, channel), found, sha256(plain.text.encode()), plain.invisible)

    def _outcome(self, found: tuple[Hit, ...], channel: Channel) -> Outcome:
        mode = self._policy.rules.get(channel, Mode.BLOCK)
        if mode is Mode.OFF or not found:
            return Outcome.ALLOW
        blocks = mode is Mode.BLOCK and any(hit.action is Action.BLOCK for hit in found)
        return Outcome.BLOCK if blocks else Outcome.FLAG
