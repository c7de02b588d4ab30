"""The cadence of a lane: planned days, missed ones, the calendar that people subscribe to."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.homes import HighSide
from lockgate.cli.main import main
from lockgate.core.cadence import Cadence, standing
from lockgate.watch import calendar

WEEKLY = Cadence(date(2026, 1, 5), 7, 2)


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("received", "today", "missed"),
    [
        ([], date(2026, 1, 4), []),
        ([], date(2026, 1, 7), []),
        ([], date(2026, 1, 8), [date(2026, 1, 5)]),
        ([date(2026, 1, 5)], date(2026, 1, 14), []),
        ([date(2026, 1, 5)], date(2026, 1, 15), [date(2026, 1, 12)]),
        ([date(2026, 1, 3)], date(2026, 1, 14), []),
        ([date(2026, 1, 13)], date(2026, 1, 15), []),
        ([date(2026, 1, 5), date(2026, 1, 27)], date(2026, 1, 28), []),
        ([date(2026, 1, 5)], date(2026, 1, 29), [date(2026, 1, 12), date(2026, 1, 19), date(2026, 1, 26)]),
        ([date(2025, 12, 1)], date(2026, 1, 8), [date(2026, 1, 5)]),
    ],
)
def test_a_planned_day_is_missed_when_its_grace_is_over(
    received: list[date], today: date, missed: list[date]
) -> None:
    found = standing(WEEKLY, map(at, received), at(today))
    assert list(found.missed) == missed
    assert found.last == max(received, default=None)


@given(
    every=st.integers(1, 60),
    grace=st.integers(0, 30),
    days=st.lists(st.integers(-100, 400), max_size=5),
    today=st.integers(-50, 400),
)
def test_missed_days_are_planned_over_and_not_made_up_for(
    every: int, grace: int, days: list[int], today: int
) -> None:
    first = date(2026, 1, 5)
    cadence, now = Cadence(first, every, grace), first + timedelta(days=today)
    received = [first + timedelta(days=n) for n in days]
    found = standing(cadence, map(at, received), at(now))
    plan = [first + timedelta(days=n * every) for n in range(500)]
    over = [day for day in plan if day + timedelta(days=grace) < now]
    served = max((cadence.serves(day) for day in received), default=date.min)
    assert list(found.missed) == [day for day in over if day > served]
    assert found.next == min(day for day in plan if day >= now)


def test_the_calendar_is_what_the_standard_says() -> None:
    data = calendar("a,b;c" + "é" * 60, WEEKLY.planned(date(2026, 1, 6), 2), at(date(2026, 1, 6)))
    lines = data.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 75 for line in lines)
    assert b"\n" not in data.replace(b"\r\n", b"")
    text = data.decode().replace("\r\n ", "")
    assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert re.findall(r"DTSTART;VALUE=DATE:(\d+)", text) == ["20260112", "20260119"]
    assert re.findall(r"DTEND;VALUE=DATE:(\d+)", text) == ["20260113", "20260120"]
    assert len(set(re.findall(r"UID:(.+)", text))) == 2
    assert "SUMMARY:Crossing on lane a\\,b\\;c" in text


def test_the_commands_tell_what_was_planned_and_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    high = HighSide.new(tmp_path)
    home = ["--home", str(high.lane.high)]
    with pytest.raises(SystemExit) as ended:
        main(["cadence", "status", *home])
    assert ended.value.code == 2
    monkeypatch.setenv("LOCKGATE_CADENCE__FIRST", "monday")
    with pytest.raises(SystemExit) as ended:
        main(["cadence", "ics", *home])
    assert ended.value.code == 2
    first = datetime.now(UTC).date() - timedelta(days=4)
    monkeypatch.setenv("LOCKGATE_CADENCE__FIRST", first.isoformat())
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["cadence", "status", *home, "--json"])
    assert (ended.value.code, json.loads(capsys.readouterr().out)["missed"]) == (1, [first.isoformat()])
    high.arrive(1, "handbook")
    with pytest.raises(SystemExit) as ended:
        main(["cadence", "status", *home])
    assert ended.value.code in {0, None}
    out = tmp_path / "crossings.ics"
    with pytest.raises(SystemExit):
        main(["cadence", "ics", "--count", "3", "--out", str(out), *home])
    assert out.read_bytes().count(b"BEGIN:VEVENT") == 3
