"""HTML: what a page does or fetches by itself, and what it hides from the reader."""

import re
from html.parser import HTMLParser

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.page_scripts import calm
from lockgate.inspect.inspectors.texts import scan
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
_SCHEME = re.compile(r"[\x00-\x20]*(javascript|vbscript)[\s]*:", re.IGNORECASE)
_EXTERNAL = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_DATA_PAGE = re.compile(r"\s*data:(?!image/(?:png|jpeg|gif|webp)[;,])", re.IGNORECASE)
_STYLE_FETCH = re.compile(r"@import|url\(\s*['\"]?\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*(?:0|0?\.\d+|1)(?:px|pt|em|rem|%)?\s*(?:;|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}|clip\s*:\s*rect\(\s*0"
    r"|(?<!-)color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b",
    re.IGNORECASE,
)
_DATA_BLOCKS = frozenset({"application/json", "application/ld+json", "text/template", "text/x-template"})
"""Types of scripts that no browser runs (HTML, 4.12.1: data blocks)."""
_PASSIVE = frozenset({"img", "audio", "video", "source", "track", "link", "image", "use", "picture"})
_PUBLIC = re.compile(
    r"\s*(?:https?:)?//(?![\d.]+(?:[:/?#]|$))(?:[a-z0-9-]{1,63}\.){1,8}"
    r"(?!(?:local|internal|lan|home|corp|intranet|private|localhost)(?:[:/?#]|$))[a-z][a-z0-9-]{1,62}"
    r"(?::\d{1,5})?(?:[/?#][^\s{}<>$]*)?",
    re.IGNORECASE,
)
"""An address on the open internet, of which a page on a closed network gets nothing: no number, no machine's
name, no login, and no place for a value to be put in."""
_CARRIES = re.compile(
    r"[?&](?:data|d|q|p|payload|leak|exfil|secret|token|cookie|prompt|content|text|msg|user|history)=",
    re.IGNORECASE,
)
_DOT = re.compile(r"\s*[01](?:px)?\s*")
_LOCAL = re.compile(r"(?![a-z][a-z0-9+.-]*:|//)[^\\\x00-\x20]*", re.IGNORECASE)
_BLANK = "".join(map(chr, range(0x21)))
_SEARCH_WORDS = 24
"""Characters that a search box may say while a page hides it."""
_MOST_EVENTS = 2_000_000
_NAMES = 4
_COMMENT = 400
_RELATIVE = re.compile(r"[\d.]{1,8}\s*[;,]\s*(?:url\s*=)?\s*['\"]?(?!/)([^'\"]*)['\"]?\s*", re.IGNORECASE)
"""What leads to a page beside this one, as manuals do where a page moved."""
_DRAWN = re.compile(r"(?!/)[^?#]*\.(?:svg|png|jpe?g|gif|webp)", re.IGNORECASE)
_ACTS = re.compile(r"<\s*(?:script\b|[a-z][^<>]*\son[a-z]{3,20}\s*=)", re.IGNORECASE)


