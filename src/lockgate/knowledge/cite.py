"""Citations: for each sentence of an answer, the source sentences that bear it, or none."""

from dataclasses import dataclass, replace
from typing import Final

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document
from lockgate.knowledge.answerable import Sentence, Support
from lockgate.knowledge.claims import Claim, bears, parts_of, share
from lockgate.knowledge.extraction import Offset
from lockgate.knowledge.ports import Embedder, Vectors
from lockgate.knowledge.retrieve import Span, verify
from lockgate.knowledge.sentences import SentenceSplitter
from lockgate.store import BlobStore

NEARNESS: Final = 0.5
"""Least cosine between a sentence and its quote (all-MiniLM-L6-v2)."""
TRIED = 8
"""How many of the nearest source sentences are tried for one sentence of an answer."""


class Citation(Document, frozen=True):
    """Where a sentence of an answer has its support; `quote` is the extraction's text at the span."""

    number: int
    document_sha256: Digest
    title: str
    path: str
    purl: str
    crossing: int
    extractor: str
    extraction_sha256: Digest
    heading: str
    page: int | None
    start: Offset
    end: Offset
    quote: str
    quote_sha256: Digest


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence of an answer, as it was fed, with its citations (none: unsupported)."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """A stretch that may be quoted: a sentence, or one with the sentence that it points back to."""

    span: Span
    start: int
    end: int

    @property
    def quote(self) -> str:
        return self.span.quote[self.start - self.span.start : self.end - self.span.start]


def _sources(sentences: tuple[Sentence, ...]) -> list[_Source]:
    pairs = [(sentence, begin) for sentence in sentences for begin in (sentence.start, sentence.lead)]
    return list(dict.fromkeys(_Source(sentence.span, begin, sentence.end) for sentence, begin in pairs))


class Citer:
    """Follows one answer and attaches citations, sentence by sentence; one caller."""

    def __init__(self, support: Support, embedder: Embedder, blobs: BlobStore) -> None:
        """Cite from the sentences that were found for a question."""
        self._question = support.question
        self._sources = _sources(support.sentences)
        self._embedder = embedder
        self._blobs = blobs
        self._splitter = SentenceSplitter()
        self._vectors: Vectors | None = None
        self._numbers: dict[_Source, int] = {}

    def feed(self, text: str) -> list[CitedSentence]:
        """Take more text and return the sentences that it finished."""
        return [self._cited(sentence) for sentence in self._splitter.feed(text)]

    def finish(self) -> list[CitedSentence]:
        """Return what is left as last sentences."""
        return [self._cited(sentence) for sentence in self._splitter.finish()]

    def _cited(self, text: str) -> CitedSentence:
        return CitedSentence(text, tuple(self._citation(source) for source in self._found(text)))

    def _found(self, text: str) -> list[_Source]:
        """Return one source that bears the sentence, or one for each of its parts, or none."""
        whole = self._source(text)
        if whole is not None:
            return [whole]
        found = [self._source(part) for part in parts_of(text)]
        return list(dict.fromkeys(source for source in found if source)) if all(found) else []

    def _source(self, text: str) -> _Source | None:
        claim = Claim.of(text, self._question)
        if claim is None or not self._sources:
            return None
        if self._vectors is None:
            self._vectors = self._embedder.embed([source.quote for source in self._sources])
        cosines = self._vectors @ self._embedder.embed([claim.text])[0]
        near = [float(cosine) for cosine in cosines]
        scores = [near[i] + share(claim, source.quote) for i, source in enumerate(self._sources)]
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:TRIED]
        for i in order:
            source = self._sources[i]
            around = f"{source.span.title} {source.span.heading}"
            if near[i] >= NEARNESS and bears(source.quote, around, claim, self._question):
                return source
        return None

    def _citation(self, source: _Source) -> Citation:
        span = replace(source.span, start=source.start, end=source.end, quote=source.quote)
        verify(span, self._blobs)
        return Citation(
            number=self._numbers.setdefault(source, len(self._numbers) + 1),
            document_sha256=span.document_sha256,
            title=span.title,
            path=span.path,
            purl=span.purl,
            crossing=span.crossing,
            extractor=span.extractor,
            extraction_sha256=span.extraction_sha256,
            heading=span.heading,
            page=span.page,
            start=span.start,
            end=span.end,
            quote=span.quote,
            quote_sha256=span.quote_sha256,
        )
