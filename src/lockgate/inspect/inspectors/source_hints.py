"""One quick look at Python source or JavaScript that says which of the slow ones are worth while.

What `uses`, `code_signs` and `python_import` look for is put into rules (`hint_rules`) for YARA-X, which
looks for all of it in one pass over the bytes. What it cannot tell is left to the slow look: the rules decide
nothing.
"""

from functools import cache, lru_cache
from unicodedata import is_normalized, normalize

import msgspec

from lockgate.inspect.first_look import Seen, hinted
from lockgate.inspect.inspectors import uses
from lockgate.inspect.inspectors.code_signs import Sign
from lockgate.inspect.inspectors.hint_rules import ACTS, CALLS, DECODES, FLOWS, NAMES_RUN, RUNS, signs_of

_BEGINS = 64
"""Longest beginning that is looked for, in bytes: from 100 on CPython prepares a table for it."""


class Hints(msgspec.Struct, frozen=True):
    """The rules that match one source.

    `whole` says that nothing of it lies past what `uses` looks at, `written` that identifiers are what they
    look like: Python reads them in compatibility form (PEP 3131, NFKC).
    """

    kind: str
    seen: frozenset[str]
    ascii: bool
    whole: bool
    written: bool

    def uses(self, name: str) -> bool | None:
        """Return whether a kind of use is found; None where only the slow look can tell."""
        found = f"use_{name}" in self.seen
        return found if not found or (self.ascii and self.whole) else None

    def signs(self) -> tuple[Sign, ...]:
        """Return the signs that the source may show, in their order."""
        return _signs(self.kind, self.seen)

    def may_act(self) -> bool:
        """Return whether a call can be found that is made at import (`python_import.at_import`)."""
        acts, decodes = ACTS in self.seen, DECODES in self.seen
        if not self.written:
            return acts or (RUNS in self.seen and decodes)
        return (acts and CALLS in self.seen) or (NAMES_RUN in self.seen and (acts or decodes))

    def may_flow(self) -> bool:
        """Return whether values can arrive where they may not (`python_flow.flows`)."""
        return any(rule.startswith(FLOWS) for rule in self.seen)


def hints(raw: bytes, text: str, kind: str, seen: Seen | None = None) -> Hints:
    """Return what one look at a source tells.

    Args:
        raw: The source in UTF-8.
        text: The same as text.
        kind: ``py`` or ``js``.
        seen: What was seen of the content that the source was read from.

    """
    same = seen is not None and seen.kind == kind and seen.raw == raw
    found = seen.hints if seen is not None and same else hinted(raw, kind)
    plain = text.isascii()
    written = plain or is_normalized("NFKC", text)
    if not written and kind == "py":
        found |= hinted(normalize("NFKC", text).encode("utf-8"), kind)
    return Hints(kind, found, plain, len(text) <= uses.SCANNED, written)


@lru_cache(512)
def _signs(kind: str, seen: frozenset[str]) -> tuple[Sign, ...]:
    return tuple(sign for rule, sign in signs_of(kind) if not rule or rule in seen)


@cache
def unruled(kind: str) -> tuple[tuple[tuple[bytes, ...], ...], ...]:
    """Return how words of each sign without a rule begin: groups, each with one that stands in what shows it.

    A source in ASCII on which no rule of its kind matches can show none but these.
    """
    return tuple(
        tuple(tuple(word.encode("ascii")[:_BEGINS] for word in group) for group in sign.needs)
        for sign in _signs(kind, frozenset())
    )
