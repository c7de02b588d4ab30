"""JavaScript as tokens, with what belongs together: brackets, functions, and the ends of expressions.

Lexical grammar of ECMA-262, 15th edition, clause 12, read leniently: what does not read is left out, since a
token too few only hides what patterns still see. A template counts as the sum of its parts. All of it is
linear in the source.
"""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<space>[^\S\n\u2028\u2029]+|//[^\n]*|/\*[\s\S]*?\*/|^\#![^\n]*)|(?P<line>[\n\u2028\u2029])"""
    r"""|(?P<text>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')"""
    r"""|(?P<number>\.?\d[\w.]*)|(?P<name>[A-Za-z_$\u0080-\U0010ffff][\w$]*)"""
    r"""|(?P<mark>=>|\?\.(?!\d)|\.\.\.|===?|!==?|\+\+|--|[*&|?]{2}=?|[+*%&|^<>/-]=|.)"""
)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+/[a-z]{0,8}")
_CHUNK = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*")
_BEFORE_VALUES = frozenset(["return", "typeof", "case", "in", "of", "do", "else", "void", "await", "yield"])
_OPERANDS = frozenset({"name", "number", "text", "regex"})
_CLOSES = {")": "(", "]": "[", "}": "{"}
_STOPS = frozenset({";", ",", ")", "]", "}"})
_STEPS = 120
"""How many steps an expression or a chain of calls is followed, with a bracket as one step."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function by where its parts stand."""

    name: str
    parameters: list[str]
    start: int
    body: int
    end: int


@dataclass(slots=True)
class Source:
    """The tokens of a source."""

    kinds: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)
    """Whether a line begins before a token."""
    at: list[int] = field(default_factory=list)
    pairs: dict[int, int] = field(default_factory=dict)
    """Where the bracket stands that belongs to one."""

    def word(self, at: int) -> str:
        """Return what a token says; nothing past the ends."""
        return self.said[at] if 0 <= at < len(self.said) else ""

    def end(self, at: int) -> int:
        """Return where the expression ends that begins at a token."""
        for _ in range(_STEPS):
            if at >= len(self.said) or self.said[at] in _STOPS:
                return at
            at = self.pairs.get(at, at) + 1
            if (
                at < len(self.said)
                and self.fresh[at]
                and self.kinds[at] in _OPERANDS
                and (self.kinds[at - 1] in _OPERANDS or self.said[at - 1] in _CLOSES)
            ):
                return at
        return at

    def chain(self, at: int) -> int:
        """Return where the chain of names, calls and parts begins that ends at a token."""
        for _ in range(_STEPS):
            if self.said[at] in {")", "]"}:
                at = self.pairs.get(at, at)
                if at and (self.kinds[at - 1] == "name" or self.said[at - 1] in {")", "]"}):
                    at -= 1
                    continue
            if self.word(at - 1) in {".", "?."} and at > 1:
                at -= 2
                continue
            return at
        return at

    def arguments(self, at: int) -> list[tuple[int, int]]:
        """Return where the arguments stand of a call whose bracket opens at a token."""
        out: list[tuple[int, int]] = []
        stop, at = self.pairs.get(at, at), at + 1
        for _ in range(_STEPS):
            if at >= stop:
                break
            end = min(self.end(at), stop)
            out.append((at, end))
            at = max(end, at) + 1
        return out


def read(text: str) -> Source:
    """Return the tokens of a source."""
    out = Source()
    templates: list[int] = []
    opened: list[int] = []
    at, fresh = 0, True
    while at < len(text):
        found = _TOKEN.match(text, at)
        kind, said = (found.lastgroup or "", found[0]) if found else ("space", text[at])
        if said == "/" and not _divides(out) and (regex := _REGEX.match(text, at)):
            kind, said = "regex", regex[0]
        at += len(said)
        if kind in {"space", "line"}:
            fresh = fresh or kind == "line" or "\n" in said
            continue
        if said == "`" or (said == "}" and templates and templates[-1] == len(opened)):
            if said == "}":
                templates.pop()
                _close(out, opened, ")", at)
                _add(out, "mark", "+", at)
            chunk = _CHUNK.match(text, at)
            part = chunk[0] if chunk else ""
            at += len(part)
            _add(out, "text", f'"{part}"', at, fresh=fresh and said == "`")
            if text.startswith("${", at):
                _add(out, "mark", "+", at)
                opened.append(len(out.said))
                _add(out, "mark", "(", at)
                templates.append(len(opened))
                at += 2
            else:
                at += 1
        elif said in _CLOSES:
            _close(out, opened, said, at)
        else:
            if said in {"(", "[", "{"}:
                opened.append(len(out.said))
            _add(out, kind, said, at - len(said), fresh=fresh)
        fresh = False
    return out


def _add(out: Source, kind: str, said: str, at: int, *, fresh: bool = False) -> None:
    out.kinds.append(kind)
    out.said.append(said)
    out.fresh.append(fresh)
    out.at.append(at)


def _close(out: Source, opened: list[int], said: str, at: int) -> None:
    if opened and out.said[opened[-1]] == _CLOSES[said]:
        start = opened.pop()
        out.pairs[start], out.pairs[len(out.said)] = len(out.said), start
    _add(out, "mark", said, at)


def _divides(out: Source) -> bool:
    if not out.said:
        return False
    if out.kinds[-1] == "name":
        return out.said[-1] not in _BEFORE_VALUES
    return out.kinds[-1] in _OPERANDS or out.said[-1] in _CLOSES


def functions(source: Source) -> list[Function]:
    """Return the functions of a source, in the order of their beginnings."""
    out: list[Function] = []
    for at, said in enumerate(source.said):
        made = None
        if said == "=>":
            made = _arrow(source, at)
        elif said == "{" and source.word(at - 1) == ")":
            made = _plain(source, at)
        if made:
            out.append(made)
    return sorted(out, key=lambda item: item.start)


def _arrow(source: Source, at: int) -> Function:
    start = source.pairs.get(at - 1, at - 1)
    name = source.word(start - 2 - (source.word(start - 1) == "async")) if _given(source, start) else ""
    block = source.word(at + 1) == "{"
    end = source.pairs.get(at + 1, at + 1) if block else source.end(at + 1)
    return Function(name, _names(source, start, at), start, at + 1, end)


def _given(source: Source, start: int) -> bool:
    before = source.word(start - 1 - (source.word(start - 1) == "async"))
    return before == "="


_BLOCKS = frozenset({"if", "for", "while", "switch", "with"})


def _plain(source: Source, at: int) -> Function | None:
    start = source.pairs.get(at - 1, at - 1)
    before = source.word(start - 1)
    if source.pairs.get(at) is None or before in _BLOCKS:
        return None
    name = before if before not in {"function", "*"} else ""
    if before == "function" and source.word(start - 2) in {"=", ":"}:
        name = source.word(start - 3)
    return Function(name, _names(source, start, at - 1), start, at, source.pairs[at])


def _names(source: Source, start: int, end: int) -> list[str]:
    stop = min(end, start + _STEPS)
    return [source.said[at] for at in range(start, stop) if source.kinds[at] == "name"]
