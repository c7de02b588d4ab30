"""Chunks: what is embedded and searched, as spans of an extraction."""

from dataclasses import dataclass

from lockgate.knowledge.extraction import Extraction
from lockgate.knowledge.sentences import sentence_spans

CHUNK_CHARACTERS = 900
"""A chunk is not longer than this, but for a single longer sentence."""
CHUNKER = "sentences-in-sections/1"
"""Name and version of the rule that cuts; part of every index."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of an extraction's text, in characters, inside the section with that number."""

    section: int
    start: int
    end: int


def chunks_of(extraction: Extraction) -> tuple[Chunk, ...]:
    """Cut an extraction into chunks: whole sentences of one section, without overlap."""
    chunks: list[Chunk] = []
    for number, section in enumerate(extraction.sections):
        begun: int | None = None
        last = section.start
        for start, end in sentence_spans(extraction.text, section.start, section.end):
            if begun is not None and end - begun > CHUNK_CHARACTERS:
                chunks.append(Chunk(number, begun, last))
                begun = None
            begun = start if begun is None else begun
            last = end
        if begun is not None:
            chunks.append(Chunk(number, begun, last))
    return tuple(chunks)
