"""GF(2^8) in tables, for what erasure.py's library does not do: small matrices and single columns."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_POLYNOMIAL = 0x11D
_ORDER = 255


@cache
def products() -> Bytes:
    """Return the product of every two elements (256 by 256)."""
    powers, logs = np.zeros(2 * _ORDER, np.uint8), np.zeros(_ORDER + 1, np.int64)
    value = 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = value
        logs[value] = exponent
        value <<= 1
        if value > _ORDER:
            value ^= _POLYNOMIAL
    table: Bytes = powers[logs[:, None] + logs[None, :]]
    table[0, :] = table[:, 0] = 0
    return table


@cache
def inverses() -> Bytes:
    """Return the multiplicative inverse of every element; 0 stands at 0."""
    found: Bytes = np.argmax(products() == 1, axis=1).astype(np.uint8)
    return found


@cache
def checks(data: int, parity: int) -> Bytes:
    """Return the matrix that gives zero for every undamaged stripe: the code's own rows, then ones.

    Args:
        data: Number of data shards.
        parity: Number of parity shards.

    """
    places = (data + np.arange(parity))[:, None] ^ np.arange(data)[None, :]
    return np.concatenate([inverses()[places], np.eye(parity, dtype=np.uint8)], axis=1)


def reducing(columns: Bytes) -> Bytes:
    """Return the square matrix that turns independent columns into the first columns of the identity.

    Raises:
        ValueError: The columns depend on one another.

    """
    table, inverse = products(), inverses()
    height, count = columns.shape
    work = np.concatenate([columns, np.eye(height, dtype=np.uint8)], axis=1)
    for place in range(count):
        candidates = np.flatnonzero(work[place:, place])
        if not len(candidates):
            raise ValueError("The columns depend on one another.")
        pivot = place + int(candidates[0])
        work[[place, pivot]] = work[[pivot, place]]
        work[place] = table[inverse[work[place, place]], work[place]]
        factors = work[:, place].copy()
        factors[place] = 0
        work ^= table[factors[:, None], work[place][None, :]]
    return work[:, count:]


def product(matrix: Bytes, rows: Bytes) -> Bytes:
    """Return a small matrix times rows of bytes."""
    table = products()
    made = np.zeros((len(matrix), rows.shape[1]), np.uint8)
    for number, coefficients in enumerate(matrix):
        for coefficient, row in zip(coefficients, rows, strict=True):
            if coefficient:
                made[number] ^= table[coefficient].take(row)
    return made
