"""Addresses in pages: which lead to the open internet, and which of those carry something there.

On a network without a way out a host of the open internet answers nobody: that a page wants something of it
is a fact for the person who approves. What a machine inside could answer is none: numbers, names that a site
gives itself (RFC 6762, RFC 8375, IANA's special-use names), and names that are written so that people read
another one (RFC 3986, 3.2.1; RFC 3492).
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.page_hiding import plain

SCHEME = re.compile(r"[\x00-\x20]*(javascript|vbscript)[\s]*:", re.IGNORECASE)
DATA_PAGE = re.compile(r"\s*data:(?!image/(?:png|jpeg|gif|webp)[;,])", re.IGNORECASE)
EMPTY = re.compile(
    r"\s*(?:about:blank|javascript:\s*(?:void\s*\(?\s*0\s*\)?|''|\"\"|false)?\s*;?)\s*", re.IGNORECASE
)
_DRAWN = re.compile(r"(?!/)[^?#]*\.(?:svg|png|jpe?g|gif|webp)", re.IGNORECASE)
_CHANGING = frozenset({"set", "animate", "animatemotion", "animatetransform", "animatecolor"})
_AWAY = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?[/\\\\]{2}|(?:https?|ftp|file|smb|wss?):", re.IGNORECASE)
_SHARED = re.compile(
    r"(?:file:)?\\\\[^\\/]|file:/{2}(?!/|localhost/)[^/]|file:/{4,5}[^/]|smb:", re.IGNORECASE
)
_SKIPPED = re.compile(r"[\t\r\n]")
"""What browsers take out of an address wherever it stands (URL 4.4); `\\` is the same to them as `/`."""
_INSIDE = (
    r"(?!(?:local|localhost|localdomain|internal|lan|home|corp|intranet|private|arpa|onion|i2p)(?:[:/?#]|$))"
)
_PUBLIC = re.compile(
    r"(?P<scheme>https?:)?//(?![\d.]+(?:[:/?#]|$))(?!(?:[a-z0-9-]+\.){0,7}xn--)"
    r"(?![a-z0-9.-]*?(?<!\d)(?:\d{1,3}[.-]){3}\d{1,3}[.-])"
    rf"(?:[a-z0-9-]{{1,63}}\.){{1,8}}{_INSIDE}[a-z][a-z0-9-]{{1,62}}"
    r"(?::\d{1,5})?(?:[/?#][^\s{}<>$]*)?",
    re.IGNORECASE,
)
"""An address on the open internet, of which a page on a closed network gets nothing: no number, no machine's
name, no login, no letters of other alphabets, and no place for a value to be put in."""
_CARRIES = re.compile(
    r"[?&](?:data|d|q|p|payload|leak|exfil|secret|token|cookie|prompt|content|text|msg|user|history)="
    r"|[?&][^=&#]*=[^&#]*(?:@|%40)",
    re.IGNORECASE,
)
_STYLE_FETCH = re.compile(
    r"@import\s*(?:url\(\s*)?['\"]?([^'\")\s;]*)"
    r"|(?:url|src|image-set)\(\s*['\"]?\s*((?:[a-z][a-z0-9+.-]*:)?[/\\\\]{2}[^'\")\s]*)",
    re.IGNORECASE,
)
_SELECTS = re.compile(r"\[\s*(?:value|content|nonce|data-[\w-]{1,40})\s*[\^*$]=", re.IGNORECASE)
"""A rule for each letter that a field may hold: with a picture for each, the picture's host is told it."""
_LOCAL = re.compile(r"(?![a-z][a-z0-9+.-]*:|//)[^\\\x00-\x20]*", re.IGNORECASE)
_BLANK = "".join(map(chr, range(0x21)))
_PAGE_BESIDE = re.compile(r"(?:\.\./){0,8}(?!/)[\w./-]{1,200}\.x?html?(?:#[\w.-]*)?", re.IGNORECASE)
_DOT = re.compile(r"\s*[01](?:px)?\s*")
_SHOWN = 80


def away(address: str) -> bool:
    """Return whether an address names another host, or a file of the reader's system."""
    return bool(_AWAY.match(_SKIPPED.sub("", address).strip(_BLANK)))


def shared(address: str) -> bool:
    """Return whether a link leads to a folder that another machine shares: it is told a login."""
    return bool(_SHARED.match(_SKIPPED.sub("", address).strip(_BLANK)))


def public(address: str, *, secure: bool = False) -> bool:
    """Return whether an address is one of the open internet, and tells its host nothing.

    Args:
        address: It, as a page writes it.
        secure: Its host has to prove its name (RFC 2818): who answers names inside cannot speak for it.

    """
    found = _PUBLIC.fullmatch(address.strip(_BLANK))
    if not found or (secure and (found["scheme"] or "").lower() != "https:"):
        return False
    return not _CARRIES.search(address)


def local(address: str) -> bool:
    """Return whether an address names no scheme and no host, as browsers read it."""
    return bool(_LOCAL.fullmatch(address.strip(_BLANK)))


def page_beside(address: str) -> bool:
    """Return whether an address is that of a page in the same manual, by a path from where it is named."""
    return local(address) and bool(_PAGE_BESIDE.fullmatch(address.strip(_BLANK)))


def choices(name: str, value: str) -> list[str]:
    """Return the addresses of an attribute; one that offers several sizes names each with its own."""
    if name != "srcset":
        return [value]
    return [choice.split()[0] for choice in value.split(",") if choice.strip()]


def dotted(values: dict[str, str]) -> bool:
    """Return whether an element is a dot that nobody sees."""
    return any(_DOT.fullmatch(values.get(side, "")) for side in ("width", "height"))


def styled(style: str) -> tuple[Severity, str] | None:
    """Return what declarations fetch from another host, and how bad that is; None where they fetch nothing.

    Args:
        style: A style sheet, or the declarations of one element.

    """
    style = plain(style)
    asked = [found[1] or found[2] or "" for found in _STYLE_FETCH.finditer(style)]
    others = [address for address in asked if not local(address)]
    if not others:
        return None
    odd = next((address for address in others if not public(address)), "")
    telling = _SELECTS.search(style)
    severity = Severity.MEDIUM if odd or telling else Severity.INFO
    return severity, f"A style fetches from another host: {(odd or others[0])[:_SHOWN]}"


def shows_only(tag: str, values: dict[str, str]) -> bool:
    """Return whether an element shows a picture beside the page, or is a frame that a script may fill."""
    if "srcdoc" in values or tag not in {"iframe", "object"}:
        return False
    source = values.get("src" if tag == "iframe" else "data", "")
    return bool((_DRAWN.fullmatch(source) and local(source)) or (tag == "iframe" and EMPTY.fullmatch(source)))


def acts_later(tag: str, values: dict[str, str]) -> bool:
    """Return whether an animation gives an element a handler, or an address that runs (SVG 2, SMIL 3)."""
    if tag not in _CHANGING:
        return False
    changed = values.get("attributename", "").rsplit(":", 1)[-1].lower()
    given = ";".join(values.get(key, "") for key in ("to", "from", "by", "values")).split(";")
    runs = any(SCHEME.match(value) or DATA_PAGE.match(value) for value in given)
    return changed.startswith("on") or (changed == "href" and runs)
