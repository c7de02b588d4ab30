"""Reading a tensor window by window, so that memory stays bounded whatever a file's length."""

import mmap
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from lockgate.inspect.weights.tables import Place

WINDOW = 1 << 20
"""Most elements of one window; a row that is longer is read in parts, and told by no row."""

_PAGE = mmap.PAGESIZE
_WIDTH = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E5M2": 1, "F8_E4M3": 1,
}  # fmt: skip
_PLAIN = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4",
    "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "u1",
}  # fmt: skip
_RAW = {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"}

Reals = npt.NDArray[np.float32]
Raw = npt.NDArray[np.unsignedinteger]


class Source:
    """A mapped file whose pages are let go of behind the reader."""

    def __init__(self, data: memoryview) -> None:
        """Read this content."""
        self.data = data

    def raw(self, start: int, end: int, width: int) -> Raw:
        """Return bytes as unsigned integers, without a copy."""
        return np.frombuffer(self.data[start:end], dtype=_RAW[width])

    def forget(self, start: int, end: int) -> None:
        """Let go of pages that were read; they come back from the file when they are asked for."""
        first, last = start // _PAGE * _PAGE, end // _PAGE * _PAGE
        if isinstance(self.data.obj, mmap.mmap) and last > first:
            with suppress(OSError):
                self.data.obj.madvise(mmap.MADV_DONTNEED, first, last - first)


def width_of(place: Place) -> int:
    """Return how many bytes one element has; 1 for what is compared byte for byte."""
    return 1 if place.block else _WIDTH.get(place.dtype, 1)


def is_real(place: Place) -> bool:
    """Tell whether the elements can be read as numbers."""
    return not place.block and place.dtype in _WIDTH


def columns_of(place: Place) -> int:
    """Return how many elements one row has (bytes for what is compared byte for byte); 0 without rows."""
    count = place.size // width_of(place)
    return count // place.rows if place.rows else 0


def windows(place: Place) -> Iterator[tuple[int, int]]:
    """Yield ranges of elements: whole rows where a row fits into a window."""
    total, columns = place.size // width_of(place), columns_of(place)
    step = WINDOW // columns * columns if 0 < columns <= WINDOW else WINDOW
    for first in range(0, total, step):
        yield first, min(total, first + step)


def by_rows(place: Place) -> bool:
    """Tell whether windows hold whole rows."""
    return 0 < columns_of(place) <= WINDOW and place.rows > 1


def reals(raw: Raw, dtype: str) -> Reals:
    """Return elements as numbers in single precision.

    BF16 is the upper half of F32; the two types of 8 bits are those of the Open Compute Project's
    "8-bit Floating Point Specification" (E5M2 is the upper half of F16).
    """
    if dtype == "BF16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == "F8_E5M2":
        return (raw.astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float32)
    if dtype == "F8_E4M3":
        return _E4M3[raw]
    with np.errstate(all="ignore"):
        return raw.view(_PLAIN[dtype]).astype(np.float32)


def _e4m3() -> Reals:
    """Return the value of every byte as E4M3: bias 7, no infinities, one pattern that is no number."""
    out = np.empty(256, dtype=np.float32)
    for byte in range(256):
        exponent, fraction = byte >> 3 & 15, byte & 7
        size = fraction / 8 * 2.0**-6 if not exponent else (1 + fraction / 8) * 2.0 ** (exponent - 7)
        out[byte] = np.nan if byte & 0x7F == 0x7F else (-size if byte & 0x80 else size)  # noqa: PLR2004  # its not-a-number
    return out


_E4M3 = _e4m3()
