"""Markdown, HTML and PDF to canonical extractions."""

import pytest
from fpdf import FPDF

from lockgate.core.digests import sha256
from lockgate.core.errors import MalformedDocumentError, NotCanonicalError
from lockgate.core.wire import encode
from lockgate.knowledge import extract_html, extract_pdf, extraction
from lockgate.knowledge.chunk import CHUNK_CHARACTERS, chunks_of
from lockgate.knowledge.errors import DocumentTooLargeError, ExtractionAlteredError, UnreadableDocumentError
from lockgate.knowledge.extract import (
    ExtractArgs,
    MediaType,
    extract,
    extract_job,
    extractor_of,
    media_type_of,
)
from lockgate.knowledge.extraction import Extraction, read_extraction

MARKDOWN = b"""Preface with `code` and **bold**
over two lines.

# Pumps

First line\\
second line.

- one
- two
  wrapped

  more of two
3. third

| Name | Flow |
|---|---|
| A | 5 |
| B | |

## Night ![picture](x.png)

```
raw   code
```

<div><p>Shown</p><script>hidden()</script></div>
"""

HTML = b"""<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body>
<h1>Pumps <script>x()</script></h1><p>Two
 lines<br>and <b>bold</b>.</p><!-- note -->
<p hidden>a</p><p style="display: none">b</p><div aria-hidden="true">c</div>
<ul><li>one</li><li>two <i>three</i></li></ul>
<table><tr><th>Name</th><th>Flow</th></tr><tr><td>A</td><td>5 <span hidden>7</span></td></tr></table>
<h2>Night</h2><my-box>Boxed</my-box><pre>raw
code</pre><img alt="A picture" src="x"><form><input value="v"></form></body></html>"""


def sections(found: Extraction) -> list[tuple[tuple[str, ...], int | None, str]]:
    return [(one.headings, one.page, found.text[one.start : one.end]) for one in found.sections]


