"""Texts, bytes and numbers that stand in Python source, put together as the program would; nothing is run.

Each operation is bounded: no value grows past `MOST` letters, bytes or parts, and decompression stops there.
"""

import base64
import binascii
import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any

from lockgate.inspect.inspectors.python_places import HOLE

Constant = str | bytes | int | tuple[Any, ...] | None
MOST = 64 << 10
_BITS = 4096
_FEWEST = 2
_PLAIN_WORDS = """
replace strip lstrip rstrip split lower upper swapcase decode encode hex translate splitlines removeprefix
removesuffix title rsplit
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())
"""Methods whose result grows no more than their arguments say."""
_MEMORY = 64 << 20
"""Most memory that decompression asks for, in bytes."""
_UNKNOWN = re.compile(r"%[sdrx]")
"""Where a format takes a value: a hole, where the value is not known."""
_WIDE = re.compile(r"%(?![sdrxc%])")
"""What formats with a width or by a name."""


def fits(value: object) -> Constant:
    """Return a value where it is a constant within the bounds."""
    if isinstance(value, bytearray):
        value = bytes(value)
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if value.bit_length() <= _BITS else None
    if isinstance(value, str | bytes | tuple) and len(value) <= MOST:
        return value
    return None


def added(left: Constant, right: Constant) -> Constant:
    """Return a sum; text and something unknown make a text with a hole."""
    if isinstance(left, str) or isinstance(right, str):
        one = left if isinstance(left, str) else HOLE
        other = right if isinstance(right, str) else HOLE
        return fits(one + other) if len(one) + len(other) <= MOST else None
    if isinstance(left, bytes | int | tuple) and type(left) is type(right) and _small(left) and _small(right):
        return fits(left + right)  # type: ignore[operator]  # of one type
    return None


def _small(value: Constant) -> bool:
    return isinstance(value, int) or (value is not None and len(value) <= MOST)


def combined(sign: str, left: Constant, right: Constant) -> Constant:
    """Return what an operator makes of two constants; nothing where it is not known."""
    if sign == "Add":
        return added(left, right)
    if sign == "Div":
        return joined_path((left, right))
    if sign == "Mod" and isinstance(left, str) and right is None:
        return _UNKNOWN.sub(HOLE, left)
    return None if left is None or right is None else _of_both(sign, left, right)


def _of_both(sign: str, left: Constant, right: Constant) -> Constant:
    if sign == "Mult":
        return _times(left, right)
    if sign == "Mod" and isinstance(left, str):
        return _formatted(left, right)
    if isinstance(left, int) and isinstance(right, int):
        return _numbers(sign, left, right)
    return None


def _times(left: Constant, right: Constant) -> Constant:
    if isinstance(left, int) and not isinstance(right, int):
        left, right = right, left
    if not isinstance(right, int) or left is None:
        return None
    if isinstance(left, int):
        return fits(left * right)
    return fits(left * right) if len(left) * max(0, right) <= MOST else None


def _numbers(sign: str, left: int, right: int) -> Constant:
    done: dict[str, Callable[[int, int], int]] = {
        "Sub": int.__sub__, "BitXor": int.__xor__, "BitAnd": int.__and__, "BitOr": int.__or__,
    }  # fmt: skip
    if sign in done:
        return fits(done[sign](left, right))
    if right > 0 and sign in {"Mod", "FloorDiv"}:
        return left % right if sign == "Mod" else left // right
    if 0 <= right < 64 and sign in {"LShift", "RShift"}:  # noqa: PLR2004  # bits of a word
        return fits(left << right if sign == "LShift" else left >> right)
    return None


def _formatted(pattern: str, given: Constant) -> Constant:
    parts = given if isinstance(given, tuple) else (given,)
    said = [part if isinstance(part, str | int) else HOLE for part in parts]
    if (
        _WIDE.search(pattern)
        or sum(len(part) for part in said if isinstance(part, str)) + len(pattern) > MOST
    ):
        return None
    try:
        return fits(pattern % tuple(said))
    except (TypeError, ValueError, OverflowError):
        return _UNKNOWN.sub(HOLE, pattern)


def joined_path(parts: tuple[Constant, ...]) -> Constant:
    """Return a path of its parts, with holes for what is not known."""
    said = [part if isinstance(part, str) else HOLE for part in parts]
    if all(part == HOLE for part in said) or sum(map(len, said)) > MOST:
        return None
    return "/".join(part.rstrip("/\\") if part not in {"/", "\\"} else "" for part in said)


def method(value: Constant, name: str, given: tuple[Constant, ...]) -> Constant:
    """Return what a method of a text or of bytes makes; nothing where that is not known."""
    if name == "join" and isinstance(value, str | bytes) and given and isinstance(given[0], tuple | str):
        return _joined(value, given[0])
    if isinstance(value, str) and name == "format":
        return value.replace("{}", HOLE) if None in given or HOLE in value else _braced(value, given)
    if any(part is None for part in given) or (isinstance(value, str) and HOLE in value):
        return (
            value if isinstance(value, str) and name in {"strip", "lower", "rstrip", "expanduser"} else None
        )
    if name not in _PLAIN or not isinstance(value, str | bytes):
        return None
    return _by_method(value, name, given) if _bounded(value, name, given) else None


def _bounded(value: str | bytes, name: str, given: tuple[Constant, ...]) -> bool:
    """Return whether a method makes little of little, and in little time."""
    if name == "replace" and len(given) > 1 and isinstance(given[1], str | bytes):
        return len(given[1]) * (len(value) + 1) <= MOST
    if name == "translate":  # a list may have a long text for each letter
        return bool(given) and isinstance(given[0], str | bytes)
    if name in {"encode", "decode"}:  # some codecs take the square of the length
        return not given or given[0] in _CHARSETS
    return True


def _by_method(value: str | bytes, name: str, given: tuple[Constant, ...]) -> Constant:
    try:
        return fits(getattr(value, name)(*given))
    except (TypeError, ValueError, LookupError, AttributeError):
        return None


def _braced(value: str, given: tuple[Constant, ...]) -> Constant:
    if value.count("{") != value.count("{}") or value.count("{}") > len(given):
        return None
    for part in given:
        value = value.replace("{}", str(part) if isinstance(part, str | int) else HOLE, 1)
        if len(value) > MOST:
            return None
    return value


def _joined(by: str | bytes, parts: tuple[Any, ...] | str) -> Constant:
    if isinstance(by, str) and all(isinstance(part, str) for part in parts):
        size = sum(map(len, parts)) + len(by) * len(parts)
        return fits(by.join(parts)) if size <= MOST else None
    if isinstance(by, bytes) and isinstance(parts, tuple) and all(isinstance(part, bytes) for part in parts):
        size = sum(map(len, parts)) + len(by) * len(parts)
        return fits(by.join(parts)) if size <= MOST else None
    return None


def part_of(value: Constant, key: Constant) -> Constant:
    """Return one part of a text or of a list."""
    if isinstance(value, str | bytes | tuple) and isinstance(key, int) and -len(value) <= key < len(value):
        return fits(value[key])
    return None


def sliced(value: Constant, bounds: tuple[int | None, ...]) -> Constant:
    """Return a slice of a text, of bytes or of a list."""
    if not isinstance(value, str | bytes | tuple) or bounds[2:] == (0,):
        return None
    return fits(value[slice(*bounds)])


def made(name: str, given: tuple[Constant, ...]) -> Constant:
    """Return what a function of Python's own makes of constants; nothing where that is not known."""
    first = given[0] if given else None
    function = _MADE.get(name)
    if first is None or function is None or (isinstance(first, str) and HOLE in first):
        return None
    try:
        return fits(function(*given))
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, EOFError):
        return None
    except (zlib.error, lzma.LZMAError, OSError):
        return None


