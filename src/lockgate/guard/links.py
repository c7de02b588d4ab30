"""Judges links and images in answers: only hosts on the allow-list may be asked by a reader's client.

A rendered answer can carry what the model knows to anybody whose address stands in it: as an image
that is fetched without a click, or as a link. So every absolute address is judged wherever it stands
(inline, by reference, bare, in HTML), and what is not allowed is replaced by a mark. Sources: WHATWG
URL, 4.4 (what browsers accept: back slashes, missing slashes, tabs and line ends inside); CommonMark
0.31, 6.3 and 6.6.
"""

import html
import re
import unicodedata
from collections.abc import Collection
from urllib.parse import unquote

REMOVED = "[link removed]"
IDEOGRAPHIC_STOPS = str.maketrans("。．｡", "...")  # noqa: RUF001  # what browsers take for a dot in a host

_SCHEME = re.compile(r"(?<![a-z0-9])([a-z][a-z0-9+.-]{1,30}):(?=[\\/]{2}|[^\s\"'<>)\]]{2})")
_RELATIVE = re.compile(r"(?:^|[(\"'=<\s\[]|\]:)[\\/]{2,}(?=[^\s/\\])")
_BARE = re.compile(r"(?<![\w@./-])www\d?\.[\w-]+\.\w")
_HOST = re.compile(
    r"[\\/]*(?:[^\s@/\\?#\"'<>)\]]*@)?(\[[0-9a-f:.]+\]|[^\s/\\?#:\"'<>)\]`*,]*)", re.IGNORECASE
)
_ALWAYS = frozenset({"javascript", "vbscript", "data", "blob", "file", "filesystem", "view-source"})
_NETWORK = frozenset(
    {
        "http",
        "https",
        "ftp",
        "ftps",
        "sftp",
        "ws",
        "wss",
        "gopher",
        "dict",
        "ldap",
        "ldaps",
        "smb",
        "ssh",
        "git",
    }
)
_INSIDE = dict.fromkeys(map(ord, "\t\n\r"))


def refused_host(text: str, allowed: Collection[str]) -> str | None:
    """Return the first host or scheme of a text that is not on the allow-list, or None.

    Args:
        text: A word, a tag, or a whole answer; entities and percent signs are resolved here.
        allowed: Host names in lower case; one that begins with a dot admits its subdomains.

    """
    for form in _forms(text):
        for match in _SCHEME.finditer(form):
            scheme = match[1]
            if scheme in _ALWAYS:
                return f"{scheme}:"
            slashes = form[match.end() : match.end() + 2].strip("/\\") == ""
            if scheme not in _NETWORK and not slashes:
                continue
            host = _host(form, match.end())
            if not _admitted(host, allowed):
                return host or f"{scheme}:"
        for match in _RELATIVE.finditer(form):
            host = _host(form, match.end())
            if "." in host and not _admitted(host, allowed):
                return host
        for match in _BARE.finditer(form):
            host = _host(form, match.start())
            if not _admitted(host, allowed):
                return host
    return None


def _forms(text: str) -> tuple[str, ...]:
    """Return a text as a browser could read it: entities resolved, tabs and line ends taken out."""
    resolved = html.unescape(text)
    plain = unicodedata.normalize("NFKC", resolved).translate(IDEOGRAPHIC_STOPS).casefold()
    forms = [plain]
    if "<" in plain and plain != (joined := plain.translate(_INSIDE)):
        forms.append(joined)
    if "%" in plain and (decoded := unquote(plain)) != plain:
        forms.append(decoded)
    if "\\/" in plain:
        forms.append(plain.replace("\\/", "/"))
    return tuple(dict.fromkeys(forms))


def _host(form: str, at: int) -> str:
    match = _HOST.match(form, at)
    return match[1].strip(".") if match else ""


def _admitted(host: str, allowed: Collection[str]) -> bool:
    if not host:
        return False
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in allowed)
