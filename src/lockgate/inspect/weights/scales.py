"""Scales of quantised blocks: where ggml's block structures keep them (``ggml-common.h``)."""

import numpy as np
import numpy.typing as npt

from lockgate.inspect.weights.tables import Place
from lockgate.inspect.weights.values import WINDOW, Source

_SCALE_AT = {
    "Q4_0": 0, "Q4_1": 0, "Q5_0": 0, "Q5_1": 0, "Q8_0": 0, "Q8_1": 0, "Q2_K": 80, "Q3_K": 108, "Q4_K": 0,
    "Q5_K": 0, "Q6_K": 208, "IQ2_XXS": 0, "IQ2_XS": 0, "IQ3_XXS": 0, "IQ1_S": 0, "IQ4_NL": 0, "IQ3_S": 0,
    "IQ2_S": 0, "IQ4_XS": 0, "TQ1_0": 52, "TQ2_0": 64,
}  # fmt: skip
"""Type → where in its block the half-precision scale stands."""


def scales(old: Source, new: Source, before: Place, after: Place) -> tuple[str, ...]:
    """Return the mean scale before and after, then the largest before and after; nothing where none is."""
    if after.dtype not in _SCALE_AT or not after.size:
        return ()
    one, two = _of(old, before), _of(new, after)
    return tuple(format(value, ".6g") for value in (one[0], two[0], one[1], two[1]))


def _of(source: Source, place: Place) -> tuple[float, float]:
    """Return the mean and the largest absolute scale; what is no finite number counts as nought."""
    total, largest, at = 0.0, 0.0, _SCALE_AT[place.dtype]
    count = place.size // place.block
    step = max(1, WINDOW // place.block)
    for first in range(0, count, step):
        last = min(count, first + step)
        start, end = place.start + first * place.block, place.start + last * place.block
        blocks = source.raw(start, end, 1).reshape(-1, place.block)
        half = np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16)
        sizes: npt.NDArray[np.float64] = np.abs(np.nan_to_num(half.astype(np.float64), posinf=0, neginf=0))
        total += float(sizes.sum())
        largest = max(largest, float(np.max(sizes, initial=0.0)))
        source.forget(start, end)
    return total / max(1, count), largest
