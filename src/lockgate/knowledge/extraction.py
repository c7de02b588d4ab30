"""Canonical extractions: the text of a document, and where its sections are."""

from typing import Annotated, Final

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document, decode
from lockgate.knowledge.errors import DocumentTooLargeError, ExtractionAlteredError
from lockgate.knowledge.text import canonical, one_line

EXTRACTION_FORMAT: Final = "lockgate-extraction/1"
TEXT_LIMIT = 8_000_000
"""Longest text of one document, in characters."""
SECTIONS_LIMIT = 50_000
"""Most sections of one document."""
EXTRACTION_LIMIT = 64 * 1024 * 1024
"""Largest stored extraction, in bytes."""
HEADING_LIMIT = 300
"""Longest heading, in characters; the rest is cut off."""

Offset = Annotated[int, msgspec.Meta(ge=0, le=TEXT_LIMIT)]
"""A position in the text, in characters (Unicode code points)."""


class Section(Document, frozen=True):
    """A stretch of text under one heading and on one page.

    `headings` is the path from the outermost heading; `page` counts from 1 (None: no pages).
    """

    headings: tuple[str, ...]
    page: int | None
    start: Offset
    end: Offset


class Extraction(Document, frozen=True):
    """The text of one document in canonical form. Its digest is what citations name."""

    format: str
    document_sha256: Digest
    extractor: str
    title: str
    text: str
    sections: tuple[Section, ...]


def read_extraction(data: bytes, document_sha256: str) -> Extraction:
    """Read an extraction and demand that it holds together.

    Raises:
        ExtractionAlteredError: It is of another document or format, its text is not canonical,
            or its sections are not ordered stretches of the text.

    """
    extraction = decode(Extraction, data, limit=EXTRACTION_LIMIT)
    bounds = [0, *(at for section in extraction.sections for at in (section.start, section.end))]
    sound = (
        extraction.format == EXTRACTION_FORMAT
        and extraction.document_sha256 == document_sha256
        and len(extraction.text) <= TEXT_LIMIT
        and len(extraction.sections) <= SECTIONS_LIMIT
        and extraction.text == canonical(extraction.text)
        and bounds == sorted(bounds)
        and bounds[-1] <= len(extraction.text)
    )
    if not sound:
        raise ExtractionAlteredError("An extraction does not hold together.", document=document_sha256)
    return extraction


class Builder:
    """Collects headings, paragraphs and lines into an extraction."""

    def __init__(self) -> None:
        """Begin with an empty document."""
        self._parts: list[str] = []
        self._length = 0
        self._path: list[tuple[int, str]] = []
        self._page: int | None = None
        self._sections: list[Section] = []
        self._begun = 0
        self.title = ""

    def _add(self, text: str, gap: str) -> None:
        separator = gap if self._length else ""
        self._length += len(separator) + len(text)
        if self._length > TEXT_LIMIT:
            what = f"The document's text is longer than {TEXT_LIMIT} characters."
            raise DocumentTooLargeError(what, limit="document_text")
        self._parts += [separator, text]

    def _close(self) -> None:
        end = self._length
        gap = 2 if 0 < self._begun < end else 0
        if end > self._begun + gap:
            if len(self._sections) >= SECTIONS_LIMIT:
                what = f"The document has more than {SECTIONS_LIMIT} sections."
                raise DocumentTooLargeError(what, limit="document_sections")
            path = tuple(heading for _, heading in self._path)
            self._sections.append(Section(headings=path, page=self._page, start=self._begun + gap, end=end))
        self._begun = end

    def page(self, number: int) -> None:
        """Begin a page."""
        self._close()
        self._page = number

    def heading(self, level: int, text: str) -> None:
        """Begin a section under a heading of a level (1 is the outermost)."""
        text = one_line(text)[:HEADING_LIMIT].strip()
        if not text:
            return
        self._close()
        self.title = self.title or text
        self._path = [(above, heading) for above, heading in self._path if above < level]
        self._path.append((level, text))
        self._add(text, "\n\n")
        self._begun = self._length

    def paragraph(self, text: str) -> None:
        """Add a paragraph; its line ends stay."""
        if text := canonical(text):
            self._add(text, "\n\n")

    def line(self, text: str) -> None:
        """Add one line of a list or table, right under what came before."""
        if text := one_line(text):
            self._add(text, "\n" if self._length > self._begun else "\n\n")

    def build(self, document_sha256: str, extractor: str, title: str) -> Extraction:
        """Return the extraction; `title` is used when the document has none."""
        self._close()
        return Extraction(
            format=EXTRACTION_FORMAT,
            document_sha256=document_sha256,
            extractor=extractor,
            title=self.title or one_line(title)[:HEADING_LIMIT],
            text="".join(self._parts),
            sections=tuple(self._sections),
        )
