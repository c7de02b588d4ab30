"""``lockgate advisories`` outside a crossing: loaded, asked, shown, explained; the exit status tells."""

import json
from pathlib import Path
from typing import Any

import pytest

from corpora.advisories import archive, epss, kev, osv
from lockgate.advisories import purls_of
from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.limits import Limits
from lockgate.cli.main import main

REAL = Path(__file__).parents[3] / "shared/data"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main(["advisories", *words, "--json"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), json.loads(said.out or said.err)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    where = ["--data", str(tmp_path / "data")]
    recent = {"modified": "2026-11-01T00:00:00Z"}
    records = [osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), aliases=["CVE-1"], **recent)]
    files = [
        archive(tmp_path / "all.zip", records),
        kev(tmp_path / "kev.json", "CVE-1"),
        epss(tmp_path / "epss.csv.gz", {"CVE-1": "0.25"}),
    ]
    status, said = run(capsys, "load", *map(str, files), *where)
    assert status == 0
    assert [source["name"] for source in said["sources"]] == ["osv/PyPI", "kev", "epss"]
    return [*where, "--age-days", "40000"]


def test_the_exit_status_tells_the_worst_answer(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    hit, clean, unknown = "pkg:pypi/demo@1", "pkg:pypi/demo@2", "pkg:pypi/other@1"
    assert run(capsys, "match", "--purl", clean, *place)[0] == 0
    assert run(capsys, "match", "--purl", clean, "--purl", unknown, *place)[0] == 8
    status, said = run(capsys, "match", "--purl", unknown, "--purl", hit, *place)
    assert status == 4
    assert [answer["outcome"] for answer in said["answers"]] == ["unknown to the database", "affected"]
    assert said["answers"][1]["found"][0]["kev"]["added"] == "2026-02-01"
    assert said["answers"][1]["found"][0]["epss_ppm"] == 250_000
    assert len(said["sources"]) == 3


def test_old_data_never_ends_with_zero(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    where = [*place[:-1], "1"]
    status, said = run(capsys, "match", "--purl", "pkg:pypi/demo@2", *where)
    assert (status, said["answers"][0]["outcome"]) == (8, "database too old")
    status, said = run(capsys, "status", *where)
    assert status == 1
    assert all(source["stale"] and source["age_seconds"] > 86_400 for source in said["sources"])
    assert run(capsys, "status", *place)[0] == 0


def test_bills_of_materials_name_the_packages(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = {"name": "demo", "purl": "pkg:pypi/demo@1"}
    bills = {
        "cdx.json": {"bomFormat": "CycloneDX", "components": [{"type": "container", "components": [inner]}]},
        "spdx.json": {
            "spdxVersion": "SPDX-2.3",
            "packages": [
                {"externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:pypi/demo@1"}]}
            ],
        },
    }
    for name, bill in bills.items():
        (tmp_path / name).write_text(json.dumps(bill))
        status, said = run(capsys, "match", "--sbom", str(tmp_path / name), *place)
        assert (status, [a["purl"] for a in said["answers"]]) == (4, ["pkg:pypi/demo@1"])
    for text in ("[]", "{}", '{"bomFormat": "CycloneDX"}', "no JSON", '{"bomFormat": 1, "bomFormat": 2}'):
        with pytest.raises(BadPackageError):
            purls_of(text.encode(), "bill", Limits())


OWN = {"type": "library", "name": "own", "version": "1"}
PURL = {"referenceType": "purl", "referenceLocator": "pkg:pypi/demo@2"}


@pytest.mark.parametrize(
    ("bill", "unnamed"),
    [
        ({"components": [OWN]}, ["library own 1"]),
        ({"components": [{**OWN, "purl": 5}]}, ["library own 1"]),
        ({"components": [{"name": "pkg:pypi/demo@2"}]}, ["component pkg:pypi/demo@2"]),
        ({"components": [{"type": "library", "name": ["x"], "version": {}}]}, ["library without a name"]),
        ({"components": [{"type": "container", "name": "image"}]}, ["container image"]),
        ({"components": [{"type": kind, "name": "x"} for kind in ("file", "data", "operating-system")]}, []),
        ({"components": [{"type": "data", "purl": "pkg:generic/handbook/one.md@1"}]}, []),
    ],
)
def test_what_a_bill_lists_without_a_package_url_is_unknown_and_never_passed_over(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], bill: Any, unnamed: list[str]
) -> None:
    known = {"type": "library", "purl": "pkg:pypi/demo@2"}
    file = tmp_path / "bill.json"
    file.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [known, *bill["components"]]}))
    status, said = run(capsys, "match", "--sbom", str(file), *place)
    assert [a["purl"] for a in said["answers"]] == ["pkg:pypi/demo@2", *unnamed]
    assert [a["outcome"] for a in said["answers"][1:]] == ["unknown to the database"] * len(unnamed)
    assert status == (8 if unnamed else 0)


