"""Content negotiation of the simple API (PEP 691; RFC 9110, section 12.5.1). Pure decisions."""

import re
from dataclasses import dataclass

from lockgate.mirror.pages.pypi import SIMPLE_HTML, SIMPLE_JSON

PLAIN_HTML = "text/html"
HEADER_LIMIT = 4096
"""Longest Accept header that is read, in characters; a longer one is answered with 406."""

# What a client may name → what it is sent; PEP 691 lets "latest" stand for the newest version.
_OFFERS = {
    SIMPLE_JSON: SIMPLE_JSON,
    "application/vnd.pypi.simple.latest+json": SIMPLE_JSON,
    SIMPLE_HTML: SIMPLE_HTML,
    "application/vnd.pypi.simple.latest+html": SIMPLE_HTML,
    PLAIN_HTML: PLAIN_HTML,
}
_PREFERENCE = {SIMPLE_JSON: 3, SIMPLE_HTML: 2, PLAIN_HTML: 1}
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Range:
    kind: str
    quality: float

    def specificity(self, offer: str) -> int:
        """Return how exactly this range names an offer: 3 exactly, 0 not at all."""
        if self.kind == offer:
            return 3
        if self.kind == offer.partition("/")[0] + "/*":
            return 2
        return int(self.kind == "*/*")


def choose(accept: str | None) -> str | None:
    """Return the media type to send for an Accept header, or `None` for 406.

    Without a header, and where only a wildcard matches, it is HTML: old clients and browsers
    expect that. Among types that were named with the same quality, JSON comes first.
    """
    if accept is None or not accept.strip():
        return PLAIN_HTML
    if len(accept) > HEADER_LIMIT:
        return None
    ranges = [_parse(part) for part in accept.split(",")]
    best: tuple[float, int, int, str] | None = None
    for offer, sent in _OFFERS.items():
        matching = [(r.specificity(offer), r.quality) for r in ranges if r.specificity(offer)]
        if not matching:
            continue
        specificity = max(s for s, _ in matching)
        quality = max(q for s, q in matching if s == specificity)
        preference = _PREFERENCE[sent] if specificity == 3 else -_PREFERENCE[sent]  # noqa: PLR2004 - exact
        candidate = (quality, specificity, preference, sent)
        if quality > 0 and (best is None or candidate > best):
            best = candidate
    return best[3] if best else None


def prefers(accept: str, one: str, other: str) -> bool:
    """Tell whether an Accept header names the first of two media types, and the other no more eagerly."""
    if len(accept) > HEADER_LIMIT:
        return False
    quality = {r.kind: r.quality for r in reversed([_parse(part) for part in accept.split(",")])}
    return quality.get(one, 0.0) > 0 and quality.get(one, 0.0) >= quality.get(other, 0.0)


def _parse(part: str) -> _Range:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return _Range(kind.lower(), quality)
