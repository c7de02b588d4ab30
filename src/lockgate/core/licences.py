"""Licence expressions (SPDX specification 2.3, annex D), judged by which identifiers a site accepts."""

import re
from collections.abc import Callable

EXPRESSION_LIMIT = 2048
"""Longest expression that is read, in characters; a longer one is not acceptable."""

_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.+:-]+)")
_DEPTH = 16
_WORDS = frozenset({"and", "or", "with", "(", ")"})


def acceptable(expression: str, accepts: Callable[[str], bool]) -> bool:
    """Tell whether somebody who accepts some licences may use what is under an expression.

    ``OR`` needs one side, ``AND`` both, and ``X WITH Y`` counts as ``X``: exceptions only permit more.
    What is no expression is not acceptable, nor is one that says nothing (``NOASSERTION``, unknown).

    Args:
        expression: As the artifact names it.
        accepts: Tells whether one identifier, in lower case, is accepted.

    """
    if len(expression) > EXPRESSION_LIMIT:
        return False
    tokens, at = [], 0
    text = expression.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return False
        tokens.append(found.group(1).lower())
        at = found.end()
    reader = _Reader(tokens, accepts)
    try:
        return reader.either(0) and not reader.left
    except ValueError:
        return False


class _Reader:
    """Reads an expression from left to right; every part is read, whatever was decided before it."""

    def __init__(self, tokens: list[str], accepts: Callable[[str], bool]) -> None:
        self.left = tokens[::-1]
        self._accepts = accepts

    def _next_is(self, word: str) -> bool:
        if self.left and self.left[-1] == word:
            self.left.pop()
            return True
        return False

    def either(self, depth: int) -> bool:
        found = self._both(depth)
        while self._next_is("or"):
            found = self._both(depth) or found
        return found

    def _both(self, depth: int) -> bool:
        found = self._one(depth)
        while self._next_is("and"):
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        if depth > _DEPTH or not self.left:
            msg = "no expression"
            raise ValueError(msg)
        if self._next_is("("):
            found = self.either(depth + 1)
            if not self._next_is(")"):
                msg = "a bracket is open"
                raise ValueError(msg)
            return found
        name = self.left.pop()
        if name in _WORDS:
            msg = "no identifier"
            raise ValueError(msg)
        if self._next_is("with") and (not self.left or self.left.pop() in _WORDS):
            msg = "no exception"
            raise ValueError(msg)
        return name not in {"unknown", "noassertion", "none"} and self._accepts(name)
