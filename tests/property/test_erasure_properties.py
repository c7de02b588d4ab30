"""Any k of the shards give the data again, compared with the field's own arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.crossing.erasure import SHARDS_LIMIT, code, rows_of

REDUCING = 0x11D


def times(a: int, b: int) -> int:
    """Multiply in GF(2^8), bit by bit, as the format says."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (REDUCING if a & 0x80 else 0)
        b >>= 1
    return product


INVERSE = {a: b for a in range(1, 256) for b in range(1, 256) if times(a, b) == 1}


def encoded(data: int, parity: int, length: int, seed: int) -> np.ndarray:
    shards = np.zeros((data + parity, length), np.uint8)
    shards[:data] = np.random.default_rng(seed).integers(0, 256, (data, length), np.uint8)
    where = rows_of(shards)
    code(data, parity).encode(where[:data], where[data:], length)
    return shards


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 80), st.integers(0, 99))
def test_parity_is_what_the_format_says(data: int, parity: int, length: int, seed: int) -> None:
    shards = encoded(data, parity, length, seed)
    for p in range(parity):
        for at in range(length):
            wanted = 0
            for d in range(data):
                wanted ^= times(INVERSE[(data + p) ^ d], int(shards[d, at]))
            assert shards[data + p, at] == wanted


@given(st.data())
def test_any_k_shards_give_the_data_again(draw: st.DataObject) -> None:
    data = draw.draw(st.integers(1, 200))
    parity = draw.draw(st.integers(1, min(50, SHARDS_LIMIT - data)))
    length = draw.draw(st.integers(1, 300))
    whole = encoded(data, parity, length, draw.draw(st.integers(0, 99)))
    order = draw.draw(st.permutations(range(data + parity)))
    there = set(order[:data])
    lost = [n for n in range(data) if n not in there]
    helpers = [n - data for n in sorted(there) if n >= data]
    broken = whole.copy()
    for n in set(range(data + parity)) - there:
        broken[n] = 0xEE
    code(data, parity).restore(rows_of(broken), lost, helpers, length)
    assert (broken[:data] == whole[:data]).all()


@pytest.mark.parametrize(("data", "parity"), [(0, 1), (200, 56), (1, -1)])
def test_there_is_no_code_of_more_shards_than_the_field_has(data: int, parity: int) -> None:
    with pytest.raises(ValueError, match="no code"):
        code(data, parity)


def test_too_few_parity_shards_are_refused() -> None:
    shards = encoded(4, 2, 8, 1)
    with pytest.raises(ValueError, match="as many"):
        code(4, 2).restore(rows_of(shards), [0, 1], [0], 8)
