"""Documents flattened to text: what a reader sees, without anything that acts or hides.

HTML loses what is not shown, PDF everything but the text of its pages, Office files everything but their
runs of text. Of every text, characters that nobody sees are left out (`lockgate.inspect.inspectors.texts`).
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

import msgspec

from lockgate.core.artifact import Kind
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import entries
from lockgate.inspect.limits import Budget, Limits, demand
from lockgate.inspect.tally import Context, Tally

ENTRY = "lockgate.inspect.convert.entry:text_entry"
METHOD = "document-to-text/1"

_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
_OFFICE = re.compile(r"(?:word/document|ppt/slides/slide\d+|xl/sharedStrings)\.xml")
_BREAKS = frozenset({"p", "tr", "si", "br"})
_BLOCKS = "p div br li tr h1 h2 h3 h4 h5 h6 pre blockquote table ul ol section article header footer"
_GONE = "script style template noscript iframe object embed svg head title meta link form [hidden]"
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0*)?\s*(?:;|\Z)|font-size\s*:\s*[01](?:px|pt)?\s*(?:;|\Z)",
    re.IGNORECASE,
)


class FlattenArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What inspection found the document to be, and the bounds."""

    detected: str
    limits: Limits


def flatten(data: memoryview, detected: str, limits: Limits) -> str:
    """Return the visible text of a document.

    Raises:
        BrokenContentError: It is malformed, or of a kind that is not flattened.
        OverLimitError: It is past a bound.

    """
    demand(len(data), limits.text_bytes, "text_bytes")
    reader = _READERS.get(detected)
    if reader is None:
        what = f"Documents of the type {detected[:40]} are not flattened."
        raise BrokenContentError(what)
    text = clean(reader(data, limits))
    demand(len(text), limits.text_bytes, "text_bytes")
    return text


def clean(text: str) -> str:
    """Return a text without characters that nobody sees, composed, with one kind of line end."""
    seen = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (" ".join(line.split(" ")).rstrip() for line in unicodedata.normalize("NFC", seen).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _plain(data: memoryview, _limits: Limits) -> str:
    return bytes(data).decode("utf-8", "strict")


def _pdf(data: memoryview, limits: Limits) -> str:
    import pypdfium2  # noqa: PLC0415  # only PDF files pay for it

    document: Any = pypdfium2.PdfDocument(bytes(data))
    try:
        pages = []
        for index in range(demand(len(document), limits.pages, "pages")):
            text = document[index].get_textpage()
            pages.append(text.get_text_bounded())
            text.close()
        return "\n\n".join(pages)
    finally:
        document.close()


def _html(data: memoryview, limits: Limits) -> str:
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415  # only HTML pays for it

    demand(len(data), limits.source_bytes, "source_bytes")
    tree = LexborHTMLParser(bytes(data).decode("utf-8", "replace"))
    for selector in _GONE.split():
        for node in tree.css(selector):
            node.decompose()
    for node in tree.css("[style]"):
        if _HIDDEN.search(node.attributes.get("style") or ""):
            node.decompose()
    for tag in _BLOCKS.split():
        for node in tree.css(tag):
            node.insert_after("\n")
    return tree.body.text() if tree.body else ""


def _office(data: memoryview, limits: Limits) -> str:
    parts = []
    budget = Budget(limits)
    found = entries(data, Tally(len(data), "", limits.findings), limits)
    for entry in sorted(found, key=lambda each: each.name):
        if _OFFICE.fullmatch(entry.name):
            context = Context(entry.name, Kind.DOCUMENT, limits, budget, lambda *_: Tally(0, "", 0))
            parts.append(_runs(bytes(unpack(data, entry, context))))
    if not parts:
        raise BrokenContentError("The archive holds no text of an office document.")
    return "\n\n".join(parts)


class _Runs:
    """Gathers the runs of text (ECMA-376, 17.3.3.31 ``t``) that are not hidden (17.3.2.41 ``vanish``)."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._open: list[str] = []
        self._hidden = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        self._open.append(tag)
        if tag == "r":
            self._hidden = False
        if tag in {"vanish", "webHidden"}:
            said = next((value for key, value in attributes.items() if key.endswith("val")), "1")
            self._hidden = said not in {"0", "false", "off"}

    def end(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        self._open.pop()
        if tag in _BREAKS:
            self.out.append("\n")
        elif tag == "tab":
            self.out.append("\t")

    def text(self, data: str) -> None:
        if self._open and self._open[-1] == "t" and not self._hidden:
            self.out.append(data)


def _runs(xml: bytes) -> str:
    runs = _Runs()
    parser = expat.ParserCreate()
    parser.StartElementHandler = runs.start
    parser.EndElementHandler = runs.end
    parser.CharacterDataHandler = runs.text

    def refuse(*_: object) -> None:
        raise BrokenContentError("The document declares entities.")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(xml, True)  # noqa: FBT003  # the last part
    except expat.ExpatError as error:
        what = f"The document's XML is malformed: {error}."
        raise BrokenContentError(what) from error
    return "".join(runs.out)


_READERS: dict[str, Callable[[memoryview, Limits], str]] = {
    "text": _plain,
    "markdown": _plain,
    "html": _html,
    "pdf": _pdf,
    "zip": _office,
}
