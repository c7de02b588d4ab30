"""Text of a Word document that a style hides: the style is in one part of the archive, the text in another.

ECMA-376, part 1, 17.7: a style may be based on another, and what a run does not say itself its own style
says, or else its paragraph's.
"""

import html
import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.xml_elements import attributes, elements
from lockgate.inspect.tally import Tally

STYLES = "word/styles.xml"
_SHOWN = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")
_STYLE, _STYLE_END = re.compile(r"<w:style\b([^<>]*)(?<!/)>"), re.compile(r"</w:style>")
_KINDS = frozenset({"paragraph", "character"})
_BASE = re.compile(r"<w:basedOn\s+w:val=\"([^\"]+)\"")
_HIDES = re.compile(
    r"<w:(?:vanish|specVanish)\s*/>|<w:vanish\s+w:val=\"(?:1|true|on)\"|<w:sz\s+w:val=\"[0-3]\"",
    re.IGNORECASE,
)
_SHOWS = re.compile(
    r"<w:vanish\s+w:val=\"(?:0|false|off)\"|<w:sz\s+w:val=\"(?:[4-9]|\d{2,})\"", re.IGNORECASE
)
_PARAGRAPH, _PARAGRAPH_END = re.compile(r"<w:p\b[^<>]*>"), re.compile(r"</w:p>")
_RUN, _RUN_END = re.compile(r"<w:r\b[^<>]*>"), re.compile(r"</w:r>")
_NAMED = re.compile(r"<w:([pr])Style\s+w:val=\"([^\"]+)\"")
_TEXT = re.compile(r"<w:t\b[^<>]*>([^<]*)</w:t>")
_FORM = re.compile(r"\s*(?:Top|Bottom) of Form\s*")
"""What Word writes, hidden, around a form that was pasted from a page."""
_SHORTEST, _DEEPEST = 12, 16


def wants(name: str) -> bool:
    """Return whether a part is looked at together with the styles."""
    return name == STYLES or bool(_SHOWN.fullmatch(name))


def check(tally: Tally, parts: dict[str, str]) -> None:
    """Note what the styles of a document hide of its text.

    Args:
        tally: Takes the findings.
        parts: The parts that `wants` names, by their names.

    """
    hiding = _hiding(parts.get(STYLES, ""))
    if not hiding:
        return
    for name, text in sorted(parts.items()):
        said = "".join(_hidden(text, hiding)) if name != STYLES else ""
        hidden = html.unescape(_FORM.sub("", said)).strip()
        if len(hidden) >= _SHORTEST:
            why = f"{name}: {len(hidden)} characters that a style hides: {hidden[:80]!r}"
            tally.note("document-hidden-text", Severity.HIGH, why)
            orders(tally, hidden, where=f"{name}, hidden: ", hidden=True, keen=True)


def _hiding(styles: str) -> set[str]:
    """Return the styles that hide what is written in them."""
    found: dict[str, str] = {}
    for begun, body in elements(_STYLE, _STYLE_END, styles):
        said = attributes(begun[1])
        if said.get("w:type") in _KINDS:
            found[said.get("w:styleId", "")] = body
    out = set()
    for name in found:
        at: str | None = name
        for _ in range(_DEEPEST):
            body = found.get(at or "", "")
            if _HIDES.search(body):
                out.add(name)
            base = _BASE.search(body)
            if _HIDES.search(body) or _SHOWS.search(body) or not base:
                break
            at = base[1]
    return out


def _hidden(text: str, hiding: set[str]) -> list[str]:
    """Return the texts of the runs that a style hides."""
    out: list[str] = []
    for _, paragraph in elements(_PARAGRAPH, _PARAGRAPH_END, text):
        named = next((found[2] for found in _NAMED.finditer(paragraph) if found[1] == "p"), "")
        for _, run in elements(_RUN, _RUN_END, paragraph):
            own = next((found[2] for found in _NAMED.finditer(run) if found[1] == "r"), "")
            if own in hiding or (named in hiding and not _SHOWS.search(run)):
                out.extend(_TEXT.findall(run))
    return out
