"""Small languages of documents, and what they fetch or run: diagrams, calendars, cards, subtitles, XML.

Sources: PlantUML's preprocessor; Graphviz' attributes; Mermaid's clicks and labels; RFC 5545 and RFC 6350;
WebVTT (W3C), SubRip and SAMI as players read them; "Associating Style Sheets with XML documents" (W3C).
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.page_addresses import away, public
from lockgate.inspect.tally import Tally

_OUTSIDE = r"(?:/(?!/)|~|(?:\.\./){2}|[a-z]:\\|file:|https?:|ftp:|//|\\\\)"
"""A path from the root, of a person's home or out of the folder above; or an address."""
_TARGETS = {
    "puml": (
        "diagram-include",
        "It takes in what lies elsewhere when it is drawn",
        (
            r"(?im)^[ \t]*!(?:include(?:url|_many|_once|sub)?|import|theme\s+\S+\s+from)[ \t]+"
            rf"({_OUTSIDE}\S{{0,400}})|<img:?\s?(?:src=)?\"?({_OUTSIDE}[^>\s]{{0,400}})"
        ),
    ),
    "dot": (
        "diagram-include",
        "It takes in what lies elsewhere when it is drawn",
        (
            r"(?i)\b(?:image|shapefile|imagepath|fontpath|stylesheet|src)\s{0,9}=\s{0,9}\"?"
            rf"({_OUTSIDE}[^\"\s\]]{{0,400}})"
        ),
    ),
    "ics": (
        "calendar-program",
        "An alarm, an attachment or an address reaches for a file or another machine",
        (
            r"(?im)^(?:ATTACH|URL|IMAGE|CONFERENCE|SOURCE)\b[^:\n]{0,200}:"
            r"((?:file:|\\\\|//|smb:|javascript:|vbscript:|data:text)[^\n]{0,400}|TVqQ)"
        ),
    ),
    "vcf": (
        "card-reference",
        "A picture, sound, key or address reaches for a file, a program or another machine",
        (
            r"(?im)^(?:\w+\.)?(?:PHOTO|LOGO|SOUND|KEY|URL|SOURCE|CALURI|FBURL)\b[^:\n]{0,200}:"
            r"((?:file:|\\\\|//|smb:|javascript:|vbscript:|data:text|https?:)[^\n]{0,400}|TVqQ)"
        ),
    ),
    "vtt": (
        "subtitle-active",
        "A subtitle or its style reaches for a file or another machine",
        (
            rf"(?i)\burl\(\s*[\"']?({_OUTSIDE}[^)\"'\s]{{0,400}})"
            rf"|<(?:img|font)\b[^<>]{{0,200}}\bsrc\s*=\s*[\"']?({_OUTSIDE}[^\"'>]{{0,400}})"
        ),
    ),
}
_ACTS = {
    "puml": (
        "diagram-program",
        "It reads the system's settings or files when it is drawn",
        r"%(?:getenv|load_json|load_file|file_exists|dirpath)\s*\(|!procedure[^\n]{0,80}%invoke",
    ),
    "dot": (
        "diagram-program",
        "It carries an address that runs",
        r"(?i)\b(?:URL|href)\s*=\s*\"?\s*(?:javascript|vbscript|data):",
    ),
    "mmd": (
        "diagram-program",
        "It carries markup or an address that runs",
        r"(?i)<script\b|<[a-z][^<>]{0,200}\son[a-z]{3,20}\s*=|\bjavascript:",
    ),
    "vtt": (
        "subtitle-active",
        "It carries markup or an address that runs",
        r"(?i)<script\b|<[a-z][^<>]{0,200}\son[a-z]{3,20}\s*=|\bjavascript:",
    ),
}
_LIKE = {
    "plantuml": "puml", "iuml": "puml", "wsd": "puml", "pu": "puml", "gv": "dot", "mermaid": "mmd",
    "ical": "ics", "vcard": "vcf", "srt": "vtt", "smi": "vtt", "sami": "vtt", "ass": "vtt", "ssa": "vtt",
    "sbv": "vtt", "ttml": "vtt", "lrc": "vtt",
}  # fmt: skip
_REACHING = {kind: (code, why, re.compile(pattern)) for kind, (code, why, pattern) in _TARGETS.items()}
_ACTING = {kind: (code, why, re.compile(pattern)) for kind, (code, why, pattern) in _ACTS.items()}
_STYLED = re.compile(r"<\?xml-stylesheet\b([^?]{0,2000})\?>")
_HREF = re.compile(r"\bhref\s*=\s*[\"']([^\"']{0,1000})[\"']")
_SHOWN, _MOST = 80, 1000


def check(tally: Tally, ending: str, text: str) -> None:
    """Note what a text of one of these languages reaches for; what a public host would give is a fact.

    Args:
        tally: Takes the findings.
        ending: The ending of its name, which says what language it is.
        text: The text, with folded lines joined where its language folds them.

    """
    kind = _LIKE.get(ending, ending)
    if kind in _ACTING:
        code, why, pattern = _ACTING[kind]
        if found := pattern.search(text):
            tally.note(code, Severity.HIGH, f"{why}: {found[0][:_SHOWN]}", found.start())
    if kind not in _REACHING:
        return
    code, why, pattern = _REACHING[kind]
    for count, found in enumerate(pattern.finditer(text)):
        address = next(part for part in found.groups() if part)
        fact = public(address, secure=kind != "vcf")
        if count == _MOST or not fact:
            severity = Severity.INFO if fact else Severity.HIGH
            tally.note(code, severity, f"{why}: {address[:_SHOWN]}", found.start())
            return
        if not count:
            tally.note(code, Severity.INFO, f"{why}: {address[:_SHOWN]}", found.start())


def style_sheets(tally: Tally, text: str) -> None:
    """Note style sheets that an XML file names and that lie on another host."""
    for count, found in enumerate(_STYLED.finditer(text)):
        href = _HREF.search(found[1])
        if count == _MOST or not href or not away(href[1]):
            continue
        severity = Severity.INFO if public(href[1], secure=True) else Severity.HIGH
        why = f"A style sheet of another host is named: {href[1][:_SHOWN]}"
        tally.note("xml-stylesheet", severity, why, found.start())
