"""Where readers of a page do not look: what style sheets hide, and parts of markup that no browser shows.

Selectors and declarations are read as CSS Syntax 3 and Selectors 4 have them, only so far as it takes to tell
which elements a rule may hide; states such as `:hover` are passed over. Much of what is found is honest
(menus, texts for screen readers, drawers of frameworks): no finding, but no place for orders to a machine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

_STYLE = re.compile(r"<style\b[^<>]*>([\s\S]*?)(?:</style|\Z)", re.IGNORECASE)
_COMMENT = re.compile(r"/\*[\s\S]*?(?:\*/|\Z)")
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})[ \t\n]?")
_RULE = re.compile(r"([^{}]++)(?:\{([^{}]*+)\}?)?|[{}]")
"""A rule, or what is none: each place of a sheet is passed once, however long a selector would be."""
_SELECTOR = 4000
"""Longest selector that is read, in characters, up to its bracket."""
_CONTENT = re.compile(r"\bcontent\s*:\s*((?:\"[^\"]*\"|'[^']*'|\s)+)", re.IGNORECASE)
_PART = re.compile(
    r"(?P<mark>[.#]?)(?P<name>-?[\w\u0080-\U0010ffff-]+|\*)|\[\s*(?P<attribute>[\w-]+)[^\[\]]*\]"
)
_STATE = re.compile(r"::?[\w-]+(?:\([^()]*\))?")
_COMBINED = re.compile(r"[\s>+~]+")
_NOTHING = r"0*\.?0*(?:px|pt|em|rem|%|v[wh])?\s*(?:!important\s*)?(?:;|\Z)"
_HIDES = re.compile(
    r"(?<![\w-])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|content-visibility\s*:\s*hidden"
    r"|mso-hide\s*:\s*all|opacity\s*:\s*0*\.?0\d*\s*(?:!important\s*)?(?:;|\Z)|filter\s*:[^;]{0,200}?opacity\(\s*0"
    r"|font-size\s*:\s*(?:0*\.\d+|[01])(?:px|pt|em|rem|%)?\s*(?:!important\s*)?(?:;|\Z)"
    rf"|(?:max-)?(?:height|width)\s*:\s*(?:[01]px|{_NOTHING})|line-height\s*:\s*{_NOTHING}"
    r"|(?:left|right|top|bottom|text-indent|margin(?:-\w+)?)\s*:\s*-\d{2,}|letter-spacing\s*:\s*-"
    r"|translate\w?\([^()]{0,100}-\d{2,}|clip(?:-path)?\s*:|transform\s*:[^;]{0,200}?(?:scale\w?\(\s*0|rotate[XY]\()"
    r"|z-index\s*:\s*-"
    r"|color\s*:\s*(?:white|transparent|inherit|#f[a-f\d]f[a-f\d]f[a-f\d]\b|#fff\b|rgba?\([^()]{0,60}[,/]\s*0*\.?0*\s*\)"
    r"|rgba?\(\s*25[0-5]\W+25[0-5]\W+25[0-5]|hsla?\([^()]{0,60}(?:9[5-9]|100)%|(?:ok)?l(?:ab|ch)\(\s*(?:1\b|100|0?\.9[5-9])"
    r"|var\())",
    re.IGNORECASE,
)
_TINY = re.compile(
    r"(?<![\w-])(?:font-size\s*:\s*(?:0*\.\d+|[01])px|font\s*:\s*(?:0|1px)/|zoom\s*:\s*0*\.0"
    r"|-webkit-text-fill-color\s*:\s*transparent)",
    re.IGNORECASE,
)
_ANIMATED = re.compile(
    r"background-(?:clip|image)|animation|transition|text-shadow|gradient|content\s*:", re.IGNORECASE
)
"""What else may make such text seen."""
_STATES = re.compile(r"::|:(?:hover|focus|active|before|after|link|visited)|@media|@keyframes")
_COLOUR = re.compile(r"(?<![\w-])color\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_PAPER = re.compile(r"(?<![\w-])background(?:-color)?\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_SHADES = {"black": (0, 0, 0), "white": (255, 255, 255)}
_ALIKE = 24
"""How far the parts of two colours may differ that nobody tells apart, of 255."""
_CLASSES_WORDS = """
sr-only visually-hidden visuallyhidden screen-reader-text screen-reader-only offscreen off-screen
hidden d-none hide invisible collapse assistive-text a11y-hidden u-hidden is-hidden
"""
_CLASSES = frozenset(_CLASSES_WORDS.split())
"""Usual names of what frameworks hide, where the style sheet lies beside the page."""
_MOST_RULES = 4000


@dataclass(slots=True)
class Hiding:
    """The rules of a page that may hide, by one class, identifier, attribute or element each."""

    marks: set[str] = field(default_factory=set)
    deceiving: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    papers: list[tuple[int, int, int]] = field(default_factory=list)

    def hides(self, tag: str, values: dict[str, str]) -> bool:
        """Return whether an element may be hidden by a rule, its style or a name that says so."""
        style = values.get("style", "")
        classes = values.get("class", "").split()
        return (
            (bool(style) and self.declared(style))
            or any(f".{name}" in self.marks or name.lower() in _CLASSES for name in classes)
            or (bool(self.marks) and (tag in self.marks or f"#{values.get('id', '')}" in self.marks))
            or any(f"[{name}" in self.marks for name in values)
            or values.get("aria-hidden") == "true"
        )

    def deceives(self, tag: str, values: dict[str, str]) -> bool:
        """Return whether a rule or its style draws the text of an element so that nobody can see it."""
        own = {tag, f"#{values.get('id', '')}", *(f".{name}" for name in values.get("class", "").split())}
        named = {f"[{name}" for name in values}
        style = values.get("style", "")
        return bool((own | named) & self.deceiving) or (bool(style) and self.drawn_unseen(style))

    def drawn_unseen(self, style: str) -> bool:
        """Return whether declarations draw text in its place, too small or in its paper's colour."""
        said = plain(style)
        if _ANIMATED.search(said):
            return False
        return bool(_TINY.search(said)) or self.coloured(said)

    def declared(self, style: str) -> bool:
        """Return whether declarations hide: by themselves, or by a colour on the same."""
        said = plain(style)
        return bool(_HIDES.search(said) or _TINY.search(said)) or self.coloured(said)

    def coloured(self, said: str) -> bool:
        """Return whether text has the colour of what it lies on."""
        colour, paper = _COLOUR.search(said), _PAPER.search(said)
        shade = _shade(colour[1]) if colour else None
        papers = [_shade(paper[1])] if paper else self.papers
        return shade is not None and any(
            under is not None and max(abs(a - b) for a, b in zip(shade, under, strict=True)) <= _ALIKE
            for under in papers
        )


