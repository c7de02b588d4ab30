"""Values of which scripts of a page make elements, and whether anything could come to life from them.

A script that writes markup of its own around what its page says (footnotes, lists of contents) makes nothing
act, where nothing in the page's text would act as markup, and where each value goes back to that text as it
stands: not cut and joined anew, not given by an address, a storage, a message or whoever calls. What is not
seen to do so counts as another value. The syntax is that of ECMA-262, clauses 13.3 and 13.15.
"""

import re
from html import unescape

Tokens = list[tuple[str, str]]

_LIVELY = re.compile(
    r"<\s*script\b|<\s*(?:[a-z]+-[\w-]*|i?frame|frameset|object|embed|applet|portal|form|input|button|select"
    r"|textarea|svg|math|base|meta|link|style|img|image|video|audio|source|track|picture|body|html|table"
    r"|template|noscript|marquee|isindex|keygen)[\s/][^<>]*="
    r"|\bon[a-z]{3,24}\s*=|j\s*a\s*v\s*a\s*s\s*c\s*r\s*i\s*p\s*t\s*:|v\s*b\s*s\s*c\s*r\s*i\s*p\s*t\s*:"
    r"|data\s*:\s*(?:text|application|image/svg)|url\(|@import|\bsrc(?:set|doc)\s*=|\bformaction\s*=",
    re.IGNORECASE,
)
"""What a browser would act on if a text were markup, whole or in the place of an attribute's value."""
_READS_WORDS = """
innerHTML match getAttribute length getElementById getElementsByTagName getElementsByClassName querySelector
querySelectorAll firstChild lastChild parentNode nextSibling children childNodes className id
"""
_READS = frozenset(_READS_WORDS.split())
"""Properties and functions that give a part of the page, or one whole piece of its text."""
_FREE = frozenset({"document", "null", "true", "false", "undefined", "this", "Array"})
_OUTSIDE_WORDS = """
location hash search URL documentURI baseURI referrer URLSearchParams localStorage sessionStorage storage
getItem message onmessage hashchange onhashchange popstate history state responseText response value files
clipboardData dataTransfer getSelection BroadcastChannel status external event name
"""
_OUTSIDE = frozenset(_OUTSIDE_WORDS.split())
"""Names by which a page gets what does not stand in it."""
_KEYWORDS = """
var new function typeof void delete await yield async class throw return if else for while do in of instanceof
case switch default try catch finally let const super import export with break continue
"""
_WORDS = frozenset(_KEYWORDS.split())
_SIGNS = "+ ( ) [ ] . , ! && || == != === !== < > ++ --"
_MARKS = frozenset(_SIGNS.split())
_CLOSES = frozenset({")", "]", "}"})
_COMPARES = frozenset({"==", "!=", "===", "!==", "<=", ">="})
_ENDS = frozenset({";", ",", ")", "]", "}"})
_VALUE = "\x00"
_PLACE = re.compile(
    r"<[a-z][a-z0-9]*(?:\s+[a-z-]+='[^'<>]*')*(?:\s+(?:(?:id|class|title)='[^'<>]*|href='#[^'<>]*))?"
)
"""A piece of markup up to where a value may stand in it."""
_MOST = 200
"""How many names a value may go back to."""
_SIGNATURE = 64
"""How many tokens the names of a function's parameters may take."""


def lively(said: str) -> bool:
    """Return whether something of a page's text would act as markup, read once or twice."""
    return bool(_LIVELY.search(said) or ("&" in said and _LIVELY.search(unescape(said))))


class Values:
    """The values that the scripts of a page give to names."""

    def __init__(self, read: list[Tokens]) -> None:
        """Read all assignments of some scripts."""
        self._known: dict[str, frozenset[str] | None] = {}
        self._closed = any(_outside(tokens) for tokens in read)
        self._assigned: dict[str, list[tuple[Tokens, int]]] = {}
        self._given: set[str] = set()
        if not self._closed:
            for tokens in read:
                self._take(tokens)

    def still(self, tokens: Tokens, at: int) -> bool:
        """Return whether what is assigned goes back to texts written out and to the page's own text.

        Args:
            tokens: Those of a script.
            at: Where the sign of the assignment stands.

        """
        if self._closed or tokens[at][1] not in {"=", "+="}:
            return False
        first = _value(tokens, at + 1)
        todo, seen = set(first or ()), set[str]()
        while todo:
            name = todo.pop()
            if name in seen or name in _FREE:
                continue
            seen.add(name)
            more = self._of(name)
            if more is None or len(seen) > _MOST:
                return False
            todo |= more
        return first is not None

    def _of(self, name: str) -> frozenset[str] | None:
        """Return the names that the values of a name are made of; None where one is more than it may be."""
        if name not in self._known:
            out: frozenset[str] | None = frozenset()
            if name in self._given or name not in self._assigned:
                out = None
            for tokens, at in self._assigned.get(name, ()):
                more = _value(tokens, at) if out is not None else None
                out = out | more if out is not None and more is not None else None
            self._known[name] = out
        return self._known[name]

    def _take(self, tokens: Tokens) -> None:
        """Keep what a script assigns, and the names that whoever calls gives a value to."""
        opens: dict[int, int] = {}
        stack: list[int] = []
        for at, (kind, said) in enumerate(tokens):
            if said in {"(", "[", "{"}:
                stack.append(at)
            elif said in _CLOSES:
                opens[at] = stack.pop() if stack else 0
            elif said in {"of", "in"} and at:
                self._given.add(tokens[at - 1][1])
                self._closed |= tokens[at - 1][0] != "name"
            elif said in {"function", "catch"}:
                self._parameters(tokens, at)
            elif said == "=>":
                self._parameters(tokens, opens.get(at - 1, at - 1))
            elif kind == "mark" and said.endswith("=") and said not in _COMPARES:
                name = _target(tokens, at - 1, opens)
                joined = said == "+=" and (tokens[at + 1 : at + 2] or [("", "")])[0][0] == "text"
                place = at + 1 if said == "=" or joined else len(tokens)
                self._assigned.setdefault(name, []).append((tokens, place))
                self._closed |= not name

    def _parameters(self, tokens: Tokens, start: int) -> None:
        for at in range(start, min(start + _SIGNATURE, len(tokens))):
            if tokens[at][1] == ")":
                return
            self._given.add(tokens[at][1])
        self._closed |= start + _SIGNATURE < len(tokens)


