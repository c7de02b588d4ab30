"""Exposure of what is served: data out of the snapshot, dates, open advisories, metrics, the way back."""

import json
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from corpora.advisories import NOW, archive, fill, osv, shelf_of
from corpora.gates import Listing
from corpora.homes import HighSide
from corpora.images import image
from lockgate.admit import Gate
from lockgate.advisories import (
    Freshness,
    Served,
    Wanted,
    exposure,
    manifest_of,
    match_all,
    read_wanted,
    totals,
)
from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.wanted import WANTED_FORMAT
from lockgate.app.gate.gate import execute, open_gate
from lockgate.cli.main import main
from lockgate.collect.manifest import parse_manifest
from lockgate.collect.models import ages_of
from lockgate.console.pages import AlertMetrics
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.wire import encode, stamp
from lockgate.store import FileBlobs
from lockgate.watch import (
    ALERT_GROUPS,
    ALERTS,
    VERDICT_ALERTS,
    ExposureFigures,
    alert_rules,
    exposure_metrics,
)

RECENT = datetime.now(UTC) - timedelta(days=2)


def python(version: str, uploaded: datetime | None, name: str = "demo") -> Artifact:
    """Return an artifact of one wheel; its bytes are nobody's business here."""
    file = ArtifactFile(
        path=f"pypi/{name}/{name}-{version}.whl",
        role=Role.DISTRIBUTION,
        size=1,
        sha256="0" * 64,
        uploaded=uploaded,
    )
    purl = f"pkg:pypi/{name}@{version}"
    return Artifact(purl=purl, kind=Kind.PYTHON, name=name, version=version, files=(file,))


def test_days_are_counted_from_what_is_known_and_else_not_known(tmp_path: Path) -> None:
    record = osv(
        "A-1", "demo", ("introduced", "0"), ("fixed", "2"), published=stamp(NOW - timedelta(days=30))
    )
    shelf = shelf_of(tmp_path, [record, osv("A-2", "far", ("introduced", "3"), ("fixed", "4"))])
    old, new = python("1", NOW - timedelta(days=400)), python("2", NOW - timedelta(days=5))
    far, strange = python("1", None, "far"), python("1", None, "strange")
    admitted = NOW - timedelta(days=10)
    served = [Served(artifact=a, admitted=admitted) for a in (old, new, far)]
    served.append(Served(artifact=strange, admitted=None))
    data = shelf.open()
    answers = match_all(data, [s.artifact.purl for s in served], Freshness(NOW))
    found = {e.purl: e for e in exposure(data, served, answers, NOW)}
    data.close()
    demo = found["pkg:pypi/demo@1"]
    assert (demo.released, demo.newest, demo.days_behind, demo.fixed) == (
        NOW - timedelta(days=400),
        "2",
        5,
        "2",
    )
    assert [(o.found.id, o.days_known, o.days_exposed) for o in demo.open] == [("A-1", 30, 10)]
    assert (found["pkg:pypi/demo@2"].days_behind, found["pkg:pypi/demo@2"].open) == (0, ())
    assert (found["pkg:pypi/far@1"].newest, found["pkg:pypi/far@1"].days_behind) == ("4", -1)
    counts = totals(found.values())
    assert counts.outcomes == {
        "affected": 1,
        "not affected": 2,
        "unknown to the database": 1,
        "database too old": 0,
    }
    assert counts.severities["not known"] == 1


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), json.loads(said.out or said.err)


def main_text(*words: str) -> None:
    with pytest.raises(SystemExit):
        main(list(words))


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    """A high side that serves one old wheel, one model, and the advisories that a crossing brought."""
    high = HighSide.new(tmp_path)
    records = [osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), modified=stamp(RECENT))]
    publish(high, 1, records)
    return high


def publish(high: HighSide, sequence: int, records: list[dict[str, Any]]) -> None:
    quarantine = FileBlobs(high.side.home.quarantine)
    made = archive(high.folder / f"all-{sequence}.zip", records).read_bytes()
    digest = quarantine.put_bytes(made)
    wheel = quarantine.put_bytes(b"w")
    data = ArtifactFile(path=f"files/osv/{sequence}.zip", role=Role.OTHER, size=len(made), sha256=digest)
    demo = ArtifactFile(
        path="pypi/demo/demo-1-py3-none-any.whl",
        role=Role.OTHER,
        size=1,
        sha256=wheel,
        uploaded=RECENT.replace(microsecond=0),
    )
    high.arrive_with(
        sequence,
        Artifact(purl="pkg:pypi/demo@1", kind=Kind.FILE, name="demo", version="1", files=(demo,)),
        Artifact(
            purl=f"pkg:generic/osv@{sequence}",
            kind=Kind.FILE,
            name="osv",
            version=str(sequence),
            files=(data,),
            attributes={"advisories": "osv-pypi"},
        ),
    )
    execute(high.side, high.ask_to_publish(sequence))


