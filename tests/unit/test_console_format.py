"""Figures, moments and the geometry of the picture."""

from datetime import datetime, timedelta, timezone

import pytest

from console_examples import STAGES, digest
from lockgate.console import format as fmt
from lockgate.console import picture
from lockgate.console.picture import Place, Stage


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (231_400_000, "231.4 MB"),
        (5 * 10**9, "5.0 GB"),
        (10**13, "10.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert fmt.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.25, "250 ms"),
        (2.94, "2.9 s"),
        (48.2, "48 s"),
        (143, "2 min 23 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert fmt.duration(seconds) == text


def test_moments_are_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert fmt.moment(datetime(2030, 1, 1, 1, 0, 0, tzinfo=east)) == "2029-12-31 23:00:00 UTC"


def test_words_and_plurals() -> None:
    assert [fmt.words(n) for n in (0, 2, 10, 11, 1300)] == ["no", "two", "ten", "11", "1\u202f300"]
    assert [fmt.plural(n, "leaf", "leaves") for n in (1, 2)] == ["1 leaf", "2 leaves"]
    assert fmt.plural(0, "file") == "0 files"
    assert fmt.short(digest("x")) == f"{digest('x')[:12]}…"
    assert fmt.short("2.4.6") == "2.4.6"


def test_the_wide_picture_climbs_from_the_low_side_over_two_gates() -> None:
    drawn = picture.wide(STAGES)
    assert [b.place for b in drawn.basins] == [Place.LOW, Place.GAP, Place.HIGH]
    assert len(drawn.gates) == 2
    levels = [b.level for b in drawn.basins]
    assert levels == sorted(levels, reverse=True)
    assert [m.x for m in drawn.marks] == sorted(m.x for m in drawn.marks)
    assert drawn.basins[0].begin == 0
    assert drawn.basins[-1].end == pytest.approx(drawn.width)
    for mark in drawn.marks:
        basin = next(b for b in drawn.basins if b.begin <= mark.x < b.end)
        assert (basin.place, basin.level) == (mark.stage.place, mark.y)


def test_bars_are_to_one_scale() -> None:
    drawn = picture.wide([Stage("a", Place.LOW, 10), Stage("b", Place.HIGH, 40), Stage("c", Place.HIGH)])
    bars = [m.share for m in drawn.marks]
    assert bars[1] == pytest.approx(4 * bars[0])
    assert bars[2] == 0


def test_the_narrow_picture_runs_down() -> None:
    drawn = picture.narrow(STAGES)
    assert [m.y for m in drawn.marks] == sorted(m.y for m in drawn.marks)
    assert drawn.basins[-1].end == drawn.height
    assert picture.narrow([]).marks == ()
