"""Numbers of a tensor against the base's: differences by element, split into planes of bytes.

The data begin with the element's width and the operation (one byte each), then the packed planes.
Elements of 2 and 4 bytes (little-endian) may be subtracted: signed differences, small ones as small
unsigned numbers (zigzag); others are exclusive-ored. Differences of 2 bytes may be in groups (`grouped`)
instead of planes.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.grouped import read_grouped
from lockgate.crossing.delta.packing import packed_numbers, unpacked

XOR = 0
SUBTRACT = 1
GROUPED = 2
MOST_WIDTH = 256
_SUBTRACTED = (2, 4)
_HALF = 2
_BLOCK = 64 * 1024
"""Bytes that are added at once; a multiple of every width that is added."""


def lanes(size: int, width: int, value: int) -> int:
    """Return a long integer with the same value in each element."""
    return int.from_bytes(value.to_bytes(width, "little") * (size // width), "little")


def split(data: bytes, width: int) -> bytes:
    """Return the planes of elements of `width` bytes, the lowest bytes first; what is left over follows."""
    whole = len(data) - len(data) % width
    return b"".join(data[place:whole:width] for place in range(width)) + data[whole:]


def join(planes: bytes, width: int) -> bytes:
    """Undo `split`."""
    count = len(planes) // width
    out = bytearray(planes)
    for place in range(width):
        out[place : count * width : width] = planes[place * count : (place + 1) * count]
    return bytes(out)


def write_planes(differences: bytes, width: int, operation: int) -> bytes:
    """Return a segment's data from differences by element."""
    return bytes([width - 1, operation]) + packed_numbers([split(differences, width)])


def read_planes(data: bytes, size: int, reference: bytes) -> bytes:
    """Return the content of a planes segment.

    Raises:
        PatchError: Malformed, or of another length than its reference.

    """
    if len(data) < 3 or len(reference) != size:  # noqa: PLR2004  # width, operation, and something packed
        raise PatchError("A tensor of a patch has another length than its base.")
    width, operation = data[0] + 1, data[1]
    if operation == GROUPED:
        if width != _HALF or size % width:
            raise PatchError("A tensor of a patch is in groups that only 16-bit numbers have.")
        differences = read_grouped(data[2:], reference)
        return b"".join(_each(add_differences, differences, reference, width))
    differences = join(unpacked(data[2:], size), width)
    if len(differences) != size:
        raise PatchError("A tensor of a patch has another length than it says.")
    if operation == XOR:
        return b"".join(_each(_exclusive_or, differences, reference, width))
    if operation != SUBTRACT or width not in _SUBTRACTED or size % width:
        raise PatchError("A tensor of a patch was taken apart in no known way.")
    return b"".join(_each(add_differences, differences, reference, width))


def _each(
    operation: Callable[[bytes, bytes, int], bytes], differences: bytes, reference: bytes, width: int
) -> Iterator[bytes]:
    """Yield what an operation gives, block by block: long integers take several times their length."""
    for at in range(0, len(reference), _BLOCK):
        yield operation(differences[at : at + _BLOCK], reference[at : at + _BLOCK], width)


def _exclusive_or(left: bytes, right: bytes, _width: int) -> bytes:
    mixed = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return mixed.to_bytes(len(right), "little")


def add_differences(zigzagged: bytes, reference: bytes, width: int) -> bytes:
    """Return reference plus signed differences, element by element, without carries between them."""
    size, bits = len(reference), 8 * width
    ones, top, low = _masks(size, width)
    number = int.from_bytes(zigzagged, "little")
    signs = number & ones
    negative = (signs << bits) - signs  # all ones where the difference is negative
    signed = ((number >> 1) & low) ^ negative
    base = int.from_bytes(reference, "little")
    total = ((signed & low) + (base & low)) ^ ((signed ^ base) & top)
    return total.to_bytes(size, "little")


@lru_cache(maxsize=2)
def _masks(size: int, width: int) -> tuple[int, int, int]:
    """Return long integers with the lowest bit of each element, with the highest, and with all but that."""
    ones = lanes(size, width, 1)
    top = ones << (8 * width - 1)
    return ones, top, top - ones
