"""Advisory data in files and its double in memory answer alike."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.advisories import FRESH, NOW, epss, fill, kev, osv, shelf_of
from lockgate.advisories import AdvisoryData, Limits, Outcome, SetKind, Source, match_all, show
from lockgate.advisories.doubles import MemoryData
from lockgate.advisories.model import Exploited
from lockgate.advisories.osv import parse_osv

RECORDS = [
    osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), aliases=["CVE-1"]),
    osv("A-2", "demo", ("introduced", "1"), ("fixed", "3"), aliases=["A-1"]),
    osv("A-3", "openssl", ecosystem="Debian:12"),
    osv("A-4", "gone", withdrawn="2026-01-01T00:00:00Z", aliases=["CVE-4"]),
]


@pytest.fixture(params=["files", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AdvisoryData]:
    if request.param == "files":
        shelf = shelf_of(tmp_path, RECORDS)
        fill(shelf, kev(tmp_path / "kev.json", "CVE-1"))
        fill(shelf, epss(tmp_path / "epss.csv", {"CVE-1": "0.5"}))
        opened = shelf.open()
        yield opened
        opened.close()
        return
    source = Source(
        name="osv/PyPI", kind=SetKind.OSV, sha256="0" * 64, ecosystems=(), records=4, newest=NOW, loaded=NOW
    )
    records = [(json.dumps(r).encode(), r["id"]) for r in RECORDS]
    exploited = {"CVE-1": Exploited(added="2026-02-01", due="2026-02-22", ransomware=True)}
    parsed = [(parse_osv(raw, name, Limits()), raw) for raw, name in records]
    yield MemoryData(source, parsed, exploited, {"CVE-1": 500_000})


def test_packages_are_found_by_ecosystem_and_name(data: AdvisoryData) -> None:
    (row,) = data.rows("PyPI", "demo")
    assert [entry.id for entry in data.entries(row)] == ["A-1", "A-2"]
    assert [row.release for row in data.rows("Debian", "openssl")] == ["12"]
    assert not data.rows("npm", "demo")
    assert not data.rows("PyPI", "nothing")


def test_advisories_are_found_by_identifier_and_alias(data: AdvisoryData) -> None:
    ((source, advisory),) = data.advisories("A-1")
    assert (source, advisory.aliases) == ("osv/PyPI", ("CVE-1",))
    assert list(data.named("CVE-1")) == ["A-1"]
    assert not list(data.named("CVE-4"))
    assert not data.advisories("A-9")
    assert json.loads(data.record("osv/PyPI", "A-1")) == RECORDS[0]
    assert data.record("osv/PyPI", "A-9") == b""
    assert [s.advisory.id for s in show(data, "CVE-1")] == ["A-1"]


def test_answers_are_alike(data: AdvisoryData) -> None:
    answers = match_all(
        data, ["pkg:pypi/demo@1", "pkg:pypi/demo@3", "pkg:pypi/gone@1", "pkg:pypi/new@1"], FRESH
    )
    assert [a.outcome for a in answers] == [
        Outcome.AFFECTED,
        Outcome.NOT_AFFECTED,
        Outcome.NOT_AFFECTED,
        Outcome.UNKNOWN,
    ]
    (found,) = answers[0].found
    assert (found.id, found.aliases, found.fixed, found.epss_ppm) == ("CVE-1", ("A-1", "A-2"), "3", 500_000)
    assert found.kev == Exploited(added="2026-02-01", due="2026-02-22", ransomware=True)
    assert data.exploited("CVE-9") is None
    assert data.likelihood("CVE-9") == -1
