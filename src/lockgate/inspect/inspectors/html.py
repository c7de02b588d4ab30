"""HTML: what a page does or fetches by itself, and what it hides from the reader."""

import re
from dataclasses import dataclass, field

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.addressed import asked
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.markup_reader import MarkupReader
from lockgate.inspect.inspectors.page_addresses import (
    DATA_PAGE,
    EMPTY,
    SCHEME,
    acts_later,
    away,
    choices,
    dotted,
    local,
    page_beside,
    public,
    shared,
    shows_only,
    styled,
)
from lockgate.inspect.inspectors.page_hiding import Hiding, hiding
from lockgate.inspect.inspectors.page_scripts import calm
from lockgate.inspect.inspectors.page_values import lively
from lockgate.inspect.inspectors.texts import entities, scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_ACTIVE = {
    "iframe": "html-frame",
    "frame": "html-frame",
    "object": "html-object",
    "embed": "html-object",
    "applet": "html-object",
    "base": "html-base",
    "portal": "html-frame",
}
_FETCHING = frozenset(
    {"src", "srcset", "data", "poster", "background", "action", "formaction", "manifest", "ping"}
)
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})  # fmt: skip
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*(?:0|0?\.\d+|1)(?:px|pt|em|rem|%)?\s*(?:;|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}|clip\s*:\s*rect\(\s*0"
    r"|(?<!-)color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b",
    re.IGNORECASE,
)
_DATA_BLOCKS = frozenset(
    {"application/json", "application/ld+json", "text/json", "text/template", "text/x-template"}
)
"""Types of scripts that no browser runs (HTML, 4.12.1: data blocks)."""
_PASSIVE = frozenset(
    {"img", "audio", "video", "source", "track", "link", "image", "use", "picture", "feimage"}
)
_DRAWS = frozenset({"image", "use", "feimage", "pattern", "textpath", "mpath"})
"""Elements of drawings that take in what they name (SVG 2)."""
_NAMES_ONLY = frozenset({"a", "color-profile"})
_PROVEN = frozenset({"script", "iframe", "frame"})
"""What acts: its host has to prove its name."""
_SEARCH_WORDS = 24
"""Characters that a search box may say while a page hides it."""
_MOST_EVENTS = 2_000_000
_NAMES = 4
_COMMENT = 400
_UNSEEN_WORDS = """
template noscript title desc metadata dialog details canvas object audio video svg datalist
"""
_UNSEEN = frozenset(_UNSEEN_WORDS.split())
"""Elements whose text is not shown, not at once, or only where something else is not."""
_PROSE = frozenset(
    {"p", "div", "span", "section", "td", "li", "font", "em", "b", "i", "small", "a", "blockquote"}
)
_SENTENCE = 4
"""Fewest words that are a sentence."""
_NO_TEXT = frozenset(
    {"class", "style", "href", "src", "srcset", "sizes", "d", "points", "viewbox", "transform"}
)
_UNSEEN_TEXT = 64 << 10
"""Longest text of one unseen place that is read, in characters; longer ones are data."""
_RELATIVE = re.compile(r"[\d.]{1,8}\s*[;,]\s*(?:url\s*=)?\s*['\"]?(?!/)([^'\"]*)['\"]?\s*", re.IGNORECASE)
"""What leads to a page beside this one, as manuals do where a page moved."""
_BEHIND = re.compile(r">[^>]*<")
_SYSTEM = re.compile(r"file:///usr/share/(?!.*\.\.)[\w./+-]{1,200}(?:\?[\w=&.,-]{1,200})?")
"""A part of the reader's own system, which only its administrators write (FHS 3.0, 4.11)."""
_PROGRAM = re.compile(
    r"[\x00-\x20]*(?:ms-[a-z-]{2,40}|search-ms|search|mhtml|shell|vscode[a-z-]{0,20})\s*:", re.IGNORECASE
)
"""Addresses that start a program of the reader's system with what follows."""
_CHARSET = re.compile(r"(?i)\b(?:utf-?7|hz-gb-2312|iso-2022-(?:cn|kr))\b")
"""Encodings in which markup hides as letters; no browser has needed them since HTML 5 (Encoding, 4.2)."""
_XML = re.compile(r"\ufeff?\s*<\?xml\b")
"""A page that readers of books, and browsers by its type, read as XML."""
_NOTE = 160
"""How long a text may be that a page hides until its script shows it, in characters."""
_ACTS = re.compile(r"<\s*(?:script\b|[a-z][^<>]*\son[a-z]{3,20}\s*=)", re.IGNORECASE)


