"""Text as the knowledge room sees it: one canonical form, words, numbers."""

import re
import unicodedata

_DROPPED = frozenset(
    [
        "\u200b",  # zero-width space
        "\u2060",  # word joiner
        "\ufeff",  # byte order mark
        "\u00ad",  # soft hyphen
        *map(chr, range(0x200E, 0x2010)),  # direction marks
        *map(chr, range(0x202A, 0x202F)),  # direction embeddings and overrides
        *map(chr, range(0x2066, 0x206A)),  # direction isolates
        *map(chr, range(0xE0000, 0xE0080)),  # tags
    ]
)
_SPACES = re.compile(r"[^\S\n]+")
_WORD = re.compile(r"\w+(?:[.,:]\d+)*", re.UNICODE)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def words_in(text: str) -> frozenset[str]:
    """Return the words of a text that lists them, divided by spaces."""
    return frozenset(text.split())


STOP_WORDS = words_in(
    "a about all also am an and any are as at be been before being below between both but by can could did do"
    " does doing done each for from get gets had has have having he her here his how i if in into is it its"
    " itself just long made make many may me much must my of off often on one only or other our out over own"
    " per she should so some such take takes tell than that the their them then there these they this"
    " those to under until up us use used very was we were what when where which while who whom whose why"
    " will with would you your happen happens please give given mean means according handbook"
)
"""Words that say nothing about what a sentence is about."""

NEGATIONS = words_in("not no never nobody nothing none neither nor cannot without")
"""Words that turn a statement round."""

_SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_VALUES = (*range(21), *range(30, 100, 10))
_NUMERALS = {word: str(value) for word, value in zip(_SPELLED.split(), _VALUES, strict=True)}


def canonical(text: str) -> str:
    r"""Return text in the form that spans count in.

    Unicode normalisation form C (UAX #15), line ends as ``\n``, other white space as single
    spaces, none at the ends of lines, at most one empty line in a row, none at either end;
    control, surrogate, direction, tag and invisible characters removed.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    kept = "".join(
        char
        for char in text
        if char in "\n\t" or (char not in _DROPPED and unicodedata.category(char) not in {"Cc", "Cs", "Co"})
    )
    lines = (_SPACES.sub(" ", line).strip() for line in unicodedata.normalize("NFC", kept).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def one_line(text: str) -> str:
    """Return canonical text with its line ends as spaces."""
    return canonical(text).replace("\n\n", " ").replace("\n", " ")


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case, in order."""
    return _WORD.findall(text.casefold().replace("\u2019", "'"))


_SPELLINGS = (("litre", "liter"), ("metre", "meter"), ("centre", "center"), ("colour", "color"))


def stem(word: str) -> str:
    """Return a word without the commonest English endings, so that kindred forms meet.

    It is coarse on purpose; the lexical index uses Porter's stemmer on its own.
    """
    if word[0].isdigit():
        return _plain(word)
    if len(word) <= 3:  # noqa: PLR2004 - short words have no endings
        return word
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if ending == "s" and word.endswith(("ss", "us", "is")):
            continue
        rest = len(word) - len(ending)
        if word.endswith(ending) and rest >= 3:  # noqa: PLR2004 - a stem keeps three letters
            word = word[:rest] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":  # noqa: PLR2004 - the same
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word  # noqa: PLR2004 - the same


def content_words(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, numbers as digits, in order of appearance."""
    seen = dict.fromkeys(
        _NUMERALS.get(word) or stem(word)
        for word in tokens(text)
        if word not in STOP_WORDS and (len(word) > 1 or word.isalnum())
    )
    return list(seen)


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of a text; numerals in words count as digits, leading zeros and commas do not."""
    found = _NUMBER.findall(text)
    spelled = (_NUMERALS[word] for word in tokens(text) if word in _NUMERALS and word != "one")
    return frozenset(_plain(number) for number in (*found, *spelled))


def _plain(number: str) -> str:
    number = number.replace(",", "")
    return number.lstrip("0") or "0" if number.isdigit() else number


def spelled_numbers(text: str) -> frozenset[str]:
    """Return the numbers that a text spells in words, as digits."""
    return frozenset(_NUMERALS[word] for word in tokens(text) if word in _NUMERALS)


def negates(text: str) -> bool:
    """Tell whether a text has a negation."""
    return any(word in NEGATIONS for word in tokens(text)) or "n't" in text.casefold().replace("\u2019", "'")
