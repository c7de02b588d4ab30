"""What XML files take in from elsewhere, and what their readers would show as a page.

Sources: "Associating Style Sheets with XML documents" and XInclude 1.0 (W3C); XML 1.0, 2.8 (the external
subset); RSS 2.0, RFC 4287 and OPML 2.0, whose texts are pages that stand escaped.
"""

import html
import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.page_addresses import away, public
from lockgate.inspect.tally import Tally

_HEAD = 4096
_STYLED = re.compile(r"<\?xml-stylesheet\b([^?]{0,2000})\?>")
_INCLUDED = re.compile(r"<(?:\w{1,40}:)?include\b([^<>]{0,2000})>")
_HREF = re.compile(r"\bhref\s*=\s*[\"']([^\"']{0,1000})[\"']")
_SUBSET = re.compile(
    r"<!DOCTYPE\s+[\w:.-]{1,100}\s+(?:SYSTEM|PUBLIC\s+[\"'][^\"'<>]{0,300}[\"'])\s+[\"']([^\"'<>]{1,400})[\"']"
)
_RUNS = re.compile(
    r"(?:=\s{0,9}[\"']|>)\s{0,20}((?:javascript|vbscript):|(?:smb:|file:)?(?://|\\\\)[\w.-]{1,80}\\|smb:)",
    re.IGNORECASE,
)
"""An address that runs, or a folder that another machine shares, as a value of whatever name."""
_FEED = re.compile(r"<(?:rss|feed|opml)\b", re.IGNORECASE)
_SHOWN_AS_PAGE = re.compile(
    r"<(?:description|summary|content(?::encoded)?)\b[^<>]*>([^<]+)|\btext\s*=\s*\"([^\"]*)\"", re.IGNORECASE
)
_SHOWN, _MOST = 80, 1000


def check(tally: Tally, text: str) -> None:
    """Note what an XML file takes in from elsewhere, and what it says to run."""
    for code, why, addresses in (
        ("xml-stylesheet", "A style sheet", _named(_STYLED, text)),
        ("xml-include", "A part", _named(_INCLUDED, text) if "XInclude" in text else []),
        ("xml-subset", "A description of its type", [said for said in _subsets(text) if away(said)]),
    ):
        for address in addresses:
            plain = public(address, secure=code == "xml-stylesheet")
            severity = Severity.INFO if plain else Severity.HIGH
            tally.note(code, severity, f"{why} of the file lies elsewhere: {address[:_SHOWN]}")
    if found := _RUNS.search(text):
        why = f"A value runs or leads to another machine: {found[1][:_SHOWN]}"
        tally.note("xml-reference", Severity.HIGH, why, found.start())
    if _FEED.search(text, 0, _HEAD):
        from lockgate.inspect.inspectors.html import markup  # noqa: PLC0415  # it needs the module that calls this

        page = "\n".join(html.unescape(said[1] or said[2] or "") for said in _SHOWN_AS_PAGE.finditer(text))
        markup(tally, page, document=True)


def _subsets(text: str) -> list[str]:
    return [found[1] for found in _SUBSET.finditer(text, 0, _HEAD)]


def _named(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the first addresses of other hosts that elements of one kind name."""
    out = []
    for found in pattern.finditer(text):
        href = _HREF.search(found[1])
        if href and away(href[1]):
            out.append(href[1])
        if len(out) == _MOST:
            break
    return out
