"""Which sentences of the retrieved spans speak to a question, and whether they suffice to answer it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.knowledge.ports import Embedder
from lockgate.knowledge.retrieve import Span
from lockgate.knowledge.sentences import sentence_spans
from lockgate.knowledge.text import content_words

SENTENCES_LIMIT = 200
"""Most sentences of the retrieved spans that are weighed."""
_POINTS_BACK = re.compile(
    r"(?:(?:when|if|where|until|before|after|above|below) )?"
    r"(?:this|that|these|those|its?|they|their|he|she|then|both|each|the other)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a retrieved span; offsets count in the extraction's text.

    Where it points back to the one before it ("This period …"), `lead` is where that one
    begins; otherwise `lead` is `start`.
    """

    span: Span
    lead: int
    start: int
    end: int

    @property
    def text(self) -> str:
        """Return the sentence."""
        return self.span.quote[self.start - self.span.start : self.end - self.span.start]

    @property
    def context(self) -> str:
        """Return the sentence with the one that it points back to."""
        return self.span.quote[self.lead - self.span.start : self.end - self.span.start]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights and the threshold of abstention. The defaults fit all-MiniLM-L6-v2 (int8).

    They were chosen on the question set under ``tests/corpora``; the conformance test there
    measures them again, on a second set that was not used for choosing.
    """

    coverage: float = 0.3
    unseen: float = 0.3
    threshold: float = 0.455


MINILM: Final = Calibration()


@dataclass(frozen=True, slots=True)
class Support:
    """Sentences, best first, and whether they suffice for an answer.

    `score` is for calibration and never leaves the room: it would tell of what was not shown.
    """

    question: str
    supported: bool
    sentences: tuple[Sentence, ...]
    margins: tuple[float, ...]
    score: float


def sentences_of(spans: Sequence[Span]) -> list[Sentence]:
    """Return the sentences of some spans, at most `SENTENCES_LIMIT`, in their order."""
    found: list[Sentence] = []
    for span in spans:
        before = 0
        for start, end in sentence_spans(span.quote):
            lead = before if _POINTS_BACK.match(span.quote, start) else start
            found.append(Sentence(span, span.start + lead, span.start + start, span.start + end))
            before = start
    return found[:SENTENCES_LIMIT]


def weigh(
    question: str, spans: Sequence[Span], embedder: Embedder, calibration: Calibration = MINILM
) -> Support:
    """Rank the sentences of some spans for a question and decide whether they suffice.

    A sentence counts by its nearness to the question (cosine; with and without its heading) and
    by the share of the question's content words in it. Whether the evidence suffices is decided
    by the nearest sentence, less a share for words of the question that no span contains.
    """
    sentences = sentences_of(spans)
    wanted = content_words(question)
    if not sentences or not wanted:
        return Support(question, supported=False, sentences=(), margins=(), score=0.0)
    texts = [
        question,
        *(sentence.context for sentence in sentences),
        *(f"{sentence.span.heading}: {sentence.context}" for sentence in sentences),
    ]
    vectors = embedder.embed(texts)
    cosines = vectors[1:] @ vectors[0]
    nearness = (cosines[: len(sentences)] + cosines[len(sentences) :]) / 2
    present: set[str] = set()
    for span in spans:
        present.update(content_words(f"{span.heading} {span.quote}"))
    unseen = sum(word not in present for word in wanted) / len(wanted)
    score = float(nearness.max()) - calibration.unseen * unseen
    ranks = [
        float(near) + calibration.coverage * _share(wanted, sentence.context)
        for near, sentence in zip(nearness, sentences, strict=True)
    ]
    order = sorted(range(len(sentences)), key=lambda i: (-ranks[i], i))
    return Support(
        question,
        supported=score >= calibration.threshold,
        sentences=tuple(sentences[i] for i in order),
        margins=tuple(ranks[order[0]] - ranks[i] for i in order),
        score=score,
    )


def _share(wanted: Sequence[str], text: str) -> float:
    held = set(content_words(text))
    return sum(word in held for word in wanted) / len(wanted)
