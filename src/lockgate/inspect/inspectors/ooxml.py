"""Office documents in ZIP archives: macros, fields that run, what is fetched, what is hidden.

Formats: ECMA-376 (Office Open XML), OpenDocument 1.3. Read as text with patterns that allow any
namespace prefix; the archive itself is walked by `zips`.
"""

import html
import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.xml_elements import attributes, elements
from lockgate.inspect.tally import Tally

_PART_BYTES = 64 << 20
_PARTS = {
    "vbaProject": ("office-macro", Severity.CRITICAL, "holds macros"),
    "vbaData": ("office-macro", Severity.CRITICAL, "holds macros"),
    "macrosheets/": ("office-macro", Severity.CRITICAL, "holds Excel 4 macros"),
    "activeX/": ("office-activex", Severity.HIGH, "holds ActiveX controls"),
    "embeddings/": ("office-embedded", Severity.HIGH, "holds another file"),
    "attachedToolbars": ("office-macro", Severity.HIGH, "holds toolbars with macros"),
    "Basic/": ("office-macro", Severity.CRITICAL, "holds Basic macros"),
    "Scripts/": ("office-macro", Severity.CRITICAL, "holds scripts"),
}
_HARMLESS_EMBEDDED = re.compile(r"embeddings/[^/]*\.xlsx\Z", re.IGNORECASE)
"""The table behind a chart: inspected in its turn."""
_AT_TOP = ("Basic/", "Scripts/")
PRINTER = re.compile(r"(?:ppt|xl|word)/printerSettings/printerSettings\d{0,4}\.bin")
"""What a printer's driver kept for itself."""
_RELATION = re.compile(r"<(?:\w+:)?Relationship\b([^<>]*)>")
_RUNNING = (
    "attachedTemplate",
    "oleObject",
    "frame",
    "subDocument",
    "externalLink",
    "vbaProject",
    "package",
    "template",
)
_RUNNING_LINK = re.compile(
    r"\s*(?:javascript|vbscript|file|mhtml|ms-\w+|search-ms):|[^?#]{0,200}\.(?:exe|cmd|bat|ps1|vbs|hta"
    r"|scr|lnk)(?:\s|%20|\Z)",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"<(?:\w+:)?(?:instrText|delInstrText)\b[^<>]*>([^<]*)<|\binstr\s*=\s*[\"']([^\"']*)[\"']"
)
_FIELD = re.compile(r"\b(?:DDEAUTO|DDE|INCLUDETEXT|INCLUDEPICTURE|IMPORT|QUOTE\s+\d+\s+\d+)\b")
_DDE_LINK = re.compile(
    r"<(?:\w+:)?ddeLink\b|<(?:\w+:)?oleLink\b|ddeService\s*=|<office:dde-source\b|<text:dde-connection-decl\b"
    r"|<table:dde-link\b"
)
_FORMULA = re.compile(
    r"<(?:\w+:)?f\b[^<>]*>[^<]*(?:\b(?:EXEC|CALL|REGISTER|FORMULA\.FILL|WEBSERVICE|RTD|DDE"
    r"|IMPORT(?:XML|DATA|FEED|HTML|RANGE))\s*\(|\b(?:HYPERLINK|IMAGE)\s*\(\s*(?:\"|&quot;)https?:[^<]{0,200}?(?:\"|&quot;)\s*&amp;|cmd\||\|'[^<']*'!)",
    re.IGNORECASE,
)
_ODF_FORMULA = re.compile(r"\btable:formula\s*=\s*\"[^\"]{0,400}\b(?:DDE|WEBSERVICE)\s*\(", re.IGNORECASE)
_EVENT = re.compile(
    r"<script:event-listener\b|\bonLoad\s*=|xlink:href\s*=\s*[\"'](?:vnd\.sun\.star\.script|macro):"
)
_STARTS = re.compile(r"\baction\s*=\s*[\"']ppaction://(?:program|macro)\b", re.IGNORECASE)
_REFRESHED = re.compile(
    r"<(?:\w+:)?connection\b[^<>]*\brefreshOnLoad\s*=\s*[\"'](?:1|true)[\"']", re.IGNORECASE
)
_CONNECTION_END = re.compile(r"</(?:\w+:)?connection>", re.IGNORECASE)
_CONNECTED = re.compile(r"<(?:\w+:)?(?:webPr|textPr|dbPr)\b", re.IGNORECASE)
_FETCHED = re.compile(
    r"<(?:draw:(?:image|object|object-ole|plugin|applet|floating-frame)|text:section-source"
    r"|table:(?:table-source|cell-range-source)|text:alphabetical-index-auto-mark-file)\b[^<>]*"
    r"\bxlink:href\s*=\s*[\"']((?:https?|file|smb|ftp|vnd\.[\w.]+):[^\"']*|//[^\"']*|\\\\[^\"']*)"
)
_STYLE, _STYLE_END = re.compile(r"<style:style\s([^<>]*)(?<!/)>"), re.compile(r"</style:style>")
_STYLE_HIDES = re.compile(r"\btext:display=\"none\"|\bfo:font-size=\"(?:0(?:\.\d+)?|1(?:\.\d+)?)pt\"")
_STYLED = re.compile(r"<(/?)text:(?:span|p|h)\b([^<>]*)>")
_RUN, _RUN_END = re.compile(r"<w:r\b[^<>]*>"), re.compile(r"</w:r>")
_RUN_TEXT = re.compile(r"<w:t\b[^<>]*>([^<]*)</w:t>")
_HIDDEN_RUN = re.compile(
    r"<w:(?:vanish|webHidden|specVanish)\s*/>|<w:vanish\s+w:val=[\"'](?:1|true|on)[\"']"
    r"|<w:color\s[^<>]*w:val=[\"'](?:FFFFFF|FEFEFE|FDFDFD|FCFCFC|FBFBFB|FAFAFA)[\"']|<w:sz\s+w:val=[\""
    r"'][0-3][\"']",
    re.IGNORECASE,
)
_SHADED = re.compile(r"<w:(?:shd|highlight)\b", re.IGNORECASE)
_COLOURED = re.compile(r"<w:color\s[^<>]*w:val=[\"']([0-9a-f]{6})[\"']", re.IGNORECASE)
_FILLED = re.compile(r"<w:shd\s[^<>]*w:fill=[\"']([0-9a-f]{6})[\"']", re.IGNORECASE)
_SLIDE_RUN, _SLIDE_END = re.compile(r"<a:r>"), re.compile(r"</a:r>")
_SLIDE_TEXT = re.compile(r"<a:t>([^<]*)</a:t>")
_SLIDE_HIDDEN = re.compile(r"<a:rPr\b[^<>]*\bsz=[\"'](?:[1-9]\d?|1\d\d)[\"']")
_TAGS = re.compile(r"<[^<>]+>")
_PARAGRAPH = re.compile(
    r"<(?:/(?:w:p|a:p|text:p|text:h|si|c|row|comment)|w:tab|w:br|a:br|text:s|text:tab)\b[^<>]*>"
)
_UNSEEN = re.compile(
    r"\b(?:descr|title|tooltip|prompt|promptTitle|error|text:string-value|office:string-value)"
    r"\s*=\s*(?:\"([^\"]{12,})\"|'([^']{12,})')"
    r"|<(?:w:delText|definedName|svg:desc|svg:title)\b[^<>]*>([^<]{12,})<"
)
"""Descriptions, hints, values behind names, what was deleted: read by machines, shown at most on demand."""
_ASIDE = re.compile(r"(?:^|/)(?:docProps/\w+|customXml/item\d*|meta|settings)\.xml\Z")
_NOTES = re.compile(r"(?:notesSlides/|/comments|threadedComments/)")
_SHORTEST = 12
_TEXTS = re.compile(
    r"(?:word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)|ppt/(?:slides|notesSlides|comments)/\w+"
    r"|xl/(?:sharedStrings|comments\d*|worksheets/\w+|threadedComments/\w+)|content|styles)\.xml\Z"
)


