"""What changed in one tensor: norms, changed elements, the rows that changed most, the spectrum."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lockgate.core.weights import MILLION, Fate, TensorFacts
from lockgate.inspect.tally import printable
from lockgate.inspect.weights.scales import scales
from lockgate.inspect.weights.sketch import Sketch, directions, sketched
from lockgate.inspect.weights.tables import Place
from lockgate.inspect.weights.values import (
    Raw,
    Reals,
    Source,
    by_rows,
    columns_of,
    is_real,
    reals,
    width_of,
    windows,
)

NAME_LENGTH = 160
MOST_ROWS = 4_000_000
"""Most rows of a tensor whose change is looked at by rows."""

_LARGEST_SHARE = 1 << 53


@dataclass(slots=True)
class _Sums:
    before: float = 0.0
    after: float = 0.0
    change: float = 0.0
    elements: int = 0
    changed: int = 0
    not_finite: int = 0
    rows: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    rows_changed: int = 0


def number(value: float) -> str:
    """Return a number as documents hold it."""
    return format(value, ".6g")


def share(part: float, whole: float) -> int:
    """Return a ratio in parts per million; a part of nothing is the largest ratio there is."""
    if not part or not np.isfinite(part):
        return 0 if not part else _LARGEST_SHARE
    return min(_LARGEST_SHARE, round(MILLION * part / whole)) if whole > 0 else _LARGEST_SHARE


def equal(old: Source, new: Source, before: Place, after: Place) -> bool:
    """Tell whether two tensors of one length hold the same bytes."""
    for first, last in windows(Place("U8", (before.size,), 0, before.size)):
        one = old.raw(before.start + first, before.start + last, 1)
        if not np.array_equal(one, new.raw(after.start + first, after.start + last, 1)):
            return False
        old.forget(before.start + first, before.start + last)
        new.forget(after.start + first, after.start + last)
    return True


def digest(source: Source, place: Place) -> bytes:
    """Return the digest of a tensor's bytes."""
    found = hashlib.blake2b(digest_size=32)
    for first, last in windows(Place("U8", (place.size,), 0, place.size)):
        found.update(source.data[place.start + first : place.start + last])
        source.forget(place.start + first, place.start + last)
    return found.digest()


class Measuring:
    """One changed tensor, before and after."""

    def __init__(self, name: str, old: Source, new: Source, before: Place, after: Place) -> None:
        """Measure this tensor; both have the same type and shape."""
        self._name, self._old, self._new = name, old, new
        self._before, self._after = before, after
        self._width, self._columns = width_of(after), columns_of(after)
        self._rowwise = by_rows(after) and after.rows <= MOST_ROWS
        self._sums = _Sums()

    def facts(self) -> TensorFacts:
        """Return what changed."""
        real = is_real(self._after)
        sums = self._sums
        if self._rowwise:
            sums.rows = np.zeros(self._after.rows)
        sketches = self._sketches() if real else []
        for first, last in windows(self._after):
            self._window(first, last, sketches, real=real)
        spectra = self._spectra(sketches)
        changed_most = int(np.argmax(sums.rows)) if self._rowwise else 0
        return TensorFacts(
            name=printable(self._name, NAME_LENGTH),
            fate=Fate.CHANGED,
            dtype=(self._before.dtype, self._after.dtype),
            shape=(self._before.shown, self._after.shown),
            elements=sums.elements,
            changed=sums.changed,
            norm=(number(sums.before**0.5), number(sums.after**0.5)) if real else (),
            relative=share(sums.change**0.5, sums.before**0.5) if real else 0,
            rows=self._after.rows if self._rowwise else 0,
            rows_changed=sums.rows_changed,
            top_row=changed_most,
            top_row_share=share(float(sums.rows[changed_most]), float(sums.rows.sum()))
            if self._rowwise
            else 0,
            spectrum=tuple(number(float(value)) for value in spectra[0]),
            spectrum_after=tuple(number(float(value)) for value in spectra[1]),
            spectrum_share=min(MILLION, share(float((spectra[2] ** 2).sum()), sums.change)),
            scales=scales(self._old, self._new, self._before, self._after),
            not_finite=sums.not_finite,
        )

    def _sketches(self) -> list[Sketch]:
        if not (self._rowwise and sketched(self._after.rows, self._columns)):
            return []
        omega = directions(self._name, self._columns)
        return [Sketch(self._after.rows, omega) for _ in range(3)]

    def _raw(self, first: int, last: int) -> tuple[Raw, Raw]:
        width, start, other = self._width, self._before.start, self._after.start
        one = self._old.raw(start + first * width, start + last * width, width)
        return one, self._new.raw(other + first * width, other + last * width, width)

    def _forget(self, first: int, last: int) -> None:
        width, start, other = self._width, self._before.start, self._after.start
        self._old.forget(start + first * width, start + last * width)
        self._new.forget(other + first * width, other + last * width)

    def _window(self, first: int, last: int, sketches: list[Sketch], *, real: bool) -> None:
        one, two = self._raw(first, last)
        differs, sums = one != two, self._sums
        sums.elements += len(one)
        sums.changed += int(np.count_nonzero(differs))
        weights: npt.NDArray[np.floating] = differs.astype(np.float32)
        if real:
            before, after = self._numbers(one), self._numbers(two)
            sums.not_finite += int(np.count_nonzero(~np.isfinite(reals(two, self._after.dtype))))
            weights = after - before
            sums.before += _squares(before)
            sums.after += _squares(after)
            sums.change += _squares(weights)
            self._sketch(sketches, first, (before, after, weights), begun=False)
        if self._rowwise:
            lines = weights.reshape(-1, self._columns)
            row = first // self._columns
            sums.rows[row : row + len(lines)] = np.einsum("ij,ij->i", lines, lines, dtype=np.float64)
            sums.rows_changed += int(np.count_nonzero(differs.reshape(-1, self._columns).any(axis=1)))
        self._forget(first, last)

    def _numbers(self, raw: Raw) -> Reals:
        """Return elements as numbers; what is no finite number counts as nought."""
        return np.nan_to_num(reals(raw, self._after.dtype), copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def _sketch(
        self, sketches: list[Sketch], first: int, parts: tuple[Reals, Reals, Reals], *, begun: bool
    ) -> None:
        for sketch, part in zip(sketches, parts, strict=False):
            take = sketch.second if begun else sketch.first
            take(first // self._columns, part.reshape(-1, self._columns))

    def _spectra(self, sketches: list[Sketch]) -> list[npt.NDArray[np.floating]]:
        if not sketches:
            return [np.zeros(0)] * 3
        for sketch in sketches:
            sketch.turn()
        for first, last in windows(self._after):
            one, two = self._raw(first, last)
            before, after = self._numbers(one), self._numbers(two)
            self._sketch(sketches, first, (before, after, after - before), begun=True)
            self._forget(first, last)
        return [sketch.values() for sketch in sketches]


def _squares(values: npt.NDArray[np.floating]) -> float:
    with np.errstate(over="ignore"):
        return float(np.einsum("i,i->", values, values, dtype=np.float64))
