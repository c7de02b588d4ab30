"""One plain form of a text: what people see, without what only machines read.

All of six public guardrails were passed by tag characters, zero-width characters, variation
selectors and look-alike letters. So text is brought to one form before anything looks at it, and
what was hidden in it is read as a text of its own. The form serves rules and scores only: what
goes on to a model is the caller's text, or the caller's text without its invisible characters.

Sources: UAX #15 (NFKC), UAX #9 (bidirectional controls), UTS #39 (confusables), UTS #51 (emoji
tag sequences).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

TEXT_LIMIT = 4 << 20
"""Longest text that is normalised, in characters."""

_TAG_BASE, _TAG_FIRST, _TAG_LAST = 0xE0000, 0xE0020, 0xE007E
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SUBDIVISION_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{3,6}\U000e007f")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_SELECTOR_RUN = re.compile(f"[{_SELECTORS}]{{2,}}")
INVISIBLE = re.compile(
    f"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    f"\u3164\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f{_SELECTORS}]"
)
"""Characters without a shape of their own, joiners and selectors included."""

_UNITS = re.compile(f"{_SUBDIVISION_FLAG.pattern}|[\\x00-\\x7f]+|.", re.DOTALL)
_UNFINISHED = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{0,6}\\Z")

_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
_LOOSE_MARKS = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Marks that belong to no letter which has a form with them: they are piled on letters to part words."""

_MARKED = frozenset({"LATIN", "GREEK", "CYRILLIC"})

# Letters of other scripts that are drawn like Latin ones (a selection of UTS #39, confusables.txt).
_LOOK_ALIKES = str.maketrans(
    "авекмнорстухсіјѕԁһԛԝАВЕКМНОРСТУХІЈЅԌԚԜαβεικνορτυχωγΑΒΕΖΗΙΚΜΝΟΡΤΥΧɑɡıℓ",
    "abekmhopctyxcijsdhqwABEKMHOPCTYXIJSGQWabeikvoptuxwyABEZHIKMNOPTYXagil",
)


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text in its plain form.

    Attributes:
        text: What people see: NFKC, without invisible characters, look-alikes folded, one space
            between words, lower case.
        hidden: What was written in characters that nobody sees (tags, runs of variation
            selectors), decoded; empty where there was nothing.
        invisible: How many invisible characters were taken out.

    """

    text: str
    hidden: str
    invisible: int


def normalise(text: str) -> Normalised:
    """Return a text's plain form.

    Args:
        text: At most `TEXT_LIMIT` characters are looked at; callers bound what they take.

    """
    text = text[:TEXT_LIMIT]
    if text.isascii():
        return Normalised(_SPACES.sub(" ", text).strip().lower(), "", 0)
    kept = _SUBDIVISION_FLAG.sub("\U0001f3f4", text)
    hidden = " ".join(part for part in _hidden(kept) if part.strip())
    seen, invisible = INVISIBLE.subn("", kept)
    plain = folded(seen)
    return Normalised(_SPACES.sub(" ", plain).strip().lower(), hidden, invisible)


def folded(text: str) -> str:
    """Return a text without invisible characters and look-alikes, its spaces and case as they were."""
    if text.isascii():
        return text
    plain = _LOOSE_MARKS.sub("", unicodedata.normalize("NFKC", INVISIBLE.sub("", text)))
    return _WORD.sub(lambda match: _folded(match[0]), plain)


def visible(text: str, before: str = "") -> tuple[str, int]:
    """Return a text without the characters that carry nothing for people, and how many those were.

    Joiners and single selectors that shape emoji and scripts stay; so do the flags of UTS #51.

    Args:
        text: The text.
        before: The character that stands before it.

    """
    if text.isascii():
        return text, 0
    kept: list[str] = []
    taken = 0
    for part in _UNITS.findall(text):
        previous = kept[-1][-1] if kept else before
        if len(part) > 1 or not INVISIBLE.match(part) or _shapes(part, previous):
            kept.append(part)
        else:
            taken += 1
    return "".join(kept), taken


def unfinished(text: str) -> int:
    """Return from where a text has to wait for more before `visible` can judge its end."""
    match = _UNFINISHED.search(text)
    return match.start() if match else len(text)


def _shapes(char: str, before: str) -> bool:
    """Tell whether an invisible character shapes what stands before it."""
    if not before:
        return False
    if char in "\u200c\u200d":  # joiners, between letters of some scripts and in emoji
        return before == "\ufe0f" or not (before.isascii() or INVISIBLE.match(before))
    keycap = before in "0123456789#*"
    return char in "\ufe0e\ufe0f" and (keycap or not (before.isascii() or INVISIBLE.match(before)))


def _hidden(text: str) -> Iterator[str]:
    """Yield what tags and runs of variation selectors spell."""
    for run in _TAGS.findall(text):
        yield "".join(chr(ord(char) - _TAG_BASE) for char in run)
    for run in _SELECTOR_RUN.findall(text):
        data = bytes(_selector(ord(char)) for char in run)
        yield data.decode("utf-8", errors="ignore")


def _selector(code: int) -> int:
    """Return the byte that a variation selector is used for: VS1 is 0, VS256 is 255."""
    return code - 0xFE00 if code < _TAG_BASE else code - 0xE0100 + 16


def _folded(word: str) -> str:
    """Return a word without marks on its letters, in one script where it mixes look-alikes."""
    if word.isascii():
        return word
    bare = "".join(_bare(char) for char in word)
    folded = bare.translate(_LOOK_ALIKES)
    # A word stays in its script unless all of it can be read as Latin.
    return folded if folded.isascii() else bare


def _bare(char: str) -> str:
    if char.isascii():
        return char
    parts = unicodedata.normalize("NFD", char)
    if len(parts) == 1 or unicodedata.name(parts[0], "").split(" ")[0] not in _MARKED:
        return (
            ""
            if unicodedata.category(char) == "Mn" and unicodedata.combining(char) in {1, 230, 220}
            else char
        )
    return parts[0]