def hiding(page: str) -> Hiding:
    """Return what the style sheets inside a page may hide."""
    out = Hiding()
    rules = [rule for sheet in _STYLE.finditer(page) for rule in islice(_rules(sheet[1]), _MOST_RULES)]
    for selectors, declared in rules:
        paper = _PAPER.search(declared)
        shade = _shade(paper[1]) if paper and re.search(r"\b(?:body|html|main)\b", selectors) else None
        out.papers += [shade] if shade else []
    for selectors, declared in rules:
        out.said += [text.strip(" \"'") for text in _CONTENT.findall(declared)]
        if out.drawn_unseen(declared) and not _STATES.search(selectors):
            for selector in selectors.rpartition(";")[2].split(","):
                out.deceiving |= _last(selector)
        if out.declared(declared):
            for selector in selectors.rpartition(";")[2].split(","):
                out.marks |= _last(selector)
    return out


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Yield the rules of a style sheet: selectors, and what is declared."""
    for found in _RULE.finditer(plain(sheet)):
        if found[2] is not None:
            yield found[1][-_SELECTOR:], found[2]


def plain(style: str) -> str:
    """Return declarations without comments and escapes (CSS Syntax 3, 4.3.2 and 4.3.7)."""
    return _ESCAPE.sub(lambda found: chr(min(int(found[1], 16), 0xFFFD)), _COMMENT.sub("", style))


def _last(selector: str) -> set[str]:
    """Return one mark of the element that a selector is about: identifier, class, attribute or name."""
    compound = _COMBINED.split(_STATE.sub("", selector).strip())[-1]
    parts = list(_PART.finditer(compound))
    for mark in ("#", ".", "["):
        for part in parts:
            if part["attribute"] and mark == "[":
                return {f"[{part['attribute'].lower()}"}
            if part["name"] and part["mark"] == mark:
                return {mark + part["name"]}
    return {part["name"].lower() for part in parts if part["name"] not in {"*", "body", "html", None}}


def _shade(said: str) -> tuple[int, int, int] | None:
    said = said.strip().lower()
    if said in _SHADES:
        return _SHADES[said]
    if found := re.search(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", said):
        digits = found[1] if len(found[1]) == 6 else "".join(c * 2 for c in found[1])  # noqa: PLR2004
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := re.search(r"rgba?\(\s*(\d{1,3})\W+(\d{1,3})\W+(\d{1,3})", said):
        return int(found[1]), int(found[2]), int(found[3])
    return None