def wants(name: str) -> bool:
    """Return whether the rules look into a part."""
    return name.endswith((".xml", ".rels", ".vml"))


def named(tally: Tally, name: str) -> None:
    """Note what the name of a part says about it."""
    for mark, (code, severity, why) in _PARTS.items():
        if mark.lower() in name.lower() and not name.endswith("/"):
            if mark == "embeddings/" and _HARMLESS_EMBEDDED.search(name):
                continue
            if mark in _AT_TOP and not name.startswith(mark):
                continue
            tally.note(code, severity, f"The document {why} ({name}).")


def part(tally: Tally, name: str, raw: bytes) -> None:
    """Note what one part fetches, runs or hides."""
    text = raw[:_PART_BYTES].decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")
    if name.endswith(".rels"):
        _relations(tally, name, text)
        return
    instructions = "".join(found[1] or found[2] or "" for found in _INSTRUCTION.finditer(text))
    if found := _FIELD.search(html.unescape(instructions)):
        severity = Severity.CRITICAL if found[0].startswith(("DDE", "QUOTE")) else Severity.HIGH
        tally.note("office-field", severity, f"{name}: the field {found[0]} runs or fetches.")
    if _DDE_LINK.search(text):
        tally.note("office-dde", Severity.HIGH, f"{name}: a link to another program.")
    if found := _FORMULA.search(text) or _ODF_FORMULA.search(text):
        tally.note(
            "office-formula", Severity.HIGH, f"{name}: a formula that runs: {_TAGS.sub('', found[0])[:80]}"
        )
    if found := _EVENT.search(text):
        tally.note("office-event", Severity.HIGH, f"{name}: an event starts code: {found[0][:60]}")
    if found := _STARTS.search(text):
        tally.note(
            "office-event", Severity.HIGH, f"{name}: a click or a pointer starts a program: {found[0][:60]}"
        )
    if any(_CONNECTED.search(body) for _, body in elements(_REFRESHED, _CONNECTION_END, text)):
        why = f"{name}: a connection fetches data as soon as the document is opened."
        tally.note("office-external", Severity.HIGH, why)
    if found := _FETCHED.search(text):
        why = f"{name}: a picture or a part is fetched from {found[1][:100]}."
        tally.note("office-external", Severity.HIGH, why)
    _hidden(tally, name, text)
    _styled(tally, name, text)
    aside = bool(_ASIDE.search(name))
    if aside or (_TEXTS.search(name) and ("worksheets/" not in name or "<t" in text)):
        said = html.unescape(_TAGS.sub("", _PARAGRAPH.sub("\n", text)))
        seldom = bool(_NOTES.search(name))
        orders(tally, said, where=f"{name}: ", hidden=aside, keen=True, aside=seldom)
    unseen = [found[1] or found[2] or found[3] for found in _UNSEEN.finditer(text)]
    orders(tally, html.unescape("\n".join(unseen)), where=f"{name}, unseen: ", hidden=True, keen=True)