def _bytes(value: Constant, *_: Constant) -> Constant:
    if isinstance(value, str):
        return value.encode()
    return None if value is None or isinstance(value, int) else bytes(value)


def _unpacked(maker: Callable[[], Any]) -> Callable[..., bytes]:
    def unpack(data: bytes, *_: Constant) -> bytes:
        return bytes(maker().decompress(data, MOST))

    return unpack


def _int(value: Constant, base: Constant = 10) -> int:
    text = str(value)[:400]
    return int(text, base if isinstance(base, int) else 10)


_CODECS = frozenset(
    {"rot13", "rot_13", "hex", "hex_codec", "base64", "base64_codec", "utf-8", "utf8", "ascii"}
)


_CHARSETS = frozenset(
    {
        "utf-8",
        "utf8",
        "UTF-8",
        "utf_8",
        "ascii",
        "latin-1",
        "latin1",
        "iso-8859-1",
        "utf-16",
        "utf-16-le",
        "utf-16le",
    }
)


def _decode(value: Any, codec: Constant = "utf-8", *_: Constant) -> Constant:  # what codecs take
    if codec not in _CODECS:
        return None
    if isinstance(value, str) and codec not in {"rot13", "rot_13"}:
        value = value.encode("ascii")
    return fits(codecs.decode(value, codec))


def _repeated(value: Any, *_: Constant) -> tuple[Any, ...]:  # a text or a list
    return tuple(value)


_MADE: dict[str, Callable[..., Any]] = {
    "builtins.chr": chr,
    "builtins.ord": ord,
    "builtins.len": len,
    "builtins.str": lambda value, *_: value if isinstance(value, str) else str(value)[:MOST],
    "builtins.int": _int,
    "builtins.hex": hex,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.list": _repeated,
    "builtins.tuple": _repeated,
    "builtins.reversed": lambda value: tuple(value)[::-1],
    "builtins.bytes.fromhex": bytes.fromhex,
    "builtins.bytearray.fromhex": bytes.fromhex,
    "base64.b64decode": lambda value, *_: base64.b64decode(value),
    "base64.urlsafe_b64decode": base64.urlsafe_b64decode,
    "base64.b32decode": base64.b32decode,
    "base64.b16decode": base64.b16decode,
    "base64.b85decode": base64.b85decode,
    "base64.a85decode": base64.a85decode,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "zlib.decompress": _unpacked(zlib.decompressobj),
    "bz2.decompress": _unpacked(bz2.BZ2Decompressor),
    "lzma.decompress": _unpacked(lambda: lzma.LZMADecompressor(memlimit=_MEMORY)),
    "gzip.decompress": _unpacked(lambda: zlib.decompressobj(31)),
    "codecs.decode": _decode,
}
"""Functions by their names."""


def numbers(value: Constant) -> bool:
    """Return whether a constant is a list of numbers, as which a text may be written."""
    return isinstance(value, tuple) and len(value) > _FEWEST and all(isinstance(part, int) for part in value)
