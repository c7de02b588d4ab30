"""Sentences in another writing: base64, base32, hexadecimal, rot13, backwards, and by escapes.

A model reads them as easily as any other; people do not. Each writing is undone only where it shows itself,
so that a text is gone through once for each. Sources: RFC 4648; RFC 3986, 2.1; HTML, 13.5.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote

_PACKED = re.compile(r"[A-Za-z0-9+/]{48,4000}={0,2}")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{48,4000}={0,6}")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ :]?){24,4000}")
_NUMBERS = re.compile(
    r"(?:0x[0-9a-fA-F]{2}[\s,]{1,3}){23,4000}0x[0-9a-fA-F]{2}|(?:[01]{8}[ ,]{1,2}){23,4000}[01]{8}"
    r"|(?<![\d.])(?:(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])[ ,]{1,2}){23,4000}\d{2,3}"
)
"""Letters by their numbers: hexadecimal, binary or decimal."""
_WRAPPED = re.compile(r"(?:^[A-Za-z0-9+/]{16,100}\r?\n){1,200}[A-Za-z0-9+/]{4,100}={0,2}$", re.MULTILINE)
_TURNED = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}
_BYTE = 8
_PACKS = 4096
"""Most texts in each of the three that are read."""
_ROTATED = ("vafgehpgvba", "cebzcg", "rot13", "rot-13", "caesar", "shift 13", "shift by 13", "shifted by 13")
"""Words of orders in rot13, or what tells a reader to undo it."""
_TURNED_BACK = ("rot47", "rot-47")
_BACKWARDS = ("noitcurtsni", "tpmorp")
_SPACE = re.compile(r"32[ ,]|0x20|00100000")
"""A space by its number, without which no sentence is written so."""
_LETTER_BY_NUMBER = re.compile(
    r"&#(?:x(?:[46][1-9a-f]|[57][0-9a])|6[5-9]|[78]\d|90|9[7-9]|1[01]\d|12[0-2]);?"
    r"|\\u00(?:[46][1-9a-f]|[57][0-9a])|\\U000000(?:[46][1-9a-f]|[57][0-9a])|\\x(?:[46][1-9a-f]|[57][0-9a])|%(?:[46][1-9a-f]|[57][0-9a]|20)",
    re.IGNORECASE,
)
"""A letter of the Latin alphabet, or a space in an address, written by its number."""
_ESCAPE = re.compile(r"\\(?:u00|U000000|x)([0-9a-fA-F]{2})")


def decoded(text: str) -> Iterator[tuple[str, int]]:
    """Yield what a text says in another writing, and where that stands."""
    for pattern, undo in _WRITINGS:
        if pattern is _NUMBERS and not _SPACE.search(text):
            continue
        for found in islice(pattern.finditer(text), _PACKS):
            if said := undo(found[0]):
                yield said, found.start()
    low = text.lower()
    if (at := _first(low, _ROTATED)) >= 0:
        yield codecs.encode(text, "rot13"), at
    if (at := _first(low, _TURNED_BACK)) >= 0:
        yield text.translate(_TURNED), at
    if (at := _first(low, _BACKWARDS)) >= 0:
        yield text[::-1], at
    if by_number := _LETTER_BY_NUMBER.search(text):
        lines = "\n".join(line for line in text.splitlines() if _LETTER_BY_NUMBER.search(line))
        yield _ESCAPE.sub(lambda by: chr(int(by[1], 16)), unquote(html.unescape(lines))), by_number.start()


def _first(text: str, words: tuple[str, ...]) -> int:
    """Return where the first of some words stands that a text has; -1 where it has none."""
    return next((at for at in map(text.find, words) if at >= 0), -1)


def _of_base64(text: str) -> str:
    return _said(base64.b64decode, text[: len(text) // 4 * 4])


def _of_base32(text: str) -> str:
    bare = text.rstrip("=")
    return _said(base64.b32decode, bare + "=" * (-len(bare) % 8))


def _of_hexadecimal(text: str) -> str:
    return _said(bytes.fromhex, text.replace(":", ""))


def _of_wrapped(text: str) -> str:
    return _of_base64("".join(text.split()))


def _of_numbers(text: str) -> str:
    numbers = text.replace(",", " ").split()
    base = 16 if numbers[0].startswith("0x") else 2 if len(numbers[0]) == _BYTE else 10
    return _said(bytes, [int(number, base) for number in numbers])


def _said(undo: Callable[[Any], bytes], text: Any) -> str:
    """Return what a text says in another writing; nothing where it is none, or no text."""
    try:
        return undo(text).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


_WRITINGS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_PACKED, _of_base64),
    (_WRAPPED, _of_wrapped),
    (_BASE32, _of_base32),
    (_HEXADECIMAL, _of_hexadecimal),
    (_NUMBERS, _of_numbers),
)
