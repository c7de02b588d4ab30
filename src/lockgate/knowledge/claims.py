"""Whether a quote bears what a sentence of an answer says, as far as words go.

The rule is strict on purpose. Every number and name of the sentence, and nearly all its words,
must stand in what is quoted or above it, so that a word of the question is not taken for known;
numbers in a clause that speaks of the same things; and the nearest clauses must agree on being
negated. It decides on words, not on truth: the quote is shown beside the sentence so that a
person can compare.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from lockgate.knowledge.sentences import sentence_spans
from lockgate.knowledge.text import content_words, negates, numbers, spelled_numbers

COVERAGE: Final = 0.5
"""Least share of a sentence's content words that its quote must contain."""
PARAPHRASED: Final = 5
"""One in so many of a sentence's words, and of its new ones, may be another than the quote's."""
_FEW = 4
"""A sentence with fewer content words is read together with the question that it answers."""
_PHRASES = frozenset(content_words("above answer question correct fact text following therefore provided"))
_CLAUSES = re.compile(r",\s(?!an?\s|which\s|whose\s)|[;:.]\s|\s(?:and|but|while)\s")
_PARTS = re.compile(r"[,;]\s+(?:and\s+|but\s+)?|\s+and\s+")
_PARTS_LIMIT = 3
_NAME = re.compile(r"(?<=[\w,;:\"”'’)][\s-])[\"“'‘(]?([A-Z]\w+)")  # noqa: RUF001 - typographic quotation marks
_YES_OR_NO = re.compile(
    r"\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|may|must|should|will|would)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sentence says: its words, those that are new, its numbers and names.

    `text` is what is compared by meaning. `said` are the sentence's words without its numbers,
    whether or not the question brought them. `clauses` are the sentence's parts, `denied` tells that
    it answers a negated question with few words. `echo` is the sentence when it
    only repeats the question: such a one must stand in the quote word for word, unless the
    question is one for yes or no.
    """

    text: str
    words: frozenset[str]
    said: frozenset[str]
    new: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    clauses: tuple[str, ...]
    denied: bool
    echo: str

    @classmethod
    def of(cls, sentence: str, question: str) -> Self | None:
        """Read a sentence that answers a question; None when it has no word of content."""
        sentence = sentence.strip()
        asked = frozenset(content_words(question))
        own = frozenset(content_words(sentence)) - _PHRASES
        if not own:
            return None
        elliptic = len(own) < _FEW
        text = f"{question} {sentence}" if elliptic else sentence
        return cls(
            text=text,
            words=own | asked if elliptic else own,
            said=own - spelled_numbers(sentence),
            new=own - asked,
            numbers=numbers(sentence) - (spelled_numbers(question) & spelled_numbers(sentence)),
            names=frozenset(word for name in _NAME.findall(sentence) for word in content_words(name)),
            clauses=tuple(_CLAUSES.split(sentence)),
            denied=elliptic and negates(question),
            echo="" if own - asked or _YES_OR_NO.match(question) else sentence.rstrip(".!").casefold(),
        )


def parts_of(sentence: str) -> list[str]:
    """Return the clauses that a compound sentence joins, or nothing when it is no such sentence."""
    parts = [part for part in _PARTS.split(sentence.strip()) if part.strip()]
    sound = 1 < len(parts) <= _PARTS_LIMIT and all(len(content_words(part)) > 1 for part in parts)
    return parts if sound else []


def share(claim: Claim, quote: str) -> float:
    """Return the share of a claim's words that a quote contains."""
    return len(claim.words & frozenset(content_words(quote))) / max(len(claim.words), 1)


def bears(quote: str, around: str, claim: Claim, question: str) -> bool:
    """Tell whether a quote bears a claim.

    Args:
        quote: What would be cited.
        around: Title and headings above it; names may come from there.
        claim: What the answer says.
        question: What was asked; names may come from there, too.

    """
    near = frozenset(content_words(quote)) | frozenset(content_words(around))
    return (
        claim.echo in quote.casefold()
        and claim.names <= near | frozenset(content_words(question))
        and len(claim.new - near) <= len(claim.new) // PARAPHRASED
        and share(claim, quote) >= COVERAGE
        and len(claim.said - near) <= len(claim.said) // PARAPHRASED
        and _together(quote, claim)
        and all(_clause_agrees(clause, claim, _CLAUSES.split(quote)) for clause in claim.clauses)
    )


def _together(quote: str, claim: Claim) -> bool:
    """Tell whether one sentence of the quote has the claim's numbers and most of what is new."""
    return not claim.numbers or any(
        claim.numbers <= numbers(sentence)
        and 2 * len(claim.new & frozenset(content_words(sentence))) >= len(claim.new)
        for sentence in (quote[start:end] for start, end in sentence_spans(quote))
    )


def _clause_agrees(clause: str, claim: Claim, quoted: list[str]) -> bool:
    """Tell whether a clause fits the nearest of the quote's: negation and numbers."""
    plain = frozenset(content_words(clause)) - numbers(clause)
    common = [len(plain & frozenset(content_words(other))) for other in quoted]
    most = max(common)
    nearest = [other for other, count in zip(quoted, common, strict=True) if count == most]
    if most and all(negates(other) != (negates(clause) or claim.denied) for other in nearest):
        return False
    return all(
        any(
            number in numbers(other) and 2 * count > most for other, count in zip(quoted, common, strict=True)
        )
        for number in numbers(clause) & claim.numbers
    )
