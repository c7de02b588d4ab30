"""Retrieval: lexical and dense rankings for each label, fused by rank, quoted from the record."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lockgate.core.digests import sha256
from lockgate.knowledge.chunk import Chunk
from lockgate.knowledge.errors import (
    IndexAlteredError,
    NoLabelsError,
    QuestionTooLongError,
    QuoteAlteredError,
)
from lockgate.knowledge.extraction import EXTRACTION_LIMIT, Extraction, read_extraction
from lockgate.knowledge.indexfile import IndexFile
from lockgate.knowledge.manifest import IndexedDocument
from lockgate.knowledge.ports import Embedder, Vectors
from lockgate.store import BlobStore

RRF_K: Final = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
DEPTH = 50
"""How many chunks of each ranking are fused."""
PER_DOCUMENT = 3
"""Most chunks of one document among those returned, so that no single source fills them."""
QUESTION_LIMIT = 4000
"""Longest question, in characters."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document's recorded extraction, in characters, with all that a citation names.

    `quote` equals the extraction's text from `start` to `end`.
    """

    label: str
    document_sha256: str
    title: str
    path: str
    purl: str
    crossing: int
    extractor: str
    extraction_sha256: str
    heading: str
    page: int | None
    start: int
    end: int
    quote: str

    @property
    def quote_sha256(self) -> str:
        """Return the digest of the quote in UTF-8."""
        return sha256(self.quote.encode())


def fuse(rankings: Iterable[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    """Return the keys of some rankings, best first, by the sum of ``1 / (k + rank)``.

    Keys are pairs of label and chunk id; ties are broken by the key.
    """
    scores: Counter[tuple[str, int]] = Counter()
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (RRF_K + rank)  # type: ignore[assignment]  # a Counter adds any number
    return sorted(scores, key=lambda key: (-scores[key], key))


def verify(span: Span, blobs: BlobStore) -> None:
    """Read the recorded extraction again and demand that it says what the span quotes.

    Raises:
        QuoteAlteredError: It says something else there.
        BlobMismatchError: The record itself was altered.

    """
    extraction = _extraction(span.extraction_sha256, span.document_sha256, blobs)
    if (
        extraction.text[span.start : span.end] != span.quote
        or extraction.extractor != span.extractor
        or not span.quote
    ):
        raise QuoteAlteredError(
            "A quote is not in its recorded extraction.", path=span.path, start=span.start
        )


def _extraction(digest: str, document_sha256: str, blobs: BlobStore) -> Extraction:
    return read_extraction(blobs.read(digest, limit=EXTRACTION_LIMIT), document_sha256)


class Retriever:
    """Finds what a holder of some labels may see about a question."""

    def __init__(self, index: IndexFile, blobs: BlobStore, embedder: Embedder) -> None:
        """Join an index with its record of extractions and the embedder that it was built with.

        Raises:
            IndexAlteredError: The index was built with another embedder.

        """
        if index.manifest.embedder_identity != embedder.identity:
            raise IndexAlteredError(
                "The index was built with another embedding model.",
                advice="Index the documents again with the admitted model.",
                model=index.manifest.embedder,
            )
        self._index = index
        self._blobs = blobs
        self._embedder = embedder

    def retrieve(self, question: str, labels: frozenset[str], count: int) -> tuple[Span, ...]:
        """Return the best spans for a question, best first.

        Args:
            question: What was asked.
            labels: What the asker may see, from the authenticated session.
            count: How many spans at most.

        Raises:
            NoLabelsError: The asker has no label at all.
            QuestionTooLongError: Over the bound.

        """
        if not labels:
            raise NoLabelsError("The caller has no label, and so may see nothing.")
        if len(question) > QUESTION_LIMIT:
            what = f"The question has {len(question)} characters; at most {QUESTION_LIMIT} are read."
            raise QuestionTooLongError(what, limit="question_characters")
        seen = sorted(labels & self._index.partitions.keys())
        if not seen or not question.strip():
            return ()
        lexical = [[(label, row) for row in self._index.words(label, question, DEPTH)] for label in seen]
        dense = self._dense(self._embedder.embed([question])[0], seen)
        return tuple(self._span(*key) for key in self._capped(fuse([*lexical, dense]), count))

    def _dense(self, question: Vectors, labels: list[str]) -> list[tuple[str, int]]:
        found: list[tuple[float, str, int]] = []
        for label in labels:
            scores = self._index.partitions[label].vectors @ question
            best = np.argsort(-scores, kind="stable")[:DEPTH]
            found += [(-float(scores[row]), label, int(row) + 1) for row in best]
        return [(label, row) for _, label, row in sorted(found)[:DEPTH]]

    def _owner(self, label: str, row: int) -> tuple[IndexedDocument, Chunk]:
        partition = self._index.partitions[label]
        return partition.documents[partition.owners[row - 1]], partition.chunks[row - 1]

    def _capped(self, keys: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
        taken: Counter[str] = Counter()
        chosen: list[tuple[str, int]] = []
        for key in keys:
            document = self._owner(*key)[0].sha256
            if len(chosen) < count and taken[document] < PER_DOCUMENT:
                taken[document] += 1
                chosen.append(key)
        return chosen

    def _span(self, label: str, row: int) -> Span:
        document, chunk = self._owner(label, row)
        extraction = _extraction(document.extraction_sha256, document.sha256, self._blobs)
        if chunk.section >= len(extraction.sections) or extraction.extractor != document.extractor:
            raise QuoteAlteredError("The index does not fit the recorded extraction.", path=document.path)
        section = extraction.sections[chunk.section]
        if not section.start <= chunk.start < chunk.end <= section.end:
            raise QuoteAlteredError("A chunk lies outside its section.", path=document.path)
        return Span(
            label=label,
            document_sha256=document.sha256,
            title=document.title,
            path=document.path,
            purl=document.purl,
            crossing=document.crossing,
            extractor=document.extractor,
            extraction_sha256=document.extraction_sha256,
            heading=" > ".join(section.headings),
            page=section.page,
            start=chunk.start,
            end=chunk.end,
            quote=extraction.text[chunk.start : chunk.end],
        )