def _styled(tally: Tally, name: str, text: str) -> None:
    """Note text whose style hides it (OpenDocument 1.3, 20.200 and 20.210)."""
    styles = {
        attributes(begun[1]).get("style:name", "")
        for begun, body in elements(_STYLE, _STYLE_END, text)
        if _STYLE_HIDES.search(body)
    }
    if not styles:
        return
    spans = _within(text, styles)
    hidden = html.unescape(_TAGS.sub("", " ".join(spans))).strip()
    if len(hidden) >= _SHORTEST:
        why = f"{name}: {len(hidden)} characters that readers do not see: {hidden[:80]!r}"
        tally.note("document-hidden-text", Severity.HIGH, why)


def _within(text: str, styles: set[str]) -> list[str]:
    """Return the pieces of text that stand within an element of one of some styles."""
    out: list[str] = []
    stack: list[bool] = []
    hiding, at = 0, 0
    for tag in _STYLED.finditer(text):
        if hiding:
            out.append(text[at : tag.start()])
        at = tag.end()
        if tag[1]:
            hiding -= stack.pop() if stack else 0
        elif not tag[2].endswith("/"):
            stack.append(attributes(tag[2]).get("text:style-name", "") in styles)
            hiding += stack[-1]
    return out


def _relations(tally: Tally, name: str, text: str) -> None:
    for found in _RELATION.finditer(text):
        said = attributes(found[1])
        kind = said.get("Type", "").rsplit("/", 1)[-1]
        target = html.unescape(said.get("Target", ""))
        if said.get("TargetMode", "").lower() != "external":
            continue
        if kind == "hyperlink" and not _RUNNING_LINK.match(target):
            continue
        severity = Severity.CRITICAL if kind in _RUNNING else Severity.HIGH
        tally.note("office-external", severity, f"{name}: {kind} is fetched from {target[:100]}.")


def _hidden(tally: Tally, name: str, text: str) -> None:
    """Note runs of text that readers do not see."""
    said: list[str] = []
    for pattern, end, words, mark in (
        (_RUN, _RUN_END, _RUN_TEXT, _HIDDEN_RUN),
        (_SLIDE_RUN, _SLIDE_END, _SLIDE_TEXT, _SLIDE_HIDDEN),
    ):
        if not (mark.search(text) or _FILLED.search(text)):
            continue
        for _, run in elements(pattern, end, text):
            if _unseen(run, mark):
                said.extend(words.findall(run))
    hidden = html.unescape(" ".join(said)).strip()
    if len(hidden) >= _SHORTEST:
        why = f"{name}: {len(hidden)} characters that readers do not see: {hidden[:80]!r}"
        tally.note("document-hidden-text", Severity.HIGH, why)
        orders(tally, hidden, where=f"{name}, hidden: ", hidden=True, keen=True)


def _unseen(run: str, mark: re.Pattern[str]) -> bool:
    """Return whether a run says that it is not shown, or has the colour of what it lies on."""
    colour, fill = _COLOURED.search(run), _FILLED.search(run)
    same = colour and fill and colour[1].lower() == fill[1].lower()
    return bool(same or (mark.search(run) and not _SHADED.search(run)))
