"""Markdown (CommonMark with tables) to text, by tokens of markdown-it-py."""

from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from lockgate.knowledge.extract import utf8
from lockgate.knowledge.extract_html import visible
from lockgate.knowledge.extraction import Builder
from lockgate.knowledge.tables import row_line


def parse(data: bytes, builder: Builder) -> None:
    """Read a Markdown document into a builder."""
    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
    _Reader(builder).read(parser.parse(utf8(data)))


def _inline(token: Token) -> Iterator[str]:
    for child in token.children or ():
        if child.type in {"text", "code_inline", "image"}:
            yield child.content
        elif child.type == "softbreak":
            yield " "
        elif child.type == "hardbreak":
            yield "\n"


class _Reader:
    """Walks the tokens; lists and tables become lines, the rest paragraphs."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._markers: list[str] = []
        self._marker = ""
        self._header: list[str] = []
        self._row: list[str] = []

    def read(self, stream: Sequence[Token]) -> None:
        opened = ""
        level = 0
        for token in stream:
            match token.type:
                case "heading_open":
                    level = int(token.tag[1:])
                case "inline":
                    text = "".join(_inline(token))
                    if opened == "heading_open":
                        self._builder.heading(level, text)
                    elif opened in {"th_open", "td_open"}:
                        self._row.append(text)
                    else:
                        self._text(text)
                case "fence" | "code_block":
                    self._builder.paragraph(token.content)
                case "html_block":
                    self._builder.paragraph(visible(token.content))
                case _:
                    self._structure(token)
            opened = token.type

    def _text(self, text: str) -> None:
        if self._marker:
            self._builder.line(f"{self._marker} {text}")
            self._marker = ""
        elif self._markers:
            self._builder.line(text)
        else:
            self._builder.paragraph(text)

    def _structure(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._markers.append(token.type)
            case "bullet_list_close" | "ordered_list_close":
                self._markers.pop()
            case "list_item_open":
                self._marker = f"{token.info}{token.markup}" if token.info else "-"
            case "list_item_close":
                self._marker = ""
            case "tr_open":
                self._row = []
            case "thead_close":
                self._header = self._row
            case "tr_close" if token.level >= 1:
                self._close_row()
            case "table_close":
                self._header = []
            case _:
                pass

    def _close_row(self) -> None:
        if self._header:
            self._builder.line(row_line(self._header, self._row))
