"""Text of others, fit to be read by people: what hides in it, or moves what stands beside it, is written out.

A name, a path or a reason can hold characters that a terminal obeys (ECMA-48), that turn the order of what
follows (UAX #9), that end a line, or that nobody sees. Who reads such a text before signing or acting would
read something else than what it says.
"""

import re

SAID_LIMIT = 4096
"""Most characters of one text that an error shows."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters without a picture that Python counts as printable (fillers, variation selectors, a blank)."""

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, ends of lines, changes of direction, halves of characters."""


def visible(text: str) -> str:
    r"""Return a text in one line in which every character is seen: others are written as in ``\u202e``."""
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(c if c.isprintable() and not _UNSEEN.match(c) else _escaped(c) for c in text)


def shortened(text: str, limit: int = SAID_LIMIT) -> str:
    """Return a text that is no longer than a limit, and ends in a sign where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def tame(text: str) -> str:
    """Return a text, of several lines too, with a sign in place of each character that a terminal obeys."""
    return _OBEYED.sub(REPLACEMENT, text)


def tame_json(text: str) -> str:
    r"""Return JSON with what a terminal obeys written as ``\uXXXX``, which stands for the same characters.

    Args:
        text: JSON without line feeds and tabs between its tokens; such characters are in strings alone.

    """
    return _OBEYED.sub(lambda found: _escaped_json(found[0]), text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _escaped_json(char: str) -> str:
    return f"\\u{ord(char):04x}"