class HtmlInspector(Inspector):
    """Reads a page as text with markup; nothing is rendered or fetched."""

    name = "html"
    version = 4
    detects = frozenset({"html"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the page and note what is active, external or hidden."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8")
        scan(tally, text)
        markup(tally, text, document=context.kind == Kind.DOCUMENT)
        if context.kind == Kind.DOCUMENT:
            orders(tally, text)
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
    reader.feed(text)
    reader.close()


def _local(address: str) -> bool:
    """Return whether an address names no scheme and no host, as browsers read it."""
    return bool(_LOCAL.fullmatch(address.strip(_BLANK)))


class _Reader(HTMLParser):
    def __init__(self, tally: Tally, *, document: bool, strict: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.strict = strict
        self.tally = tally
        self.document = document
        self.hidden: list[str] = []
        self.style = self.search = False
        self.tag, self.values, self.words = "", dict[str, str](), 0
        self.script: list[str] | None = None
        self.scripts: list[tuple[str, str]] = []
        self.handlers: list[tuple[str, str, str]] = []
        self.beside = self.acting = False
        self.events = 0

    def report(self, code: str, severity: Severity, why: str) -> None:
        self.tally.note(code, severity if self.document else Severity.INFO, self.place(why))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.events += 1
        demand(self.events, _MOST_EVENTS, "html elements")
        self.style = tag == "style"
        values = {name: value or "" for name, value in attrs}
        if tag in _ACTIVE:
            drawn = _DRAWN.fullmatch(values.get("src") or values.get("data", "")) and "srcdoc" not in values
            beside = drawn and _local(values.get("src") or values.get("data", "")) and tag in {"iframe", "object"}
            self.report(_ACTIVE[tag], Severity.INFO if beside else Severity.HIGH, f"The element <{tag}>")
        self.tag, self.values = tag, values
        if tag == "script":
            self.started(values)
        if tag == "form":
            asks = values.get("method", "get").lower() == "get" and _local(values.get("action", ""))
            self.report("html-form", Severity.INFO if asks else Severity.MEDIUM, "A form")
        if tag == "input" and values.get("type", "").lower() == "password":
            self.report("html-form", Severity.HIGH, "It asks for a password")
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            moved = _RELATIVE.fullmatch(values.get("content", "").strip())
            near = moved and moved[1] and _local(moved[1])
            severity = Severity.INFO if near else Severity.HIGH
            self.report("html-refresh", severity, "The page sends the reader elsewhere")
        if tag == "link" and "href" in values and "canonical" not in values.get("rel", ""):
            self.address("href", values["href"])
        for name, value in values.items():
            self.attribute(name, value)
        hides = "hidden" in values or _HIDING.search(values.get("style", ""))
        if tag not in _VOID and (self.hidden or hides):
            self.search = values.get("role") == "search" if not self.hidden else self.search
            self.hidden.append(tag)

    def started(self, values: dict[str, str]) -> None:
        """Judge a script by its beginning, unless it follows as text."""
        self.ended()
        source = values.get("src")
        if "href" in values or "xlink:href" in values or (source is not None and not _local(source)):
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
        self.ended()
        if not self.scripts and not self.handlers:
            return
        code = [text for text, *_ in self.scripts], [text for text, *_ in self.handlers]
        why = "it is no page" if self.strict or not all(code[0]) else ""
        why = why or calm(*code, beside=self.beside, acting=self.acting)
        severity = Severity.HIGH if why and self.document else Severity.INFO
        for _, where, *code_of in (*self.scripts, *self.handlers):
            self.tally.note(code_of[0] if code_of else "html-script", severity, f"{where}: {why}" if why else where)

    def attribute(self, name: str, value: str) -> None:
        self.acting |= bool(_ACTS.search(value))
        if name.startswith("on"):
            said = _SCHEME.sub("", value, count=1)
            self.handlers.append((said, self.place(f"The event handler {name}"), "html-event"))
            return
        if name == "href" and self.tag == "a" and (scheme := _SCHEME.match(value)):
            where = self.place(f"An address in {name} that runs or carries code")
            self.handlers.append((value[scheme.end() :], where, "html-script-address"))
            return
        if name == "srcdoc":
            self.report("html-frame", Severity.HIGH, "A page inside an attribute")
        if _SCHEME.match(value) or (name in {"href", "src", "data"} and _DATA_PAGE.match(value)):
            self.report(
                "html-script-address", Severity.HIGH, f"An address in {name} that runs or carries code"
            )
        if name in _FETCHING or (name == "xlink:href" and value):
            self.address(name, value)
        if name == "style" and _STYLE_FETCH.search(value):
            self.report("html-external", Severity.MEDIUM, "A style fetches from another host")

    def address(self, name: str, value: str) -> None:
        if _EXTERNAL.match(value):
            passive = self.tag in _PASSIVE and _PUBLIC.fullmatch(value) and not _CARRIES.search(value)
            seen = not any(_DOT.fullmatch(self.values.get(side, "")) for side in ("width", "height"))
            severity = Severity.INFO if passive and seen and not self.hidden else Severity.MEDIUM
            self.report("html-external", severity, f"{name} fetches from another host: {value[:80]}")

    def handle_endtag(self, tag: str) -> None:
        self.style = False
        self.ended()
        if tag in self.hidden[-_NAMES:]:
            while self.hidden and self.hidden.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.style and _STYLE_FETCH.search(data):
            self.report("html-external", Severity.MEDIUM, "A style fetches from another host")
        if self.script is not None:
            self.script.append(data)
        else:
            self.acting = self.acting or bool(_ACTS.search(data))
        if self.hidden and self.search:
            self.words += len(data.strip())
            if self.words <= _SEARCH_WORDS:
                return
        if self.hidden and not self.style and data.strip() and self.hidden[0] not in {"template", "head"}:
            self.report("html-hidden-text", Severity.HIGH, "Text that readers do not see")
            self.hidden.clear()

    def handle_comment(self, data: str) -> None:
        if self.document and len(data) > _COMMENT:
            self.report("html-comment", Severity.INFO, f"A comment of {len(data)} characters")
