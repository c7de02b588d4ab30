"""Readings of a text whose words were written so that people read them and machines do not.

Letters apart, words cut by hyphens, signs for spaces, no spaces at all, digits for letters, the whole text
reversed or rotated: models read all of these. A reading is offered only where there is something to undo, so
that most texts have none; those that may be chance are scored only where they turn out to be language.
"""

import codecs
import functools
import re
from collections.abc import Iterator

from lockgate.scoring.concepts import stems

ALWAYS = 20_000
"""Longest text that is also read reversed and rotated, in characters."""

LETTERS_LIMIT = 600
"""Most letters without a space that are parted into words."""

_GAP = "\ue000"
_WIDE = re.compile(r"\s{2,}")
_ONE_SIGN = re.compile(r"(?<!\w)\w([.\-_*|/+~])\w(?:\1\w)+(?!\w)")
_SPACED = re.compile(r"(?<!\w)\w(?: \w){3,}(?!\w)")
_SPACED_BETWEEN_GAPS = re.compile(r"(?<!\w)\w(?: \w)+(?!\w)")
_ANY_SIGNS = re.compile(r"(?<!\w)\w(?:[ \t.\-_*|/]{1,3}\w){3,}(?!\w)")
_NOT_A_LETTER = re.compile(r"[\W_]+")
_CUT = re.compile(
    r"(?<![^\W\d_])(?:[^\W\d_]{2,}+(?:[.\-_*|/+~][^\W\d_]++)++|[^\W\d_](?:[.\-_*|/+~][^\W\d_]{2,}+)++)"
)
_SIGNS = re.compile(r"[.\-_*|/+~]")
_WHOLE = re.compile(r"[a-z]{18,}")
_LATIN = re.compile(r"[a-z]")
_DIGITS = str.maketrans("013457@$", "oieastas")
_INNER = re.compile(r"(?<=\w)[!|](?=\w)")
_WORD = re.compile(r"[^\W\d_]+")

_PARTS_OF_A_PHRASE = 4
"""A word with so many parts is a phrase with signs for spaces; one with fewer was cut."""

_FEWEST_CUT, _SHARE_CUT = 3, 4
"""Words are put together where at least so many, and one in so many, are cut."""

_COMMON = frozenset({
    "the", "a", "an", "and", "or", "of", "to", "in", "is", "it", "you", "your", "all", "me", "my", "i",
    "we", "now", "with", "for", "not", "no", "do", "from", "be", "are", "this", "that", "what", "how",
    "as", "at", "by", "on", "have", "has", "will", "can", "must", "only", "say", "tell", "give", "show",
    "write", "print", "please", "new", "here", "ever", "then", "so", "if", "but", "was", "were", "been",
    "any", "every", "der", "die", "das", "und", "ist", "du", "alle", "mir", "mein", "nicht", "mit", "von",
    "wie", "nur", "ich", "den", "le", "la", "les", "et", "est", "tu", "tous", "moi", "ne", "pas", "avec",
    "de", "que", "el", "los", "y", "es", "todo", "con", "un", "una", "il", "lo", "e", "non", "di",
})  # fmt: skip
_SPEAKS = 3
"""A reading is language when it has so many common words, and more than the text as it stands."""


def undressed(text: str, plain: str) -> Iterator[tuple[str, str, bool]]:
    """Yield readings of a text: how each was come by, the reading, and whether it is worth a score.

    Args:
        text: The text without look-alikes and hidden characters, its spaces as they were.
        plain: Its plain form.

    """
    joined = spelled_out(text)
    if joined is not None:
        yield "spelled", joined, True
    if (parted := _parted(joined or plain)) is not None:
        yield "parted", parted, True
    if (whole := _rejoined(plain)) is not None:
        yield "rejoined", whole, True
    if (read := without_leet(plain)) is not None:
        words = plain.split(" ")
        changed = sum(one != other for one, other in zip(words, read.split(" "), strict=True))
        yield "leet", read, changed >= _FEWEST_CUT and changed * _SHARE_CUT >= len(words)
    if len(plain) <= ALWAYS:
        for how, other in (("reversed", plain[::-1]), ("rot13", codecs.encode(plain, "rot13"))):
            yield how, other, _common(other) >= max(_SPEAKS, _common(plain) + 1)


def spelled_out(text: str) -> str | None:
    """Return a text with words that were written letter by letter joined, if there are any.

    Where the gaps between words are wider than those between letters, or letters are parted by another sign,
    words stay apart.
    """
    marked = _WIDE.sub(f" {_GAP} ", text)
    count = 0
    spaced = _SPACED_BETWEEN_GAPS if _GAP in marked and _SPACED.search(marked) else _SPACED
    for pattern in (_ONE_SIGN, spaced, _ANY_SIGNS):
        marked, found = pattern.subn(lambda match: _NOT_A_LETTER.sub("", match[0]), marked)
        count += found
    return " ".join(marked.replace(_GAP, " ").split()) if count else None


def without_leet(plain: str) -> str | None:
    """Return a plain text with digits and signs inside words read as letters, if there are any."""
    read = " ".join(
        _INNER.sub("i", word).translate(_DIGITS) if _LATIN.search(word) else word for word in plain.split(" ")
    )
    return read if read != plain else None


def _rejoined(plain: str) -> str | None:
    """Return a plain text whose cut words are whole, and whose signs between words are spaces."""
    cut = list(_CUT.finditer(plain))
    phrases = sum(len(_SIGNS.findall(match[0])) >= _PARTS_OF_A_PHRASE for match in cut)
    often = len(cut) >= _FEWEST_CUT and len(cut) * _SHARE_CUT >= plain.count(" ") + 1
    if not (phrases or often):
        return None

    def whole(match: re.Match[str]) -> str:
        parts = _SIGNS.split(match[0])
        return (" " if len(parts) >= _PARTS_OF_A_PHRASE else "").join(parts)

    return _CUT.sub(whole, plain)


def _parted(plain: str) -> str | None:
    """Return a plain text whose long runs of letters are parted into words that are known here."""
    left, changed = LETTERS_LIMIT, False

    def words(match: re.Match[str]) -> str:
        nonlocal left, changed
        run = match[0]
        if len(run) > left:
            return run
        left -= len(run)
        found = _words_in(run)
        changed |= len(found) > 1
        return " ".join(found)

    read = _WHOLE.sub(words, plain)
    return read if changed else None


def _words_in(run: str) -> list[str]:
    """Return a run of letters in as few unknown letters, then in as few words, as can be."""
    known = _known()
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(run) + 1):
        ways = [(best[end - 1][0] + 1.0, end - 1)]
        ways += [
            (best[at][0] + 0.4, at) for at in range(max(0, end - _longest()), end - 1) if run[at:end] in known
        ]
        best.append(min(ways))
    parts: list[str] = []
    end = len(run)
    while end:
        at = best[end][1]
        parts.append(run[at:end])
        end = at
    return _attached(parts[::-1])


def _attached(parts: list[str]) -> list[str]:
    """Return parts with single letters at the end of the word that they follow."""
    words: list[str] = []
    for part in parts:
        if len(part) == 1 and words:
            words[-1] += part
        else:
            words.append(part)
    return words


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(
        word for word in (*stems(), *_COMMON) if len(word) > 1 and word.isascii() and word.isalpha()
    )


@functools.cache
def _longest() -> int:
    return max(map(len, _known()))


def _common(plain: str) -> int:
    """Return how many common words a text has, each of them once."""
    return len(_COMMON.intersection(_WORD.findall(plain)))