def test_a_high_side_loads_only_what_was_admitted(
    high: HighSide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    other = archive(tmp_path / "other.zip", [osv("B-1")])
    status, said = run(capsys, "advisories", "load", str(other), *home)
    assert (status, said["code"]) == (4, "LG-3f40")
    status, said = run(capsys, "advisories", "load", "--admitted", *home)
    assert (status, [s["name"] for s in said["sources"]]) == (0, ["osv-pypi"])
    assert run(capsys, "advisories", "load", "--admitted", *home)[1] == {"sources": []}
    status, said = run(capsys, "advisories", "load", "--admitted", "--data", str(tmp_path / "x"))
    assert (status, said["code"]) == (4, "LG-3f40")


def test_the_newest_crossing_brings_the_data_and_a_bad_one_leaves_the_old(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    publish(high, 2, [osv("A-1", "demo", ("introduced", "0"), ("fixed", "3"), modified=stamp(RECENT))])
    _, said = run(capsys, "advisories", "load", "--admitted", *home)
    assert len(said["sources"]) == 1
    assert run(capsys, "exposure", *home)[1]["exposed"][0]["fixed"] == "3"
    publish(high, 3, [{"id": "broken"}])
    status, said = run(capsys, "advisories", "load", "--admitted", *home)
    assert (status, said["code"]) == (2, "LG-1441")
    assert run(capsys, "exposure", *home)[1]["exposed"][0]["fixed"] == "3"


def test_altered_bytes_in_the_store_are_not_loaded(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    altered = 0
    for blob in high.side.home.blobs.rglob("*"):
        if blob.is_file() and blob.read_bytes().startswith(b"PK"):
            blob.chmod(0o600)
            blob.write_bytes(blob.read_bytes().replace(b"A-1", b"A-2"))
            altered += 1
    assert altered == 1
    status, _ = run(capsys, "advisories", "load", "--admitted", "--home", str(high.lane.high))
    assert status == 3
    assert run(capsys, "advisories", "status", "--home", str(high.lane.high))[1] == {"sources": []}


def test_exposure_tells_and_its_list_becomes_a_manifest(
    high: HighSide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    status, said = run(capsys, "exposure", *home)
    assert (status, said["code"]) == (2, "LG-1442")
    run(capsys, "advisories", "load", "--admitted", *home)
    wanted = tmp_path / "wanted.json"
    status, said = run(capsys, "exposure", "--wanted", str(wanted), *home)
    (demo,) = said["exposed"]
    assert (status, demo["outcome"], demo["fixed"], demo["days_behind"]) == (4, "affected", "2", -1)
    assert demo["admitted"] is not None
    assert demo["open"][0]["days_exposed"] == 0
    status, said = run(capsys, "low", "wanted", str(wanted), "--out", str(tmp_path / "wanted.toml"))
    assert said["purls"] == ["pkg:pypi/demo@2"]
    text = (tmp_path / "wanted.toml").read_text()
    assert parse_manifest(text.encode()).python[0].requirements == ("demo>=2",)
    with pytest.raises(SystemExit):
        main(["exposure", *home])
    told = " ".join(capsys.readouterr().out.split())
    assert "pkg:pypi/demo@1: A-1 severity not known, known since 2026-01-02 (" in told


def image_arrives(high: HighSide, *packages: str) -> Gate:
    """Let crossing 2 bring an image, and sign that its layers hold some packages."""
    made = image()
    quarantine, root = FileBlobs(high.side.home.quarantine), made.root.removeprefix("sha256:")
    files = [
        ArtifactFile(path=f"oci/app/{root}/{digest}", role=role, size=len(data), sha256=digest)
        for role, held in ((Role.MANIFEST, made.manifests), (Role.OTHER, made.blobs))
        for data in held.values()
        for digest in [quarantine.put_bytes(data)]
    ]
    purl = "pkg:oci/app@3?arch=amd64"
    high.arrive_with(2, Artifact(purl=purl, kind=Kind.OCI, name="app", version=made.root, files=tuple(files)))
    gate = open_gate(high.side)
    gate.inspect(2, Listing(*packages))
    return gate


def test_an_image_is_as_exposed_as_what_its_layers_hold(
    high: HighSide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No data names its own package URL: asked by that alone it would read as unknown."""
    home = ["--home", str(high.lane.high)]
    run(capsys, "advisories", "load", "--admitted", *home)
    gate = image_arrives(high, "pkg:pypi/demo@1.5", "pkg:pypi/demo@2")
    status, said = run(capsys, "advisories", "match", "--crossing", "2", *home)
    assert (status, [a["purl"] for a in said["answers"]]) == (4, ["pkg:pypi/demo@1.5", "pkg:pypi/demo@2"])
    request = gate.request(2, "stable", high.operator)
    execute(high.side, high.signed(request, "publish-2"))
    wanted = tmp_path / "wanted.json"
    _, said = run(capsys, "exposure", "--wanted", str(wanted), *home)
    shown = next(each for each in said["exposed"] if each["kind"] == "oci")
    assert (shown["outcome"], shown["fixed"]) == ("affected", "")
    assert [(o["found"]["id"], o["inside"]) for o in shown["open"]] == [("A-1", "pkg:pypi/demo@1.5")]
    assert said["totals"]["outcomes"]["affected"] == 2
    assert read_wanted(wanted.read_bytes()).purls == ("pkg:oci/app", "pkg:pypi/demo@2")
    main_text("exposure", *home)
    assert "pkg:oci/app@3?arch=amd64: pkg:pypi/demo@1.5: A-1" in capsys.readouterr().out
    main_text("low", "wanted", str(wanted), "--out", str(tmp_path / "wanted.toml"))
    assert parse_manifest((tmp_path / "wanted.toml").read_bytes()).python[0].requirements == ("demo>=2",)
    assert "#   pkg:oci/app\n" in (tmp_path / "wanted.toml").read_text()


def test_an_image_whose_verdict_is_gone_is_unknown_and_not_clean(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    run(capsys, "advisories", "load", "--admitted", *home)
    gate = image_arrives(high, "pkg:pypi/demo@2")
    execute(high.side, high.signed(gate.request(2, "stable", high.operator), "publish-2"))

    def outcome() -> str:
        _, said = run(capsys, "exposure", *home)
        return next(str(each["outcome"]) for each in said["exposed"] if each["kind"] == "oci")

    assert outcome() == "not affected"
    FileBlobs(high.side.home.quarantine).path(gate.crossing(2).verdicts_sha256).unlink()
    assert outcome() == "unknown to the database"


def test_approvers_ask_what_is_known_against_a_waiting_crossing(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    run(capsys, "advisories", "load", "--admitted", *home)
    high.arrive_with(2, python("1.5", None), python("2", None))
    status, said = run(capsys, "advisories", "match", "--crossing", "2", *home)
    assert (status, [a["outcome"] for a in said["answers"]]) == (4, ["affected", "not affected"])
    status, said = run(capsys, "advisories", "match", "--crossing", "9", *home)
    assert (status, said["code"]) == (2, "LG-1801")


def test_a_shown_crossing_tells_what_is_known_and_why_nothing_is(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    status, said = run(capsys, "gate", "show", "1", *home)
    assert (status, said["advisories"]["code"], said["advisories"]["report"]["answers"]) == (0, "LG-1442", [])
    main_text("gate", "show", "1", *home)
    assert "not asked: No advisory data is loaded" in " ".join(capsys.readouterr().out.split())
    run(capsys, "advisories", "load", "--admitted", *home)
    _, said = run(capsys, "gate", "show", "1", *home)
    (demo,) = said["advisories"]["report"]["answers"]
    assert (demo["purl"], demo["outcome"], demo["fixed"]) == ("pkg:pypi/demo@1", "affected", "2")
    assert [found["id"] for found in demo["found"]] == ["A-1"]
    main_text("gate", "show", "1", *home)
    assert "affected pkg:pypi/demo@1" in capsys.readouterr().out
    (stored,) = (high.side.home.advisories / "sets").glob("*.sqlite")
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes() + b"x")
    _, said = run(capsys, "gate", "show", "1", *home)
    assert (said["advisories"]["code"], said["advisories"]["report"]["answers"]) == ("LG-2440", [])


def test_metrics_count_by_severity_and_tell_the_age(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(high.lane.high)]
    run(capsys, "advisories", "load", "--admitted", *home)
    with pytest.raises(SystemExit):
        main(["exposure", "--metrics", *home])
    samples = {
        (s.name, *s.labels.values()): s.value
        for family in text_string_to_metric_families(capsys.readouterr().out)
        for s in family.samples
    }
    assert samples["lockgate_open_vulnerabilities", "not known"] == 1
    assert samples["lockgate_open_vulnerabilities", "critical"] == 0
    assert samples["lockgate_exposure_artifacts", "affected"] == 1
    assert samples["lockgate_exploited_vulnerabilities",] == 0
    assert 2 * 86_400 <= samples["lockgate_advisory_age_seconds", "osv-pypi"] < 3 * 86_400
    assert samples["lockgate_advisory_stale", "osv-pypi"] == 0


def test_alerts_speak_of_metrics_that_are_written() -> None:
    figures = ExposureFigures(
        severities={"critical": 0},
        outcomes={"affected": 0},
        exploited=0,
        longest={"high": 31},
        ages={"osv-pypi": 1},
        stale={"osv-pypi": False},
    )
    written = {f.name for f in text_string_to_metric_families(exposure_metrics(figures))}
    written |= {metric.name for metric in AlertMetrics.families()}
    text = alert_rules(ALERT_GROUPS)
    expressions = [json.loads(found) for found in re.findall(r"^        expr: (.+)$", text, re.MULTILINE)]
    assert expressions == [alert.expression for alert in (*ALERTS, *VERDICT_ALERTS)]
    assert re.findall(r"^  - name: (.+)$", text, re.MULTILINE) == ["lockgate-exposure", "lockgate-verdicts"]
    spoken = {name for expression in expressions for name in re.findall(r"lockgate_\w+", expression)}
    assert spoken <= written
    assert {"lockgate_verdicts_changed", "lockgate_verdicts_beyond", "lockgate_verdicts_old"} <= spoken


def listed(*purls: str) -> Wanted:
    return Wanted(format=WANTED_FORMAT, lane="harbour", purls=purls)


def test_a_list_from_the_other_side_becomes_nothing_but_requirements() -> None:
    text = manifest_of(listed("pkg:cargo/rand@0.8.5", "pkg:npm/lodash@4.17.21", "pkg:pypi/demo@2.0%2Bcpu"))
    assert tomllib.loads(text) == {
        "python": [{"requirements": ["demo>=2.0"]}],
        "npm": [{"packages": ["lodash@>=4.17.21"]}],
    }
    assert parse_manifest(text.encode()).npm[0].packages == ("lodash@>=4.17.21",)
    assert "#   pkg:cargo/rand@0.8.5" in text
    for bad in (
        "pkg:pypi/demo",
        "pkg:pypi/demo@2%22%5D",
        "pkg:pypi/demo%22@2",
        "pkg:pypi/--index-url@2",
        "pkg:npm/x@1\n[[python]]",
        "no purl",
    ):
        with pytest.raises(BadPackageError):
            manifest_of(listed(bad))


def test_models_carry_their_cutoff_and_successor_from_the_manifest() -> None:
    text = (
        '[[model]]\nname = "org/small"\nformat = "gguf"\ntask = "chat"\nlicence = "MIT"\n'
        'knowledge_cutoff = "2025-06"\nsuccessor = "org/next"\n'
        f'[[model.files]]\npath = "a.gguf"\nurl = "a.gguf"\nsha256 = "{"0" * 64}"\n'
    )
    section = parse_manifest(text.encode()).model[0]
    assert ages_of(section) == {"knowledge-cutoff": "2025-06", "successor": "org/next"}
    with pytest.raises(LockgateError, match="knowledge_cutoff"):
        parse_manifest(text.replace("2025-06", "soon").encode())


def test_a_list_is_read_strictly() -> None:
    good = encode(listed("pkg:pypi/demo@2"))
    assert read_wanted(good) == listed("pkg:pypi/demo@2")
    for bad in (b"", b"{}", good + b" ", good.replace(b"lockgate-wanted/1", b"lockgate-wanted/2")):
        with pytest.raises(LockgateError):
            read_wanted(bad)


def test_a_manifest_marks_what_is_advisory_data(tmp_path: Path) -> None:
    text = f'[[advisories]]\nname = "osv-pypi"\nurl = "all.zip"\nsha256 = "{"0" * 64}"\n'
    assert parse_manifest(text.encode()).advisories[0].name == "osv-pypi"
    with pytest.raises(LockgateError, match="twice"):
        parse_manifest((text + text.replace("advisories", "file")).encode())
    assert fill(shelf_of(tmp_path, [osv("A-1")]), archive(tmp_path / "b.zip", [osv("B-1")])).origin
