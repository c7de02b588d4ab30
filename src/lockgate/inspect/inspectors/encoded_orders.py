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
from urllib.parse import unquote

_PACKED = re.compile(r"[A-Za-z0-9+/]{48,4000}={0,2}")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{48,4000}={0,6}")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ :]?){24,4000}")
_PACKS = 4096
"""Most texts in each of the three that are read."""
_ROTATED = re.compile(
    r"vafgehpgvba|cebzcg|\brot-?13\b|\bcaesar\b|\bshift(?:ed)?\s+(?:by\s+)?13\b", re.IGNORECASE
)
"""Words of orders in rot13, or what tells a reader to undo it."""
_BACKWARDS = re.compile(r"noitcurtsni|tpmorp", re.IGNORECASE)
_LETTER_BY_NUMBER = re.compile(
    r"&#(?:x(?:[46][1-9a-f]|[57][0-9a])|6[5-9]|[78]\d|90|9[7-9]|1[01]\d|12[0-2]);?"
    r"|\\u00(?:[46][1-9a-f]|[57][0-9a])|\\x(?:[46][1-9a-f]|[57][0-9a])|%(?:[46][1-9a-f]|[57][0-9a]|20)",
    re.IGNORECASE,
)
"""A letter of the Latin alphabet, or a space in an address, written by its number."""
_ESCAPE = re.compile(r"\\(?:u00|x)([0-9a-fA-F]{2})")


def decoded(text: str) -> Iterator[tuple[str, int]]:
    """Yield what a text says in another writing, and where that stands."""
    for pattern, undo in ((_PACKED, _of_base64), (_BASE32, _of_base32), (_HEXADECIMAL, _of_hexadecimal)):
        for found in islice(pattern.finditer(text), _PACKS):
            if said := undo(found[0]):
                yield said, found.start()
    if rotated := _ROTATED.search(text):
        yield codecs.encode(text, "rot13"), rotated.start()
    if backwards := _BACKWARDS.search(text):
        yield text[::-1], backwards.start()
    if by_number := _LETTER_BY_NUMBER.search(text):
        lines = "\n".join(line for line in text.splitlines() if _LETTER_BY_NUMBER.search(line))
        yield _ESCAPE.sub(lambda by: chr(int(by[1], 16)), unquote(html.unescape(lines))), by_number.start()


def _of_base64(text: str) -> str:
    return _said(base64.b64decode, text[: len(text) // 4 * 4])


def _of_base32(text: str) -> str:
    bare = text.rstrip("=")
    return _said(base64.b32decode, bare + "=" * (-len(bare) % 8))


def _of_hexadecimal(text: str) -> str:
    return _said(bytes.fromhex, text.replace(":", ""))


def _said(undo: Callable[[str], bytes], text: str) -> str:
    """Return what a text says in another writing; nothing where it is none, or no text."""
    try:
        return undo(text).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
