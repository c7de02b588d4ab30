"""Where sentences end: in whole texts, and in texts that arrive piece by piece."""

import re
from collections.abc import Iterator

from lockgate.knowledge.text import words_in

SENTENCE_LIMIT = 2000
"""Longest sentence in characters; a longer one is cut at a space."""

_BORDER = re.compile(r"""[.!?\u2026]+["'\u201d\u2019)\]*_`]*(?=\s)|\n""")
_ABBREVIATIONS = words_in("e.g i.e etc no approx ca cf dr mr mrs ms st vs fig sec")
_WORD_BEFORE = re.compile(r"[\w.]*$")


def _ends(text: str, last: int, border: re.Match[str]) -> bool | None:
    """Tell whether a border ends the sentence that began at `last`; None: not known yet."""
    if border.group() == "\n":
        return True
    rest = text[border.end() :].lstrip(" \t")
    if not rest:
        return None
    before = _WORD_BEFORE.search(text, max(last, border.start() - 24), border.start())
    word = before.group().lower() if before else ""
    if word in _ABBREVIATIONS and border.group() == "." and not rest.startswith("\n"):
        return False
    if word.isdigit() and border.group() == "." and text[last : border.start()].strip() == word:
        return rest.startswith("\n")  # the number of an item in a list
    return not rest[0].islower()


def _cuts(text: str, *, whole: bool) -> Iterator[int]:
    """Yield the ends of the finished sentences of a text, in order."""
    last = 0
    for border in _BORDER.finditer(text):
        while border.end() - last > SENTENCE_LIMIT:
            last = _forced(text, last)
            yield last
        ends = _ends(text, last, border)
        if ends is None and not whole:
            return
        if ends:
            last = border.end()
            yield last
    while len(text) - last > SENTENCE_LIMIT:
        last = _forced(text, last)
        yield last


def _forced(text: str, start: int) -> int:
    space = text.rfind(" ", start + 1, start + SENTENCE_LIMIT)
    return space if space > start else start + SENTENCE_LIMIT


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return the spans of the sentences between two offsets, without white space at their ends."""
    part = text[start:end]
    spans: list[tuple[int, int]] = []
    last = 0
    for cut in (*_cuts(part, whole=True), len(part)):
        piece = part[last:cut]
        lead = len(piece) - len(piece.lstrip())
        if stripped := piece.strip():
            begin = start + last + lead
            spans.append((begin, begin + len(stripped)))
        last = cut
    return spans


class SentenceSplitter:
    """Splits a text that arrives in pieces, however it is cut into them.

    What it returns, joined, is what it was fed: white space between two sentences stands at the
    beginning of the second.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held = ""

    def feed(self, text: str) -> list[str]:
        """Take more text and return the sentences that are finished by it."""
        self._held += text
        done: list[str] = []
        last = 0
        for cut in _cuts(self._held, whole=False):
            if self._held[last:cut].strip():
                done.append(self._held[last:cut])
                last = cut
        self._held = self._held[last:]
        return done

    def finish(self) -> list[str]:
        """Return what is left, as one last sentence."""
        rest, self._held = self._held, ""
        return [rest] if rest else []
