"""Answers about packages: four outcomes, aliases, withdrawn records, releases, KEV and EPSS."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from corpora.advisories import FRESH, NOW, archive, epss, fill, kev, osv, shelf_of
from lockgate.advisories import Freshness, Matched, Outcome, Shelf, Wish, match_all, show, status_of
from lockgate.advisories.errors import NoSuchAdvisoryError
from lockgate.core.verdict import Severity


def ask(folder: Path, records: list[dict[str, Any]], purl: str) -> Matched:
    data = shelf_of(folder, records).open()
    try:
        return match_all(data, [purl], FRESH)[0]
    finally:
        data.close()


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("1.0", True),
        ("1.4.9", True),
        ("1.5", False),
        ("1.5rc1", True),
        ("2.0", True),
        ("2.1", True),
        ("2.2", False),
    ],
)
def test_events_are_evaluated_in_the_order_of_versions(
    tmp_path: Path, version: str, *, affected: bool
) -> None:
    record = osv(
        "A-1", "demo", ("last_affected", "2.1"), ("introduced", "2.0"), ("fixed", "1.5"), ("introduced", "0")
    )
    answer = ask(tmp_path, [record], f"pkg:pypi/demo@{version}")
    assert answer.outcome is (Outcome.AFFECTED if affected else Outcome.NOT_AFFECTED)
    fixed = "1.5" if version < "1.6" else ""
    assert [found.fixed for found in answer.found] == [fixed] * affected


def test_equal_events_keep_the_order_of_the_record(tmp_path: Path) -> None:
    ends_and_begins = osv(
        "A-1", "demo", ("introduced", "1"), ("fixed", "2"), ("introduced", "2"), ("fixed", "3")
    )
    empty = osv("A-2", "other", ("introduced", "2"), ("fixed", "2"))
    assert ask(tmp_path / "a", [ends_and_begins], "pkg:pypi/demo@2.5").outcome is Outcome.AFFECTED
    assert ask(tmp_path / "b", [empty], "pkg:pypi/other@2.5").outcome is Outcome.NOT_AFFECTED


def test_names_and_versions_are_compared_as_the_ecosystem_spells_them(tmp_path: Path) -> None:
    records = [
        osv("A-1", "demo-thing", versions=["1.0"]),
        osv("A-2", "torch", ("introduced", "0"), ("last_affected", "2.0.0")),
    ]
    assert ask(tmp_path / "a", records, "pkg:pypi/Demo_Thing@1.0.0").outcome is Outcome.AFFECTED
    assert ask(tmp_path / "b", records, "pkg:pypi/torch@2.0.0%2Bcpu").outcome is Outcome.AFFECTED
    assert ask(tmp_path / "c", records, "pkg:pypi/torch@2.0.1%2Bcpu").outcome is Outcome.NOT_AFFECTED


def test_what_the_data_does_not_know_is_unknown(tmp_path: Path) -> None:
    record = osv("A-1", "demo", ("introduced", "1"), ("fixed", "2"))
    for purl, reason in [
        ("pkg:pypi/other@1", "no data set names this package"),
        ("pkg:npm/demo@1.0.0", "no data set covers npm"),
        ("pkg:oci/image@sha256%3Aabc", "bill of materials"),
        ("pkg:pypi/demo@not-a-version", "no version"),
        ("pkg:pypi/demo", "names no version"),
        ("no purl", "not a package URL"),
    ]:
        answer = ask(tmp_path / purl.replace("/", "_"), [record], purl)
        assert answer.outcome is Outcome.UNKNOWN
        assert reason in answer.reason
        assert status_of([answer]) == 8


def test_old_data_says_so_and_never_not_affected(tmp_path: Path) -> None:
    data = shelf_of(tmp_path, [osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"))]).open()
    later = Freshness(NOW + timedelta(days=20), 14 * 86400)
    old, hit = match_all(data, ["pkg:pypi/demo@3", "pkg:pypi/demo@1"], later)
    assert (old.outcome, old.stale) == (Outcome.TOO_OLD, True)
    assert (hit.outcome, hit.stale) == (Outcome.AFFECTED, True)
    data.close()


def test_one_old_data_set_among_fresh_ones_makes_the_answer_old(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"))])
    older = osv("B-1", "demo", ("introduced", "0"), ("fixed", "1"), modified="2025-01-01T00:00:00Z")
    fill(shelf, archive(tmp_path / "old.zip", [older]), Wish(name="osv/other"))
    data = shelf.open()
    assert match_all(data, ["pkg:pypi/demo@3"], FRESH)[0].outcome is Outcome.TOO_OLD
    data.close()


def test_a_moment_in_the_future_makes_no_data_fresh(tmp_path: Path) -> None:
    records = [
        osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), modified="2025-01-01T00:00:00Z"),
        osv("A-2", "other", modified="2099-01-01T00:00:00Z"),
    ]
    shelf = shelf_of(tmp_path, records)
    assert shelf.sources()[0].newest == datetime(2025, 1, 1, tzinfo=UTC)


def test_withdrawn_advisories_affect_nothing_and_keep_the_package_known(tmp_path: Path) -> None:
    record = osv("A-1", "demo", withdrawn="2026-02-01T00:00:00Z")
    assert ask(tmp_path, [record], "pkg:pypi/demo@1").outcome is Outcome.NOT_AFFECTED


def test_a_withdrawn_alias_does_not_hide_the_one_that_stands(tmp_path: Path) -> None:
    records = [
        osv("PYSEC-1", "demo", aliases=["CVE-2026-1"], withdrawn="2026-02-01T00:00:00Z"),
        osv("GHSA-1", "demo", aliases=["CVE-2026-1"]),
    ]
    (found,) = ask(tmp_path, records, "pkg:pypi/demo@1").found
    assert found.id == "CVE-2026-1"


def test_aliases_are_one_finding_with_everything_joined(tmp_path: Path) -> None:
    records = [
        osv(
            "PYSEC-1",
            "demo",
            ("introduced", "0"),
            ("fixed", "1.5"),
            aliases=["GHSA-1"],
            published="2026-01-05T00:00:00Z",
        ),
        osv(
            "GHSA-1",
            "demo",
            ("introduced", "0"),
            ("fixed", "1.6"),
            aliases=["CVE-2026-1"],
            summary="Told twice",
            severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        ),
    ]
    shelf = shelf_of(tmp_path, records)
    fill(shelf, kev(tmp_path / "kev.json", "CVE-2026-1"))
    fill(shelf, epss(tmp_path / "epss.csv.gz", {"CVE-2026-1": "0.97531"}))
    data = shelf.open()
    answer = match_all(data, ["pkg:pypi/demo@1.0"], FRESH)[0]
    (found,) = answer.found
    assert (found.id, found.aliases) == ("CVE-2026-1", ("GHSA-1", "PYSEC-1"))
    assert (found.severity, found.score_tenths) == (Severity.CRITICAL, 98)
    assert (found.first_known, found.fixed, found.summary) == ("2026-01-02T00:00:00Z", "1.6", "Told twice")
    assert found.kev is not None
    assert (found.kev.added, found.kev.ransomware, found.epss_ppm) == ("2026-02-01", True, 975_310)
    assert {s.advisory.id for s in show(data, "CVE-2026-1")} == {"GHSA-1"}
    with pytest.raises(NoSuchAdvisoryError):
        show(data, "CVE-1999-1")
    data.close()


def test_what_a_distribution_answers_upstream_joins_kev_and_epss_and_merges_nothing(tmp_path: Path) -> None:
    twelve = {"ecosystem": "Debian:12"}
    records = [
        osv("DEBIAN-CVE-2026-1", "openssl", upstream=["CVE-2026-1"], **twelve),
        osv("DSA-1-1", "openssl", upstream=["CVE-2026-2", "CVE-2026-3"], **twelve),
        osv("DSA-2-1", "openssl", upstream=["CVE-2026-3", "no identifier"], **twelve),
        osv("DSA-3-1", "openssl", upstream=["CVE-2026-1"], withdrawn="2026-03-01T00:00:00Z", **twelve),
    ]
    shelf = shelf_of(tmp_path, records)
    fill(shelf, kev(tmp_path / "kev.json", "CVE-2026-1", "CVE-2026-3"))
    fill(shelf, epss(tmp_path / "epss.csv", {"CVE-2026-2": "0.2", "CVE-2026-3": "0.1"}))
    data = shelf.open()
    answer = match_all(data, ["pkg:deb/debian/openssl@1?distro=debian-12"], FRESH)[0]
    found = {f.id: f for f in answer.found}
    assert {name: f.upstream for name, f in found.items()} == {
        "DEBIAN-CVE-2026-1": ("CVE-2026-1",),
        "DSA-1-1": ("CVE-2026-2", "CVE-2026-3"),
        "DSA-2-1": ("CVE-2026-3",),
    }
    assert all(f.kev is not None for f in found.values())
    assert [found[name].epss_ppm for name in sorted(found)] == [-1, 200_000, 100_000]
    assert {s.advisory.id for s in show(data, "CVE-2026-3")} == {"DSA-1-1", "DSA-2-1"}
    assert match_all(data, [answer.purl], FRESH, {answer.purl: answer}) == [answer]
    data.close()


@pytest.mark.parametrize(
    ("scores", "severity"),
    [
        (["high"], Severity.HIGH),
        (["low", "critical"], Severity.CRITICAL),
        (["negligible"], Severity.LOW),
        (["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L", "high"], Severity.MEDIUM),
        (["no word of a scale"], None),
    ],
)
def test_severities_in_words_count_where_no_score_tells(
    tmp_path: Path, scores: list[str], severity: Severity | None
) -> None:
    rated = [{"type": "Ubuntu", "score": score} for score in scores]
    record = osv("UBUNTU-CVE-2026-1", "demo", ecosystem="Ubuntu:24.04:LTS", severity=rated)
    (found,) = ask(tmp_path, [record], "pkg:deb/ubuntu/demo@1?distro=ubuntu-24.04").found
    assert found.severity == severity


def test_circles_of_aliases_end(tmp_path: Path) -> None:
    ring = [osv(f"R-{n}", "demo", aliases=[f"R-{(n + 1) % 5}", f"R-{(n + 2) % 5}"]) for n in range(5)]
    (found,) = ask(tmp_path, ring, "pkg:pypi/demo@1").found
    assert {found.id, *found.aliases} == {f"R-{n}" for n in range(5)}


def test_a_version_that_fixes_one_fault_and_has_the_next_is_not_the_fix(tmp_path: Path) -> None:
    records = [
        osv("A-1", "demo", ("introduced", "0"), ("fixed", "2")),
        osv("A-2", "demo", ("introduced", "1"), ("fixed", "3")),
    ]
    answer = ask(tmp_path, records, "pkg:pypi/demo@1")
    assert ([f.fixed for f in answer.found], answer.fixed) == (["2", "3"], "3")


def test_releases_of_distributions_are_kept_apart(tmp_path: Path) -> None:
    records = [
        osv("D-1", "openssl", ("introduced", "0"), ("fixed", "3.0.11-1"), ecosystem="Debian:12"),
        osv("D-2", "openssl", ("introduced", "0"), ("fixed", "9"), ecosystem="Debian:11"),
    ]
    twelve = "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?distro=debian-12.5&upstream=openssl"
    answer = ask(tmp_path / "a", records, twelve)
    assert [found.id for found in answer.found] == ["D-1"]
    assert ask(tmp_path / "b", records, twelve.replace("~deb12u1", "")).outcome is Outcome.NOT_AFFECTED
    assert (
        ask(tmp_path / "c", records, "pkg:deb/debian/openssl@3.0.11-1?distro=trixie").outcome
        is Outcome.UNKNOWN
    )
    assert ask(tmp_path / "d", records, "pkg:deb/debian/openssl@3.0.11-1").found[0].id == "D-2"


def test_models_are_matched_by_package_url(tmp_path: Path) -> None:
    model = {"ecosystem": "", "name": "", "purl": "pkg:huggingface/org/model"}
    listed = osv("M-1", versions=["abc"], package=model)
    assert ask(tmp_path / "a", [listed], "pkg:huggingface/org/model@abc").outcome is Outcome.AFFECTED
    assert ask(tmp_path / "b", [listed], "pkg:huggingface/org/model@def").outcome is Outcome.NOT_AFFECTED
    ranged = osv("M-2", "", ("introduced", "1"), package=model)
    answer = ask(tmp_path / "c", [ranged], "pkg:huggingface/org/model@def")
    assert answer.outcome is Outcome.UNKNOWN
    assert "sort" in answer.reason
    everything = osv("M-3", "", package=model)
    assert ask(tmp_path / "d", [everything], "pkg:huggingface/org/model@def").outcome is Outcome.AFFECTED


def test_what_cannot_be_evaluated_is_unknown_for_its_package_alone(tmp_path: Path) -> None:
    records = [
        osv("A-1", "demo", ("introduced", "0"), ("fixed", "not a version")),
        osv("A-2", "other", ("introduced", "0"), ("fixed", "1")),
        osv("A-3", "commits", ("introduced", "0"), type="GIT"),
        osv("A-4", "nothing", versions=[]),
    ]
    for name, outcome in [
        ("demo", Outcome.UNKNOWN),
        ("other", Outcome.NOT_AFFECTED),
        ("commits", Outcome.UNKNOWN),
        ("nothing", Outcome.UNKNOWN),
    ]:
        assert ask(tmp_path / name, records, f"pkg:pypi/{name}@2").outcome is outcome


def test_earlier_answers_are_taken_over_until_their_basis_changes(tmp_path: Path) -> None:
    shelf = shelf_of(
        tmp_path,
        [
            osv("A-1", "demo", aliases=["CVE-2026-1"]),
            osv("A-2", "other", ("introduced", "0"), ("fixed", "2")),
        ],
    )
    purls = ["pkg:pypi/demo@1", "pkg:pypi/other@3"]
    data = shelf.open()
    before = {a.purl: a for a in match_all(data, purls, FRESH)}
    data.close()
    fill(
        shelf,
        archive(
            tmp_path / "next.zip",
            [
                osv("A-1", "demo", aliases=["CVE-2026-1"]),
                osv("A-2", "other", ("introduced", "0"), ("fixed", "4")),
            ],
        ),
    )
    fill(shelf, kev(tmp_path / "kev.json", "CVE-2026-1"))
    data = shelf.open()
    after = match_all(data, purls, FRESH, before)
    assert after == match_all(data, purls, FRESH)
    assert after[0].basis == before[purls[0]].basis
    assert after[0].found[0].kev is not None
    assert after[1].outcome is Outcome.AFFECTED
    data.close()


def test_the_order_of_data_sets_does_not_matter(tmp_path: Path) -> None:
    one, two = osv("A-1", "demo"), osv("B-1", "demo", aliases=["A-1"])
    answers = []
    for folder, records in (("x", [one, two]), ("y", [two, one])):
        shelf = Shelf(tmp_path / folder)
        for record in records:
            file = archive(tmp_path / f"{record['id']}.zip", [record])
            fill(shelf, file, Wish(name=f"osv/{record['id']}"))
        data = shelf.open()
        answers.append(match_all(data, ["pkg:pypi/demo@1"], FRESH))
        data.close()
    assert answers[0] == answers[1]
