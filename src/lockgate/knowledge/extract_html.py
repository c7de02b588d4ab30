"""HTML to its visible text, by a tree of selectolax (Lexbor)."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from lockgate.knowledge.errors import DocumentTooLargeError, UnreadableDocumentError
from lockgate.knowledge.extract import utf8
from lockgate.knowledge.extraction import Builder
from lockgate.knowledge.tables import row_line
from lockgate.knowledge.text import one_line, words_in

DEPTH_LIMIT = 100
"""Deepest nesting of elements."""

_UNSEEN = words_in(
    "script style template noscript head title meta link iframe object embed svg math audio video canvas"
    " select option datalist dialog input textarea button"
)
_INLINE = words_in(
    "a abbr b bdi bdo br cite code data dfn em i img kbd mark q s samp small span strong sub sup time u var"
    " wbr font ins del label -text"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def parse(data: bytes, builder: Builder) -> None:
    """Read an HTML document into a builder."""
    root = LexborHTMLParser(utf8(data)).root
    if root is None:
        raise UnreadableDocumentError("The document has no HTML element.")
    _Walker(builder).block(root, 0)


def visible(fragment: str) -> str:
    """Return the visible text of a fragment of HTML, as paragraphs."""
    builder = Builder()
    root = LexborHTMLParser(fragment).root
    if root is not None:
        _Walker(builder).block(root, 0)
    return builder.build("0" * 64, "", "").text


def _hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return (
        node.tag in _UNSEEN
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


def _seen(node: LexborNode, depth: int) -> Iterator[str]:
    """Yield the pieces of visible text of an element."""
    _bound(depth)
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            yield child.text_content or ""
        elif child.tag == "br":
            yield "\n"
        elif child.is_element_node and not _hidden(child):
            yield from _seen(child, depth + 1)


class _Walker:
    """Walks the tree; text between two block elements is one paragraph."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._flow: list[str] = []
        self._marker = ""
        self._header: list[str] = []

    def _flush(self) -> None:
        text, self._flow = "".join(self._flow), []
        if not text.strip():
            return
        if self._marker:
            self._builder.line(f"{self._marker} {text}")
            self._marker = ""
        else:
            self._builder.paragraph(text)

    def _inline(self, node: LexborNode, depth: int) -> None:
        _bound(depth)
        if node.tag == "-text":
            self._flow.append((node.text_content or "").replace("\n", " "))
        elif node.tag == "br":
            self._flow.append("\n")
        elif node.tag == "img":
            self._flow.append(node.attributes.get("alt") or "")
        else:
            for child in node.iter(include_text=True):
                self._any(child, depth + 1)

    def _any(self, node: LexborNode, depth: int) -> None:
        if node.tag in _INLINE:
            if node.tag == "-text" or not _hidden(node):
                self._inline(node, depth)
        elif node.is_element_node and not _hidden(node):
            self._flush()
            self.block(node, depth)
            self._flush()

    def block(self, node: LexborNode, depth: int) -> None:
        _bound(depth)
        tag = node.tag or ""
        if tag in _HEADINGS:
            self._builder.heading(_HEADINGS[tag], "".join(_seen(node, depth)))
        elif tag == "table":
            self._header = []
            self._children(node, depth)
            self._header = []
        elif tag == "tr":
            self._table_row(node, depth)
        elif tag == "pre":
            self._builder.paragraph("".join(_seen(node, depth)))
        else:
            if tag in {"li", "dd"}:
                self._marker = "-"
            self._children(node, depth)

    def _children(self, node: LexborNode, depth: int) -> None:
        for child in node.iter(include_text=True):
            self._any(child, depth + 1)
        self._flush()

    def _table_row(self, node: LexborNode, depth: int) -> None:
        cells = [child for child in node.iter() if child.tag in {"th", "td"} and not _hidden(child)]
        texts = [one_line(" ".join(_seen(cell, depth))) for cell in cells]
        if cells and all(cell.tag == "th" for cell in cells):
            self._header = texts
        else:
            self._builder.line(row_line(self._header, texts))


def _bound(depth: int) -> None:
    if depth > DEPTH_LIMIT:
        what = f"The document's elements are nested deeper than {DEPTH_LIMIT}."
        raise DocumentTooLargeError(what, limit="html_depth")