def pdf(*pages: list[tuple[int, str]]) -> bytes:
    made = FPDF()
    for lines in pages:
        made.add_page()
        for size, text in lines:
            made.set_font("Helvetica", size=size)
            made.multi_cell(0, size / 2, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(made.output())


def test_markdown() -> None:
    found = extract(MARKDOWN, MediaType.MARKDOWN, "file name")
    assert found.title == "Pumps"
    assert found.document_sha256 == sha256(MARKDOWN)
    assert sections(found) == [
        ((), None, "Preface with code and bold over two lines."),
        (
            ("Pumps",),
            None,
            (
                "First line\nsecond line.\n- one\n- two wrapped\nmore of two\n"
                "3. third\nName: A; Flow: 5\nName: B"
            ),
        ),
        (("Pumps", "Night picture"), None, "raw code\n\nShown"),
    ]


def test_html() -> None:
    found = extract(HTML, MediaType.HTML, "file name")
    assert found.title == "Pumps"
    assert sections(found) == [
        (("Pumps",), None, "Two lines\nand bold.\n- one\n- two three\nName: A; Flow: 5"),
        (("Pumps", "Night"), None, "Boxed\n\nraw\ncode\n\nA picture"),
    ]


def test_pdf_pages_headings_and_paragraphs() -> None:
    wrapped = "A sentence that is long enough to be wrapped by the page's right margin " * 2
    data = pdf(
        [(20, "Pumps"), (11, wrapped), (14, "Night")], [(11, "They stop."), (14, "Day"), (11, "They run.")]
    )
    found = extract(data, MediaType.PDF, "file name")
    assert found.title == "Pumps"
    assert sections(found) == [
        (("Pumps",), 1, wrapped.strip()),
        (("Pumps", "Night"), 2, "They stop."),
        (("Pumps", "Day"), 2, "They run."),
    ]


def test_a_document_without_headings_has_the_given_title() -> None:
    found = extract(b"Only text.", MediaType.MARKDOWN, "given\ntitle")
    assert (found.title, sections(found)) == ("given title", [((), None, "Only text.")])


@pytest.mark.parametrize("media_type", [MediaType.MARKDOWN, MediaType.HTML])
def test_an_empty_document_has_no_section(media_type: MediaType) -> None:
    found = extract(b" \n", media_type, "t")
    assert (found.text, found.sections) == ("", ())


@pytest.mark.parametrize("media_type", [MediaType.MARKDOWN, MediaType.HTML])
def test_text_that_is_not_utf8_is_refused(media_type: MediaType) -> None:
    with pytest.raises(UnreadableDocumentError, match="UTF-8"):
        extract(b"caf\xe9", media_type, "t")


def test_what_is_no_pdf_is_refused() -> None:
    with pytest.raises(UnreadableDocumentError, match="PDF"):
        extract(b"%PDF-1.4 nothing", MediaType.PDF, "t")


def test_deep_html_is_refused() -> None:
    data = b"<div>" * (extract_html.DEPTH_LIMIT + 2) + b"x"
    with pytest.raises(DocumentTooLargeError, match="nested"):
        extract(data, MediaType.HTML, "t")
    inline = b"<h1>" + b"<b>" * (extract_html.DEPTH_LIMIT + 2) + b"x"
    with pytest.raises(DocumentTooLargeError, match="nested"):
        extract(inline, MediaType.HTML, "t")


@pytest.mark.parametrize(
    ("module", "name", "value", "limit"),
    [
        (extraction, "TEXT_LIMIT", 20, "document_text"),
        (extraction, "SECTIONS_LIMIT", 1, "document_sections"),
        (extract_pdf, "PAGES_LIMIT", 1, "pdf_pages"),
        (extract_pdf, "PAGE_CHARACTERS", 5, "pdf_page_characters"),
    ],
)
def test_bounds_are_named(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: int, limit: str
) -> None:
    data = pdf([(20, "Head"), (11, "Some body text.")], [(20, "Other"), (11, "More.")])
    monkeypatch.setattr(module, name, value)
    with pytest.raises(DocumentTooLargeError) as caught:
        extract(data, MediaType.PDF, "t")
    assert caught.value.where["limit"] == limit


def test_large_documents_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.knowledge.extract.DOCUMENT_BYTES", 3)
    with pytest.raises(DocumentTooLargeError, match="at most 3"):
        extract(b"four", MediaType.MARKDOWN, "t")


def test_the_job_for_a_sandbox_answers_the_same() -> None:
    args = encode(ExtractArgs(media_type=MediaType.HTML, title="t"))
    answer = extract_job(memoryview(HTML), args)
    assert read_extraction(answer, sha256(HTML)) == extract(HTML, MediaType.HTML, "t")


def test_media_types_by_name() -> None:
    assert media_type_of("a/B.PDF") is MediaType.PDF
    assert media_type_of("a/b.htm") is MediaType.HTML
    assert media_type_of("a/b.docx") is None
    assert "pypdfium2" in extractor_of(MediaType.PDF)


def altered(**changes: object) -> bytes:
    found = extract(MARKDOWN, MediaType.MARKDOWN, "t")
    fields = {name: getattr(found, name) for name in found.__struct_fields__} | changes
    return encode(Extraction(**fields))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other/1"},
        {"document_sha256": "0" * 64},
        {"text": "not  canonical "},
        {"text": "short"},
        {"sections": extract(MARKDOWN, MediaType.MARKDOWN, "t").sections[::-1]},
    ],
)
def test_an_extraction_that_does_not_hold_together_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ExtractionAlteredError):
        read_extraction(altered(**changes), sha256(MARKDOWN))


def test_an_answer_that_is_no_extraction_is_refused() -> None:
    with pytest.raises(MalformedDocumentError):
        read_extraction(b"{}", sha256(MARKDOWN))
    with pytest.raises(NotCanonicalError):
        read_extraction(altered() + b" ", sha256(MARKDOWN))


def test_long_sections_are_cut_between_sentences() -> None:
    text = " ".join(f"The pump number {n} runs at night and stops in the morning." for n in range(40))
    found = extract(f"# Pumps\n\n{text}\n\n## Other\n\n{'long ' * 300}.".encode(), MediaType.MARKDOWN, "t")
    quotes = [found.text[chunk.start : chunk.end] for chunk in chunks_of(found)]
    assert all(len(quote) <= CHUNK_CHARACTERS for quote in quotes[:-1])
    assert len(quotes[-1]) > CHUNK_CHARACTERS
    assert " ".join(quotes[:-1]) == text
    assert min(len(quote) for quote in quotes[:-2]) > CHUNK_CHARACTERS - 70
