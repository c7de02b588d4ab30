"""Differences of 16-bit numbers in groups: reading them, without numpy (docs/formats/crate-v1.md, "Patches").

Numbers of one magnitude change by like amounts, so the differences of a group take a few bits each. Each is a
*head*, the difference without its lowest bits, and those *low* bits; where they are small, several share a
byte. A head that is too large for its group is an *escape* and stands by itself.
"""

from array import array
from collections.abc import Iterator
from functools import cache
from typing import Final

from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.packing import unpacked
from lockgate.crossing.delta.varints import Numbers, pack

LOW_MOST: Final = 8
"""Most low bits."""

SHIFT_MOST: Final = 7
"""Most bits by which magnitudes are made coarser."""

SHARED: Final = {2: 8, 3: 5, 4: 4, 6: 3, 16: 2, 256: 1}
"""How many heads share a byte, by the number of values that a head has, the escape among them."""

PARTS: Final = 4
"""Settings, heads, low bits, escapes."""

_WIDE: Final = 2
_GROUPS_LIMIT: Final = 256
_DOUBLED: Final = bytes(value << 1 & 0xFF for value in range(256))
_TOP: Final = bytes(value >> 7 for value in range(256))


def magnitudes(reference: bytes, shift: int = 0) -> bytes:
    """Return for each 16-bit number (little-endian) the eight bits below its sign, without the lowest ones.

    They are the exponent of a bfloat16; of a half, without three, too.
    """
    upper, lower = reference[1::2].translate(_DOUBLED), reference[::2].translate(_TOP)
    mixed = int.from_bytes(upper, "little") | int.from_bytes(lower, "little")
    found = mixed.to_bytes(len(upper), "little")
    return found.translate(bytes(value >> shift for value in range(256))) if shift else found


def read_grouped(data: bytes, reference: bytes) -> bytes:
    """Return the differences, each where its number lies.

    Args:
        data: By how many bits magnitudes are shifted (u8), lengths of the first parts, the packed parts.
        reference: The numbers of the base.

    Raises:
        PatchError: The data do not give one difference for each number.

    """
    if not data:
        raise PatchError("Grouped differences are missing.")
    shift, numbers = data[0], Numbers(data[1:])
    lengths = [numbers.next(len(data)) for _ in range(PARTS - 1)]
    at = 1 + len(pack(lengths))
    if shift > SHIFT_MOST or at + sum(lengths) >= len(data) or not all(lengths):
        raise PatchError("Grouped differences end before they say.")
    parts = []
    for length, limit in zip(lengths, (_WIDE * _GROUPS_LIMIT, len(reference), len(reference)), strict=True):
        parts.append(unpacked(data[at : at + length], limit))
        at += length
    parts.append(unpacked(data[at:], len(reference)))
    return _in_place(parts, magnitudes(reference, shift))


def _in_place(parts: list[bytes], keys: bytes) -> bytes:
    settings, heads, lows, escapes = parts
    groups = sorted(set(keys))
    if len(settings) != _WIDE * len(groups) or len(escapes) % _WIDE:
        raise PatchError("Grouped differences have other groups than their base.")
    waiting, head, low = iter(memoryview(escapes).cast("H")), 0, 0
    taken = dict[int, Iterator[int]]()
    for key, bits, values in zip(groups, settings[::2], settings[1::2], strict=True):
        count, shared = keys.count(key), SHARED.get(values + 1)
        if shared is None or bits > LOW_MOST:
            raise PatchError("Grouped differences have a group of no known kind.")
        size, lowest = -(-count // shared), -(-count // (8 // bits)) if bits else 0
        own = _single(heads[head : head + size], values + 1, shared)[:count]
        rest = _single(lows[low : low + lowest], 1 << bits, 8 // bits)[:count] if bits else b""
        head, low = head + size, low + lowest
        if len(own) != count or len(rest) != (count if bits else 0):
            raise PatchError("Grouped differences are too few.")
        taken[key] = iter(_units(own, rest, bits, values, waiting))
    if head != len(heads) or low != len(lows) or next(waiting, None) is not None:
        raise PatchError("Grouped differences are too many.")
    # One pass without a list of places: each number takes the next difference of its magnitude.
    return array("H", map(next, map(taken.__getitem__, keys))).tobytes()


def _single(data: bytes, values: int, count: int) -> bytes:
    """Return numbers one by one of which several share a byte."""
    return data if count == 1 else b"".join(map(_digits(values, count).__getitem__, data))


@cache
def _digits(values: int, count: int) -> tuple[bytes, ...]:
    """Return for each byte the numbers that share it, the lowest digit first."""
    powers = [values**n for n in range(count)]
    return tuple(bytes(byte // power % values for power in powers) for byte in range(256))


def _units(heads: bytes, lows: bytes, bits: int, escape: int, escapes: Iterator[int]) -> "array[int]":
    number = int.from_bytes(_widened(heads), "little") << bits
    if bits:
        number |= int.from_bytes(_widened(lows), "little")
    units = array("H", number.to_bytes(_WIDE * len(heads), "little"))
    at = heads.find(escape)
    while at >= 0:
        head = next(escapes, -1)
        if not 0 <= head <= 0xFFFF >> bits:
            raise PatchError("Grouped differences have too few escapes, or too large ones.")
        units[at] = head << bits | (lows[at] if bits else 0)
        at = heads.find(escape, at + 1)
    return units


def _widened(data: bytes) -> bytes:
    wide = bytearray(_WIDE * len(data))
    wide[::2] = data
    return bytes(wide)
