"""Sentences that look like orders to a model, where readers do not look, by a score of their own.

A score knows no rule and no intention: it says that a sentence reads like those that hijack models. In open
text that would stop people's own requests to one another; where nobody reads, a person should look once.
"""

import re

from lockgate.scoring.plain import likeness

BOUND = 0.6
"""Raw score over which a line is told of. So set that fewer than one in a hundred of 2,500 files of
documentation (HTML, Markdown, reStructuredText, drawings) have such a line; docs/model-cards/asides.md."""

SCORED = 256 << 10
"""Most characters of one text that are scored; what follows is left to the phrases."""

_PIECE = 4000
_FEWEST = 4
_SHORTEST = 10
_WORD = re.compile(r"\w+")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0e00-\u0e7f]")
"""Letters of scripts that put few spaces or none between words."""


def likeliest(text: str) -> tuple[str, float, int] | None:
    """Return the line that looks most like an order, its score and where it stands; None where none does.

    Args:
        text: Pieces of a document, one on a line; lines that stand twice are looked at once.

    """
    best: tuple[str, float, int] | None = None
    seen: set[str] = set()
    at, left = 0, SCORED
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        said = " ".join(line[:_PIECE].split())
        if said in seen or not _sentence(said):
            continue
        seen.add(said)
        left -= len(said)
        if left < 0:
            break
        score = likeness(said)
        if score > (best[1] if best else BOUND):
            best = said, score, start
    return best


def _sentence(said: str) -> bool:
    """Return whether a line has words enough to order something."""
    if len(said) < _SHORTEST:
        return False
    return len(_WORD.findall(said[:400])) >= _FEWEST or len(_WIDE.findall(said[:400])) >= _SHORTEST
