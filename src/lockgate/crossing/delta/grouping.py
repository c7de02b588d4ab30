"""Differences of 16-bit numbers in groups: writing them (`grouped` reads them). Planning only (low side).

Zstandard's entropy coder gives each symbol a whole number of bits. For differences of one or two bits that
wastes a tenth, which several of them in one byte do not; and each magnitude has a code of its own.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lockgate.crossing.delta.grouped import SHARED, magnitudes
from lockgate.crossing.delta.packing import packed_numbers
from lockgate.crossing.delta.varints import pack

_RARE: Final = 0.002
"""Share of a group that may be escapes, which take two bytes each."""

_COARSER: Final = 3
_FINE: Final = 48
"""Where numbers have more magnitudes than that, they have few bits of exponent: those are put together."""

Array = npt.NDArray[Any]


def write_grouped(differences: bytes, reference: bytes) -> bytes:
    """Return zigzag differences of 16-bit numbers in the order of the magnitudes of the base."""
    shift = 0 if len(set(magnitudes(reference))) <= _FINE else _COARSER
    keys = np.frombuffer(magnitudes(reference, shift), np.uint8)
    numbers = np.frombuffer(differences, "<u2")
    settings, heads, lows, escapes = bytearray(), list[bytes](), list[bytes](), list[bytes]()
    for key in np.unique(keys):  # one order of all of them would take four times their memory
        group = numbers[keys == key]
        bits, values = _setting(group)
        settings += bytes((bits, values - 1))
        found = group >> bits
        large = found >= values - 1
        escapes.append(found[large].tobytes())
        heads.append(_shared(np.where(large, values - 1, found), values, SHARED[values]))
        if bits:
            lows.append(_shared(group & ((1 << bits) - 1), 1 << bits, 8 // bits))
    parts = [packed_numbers(part) for part in ([bytes(settings)], heads, lows, [b"".join(escapes)])]
    return bytes([shift]) + pack(len(part) for part in parts[:-1]) + b"".join(parts)


def _setting(group: Array) -> tuple[int, int]:
    """Return a group's number of low bits, and how many values a head has."""
    rare = int(len(group) * _RARE)
    # All but the rare ones are not larger.
    common = int(np.partition(group, len(group) - 1 - rare)[len(group) - 1 - rare])
    bits = max(0, common.bit_length() - 8)
    return bits, next(values for values in SHARED if common < values - 1 or values == max(SHARED))


def _shared(numbers: Array, values: int, count: int) -> bytes:
    """Return numbers, each one of so many values, with several in a byte."""
    rows = np.pad(numbers, (0, -len(numbers) % count)).reshape(-1, count)
    weights = np.array([values**n for n in range(count)], np.uint16)
    return np.asarray((rows * weights).sum(axis=1), np.uint8).tobytes()