class HtmlInspector(Inspector):
    """Reads a page as text with markup; nothing is rendered or fetched."""

    name = "html"
    version = 10
    detects = frozenset({"html"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the page and note what is active, external or hidden."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8")
        scan(tally, text)
        if _XML.match(text):
            entities(tally, text, package=context.package)
        markup(tally, text, document=context.kind == Kind.DOCUMENT)
        if context.kind == Kind.DOCUMENT:
            orders(tally, text, keen=True)
        tally.claim_all()


def markup(tally: Tally, text: str, *, document: bool, strict: bool = False) -> None:
    """Note what markup does by itself.

    Args:
        tally: Takes the findings.
        text: HTML, or a piece of it.
        document: It will be read as a document; inside a package it is information only.
        strict: It is a message or a drawing, where no script is usual.

    """
    reader = _Reader(tally, document=document, strict=strict)
    if document:
        reader.hiding = hiding(text)
    try:
        reader.feed(text)
        reader.close()
    except AssertionError as error:  # from CPython 3.11 at an odd marked section
        what = f"A marked section of the page cannot be read: {str(error)[:80]}."
        raise BrokenContentError(what) from error
    if document:
        unseen = "\n".join([*reader.unseen, *reader.hiding.said])
        orders(tally, unseen, where="Where readers do not look: ", hidden=True, keen=True)


@dataclass(slots=True)
class _Unread:
    """Text of one element that its own style or attribute hides."""

    place: str
    search: bool
    named: bool
    words: list[str] = field(default_factory=list)


class _Reader(MarkupReader):
    def __init__(self, tally: Tally, *, document: bool, strict: bool) -> None:
        super().__init__()
        self.strict = strict
        self.tally = tally
        self.document = document
        self.hidden: list[str] = []
        self.style = False
        self.tag, self.seen = "", True
        self.unread: list[_Unread] = []
        self.script: list[str] | None = None
        self.scripts: list[tuple[str, str]] = []
        self.handlers: list[tuple[str, str, str]] = []
        self.beside = self.acting = self.cut = False
        self.says: list[str] = []
        self.hiding = Hiding()
        self.soft: list[str] = []
        self.deceives = False
        self.unseen: list[str] = []
        self.events = 0

    def report(self, code: str, severity: Severity, why: str) -> None:
        self.tally.note(code, severity if self.document else Severity.INFO, self.place(why))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.events += 1
        demand(self.events, _MOST_EVENTS, "html elements")
        self.style = tag == "style"
        values = {name: value or "" for name, value in attrs}
        self.tag = tag
        covered = self.hidden or "hidden" in values or _HIDING.search(values.get("style", ""))
        self.seen = not (covered or dotted(values))
        self.judge_element(tag, values)
        for name, value in values.items():
            self.attribute(name, value)
            if name not in _NO_TEXT and " " in value.strip():
                self.unseen.append(value)
        if tag in _VOID:
            return
        self.deceives = self.document and tag in _PROSE and self.hiding.deceives(tag, values)
        if self.document and (self.soft or tag in _UNSEEN or self.hiding.hides(tag, values)):
            self.soft.append(tag)
        if covered:
            if not self.hidden:
                named = bool(values.get("id") or values.get("class"))
                self.unread.append(_Unread("", search=values.get("role") == "search", named=named))
            self.hidden.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep that a script ends in its own tag, which browsers do not heed in a page."""
        self.cut |= tag == "script" and not dict(attrs).get("src")
        super().handle_startendtag(tag, attrs)

    def judge_element(self, tag: str, values: dict[str, str]) -> None:
        """Report what an element does by being there."""
        if tag in _ACTIVE:
            severity = Severity.INFO if self.passes(tag, values) else Severity.HIGH
            self.report(_ACTIVE[tag], severity, f"The element <{tag}>")
        elif tag == "script":
            self.started(values)
        elif tag == "handler" or acts_later(tag, values):
            self.report("html-event", Severity.HIGH, f"The element <{tag}> has code run")
        elif tag == "form":
            asks = values.get("method", "get").lower() == "get" and local(values.get("action", ""))
            self.report("html-form", Severity.INFO if asks else Severity.MEDIUM, "A form")
        elif tag == "input" and values.get("type", "").lower() == "password":
            self.report("html-form", Severity.HIGH, "It asks for a password")
        elif tag == "meta":
            self.judge_meta(values)
        elif tag == "link" and "href" in values and "canonical" not in values.get("rel", ""):
            self.address("href", values["href"])

    def passes(self, tag: str, values: dict[str, str]) -> bool:
        """Return whether an element that could act does no more than show what anybody may see."""
        if shows_only(tag, values):
            return True
        if tag == "base":
            return local(values.get("href", ""))
        source = values.get("src", "")
        framed = tag in {"iframe", "frame"} and self.seen and not self.strict and "srcdoc" not in values
        return framed and (page_beside(source) or public(source, secure=True))

    def judge_meta(self, values: dict[str, str]) -> None:
        """Report a page that leads elsewhere, or whose encoding hides its markup."""
        if values.get("http-equiv", "").lower() == "refresh":
            moved = _RELATIVE.fullmatch(values.get("content", "").strip())
            severity = Severity.INFO if moved and moved[1] and local(moved[1]) else Severity.HIGH
            self.report("html-refresh", severity, "The page sends the reader elsewhere")
        if _CHARSET.search(f"{values.get('charset', '')} {values.get('content', '')}"):
            self.report("html-charset", Severity.HIGH, "The page names an encoding in which markup hides")

    def started(self, values: dict[str, str]) -> None:
        """Judge a script by its beginning, unless it follows as text."""
        self.ended()
        source = values.get("src")
        elsewhere = source is not None and not local(source) and not _SYSTEM.fullmatch(source)
        if source and elsewhere and not self.strict and public(source, secure=True):
            self.beside = True
            self.report("html-script", Severity.INFO, f"A script of another host: {source[:80]}")
        elif "href" in values or "xlink:href" in values or elsewhere:
            self.report("html-script", Severity.HIGH, "The element <script>")
        elif source:
            self.beside = True
            self.report("html-script", Severity.INFO, f"A script beside it: {source[:80]}")
        elif values.get("type", "").strip().lower() in _DATA_BLOCKS:
            self.report("html-script", Severity.INFO, "Data in the element <script>")
        else:
            self.script = []

    def ended(self) -> None:
        """Keep a script whose text was read, with its place."""
        if self.script is not None:
            self.scripts.append(("".join(self.script), self.place("The element <script>")))
            self.script = None

    def place(self, why: str) -> str:
        line, column = self.getpos()
        return f"{why} (line {line}, column {column + 1})"

    def close(self) -> None:
        """Judge the scripts of the page together: one may call what another defines."""
        super().close()
        self.cut |= self.script is not None
        self.ended()
        for unread in self.unread:
            self.judge_hidden(unread)
        if not self.scripts and not self.handlers:
            return
        code = [text for text, *_ in self.scripts], [text for text, *_ in self.handlers]
        why = "a script without an end" if self.cut else ""
        why = "it is no page" if self.strict else why
        why = why or calm(*code, beside=self.beside, acting=self.acting, alive=self.alive())
        severity = Severity.HIGH if why and self.document else Severity.INFO
        for _, where, *code_of in (*self.scripts, *self.handlers):
            self.tally.note(
                code_of[0] if code_of else "html-script", severity, f"{where}: {why}" if why else where
            )

    def alive(self) -> bool:
        """Return whether anything that the page says, but its scripts, would act as markup."""
        said = "".join(self.says)
        return self.acting or lively(said)

    def judge_hidden(self, unread: _Unread) -> None:
        """Report a hidden text, unless it is a search box or a short note that a script can show."""
        said = " ".join(unread.words)
        if not said or (unread.search and sum(map(len, unread.words)) <= _SEARCH_WORDS):
            return
        shown = unread.named and (self.beside or self.scripts) and len(said) <= _NOTE
        ordinary = shown and not any(asked(said, unseen=True))
        severity = Severity.HIGH if self.document and not ordinary else Severity.INFO
        self.tally.note("html-hidden-text", severity, unread.place)

    def attribute(self, name: str, value: str) -> None:
        self.acting |= bool(_ACTS.search(value))
        self.says.append(f" {value} ")
        if name.startswith("on"):
            said = SCHEME.sub("", value, count=1)
            self.handlers.append((said, self.place(f"The event handler {name}"), "html-event"))
            return
        if name == "href" and self.tag in {"a", "area"} and shared(value):
            self.report("html-external", Severity.MEDIUM, f"A link to a file of a machine: {value[:80]}")
        if name == "href" and self.tag == "a" and (scheme := SCHEME.match(value)):
            where = self.place(f"An address in {name} that runs or carries code")
            self.handlers.append((value[scheme.end() :], where, "html-script-address"))
            return
        if name == "srcdoc":
            self.report("html-frame", Severity.HIGH, "A page inside an attribute")
        if name == "src" and self.tag == "iframe" and EMPTY.fullmatch(value):
            return
        runs = (name in {"href", "src", "data"} or (name == "xlink:href" and self.tag == "use")) and (
            DATA_PAGE.match(value) or _PROGRAM.match(value)
        )
        if SCHEME.match(value) or runs:
            self.report(
                "html-script-address", Severity.HIGH, f"An address in {name} that runs or carries code"
            )
        drawn = self.tag in _DRAWS if name == "href" else name == "xlink:href" and self.tag not in _NAMES_ONLY
        if name in _FETCHING or (drawn and value):
            self.address(name, value)
        if name == "style" and (fetched := styled(value)):
            self.report("html-external", *fetched)

    def address(self, name: str, value: str) -> None:
        if _SYSTEM.fullmatch(value):
            self.report("html-external", Severity.INFO, f"{name} is a part of the system: {value[:80]}")
        elif away(value):
            shown = self.tag in _PASSIVE and self.seen and all(map(public, choices(name, value)))
            proven = self.tag in _PROVEN and self.seen and not self.strict and public(value, secure=True)
            severity = Severity.INFO if shown or proven else Severity.MEDIUM
            self.report("html-external", severity, f"{name} fetches from another host: {value[:80]}")

    def handle_endtag(self, tag: str) -> None:
        self.style = False
        self.ended()
        self.deceives = False
        if tag in self.soft[-_NAMES:]:
            while self.soft and self.soft.pop() != tag:
                pass
        if tag in self.hidden[-_NAMES:]:
            while self.hidden and self.hidden.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.style and (fetched := styled(data)):
            self.report("html-external", *fetched)
        if (
            (self.soft or self.hidden or self.tag == "script")
            and not self.style
            and len(data) <= _UNSEEN_TEXT
        ):
            self.unseen.append(data.strip())
        if self.script is not None:
            self.script.append(data)
        else:
            self.acting = self.acting or bool(_ACTS.search(data))
            self.says.append(data)
        if self.deceives and not self.hidden and len(data.split()) >= _SENTENCE:
            place = self.place("Text that is drawn so that nobody sees it")
            self.unread.append(_Unread(place, search=False, named=False, words=[data.strip()]))
        if self.hidden and not self.style and data.strip() and self.hidden[0] not in {"template", "head"}:
            unread = self.unread[-1]
            unread.place = unread.place or self.place("Text that readers do not see")
            unread.words.append(data.strip())

    def unknown_decl(self, data: str) -> None:
        """Keep what a section says that browsers take for a comment, to its first bracket."""
        self.unseen.append(data)
        self.says.append(data)
        if _BEHIND.search(data):
            self.report("html-comment", Severity.HIGH, "Markup in a section that browsers end before it")

    def handle_comment(self, data: str) -> None:
        self.unseen.append(data)
        self.says.append(data)
        if (data.startswith((">", "->")) or "--!>" in data) and "<" in data:
            self.report("html-comment", Severity.HIGH, "Markup in a comment that browsers end before it")
        if self.document and len(data) > _COMMENT:
            self.report("html-comment", Severity.INFO, f"A comment of {len(data)} characters")
