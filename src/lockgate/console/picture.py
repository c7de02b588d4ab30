"""The picture of a byte's way: where each stage stands on the two water levels, in SVG units."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """Where a stage happens."""

    LOW = "low"
    GAP = "gap"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a byte's way.

    Args:
        name: One word.
        place: Where it happens.
        seconds: How long it took; None where it was not measured.
        bytes: How much went through; None where that says nothing.
        note: A few words more.

    """

    name: str
    place: Place
    seconds: float | None = None
    bytes: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A stage with its place in the drawing. `share` is the length of its time bar."""

    stage: Stage
    x: float
    y: float
    share: float


@dataclass(frozen=True, slots=True)
class Basin:
    """A stretch of water: its place and its extent along the drawing, and its level across."""

    place: Place
    begin: float
    end: float
    level: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a template draws."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    basins: tuple[Basin, ...]
    gates: tuple[float, ...]


LEVELS = {Place.LOW: 196.0, Place.GAP: 158.0, Place.HIGH: 120.0}
"""The water levels of the wide drawing; the high side lies higher."""

_WIDE, _WIDE_HEIGHT = 1120.0, 316.0
_NARROW, _ROW, _RAIL = 340.0, 74.0, 26.0


def wide(stages: Sequence[Stage]) -> Picture:
    """Return the drawing for wide pages: along two water levels, a lock between them."""
    step = _WIDE / max(1, len(stages))
    longest = _longest(stages)
    marks = tuple(
        Mark(stage, step * (i + 0.5), LEVELS[stage.place], _share(stage, longest, step * 0.72))
        for i, stage in enumerate(stages)
    )
    basins = tuple(
        Basin(place, step * begin, step * end, LEVELS[place]) for place, begin, end in _runs(stages)
    )
    return Picture(_WIDE, _WIDE_HEIGHT, marks, basins, tuple(b.begin for b in basins[1:]))


def narrow(stages: Sequence[Stage]) -> Picture:
    """Return the drawing for narrow pages: from top to bottom along a rail."""
    longest = _longest(stages)
    marks = tuple(
        Mark(stage, _RAIL, _ROW * (i + 0.5), _share(stage, longest, 220)) for i, stage in enumerate(stages)
    )
    basins = tuple(Basin(place, _ROW * begin, _ROW * end, _RAIL) for place, begin, end in _runs(stages))
    return Picture(_NARROW, _ROW * len(stages), marks, basins, tuple(b.begin for b in basins[1:]))


def _longest(stages: Sequence[Stage]) -> float:
    return max((stage.seconds or 0.0 for stage in stages), default=0.0)


def _share(stage: Stage, longest: float, most: float) -> float:
    return 0.0 if not stage.seconds or not longest else max(2.0, most * stage.seconds / longest)


def _runs(stages: Sequence[Stage]) -> list[tuple[Place, int, int]]:
    """Return the stretches of stages in one place, as (place, first, one past the last)."""
    runs: list[tuple[Place, int, int]] = []
    for at, stage in enumerate(stages):
        if runs and runs[-1][0] is stage.place:
            runs[-1] = (stage.place, runs[-1][1], at + 1)
        else:
            runs.append((stage.place, at, at + 1))
    return runs
