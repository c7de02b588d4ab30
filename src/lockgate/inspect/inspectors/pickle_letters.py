"""Pickles among data: as they are, compressed, or as letters in base64 or hexadecimal (RFC 4648)."""

import base64
import binascii
import re
from collections.abc import Iterator

from lockgate.inspect.limits import demand

_BEGINS = re.compile(
    rb"\x80[\x02-\x05]|\(*+c[A-Za-z_][\w.]{0,80}\n[A-Za-z_]"
    rb"|\((?:[SV][^\n]{0,2000}\n)++i[A-Za-z_][\w.]{0,80}\n[A-Za-z_]"
    rb"|\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|BZh[1-9]|\xfd7zXZ\x00"
)
"""How a pickle begins that names what it calls, and what a pickle may be compressed as."""
_FIRSTS = b"\x80(c\x1f\x78B\xfd"
_LEAST, _LONGEST = 24, 8 << 20
"""Fewest letters that can carry a pickle with a call, and how many are read."""
_BASE64, _HEX = re.compile(rb"[A-Za-z0-9+/_-]{24}"), re.compile(rb"[0-9a-fA-F]{24}")
_SPACES, _QUOTES = b" \t\r\n", b"'\""
_URL_LETTERS = bytes.maketrans(b"-_", b"+/")
_WORD = re.compile(
    r"(?<![A-Za-z0-9+/=_-])(?:"
    r"(?:800[2-5]|63[4-7]|28[2-7]|1f8b08|78(?:01|5e|9c|da)|425a68|fd377a)[0-9a-fA-F]{20,65536}"
    r"|(?:gA[I-X]|Y[0-3]|K[C-H]|H4sI|e[AFJN]|Qlpo|[/_]Td6)[A-Za-z0-9+/_-]{20,65536})"
)
"""Words of a text in whose letters something begins as `_BEGINS` says."""
_MOST_WORDS, _SEARCHED = 2_000, 8 << 20


def carried(value: bytes, *, raw: bool) -> bytes:
    """Return the bytes that a value carries when they begin as a pickle does; nothing where it carries none.

    Args:
        value: A text or bytes.
        raw: Whether the value itself may be a pickle.

    """
    if raw and _BEGINS.match(value):
        return value
    bare = value.lstrip(_QUOTES + _SPACES) if len(value) >= _LEAST else b""
    for letters, decode in ((_HEX, _of_hex), (_BASE64, _of_base64)):
        if (found := letters.match(bare)) and decode(found[0])[:1] in _FIRSTS:
            plain = decode(bare[:_LONGEST].rstrip(_QUOTES + _SPACES).translate(None, _SPACES))
            if _BEGINS.match(plain):
                return plain
    return b""


def words(text: str) -> Iterator[tuple[int, bytes]]:
    """Yield where words of a text carry what begins as a pickle does, in characters, and the bytes of it.

    Raises:
        OverLimitError: More of them do than are looked at.

    """
    count = 0
    for found in _WORD.finditer(text, 0, _SEARCHED):
        if raw := carried(found[0].encode("ascii"), raw=False):
            count = demand(count + 1, _MOST_WORDS, "words that may be pickles")
            yield found.start(), raw


def _of_base64(letters: bytes) -> bytes:
    """Return what stands in base64, in either alphabet, as far as it is whole."""
    plain = letters.rstrip(b"=").translate(_URL_LETTERS)
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""


def _of_hex(letters: bytes) -> bytes:
    try:
        return binascii.unhexlify(letters)
    except binascii.Error:
        return b""
