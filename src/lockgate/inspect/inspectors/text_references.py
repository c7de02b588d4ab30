"""Small languages of documents, and what they fetch or run: diagrams, calendars, cards, subtitles, playlists.

Sources: PlantUML's preprocessor; Graphviz' attributes; Mermaid's clicks and labels; RFC 5545 and RFC 6350;
WebVTT (W3C), SubRip and SAMI as players read them; M3U, PLS and ASX as players read them; directives of
docutils, AsciiDoc and Org; FDF (ISO 32000-1, 12.7.7).
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.page_addresses import public
from lockgate.inspect.tally import Tally

_OUTSIDE = r"(?:/(?!/)|~|(?:\.\./){2}|[a-z]:\\|file:|https?:|ftp:|//|\\\\)"
"""A path from the root, of a person's home or out of the folder above; or an address."""
_ABROAD = r"(?:file:|https?:|ftp:|//|\\\\)"
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
    "rst": (
        "rst-include",
        "It takes in what lies elsewhere when it is set",
        (
            r"(?im)^[ \t]*\.\.[ \t]+(?:\|[^|\n]{1,80}\|[ \t]+)?(?:figure|image|include)::[ \t]+"
            rf"({_ABROAD}\S{{0,400}})|^[ \t]*:url:[ \t]+({_ABROAD}\S{{0,400}})"
        ),
    ),
    "adoc": (
        "adoc-include",
        "It takes in what lies elsewhere when it is set",
        rf"(?im)\b(?:image|video|audio)::?({_ABROAD}[^\s\[]{{0,400}})",
    ),
    "org": (
        "org-include",
        "It takes in what lies elsewhere when it is set",
        rf"(?im)^[ \t]*#\+(?:INCLUDE|SETUPFILE|BIBLIOGRAPHY):[ \t]*[\"']?({_OUTSIDE}[^\s\"']{{0,400}})",
    ),
    "m3u": (
        "playlist-reference",
        "It plays from a file or another machine",
        (
            rf"(?im)^(?:file\d{{1,4}}[ \t]*=[ \t]*)?((?:{_ABROAD}|smb:|javascript:)\S{{0,400}})"
            rf"|\b(?:href|src)\s*=\s*[\"']((?:{_ABROAD}|smb:|javascript:)[^\"'<]{{0,400}})"
        ),
    ),
    "fdf": (
        "pdf-form-data",
        "A form's data name a document elsewhere",
        rf"/F\s{{0,3}}\(({_ABROAD}[^)]{{0,400}})",
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
        "It carries markup or an address that runs, or lets labels run code",
        (
            r"(?i)<script\b|<[a-z][^<>]{0,200}\son[a-z]{3,20}\s*=|\bjavascript:"
            r"|\bsecurityLevel[\"']?\s{0,3}:\s{0,3}[\"']?loose"
        ),
    ),
    "fdf": ("pdf-form-data", "A form's data carry a program", r"/(?:JavaScript|JS|Launch)\b"),
    "vtt": (
        "subtitle-active",
        "It carries markup or an address that runs",
        r"(?i)<script\b|<[a-z][^<>]{0,200}\son[a-z]{3,20}\s*=|\bjavascript:",
    ),
}
_LIKE = {
    "plantuml": "puml", "iuml": "puml", "wsd": "puml", "pu": "puml", "gv": "dot", "mermaid": "mmd",
    "ical": "ics", "vcard": "vcf", "srt": "vtt", "smi": "vtt", "sami": "vtt", "ass": "vtt", "ssa": "vtt",
    "sbv": "vtt", "ttml": "vtt", "lrc": "vtt", "m3u8": "m3u", "pls": "m3u", "asx": "m3u", "wax": "m3u",
    "wvx": "m3u", "wpl": "m3u", "xspf": "m3u", "ram": "m3u", "rest": "rst", "asciidoc": "adoc", "xfdf": "fdf",
}  # fmt: skip
_REACHING = {kind: (code, why, re.compile(pattern)) for kind, (code, why, pattern) in _TARGETS.items()}
_ACTING = {kind: (code, why, re.compile(pattern)) for kind, (code, why, pattern) in _ACTS.items()}
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
        fact = public(address, secure=kind == "puml")
        if count == _MOST or not fact:
            severity = Severity.INFO if fact else Severity.HIGH
            tally.note(code, severity, f"{why}: {address[:_SHOWN]}", found.start())
            return
        if not count:
            tally.note(code, Severity.INFO, f"{why}: {address[:_SHOWN]}", found.start())
