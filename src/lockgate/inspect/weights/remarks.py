"""What stands out among the tensors of a comparison. Pure; each remark says the numbers that it rests on."""

from collections.abc import Mapping, Sequence
from statistics import median

from lockgate.core.weights import MILLION, SHOWN_REMARKS, Fate, Remark, TensorFacts
from lockgate.inspect.weights.sketch import RANK, random_share

REPLACED = MILLION // 2
"""Relative change from which a tensor counts as another one, in parts per million."""

STANDS_OUT = 8
"""How many times the median relative change makes a tensor stand out."""

LEAST = MILLION // 1000
"""Relative change below which nothing stands out, in parts per million."""

ROW_SHARE = MILLION // 20
ROW_TIMES = 50
"""A row stands out with this share of the change, when that is this many times its fair share."""

FEW_ROWS = 100
"""At most one row in so many changed: few rows."""

SCALE_TIMES = 2
LOW_RANK = 9 * MILLION // 10
MOST = 0.9
_SEVERAL = 2
_SHORTEST = 32


def remarks(facts: Sequence[TensorFacts], moved: Mapping[str, str]) -> tuple[Remark, ...]:
    """Return what stands out, the gravest first, within the bound.

    Args:
        facts: Of every tensor that is not equal.
        moved: Of tensors that were replaced, which other tensor held these very bytes before.

    """
    changed = [each for each in facts if each.fate is Fate.CHANGED]
    usual = median([each.relative for each in changed if each.norm] or [0])
    found: list[Remark] = []
    for each in changed:
        found += _rows(each)
        found += _size(each, usual, moved)
        found += _scale(each)
        if each.not_finite:
            why = f"{each.not_finite} elements are no finite number."
            found.append(Remark(code="weights-not-finite", where=each.name, why=why))
    found += _spectra(changed)
    for fate in (Fate.ADDED, Fate.REMOVED, Fate.RECAST):
        found += [_other(each) for each in facts if each.fate is fate]
    ordered = sorted(found, key=lambda each: (_ORDER.index(each.code), each.where))
    if len(ordered) > SHOWN_REMARKS:
        why = f"{len(ordered) - SHOWN_REMARKS + 1} more remarks are not shown."
        ordered[SHOWN_REMARKS - 1 :] = [Remark(code="weights-more", where="", why=why)]
    return tuple(ordered)


_ORDER = (
    "weights-row", "weights-moved", "weights-not-finite", "weights-replaced", "weights-stands-out",
    "weights-scale", "weights-removed", "weights-recast", "weights-added", "weights-noise",
    "weights-low-rank",
)  # fmt: skip


def _rows(each: TensorFacts) -> list[Remark]:
    if each.rows < _SHORTEST or each.elements == each.rows:
        return []
    few = each.rows_changed * FEW_ROWS <= each.rows
    fair = MILLION / each.rows
    if not few and not (each.top_row_share >= ROW_SHARE and each.top_row_share >= ROW_TIMES * fair):
        return []
    part = f"{each.top_row_share / 10_000:.3g} %"
    why = f"Row {each.top_row} holds {part} of the change; {each.rows_changed} of {each.rows} rows changed."
    return [Remark(code="weights-row", where=each.name, why=why)]


def _size(each: TensorFacts, usual: float, moved: Mapping[str, str]) -> list[Remark]:
    said = f"The change is {each.relative / 10_000:.3g} % of the norm before"
    if each.name in moved:
        why = f"It holds the very bytes of {moved[each.name]} before."
        return [Remark(code="weights-moved", where=each.name, why=why[:240])]
    if each.relative >= REPLACED:
        return [Remark(code="weights-replaced", where=each.name, why=f"{said}: it is another tensor.")]
    if each.relative >= max(LEAST, STANDS_OUT * usual):
        why = f"{said}; the median of changed tensors is {usual / 10_000:.3g} %."
        return [Remark(code="weights-stands-out", where=each.name, why=why)]
    return []


def _scale(each: TensorFacts) -> list[Remark]:
    if not each.scales:
        return []
    before, after, _, _ = (float(text) for text in each.scales)
    if before and after and 1 / SCALE_TIMES <= after / before <= SCALE_TIMES:
        return []
    why = f"The mean block scale went from {each.scales[0]} to {each.scales[1]}."
    return [Remark(code="weights-scale", where=each.name, why=why)]


def _spectra(changed: Sequence[TensorFacts]) -> list[Remark]:
    """Return whether the changes as a whole look like noise, or like a merged adapter."""
    shapes = [(each, *_sides(each)) for each in changed if each.spectrum]
    # Below some size `RANK` directions hold most of any change, so that it would say nothing.
    told = [(e, r, c) for e, r, c in shapes if e.relative < REPLACED and random_share(r, c) < MOST / 2]
    if len(told) < _SEVERAL:
        return []
    low = sum(each.spectrum_share >= LOW_RANK for each, _, _ in told)
    flat = sum(each.spectrum_share <= 1.1 * MILLION * random_share(r, c) for each, r, c in told)
    found = []
    if low >= MOST * len(told):
        why = (
            f"In {low} of {len(told)} changed matrices {RANK} directions hold nine tenths of the change,"
            " as with a merged adapter."
        )
        found.append(Remark(code="weights-low-rank", where="", why=why))
    if flat >= MOST * len(told):
        why = f"The change of {flat} of {len(told)} changed matrices has no direction, as noise has none."
        found.append(Remark(code="weights-noise", where="", why=why))
    return found


def _sides(each: TensorFacts) -> tuple[int, int]:
    return each.rows, each.elements // max(1, each.rows)


def _other(each: TensorFacts) -> Remark:
    if each.fate is Fate.ADDED:
        return Remark(code="weights-added", where=each.name, why=f"New: {each.dtype[1]} {each.shape[1]}.")
    if each.fate is Fate.REMOVED:
        return Remark(code="weights-removed", where=each.name, why=f"Gone: {each.dtype[0]} {each.shape[0]}.")
    why = f"{each.dtype[0]} {each.shape[0]} became {each.dtype[1]} {each.shape[1]}."
    return Remark(code="weights-recast", where=each.name, why=why[:240])
