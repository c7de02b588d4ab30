"""What a registry's clients are told of advisories: ranges in their notation, claims and age respected."""

from datetime import UTC, datetime

import pytest

from corpora.advisories import archive, osv
from corpora.mirrorsite import side_with_advisories
from lockgate.advisories import Loading, Shelf, Wish, load, npm_range
from lockgate.advisories.errors import DataSetAlteredError, NoAdvisoryDataError
from lockgate.advisories.model import Entry, Event, Range
from lockgate.app.advice.registry import RecordedAdvisor
from lockgate.app.files import FRESH_NANOSECONDS
from lockgate.core.ports import Silent


def entry(*pairs, versions=(), kind="SEMVER", unreadable=""):
    ranges = (Range(kind, tuple(Event(k, v) for k, v in pairs)),) if pairs else ()
    return Entry("A", versions=versions, ranges=ranges, unreadable=unreadable)


ZERO = ("introduced", "0")
FOUR = (("fixed", "4.0.1"), ZERO, ("introduced", "4.0.0"), ("fixed", "3.1.0"))


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([entry(ZERO, ("fixed", "2.0.0"))], "<2.0.0"),
        ([entry(("introduced", "1.0.0"), ("last_affected", "1.5.0"))], ">=1.0.0 <=1.5.0"),
        ([entry(("introduced", "3.0.0"))], ">=3.0.0"),
        ([entry(ZERO)], "*"),
        ([entry(*FOUR)], "<3.1.0 || >=4.0.0 <4.0.1"),
        (
            [entry(ZERO, ("fixed", "1.0.0")), entry(("introduced", "2.0.0"), versions=("1.7.0",))],
            "<1.0.0 || >=2.0.0 || 1.7.0",
        ),
        ([entry(versions=("1.0.0", "1.0.1"))], "1.0.0 || 1.0.1"),
        ([entry(versions=("1.0.0",), unreadable="who knows")], "*"),
        ([entry(("introduced", "one"), ("fixed", "2.0.0"))], "*"),
        ([entry(ZERO, kind="GIT", versions=("1.0.0",))], "1.0.0"),
        ([], "*"),
    ],
)
def test_ranges_are_written_as_npm_reads_them(entries, text):
    assert npm_range(entries) == text


def shelf(tmp_path, *records, name="osv.zip", folder="advisories"):
    held = Shelf(tmp_path / folder)
    load(held, archive(tmp_path / name, list(records)), Wish(), Loading(datetime.now(UTC), Silent()))
    return RecordedAdvisor(side_with_advisories(tmp_path / folder))


HOLE = osv(
    "GHSA-1",
    "leaf",
    ("introduced", "0"),
    ("fixed", "2.0.0"),
    ecosystem="npm",
    aliases=["CVE-1"],
    summary="A hole",
)


def test_only_what_is_affected_is_told(tmp_path):
    advisor = shelf(tmp_path, HOLE, osv("GHSA-2", "other", ecosystem="npm"))
    advice = advisor.npm(
        {"leaf": ["1.0.0", "1.1.0", "2.0.0"], "@x/unknown": ["1.0.0"], "..": ["1.0.0"], "other": ["no"]}
    )
    assert list(advice.found) == ["leaf"]
    (one,) = advice.found["leaf"]
    assert (one.id, one.ranges, one.fixed, one.versions) == ("CVE-1", "<2.0.0", "2.0.0", ("1.0.0", "1.1.0"))
    assert one.severity == "critical"
    assert advice.notices == ()


def test_old_data_is_said_to_be_old(tmp_path):
    shelf(tmp_path, HOLE)
    advisor = RecordedAdvisor(side_with_advisories(tmp_path / "advisories", age_days=1))
    advice = advisor.npm({"leaf": ["1.0.0"]})
    assert "leaf" in advice.found
    assert advice.notices == ("the advisory data osv/npm is older than its limit",)


def test_without_data_about_npm_nobody_can_tell(tmp_path):
    with pytest.raises(NoAdvisoryDataError):
        RecordedAdvisor(side_with_advisories(tmp_path / "none")).npm({"leaf": ["1.0.0"]})
    with pytest.raises(NoAdvisoryDataError, match="speaks of npm"):
        shelf(tmp_path, osv("A", "demo")).npm({"leaf": ["1.0.0"]})


def test_new_data_counts_at_once_and_altered_data_never(tmp_path):
    advisor = shelf(tmp_path, HOLE)
    assert advisor.npm({"leaf": ["2.0.0"]}).found == {}
    shelf(tmp_path, osv("GHSA-1", "leaf", ecosystem="npm"), name="later.zip")
    assert list(advisor.npm({"leaf": ["2.0.0"]}).found) == ["leaf"]
    (file,) = (tmp_path / "advisories/sets").glob("*.sqlite")
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"!")
    with pytest.raises(DataSetAlteredError):
        advisor.npm({"leaf": ["2.0.0"]})


def test_data_that_was_just_written_is_looked_at_again(tmp_path):
    shelf(tmp_path, HOLE)
    (file,) = (tmp_path / "advisories/sets").glob("*.sqlite")
    written = file.stat().st_ctime_ns
    side = side_with_advisories(tmp_path / "advisories")
    for later, same in ((0, False), (FRESH_NANOSECONDS - 1, False), (FRESH_NANOSECONDS, True), (-1, True)):
        advisor = RecordedAdvisor(side, lambda: written + later)  # noqa: B023
        assert (advisor._data() is advisor._data()) is same, later
