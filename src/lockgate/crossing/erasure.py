"""Reed-Solomon erasure coding over GF(2^8), computed by ISA-L (docs/adr/0011-erasure-coding-by-isa-l.md).

A systematic Cauchy code: the data shards are sent as they are, and parity shard `p` of `k` data shards
is the sum over `d` of ``inverse((k + p) XOR d) * data[d]`` in GF(2^8) modulo x^8+x^4+x^3+x^2+1. Any `k`
of the shards give all data shards again. It detects no damage: authenticate shards before they come here.

The library works on addresses, so shards may lie anywhere in memory; the calls let other threads run.
"""

import ctypes
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from lockgate.crossing.errors import ErasureLibraryError

SHARDS_LIMIT = 255
"""Most shards of one block, parity included: the field has 255 elements beside zero."""

Addresses = NDArray[np.uint64]
"""Where shards begin in memory."""

_BUNDLED = "libisal-pyeclib.so.2"
_SYSTEM = "libisal.so.2"
_TABLE = 32
"""Bytes of a multiplication table for one coefficient."""


@cache
def _library() -> ctypes.CDLL:
    try:
        packaged = importlib.metadata.files("pyeclib") or []
    except importlib.metadata.PackageNotFoundError:
        packaged = []
    bundled = [str(file.locate()) for file in packaged if file.name == _BUNDLED]
    for name in (*bundled, _SYSTEM):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ErasureLibraryError("Neither the package pyeclib nor the system brings ISA-L.")


def _at(array: NDArray[np.uint8] | Addresses) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def rows_of(array: NDArray[np.uint8]) -> Addresses:
    """Return where each row of a two-dimensional array begins; the bytes of a row lie together."""
    count, stride = array.shape[0], array.strides[0]
    return np.uint64(array.ctypes.data) + np.arange(count, dtype=np.uint64) * np.uint64(stride)


def _combine(coefficients: NDArray[np.uint8], sources: Addresses, targets: Addresses, length: int) -> None:
    """Fill the targets with the given linear combinations of the sources."""
    count, width = coefficients.shape
    tables = np.empty(_TABLE * count * width, np.uint8)
    matrix = np.ascontiguousarray(coefficients)
    _library().ec_init_tables(width, count, _at(matrix), _at(tables))
    _multiply(tables, sources, targets, length)


def _multiply(tables: NDArray[np.uint8], sources: Addresses, targets: Addresses, length: int) -> None:
    _library().ec_encode_data(
        ctypes.c_int(length), len(sources), len(targets), _at(tables), _at(sources), _at(targets)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """A code of `data` and `parity` shards; get one from `code`."""

    data: int
    parity: int
    _matrix: NDArray[np.uint8]
    _tables: NDArray[np.uint8]

    def encode(self, data: Addresses, parity: Addresses, length: int) -> None:
        """Compute the parity shards.

        Args:
            data: Where the data shards begin.
            parity: Where the parity shards go.
            length: Of every shard in bytes.

        """
        if self.parity:
            _multiply(self._tables, np.ascontiguousarray(data), np.ascontiguousarray(parity), length)

    def restore(self, shards: Addresses, lost: Sequence[int], parity: Sequence[int], length: int) -> None:
        """Compute lost data shards in their places.

        Args:
            shards: Where all shards begin, the data shards first.
            lost: Numbers of the data shards that are lost.
            parity: Numbers of parity shards that are there, from 0; as many as are lost.
            length: Of every shard in bytes.

        Raises:
            ValueError: Too few or too many parity shards; the caller counts.

        """
        if len(lost) != len(parity):
            msg = f"{len(lost)} lost shards need as many parity shards, not {len(parity)}"
            raise ValueError(msg)
        if not lost:
            return
        gone = set(lost)
        known = [number for number in range(self.data) if number not in gone]
        used = self._matrix[np.asarray(parity)]
        # First what the parity shards hold of the lost ones alone, then the lost ones from that.
        coefficients = np.hstack([used[:, known], np.eye(len(lost), dtype=np.uint8)])
        sources = shards[[*known, *(self.data + number for number in parity)]]
        middle = np.empty((len(lost), length), np.uint8)
        _combine(coefficients, sources, rows_of(middle), length)
        small = np.ascontiguousarray(used[:, lost])
        inverse = np.empty_like(small)
        if _library().gf_invert_matrix(_at(small), _at(inverse), len(lost)):
            msg = "a part of a Cauchy matrix has no inverse"
            raise ArithmeticError(msg)
        _combine(inverse, rows_of(middle), shards[list(lost)], length)


@lru_cache(maxsize=64)
def code(data: int, parity: int) -> Code:
    """Return the code of that many data and parity shards.

    Raises:
        ValueError: Not from 1 to `SHARDS_LIMIT` shards; the caller has checked what came from outside.
        ErasureLibraryError: ISA-L is not installed.

    """
    if data < 1 or parity < 0 or data + parity > SHARDS_LIMIT:
        msg = f"there is no code of {data} and {parity} shards"
        raise ValueError(msg)
    matrix = np.zeros((data + parity, data), np.uint8)
    _library().gf_gen_cauchy1_matrix(_at(matrix), data + parity, data)
    rows = np.ascontiguousarray(matrix[data:])
    tables = np.empty(_TABLE * data * parity, np.uint8)
    if parity:
        _library().ec_init_tables(data, parity, _at(rows), _at(tables))
    return Code(data, parity, rows, tables)
