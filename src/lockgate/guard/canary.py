r"""Finds a canary in streamed text, however it was cut, spelled or encoded, before it has left.

A canary is a random word that stands in what must not leave (a system prompt, a document). The
text is read as several streams at once: as it is, as hexadecimal, as base64, the last two at each
alignment. An automaton (Aho and Corasick, 1975) follows the canary through each of them, forwards,
reversed and rotated. What could be the beginning of a canary is held back until it is one, or is not.

Declared encodings: separators between characters, mixed case, reversed, rot13, hexadecimal (also
with 0x, \x, % and separators), base64 (standard and URL-safe, broken into lines or spelled out), and
reversed or rot13 inside hexadecimal or base64.
"""

import re
import secrets
import string
from collections import deque
from collections.abc import Sequence

CANARY_LENGTH = 12
CANARY_LIMIT = 16
"""Longest canary, in characters; the delay of the filter grows with it."""

CANARY_SHORTEST = 8
PREFIX = 3
"""Most characters of a canary that leave before it is found, in any declared encoding."""

HOLD = 256
"""Most characters that are held back for a canary; longer ones are those of somebody who evades."""

_ALPHABET = string.ascii_lowercase + string.digits
_WORD = re.compile(rf"[a-z0-9]{{{CANARY_SHORTEST},{CANARY_LIMIT}}}")
_ROT13 = str.maketrans(string.ascii_lowercase, string.ascii_lowercase[13:] + string.ascii_lowercase[:13])
_HEX = {char: int(char, 16) for char in string.hexdigits}
_BASE64 = {
    char: value for value, char in enumerate(string.ascii_uppercase + string.ascii_lowercase + string.digits)
}
_HEX_MARKS = frozenset("xX")


def new_canary() -> str:
    """Return a random canary."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CANARY_LENGTH))


class Automaton:
    """Follows several words through a stream of characters; `depths` says how much of one is seen."""

    def __init__(self, words: Sequence[str]) -> None:
        """Build the states; each word has `CANARY_SHORTEST` to `CANARY_LIMIT` characters of a-z0-9."""
        children: list[dict[str, int]] = [{}]
        self.depths = [0]
        self.ends = [False]
        for word in words:
            if not _WORD.fullmatch(word):
                msg = f"a canary has {CANARY_SHORTEST} to {CANARY_LIMIT} characters of a-z and 0-9"
                raise ValueError(msg)
            state = 0
            for depth, char in enumerate(word, 1):
                if char not in children[state]:
                    children[state][char] = len(children)
                    children.append({})
                    self.depths.append(depth)
                    self.ends.append(False)
                state = children[state][char]
            self.ends[state] = True
        self.steps = self._complete(children)

    def _complete(self, children: list[dict[str, int]]) -> list[dict[str, int]]:
        """Return every state's steps, those over failure links included; no entry leads to the start."""
        steps: list[dict[str, int]] = [dict(child) for child in children]
        failures = [0] * len(children)
        waiting = deque(children[0].values())
        while waiting:
            state = waiting.popleft()
            back = failures[state]
            self.ends[state] |= self.ends[back]
            for char, child in children[state].items():
                failures[child] = steps[back].get(char, 0)
                waiting.append(child)
            steps[state] = {**steps[back], **children[state]}
        return steps


class _Stream:
    """One reading of the text: the automaton's state, and where its last characters came from."""

    __slots__ = ("_automaton", "_from", "found", "state")

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._from: deque[int] = deque(maxlen=CANARY_LIMIT)
        self.state = 0
        self.found = False

    def take(self, char: str, place: int) -> None:
        """Take a character that began at a place of the text."""
        self._from.append(place)
        self.state = self._automaton.steps[self.state].get(char, 0)
        self.found |= self._automaton.ends[self.state]

    def begins(self, least: int) -> int | None:
        """Return where that which could become a canary began, if so much of one is seen."""
        depth = self._automaton.depths[self.state]
        return self._from[-depth] if depth >= least else None


class CanaryWatch:
    """Follows canaries through one streamed text.

    Args:
        canaries: The words; `CANARY_SHORTEST` to `CANARY_LIMIT` characters of a-z and 0-9 each.

    """

    def __init__(self, canaries: Sequence[str]) -> None:
        """Begin at the text's first character."""
        words = [form for word in canaries for form in _forms(word.lower())]
        automaton = Automaton(words)
        self._plain = _Stream(automaton)
        self._hex = [_Stream(automaton), _Stream(automaton)]
        self._marked = _Stream(automaton)
        self._base64 = [_Stream(automaton) for _ in range(4)]
        self._streams = [self._plain, *self._hex, self._marked, *self._base64]
        self._digits: list[tuple[int, int]] = []
        self._expected: list[tuple[int, int]] | None = None
        self._sextets: list[tuple[int, int]] = []
        self._nibbles = 0
        self._letters = 0
        self._place = 0

    @property
    def found(self) -> bool:
        """Tell whether a canary was seen."""
        return any(stream.found for stream in self._streams)

    def feed(self, text: str) -> None:
        """Take more of the text."""
        for char in text:
            if char.isascii() and char.isalnum():
                self._take(char, self._place)
            self._place += 1

    def begins(self, least: int = 1) -> int | None:
        """Return the place (characters from the text's start) from which text is to be held back.

        Args:
            least: How many characters of a canary have to be seen.

        """
        places = [place for stream in self._streams if (place := stream.begins(least)) is not None]
        return min(places, default=None)

    def _take(self, char: str, place: int) -> None:
        self._plain.take(char.lower(), place)
        if char in _HEX:
            self._nibble(_HEX[char], place)
            self._digit(_HEX[char], place)
        else:
            self._digits.clear()
            for stream in self._hex:
                stream.state = 0
            self._expected = [] if char in _HEX_MARKS else None
        self._sextet(_BASE64[char], place)

    def _nibble(self, value: int, place: int) -> None:
        """Feed the two alignments: one of them gets a byte with each digit."""
        self._digits.append((value, place))
        self._nibbles ^= 1
        if len(self._digits) > 1:
            (high, start), (low, _) = self._digits[-2:]
            self._hex[self._nibbles].take(chr(high << 4 | low).lower(), start)
            del self._digits[:-1]

    def _digit(self, value: int, place: int) -> None:
        """Feed the reading in which only the two digits behind an x count, as in 0x41."""
        if self._expected is None:
            return
        self._expected.append((value, place))
        if len(self._expected) == 2:  # noqa: PLR2004  # two digits are one byte
            (high, start), (low, _) = self._expected
            self._marked.take(chr(high << 4 | low).lower(), start)
            self._expected = None

    def _sextet(self, value: int, place: int) -> None:
        """Feed the four alignments: three of them get a byte with each character, the fourth none."""
        self._sextets.append((value, place))
        if len(self._sextets) > 2:  # noqa: PLR2004  # two characters give one byte
            del self._sextets[0]
        if len(self._sextets) == 2:  # noqa: PLR2004
            (first, start), (second, _) = self._sextets
            for phase, stream in enumerate(self._base64):
                position = (self._letters - phase) % 4
                if position:
                    shift = 2 * position
                    byte = (first << shift | second >> (6 - shift)) & 0xFF
                    stream.take(chr(byte).lower(), start)
        self._letters += 1


def _forms(word: str) -> tuple[str, ...]:
    turned = word.translate(_ROT13)
    return (word, word[::-1], turned, turned[::-1])
