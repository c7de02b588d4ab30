"""What the guards need of others: something that scores texts."""

from abc import ABC, abstractmethod

from lockgate.guard.rules import Channel

FLAG_SCORE = 0.5
"""A score over this means a flag; whoever scores calibrates for it."""


class Scorer(ABC):
    """Says how much a text looks like an order to a model."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Return what names these very weights."""

    @abstractmethod
    def score(self, plain: str, channel: Channel) -> float:
        """Return the score of a text in plain form, from 0 to 1; a text over 0.5 is flagged."""

    @abstractmethod
    def block_at(self, channel: Channel) -> float:
        """Return the score from which a text may be blocked, where the policy says so."""

    def flags(self, score: float, channel: Channel) -> bool:
        """Tell whether a score means a flag in a channel."""
        del channel  # scores are calibrated so that the bound is the same everywhere
        return score > FLAG_SCORE

    def blocks(self, score: float, channel: Channel) -> bool:
        """Tell whether a score means a block in a channel, where the policy blocks."""
        return score > self.block_at(channel)