def _outside(tokens: Tokens) -> bool:
    return any(
        said in _OUTSIDE if kind == "name" else said[1:-1] in _OUTSIDE
        for kind, said in tokens
        if kind in {"name", "text"}
    )


def _value(tokens: Tokens, at: int) -> frozenset[str] | None:
    """Return the names that an expression is made of; None where it is more than it may be."""
    if [said for _, said in tokens[at : at + 2]] == ["{", "}"]:
        return frozenset()
    names: set[str] = set()
    added: list[str] = []
    depth, first = 0, at
    while at < len(tokens):
        kind, said = tokens[at]
        if depth == 0 and at > first and (said in _ENDS or _begins(tokens, at)):
            break
        depth += (said in {"(", "["}) - (said in {")", "]"})
        if not _allowed(tokens, at):
            return None
        if kind == "name" and tokens[at - 1][1] != "." and not (depth and _index(tokens, at)):
            names.add(said)
        if depth == 0 and said != "+":
            added.append(said[1:-1] if kind == "text" else _VALUE)
        at += 1
    whole = at > first and depth == 0
    return frozenset(names - {"new"}) if whole and _placed("".join(added)) else None


def _allowed(tokens: Tokens, at: int) -> bool:
    kind, said = tokens[at]
    if kind == "name" and tokens[at - 1][1] == ".":
        return said in _READS
    after = tokens[at + 1 : at + 2]
    if kind == "name":
        made = said == "new" and after == [("name", "Array")]
        return made or not (said in _WORDS or (said in _FREE and after == [("mark", "[")]))
    return kind != "mark" or (said in _MARKS and (said != "+" or _parted(tokens, at)))


def _placed(said: str) -> bool:
    """Return whether values stand where they are text, or a whole value between quotation marks.

    Args:
        said: The texts that are added, with a mark of its own for each value.

    """
    said = re.sub(f"{_VALUE}+", _VALUE, said)
    if re.search(f"{_VALUE}[A-Za-z0-9&=:/-]", said) or re.search(f"[&<]{_VALUE}", said):
        return False
    for at, char in enumerate(said):
        if char == _VALUE:
            start = said.rfind("<", 0, at)
            inside = start > said.rfind(">", 0, at)
            before = said[start:at].replace(_VALUE, "0").replace('"', "'")
            if inside and not (_PLACE.fullmatch(before) and before.count("'") % 2):
                return False
    return said.rfind("<") <= said.rfind(">")


def _begins(tokens: Tokens, at: int) -> bool:
    """Return whether a statement begins at a token, where the one before ends without a semicolon."""
    before = tokens[at - 1]
    ends = before[0] in {"name", "number", "text", "regex"} or before[1] in _CLOSES
    return tokens[at][0] == "name" and ends and before[1] != "new"


def _index(tokens: Tokens, at: int) -> bool:
    """Return whether a name stands alone in brackets behind a value, of which it only chooses a part."""
    return tokens[at - 1][1] == "[" and tokens[at + 1 : at + 2] == [("mark", "]")]


def _parted(tokens: Tokens, at: int) -> bool:
    """Return whether an addition has a written text, or a number, on one side: nothing is joined anew."""
    sides = [tokens[at - 1], *tokens[at + 1 : at + 2]]
    return any(kind == "number" or (kind == "text" and said[1:-1]) for kind, said in sides)


def _target(tokens: Tokens, at: int, opens: dict[int, int]) -> str:
    """Return the first name of what is assigned to; nothing where it is no plain name with its parts."""
    while at >= 0:
        kind, said = tokens[at]
        if said in {")", "]"} and at:
            at = opens.get(at, 0) - 1
        elif kind == "name" and at and tokens[at - 1][1] == ".":
            at -= 2
        else:
            return said if kind == "name" and said not in _WORDS else ""
    return ""
