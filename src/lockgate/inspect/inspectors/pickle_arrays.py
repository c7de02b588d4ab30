"""Arrays that joblib writes into the middle of a pickle, by the wrapper that announces them.

Format: ``joblib/numpy_pickle.py``, ``NumpyArrayWrapper.read_array``: after the opcode that builds the
wrapper follow, for arrays of numbers, an optional byte with the length of the padding, the padding and
the raw array; for arrays of Python objects another pickle.
"""

import re
from math import prod
from typing import Any, Final

WRAPPER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
OBJECTS: Final = -1
"""Stands for a length where an array of objects follows, as a pickle."""

_TYPE = re.compile(r"[<>|=]?(?P<kind>[A-Za-z?])(?P<size>\d{0,9})")
_UNICODE_BYTES = 4
_MOST_DIMS = 64
_MOST_LENGTH = 1 << 48


def raw_array(state: Any, data: memoryview, at: int) -> int | None:
    """Return how many bytes of the stream belong to an array, `OBJECTS`, or None when nobody can tell.

    Args:
        state: What the wrapper is built from, as far as the walk knows it.
        data: The stream.
        at: Where the array begins.

    """
    if not isinstance(state, dict):
        return None
    size = _element(state.get("dtype"))
    shape = state.get("shape")
    if size is None or not isinstance(shape, tuple) or len(shape) > _MOST_DIMS:
        return None
    if size == OBJECTS:
        return OBJECTS
    if not all(type(item) is int and 0 <= item < _MOST_LENGTH for item in shape):
        return None
    padding = 0
    if state.get("numpy_array_alignment_bytes") is not None:
        padding = 1 + (data[at] if at < len(data) else 0)
    return padding + size * prod(shape)


def _element(made: Any) -> int | None:
    """Return the bytes of one element of ``numpy.dtype(...)``."""
    args = getattr(made, "args", None)
    if not args or str(getattr(made, "what", "")) != "numpy.dtype" or not isinstance(args[0], str):
        return None
    found = _TYPE.fullmatch(args[0])
    if not found:
        return None
    if found["kind"] == "O":
        return OBJECTS
    size = int(found["size"] or 1)
    return size * _UNICODE_BYTES if found["kind"] == "U" else size
