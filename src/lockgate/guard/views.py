"""The ways to read a text that people and models read too: spelled out, encoded, reversed."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.guard.undressed import undressed
from lockgate.scoring.normalise import TEXT_LIMIT, folded, normalise

VIEWS_LIMIT = 16
"""Most encoded parts of one text that are decoded."""

DEPTH = 2
"""How often what was decoded is looked at for encoded parts again."""

PART_LIMIT = 64 * 1024
"""Longest encoded part that is decoded, in characters."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ ,:]?){12,}|(?:(?:0x|\\x|%)[0-9A-Fa-f]{2}[ ,;]?){8,}")
_HEX_SIGNS = re.compile(r"0x|\\x|[^0-9A-Fa-f]")
_PRINTABLE = 0.9


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text: how it was come by, its plain form, and whether it is worth a score."""

    how: str
    text: str
    scored: bool = True


def views(text: str, plain: str) -> Iterator[View]:
    """Yield the readings of a text, its plain form first.

    Args:
        text: As it came.
        plain: Its plain form.

    """
    yield View("plain", plain)
    for how, read, scored in undressed(folded(text[:TEXT_LIMIT]).lower(), plain):
        yield View(how, read, scored)
    for how, decoded in _decoded(text, DEPTH):
        yield View(how, normalise(decoded).text)


def _decoded(text: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the encoded parts of a text, decoded, and what those hold."""
    count = 0
    for how, pattern, decode in (("base64", _BASE64, _from_base64), ("hex", _HEX, _from_hex)):
        for match in pattern.finditer(text):
            if count == VIEWS_LIMIT:
                return
            decoded = decode(match[0][:PART_LIMIT])
            if decoded is None:
                continue
            count += 1
            yield how, decoded
            if depth > 1:
                yield from ((f"{how}+{inner}", more) for inner, more in _decoded(decoded, depth - 1))


def _from_base64(part: str) -> str | None:
    plain = part.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return _printable(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    except binascii.Error:
        return None


def _from_hex(part: str) -> str | None:
    digits = _HEX_SIGNS.sub("", part)
    return _printable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _printable(data: bytes) -> str | None:
    """Return decoded bytes as text when they are one that people could read."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 3:
            return None
        text = data[: error.start].decode("utf-8")
    shown = sum(char.isprintable() or char.isspace() for char in text)
    return text if text and shown >= _PRINTABLE * len(text) else None
