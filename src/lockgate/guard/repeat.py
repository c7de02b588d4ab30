"""Notices when an answer repeats a system prompt word for word."""

import re
from dataclasses import dataclass

WORDS = 16
"""So many words of a system prompt, in its order, count as repeating it."""

PLACES = 64
"""Most places of one word in a system prompt that are followed."""

_LONGEST = 256
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class _Run:
    length: int
    began: int


class RepeatWatch:
    """Follows a streamed text through the words of a system prompt."""

    def __init__(self, system: str) -> None:
        """Learn the words; a prompt with fewer than `WORDS` is not followed."""
        words = [match[0].lower() for match in _WORD.finditer(system)]
        self._words = words if len(words) >= WORDS else []
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(self._words):
            places = self._places.setdefault(word, [])
            if len(places) < PLACES:
                places.append(place)
        self._runs: dict[int, _Run] = {}
        self._part = ""
        self._place = 0
        self.found = False

    def feed(self, text: str) -> None:
        """Take more of the text; its last word counts once it has ended."""
        if not self._words:
            return
        joined, start = self._part + text, self._place - len(self._part)
        self._place += len(text)
        self._part = ""
        for match in _WORD.finditer(joined):
            if match.end() == len(joined):
                self._part = match[0][-_LONGEST:]
            else:
                self._take(match[0].lower(), start + match.start())

    def finish(self) -> None:
        """Take the last word."""
        if self._part:
            self._take(self._part.lower(), self._place - len(self._part))

    def _take(self, word: str, place: int) -> None:
        runs: dict[int, _Run] = {}
        for at in self._places.get(word, ()):
            before = self._runs.get(at - 1)
            runs[at] = _Run(before.length + 1, before.began) if before else _Run(1, place)
            self.found |= runs[at].length >= WORDS
        self._runs = runs

    def begins(self) -> int | None:
        """Return where the longest run of repeated words began, when it has a quarter of them."""
        long = [run.began for run in self._runs.values() if run.length >= WORDS // 4]
        return min(long, default=None)