def test_what_an_spdx_document_is_about_holds_the_others_and_is_no_package(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = {"SPDXID": "SPDXRef-Root", "name": "folder"}
    about = {"relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Root"}
    demo = {"SPDXID": "SPDXRef-1", "name": "demo", "externalRefs": [PURL]}
    own = {"SPDXID": "SPDXRef-2", "name": "own", "versionInfo": "1", "primaryPackagePurpose": "LIBRARY"}
    form = {"spdxVersion": "SPDX-2.3", "packages": [root, demo], "relationships": [about]}
    file = tmp_path / "bill.json"
    for form["packages"], asked in (
        ([root, demo], ["pkg:pypi/demo@2"]),
        ([root, demo, own], ["pkg:pypi/demo@2", "library own 1"]),
    ):
        file.write_text(json.dumps(form))
        status, said = run(capsys, "match", "--sbom", str(file), *place)
        assert ([a["purl"] for a in said["answers"]], status) == (asked, 8 if own in form["packages"] else 0)


def test_earlier_answers_may_be_given_and_bad_ones_are_refused(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = run(capsys, "match", "--purl", "pkg:pypi/demo@1", *place)
    before = tmp_path / "before.json"
    before.write_text(json.dumps(said))
    status, again = run(capsys, "match", "--purl", "pkg:pypi/demo@1", "--since", str(before), *place)
    assert (status, again) == (4, said)
    before.write_text("[]")
    status, said = run(capsys, "match", "--purl", "pkg:pypi/demo@1", "--since", str(before), *place)
    assert (status, said["code"]) == (2, "LG-1f40")


def test_advisories_are_shown_and_answers_explained(
    place: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(capsys, "show", "CVE-1", *place[:2])
    assert (status, said["records"][0]["id"]) == (0, "A-1")
    with pytest.raises(SystemExit):
        main(["advisories", "show", "CVE-1", *place[:2]])
    head, *lines = capsys.readouterr().out.splitlines()
    assert (head, json.loads("\n".join(lines))["id"]) == ("A-1 in osv/PyPI", "A-1")
    status, said = run(capsys, "show", "CVE-9", *place[:2])
    assert (status, said["code"]) == (2, "LG-1444")
    status, said = run(capsys, "explain", "--purl", "pkg:pypi/demo@1", *place)
    assert said["answer"]["outcome"] == "affected"
    assert said["looked"] == [
        "demo 1 in PyPI: covered by osv/PyPI",
        "osv/PyPI: A-1: affected [introduced 0; fixed 2]".replace(";", ""),
    ]


def test_people_read_the_same(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["match", "--purl", "pkg:pypi/demo@1"], ["explain", "--purl", "pkg:pypi/demo@1"]):
        with pytest.raises(SystemExit):
            main(["advisories", *words, *place])
        said = " ".join(capsys.readouterr().out.split())
        assert "affected pkg:pypi/demo@1" in said
        assert "exploited since 2026-02-01; EPSS 25.00 %; known since 2026-01-02; fixed in 2" in said
    with pytest.raises(SystemExit):
        main(["advisories", "status", *place])
    assert "osv/PyPI: 1 records" in capsys.readouterr().out


def test_nothing_loaded_is_an_error_and_no_clean_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(tmp_path / "none")]
    status, said = run(capsys, "match", "--purl", "pkg:pypi/demo@1", *where)
    assert (status, said["code"]) == (2, "LG-1442")
    assert run(capsys, "status", *where) == (1, {"sources": []})


@pytest.mark.skipif(not (REAL / "osv/PyPI.zip").is_file(), reason="the shared data is not here")
def test_a_real_stale_export_is_loaded_and_says_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(tmp_path / "data")]
    assert run(capsys, "load", str(REAL / "osv/PyPI.zip"), str(REAL / "kev.json"), *where)[0] == 0
    purls = ["pkg:pypi/jinja2@2.4.1", "pkg:pypi/vllm@0.5.0", "pkg:pypi/torch@2.0.0"]
    status, said = run(capsys, "match", *(w for p in purls for w in ("--purl", p)), *where)
    assert status == 4
    outcomes = [answer["outcome"] for answer in said["answers"]]
    assert outcomes == ["affected", "unknown to the database", "database too old"]
    assert said["answers"][0]["fixed"] == "2.11.3"
