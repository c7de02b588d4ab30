"""PDF to text by page, by PDFium: lines are joined to paragraphs, larger type is a heading."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2
import pypdfium2.raw as pdfium

from lockgate.knowledge.errors import DocumentTooLargeError, UnreadableDocumentError
from lockgate.knowledge.extraction import Builder

PAGES_LIMIT = 5000
"""Most pages of one document."""
PAGE_CHARACTERS = 200_000
"""Most characters on one page."""
_HEADING_RATIO = 1.05
"""A line in type larger than the body's by this factor is a heading."""
_HEADING_LENGTH = 120
_GAP_RATIO = 1.25
"""Lines farther apart than this factor of the usual pitch begin a new paragraph."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page: text, size of its type in points, height of its baseline in points."""

    text: str
    size: float
    at: float


def parse(data: bytes, builder: Builder) -> None:
    """Read a PDF document into a builder."""
    try:
        pages = _pages(data)
    except pypdfium2.PdfiumError as error:
        raise UnreadableDocumentError("The document is not a PDF that can be opened and read.") from error
    levels = _levels(pages, _body_size(pages))
    for number, lines in enumerate(pages, start=1):
        builder.page(number)
        _read_page(lines, levels, builder)


def _pages(data: bytes) -> list[list[_Line]]:
    document = pypdfium2.PdfDocument(data)
    try:
        if len(document) > PAGES_LIMIT:
            what = f"The document has {len(document)} pages; at most {PAGES_LIMIT} are read."
            raise DocumentTooLargeError(what, limit="pdf_pages")
        return [list(_lines(document[number])) for number in range(len(document))]
    finally:
        document.close()


def _lines(page: pypdfium2.PdfPage) -> Iterator[_Line]:
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        if count > PAGE_CHARACTERS:
            what = f"A page has {count} characters; at most {PAGE_CHARACTERS} are read."
            raise DocumentTooLargeError(what, limit="pdf_page_characters")
        text: list[str] = []
        size = at = 0.0
        for index in range(count):
            char = chr(pdfium.FPDFText_GetUnicode(textpage, index))
            if char in "\r\n":
                if text:
                    yield _Line("".join(text), size, at)
                text, size = [], 0.0
                continue
            if not char.isspace() and not size:
                size = round(pdfium.FPDFText_GetFontSize(textpage, index), 1)
                at = textpage.get_charbox(index, loose=True)[1]
            text.append("-" if char == "\x02" else char)  # PDFium's mark for a hyphen at the end of a line
        if text:
            yield _Line("".join(text), size, at)
    finally:
        textpage.close()
        page.close()


def _body_size(pages: list[list[_Line]]) -> float:
    sizes: Counter[float] = Counter()
    for line in (line for lines in pages for line in lines):
        sizes[line.size] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], size), default=0.0)


def _levels(pages: list[list[_Line]], body: float) -> dict[float, int]:
    """Return the heading level of each size of type that is larger than the body's."""
    larger = {
        line.size
        for lines in pages
        for line in lines
        if line.size > body * _HEADING_RATIO and len(line.text) <= _HEADING_LENGTH
    }
    return {size: level for level, size in enumerate(sorted(larger, reverse=True), start=1)}


def _read_page(lines: list[_Line], levels: dict[float, int], builder: Builder) -> None:
    steps = [above.at - below.at for above, below in pairwise(lines) if above.at > below.at]
    pitch = median(steps) if steps else 0.0
    paragraph: list[str] = []
    previous: _Line | None = None
    for line in lines:
        is_heading = line.size in levels and len(line.text) <= _HEADING_LENGTH
        apart = previous is not None and not 0 < previous.at - line.at <= pitch * _GAP_RATIO
        if is_heading or apart:
            builder.paragraph(" ".join(paragraph))
            paragraph = []
        if is_heading:
            builder.heading(levels[line.size], line.text)
        else:
            paragraph.append(line.text)
        previous = line
    builder.paragraph(" ".join(paragraph))
