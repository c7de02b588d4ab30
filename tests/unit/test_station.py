"""A crate at a transfer station with real ClamAV: opened, scanned, reported, demanded at the gate."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.stations import BAD, STATION, StationLane, policy
from lockgate.core.policy import StationRule


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StationLane:
    return StationLane(tmp_path_factory.mktemp("station")).make()


@pytest.fixture
def lane(made: StationLane, tmp_path: Path) -> StationLane:
    copy = StationLane(Path(shutil.copytree(made.folder, tmp_path / "lane")))
    copy.settings(copy.folder / "data")
    return copy


def test_a_clean_report_lets_in_what_the_policy_lets_in_and_everybody_sees_who_scanned(
    lane: StationLane,
) -> None:
    crate = lane.cross("The pump has two valves.", "A valve opens.")
    done = lane.scanned(crate)
    assert done["outcomes"] == {"clean": len(done["report"]["files"])}
    assert done["station"] == STATION
    assert done["report"]["scanner"]["version"].startswith("ClamAV ")
    assert done["report"]["largest"] >= max(scan["size"] for scan in done["report"]["files"])
    assert not list((lane.station / "station/stage").iterdir())
    shown = lane.commands.json("station", "report", done["file"], "--crate", crate, "--home", lane.high)
    assert shown["sha256"] == done["sha256"]
    sequence = lane.receive(crate)
    assert lane.record(sequence, done["file"]).status == 0
    assert lane.inspect(sequence)["held"] == []
    seen = lane.commands.json("gate", "show", sequence, "--home", lane.high)
    assert [signed["sha256"] for signed in seen["stations"]] == [done["sha256"]]
    label = f"station {STATION}: ClamAV"
    assert all(any(label[:18] in name for name in v["inspectors"]) for v in seen["verdicts"])
    drawn = lane.commands.run("gate", "show", sequence, "--home", lane.high)
    assert f"Station {STATION}: clamav ClamAV" in drawn.out
    assert lane.publish(sequence, "gus", "hal")["operation"] == "publish"
    actions = lane.commands.run("audit", "verify", "--home", lane.station)
    assert actions.status == 0, actions.err


def test_without_a_report_nothing_enters_and_it_is_said_what_is_missing(lane: StationLane) -> None:
    crate = lane.cross("The pump has two valves.")
    sequence = lane.receive(crate)
    held = lane.inspect(sequence)["held"]
    assert [h["reason"] for h in held] == ["There is no station's report by clamav."]
    asked = ("gate", "request", sequence, "--key", lane.key("ora"), "--home", lane.high)
    assert lane.commands.refused(*asked)[1]["code"] == "LG-3801"
    # A report that comes after inspection counts only once the signed verdicts name it.
    done = lane.scanned(crate)
    assert lane.record(sequence, done["file"]).status == 0
    assert lane.commands.refused(*asked)[1]["code"] == "LG-3801"
    assert "came after inspection" in lane.commands.refused(*asked)[1]["error"]
    assert lane.inspect(sequence)["held"] == []
    lane.publish(sequence, "gus", "hal")


def test_what_the_scanner_finds_is_held_with_its_name_and_the_rest_may_enter(lane: StationLane) -> None:
    crate = lane.cross("The pump has two valves.", BAD)
    done = lane.scanned(crate, status=8)
    bad = [scan for scan in done["report"]["files"] if scan["outcome"] != "clean"]
    assert [scan["path"] for scan in bad] == ["documents/notes/01.md"]
    assert "Lockgate-Test-1" in bad[0]["names"][0]
    sequence = lane.receive(crate)
    assert lane.record(sequence, done["file"]).status == 0
    lane.inspect(sequence)
    seen = lane.commands.json("gate", "show", sequence, "--home", lane.high)
    (verdict,) = [v for v in seen["verdicts"] if v["path"] == "documents/notes/01.md"]
    assert verdict["outcome"] == "findings"
    assert ("scanner-found", "critical") in [(f["code"], f["severity"]) for f in verdict["findings"]]
    assert {h["path"] for h in seen["crossing"]["held"]} == {"documents/notes/01.md"}


@pytest.mark.slow
def test_findings_hold_even_where_the_policy_demands_no_report(tmp_path: Path) -> None:
    demanded = policy(StationRule(required=False))
    lane = StationLane(tmp_path / "lane", demanded=demanded).make()
    crate = lane.cross(BAD)
    done = lane.scanned(crate, status=8)
    sequence = lane.receive(crate)
    assert lane.inspect(sequence)["held"] == []
    assert lane.record(sequence, done["file"]).status == 0
    asked = ("gate", "request", sequence, "--key", lane.key("ora"), "--home", lane.high)
    status, error = lane.commands.refused(*asked)
    assert (status, error["code"]) == (4, "LG-3801")
    assert "Lockgate-Test-1" in error["error"]


def test_an_interrupted_scan_goes_on_and_newer_data_begins_anew(lane: StationLane) -> None:
    crate = lane.cross("One.", "Two.", "Three.")
    counter = lane.folder / "count"
    script = lane.folder / "counting"
    command = (lane.station / "lockgate.toml").read_text().split("command = '")[-1].split("'")[0]
    real = command.removesuffix(" {file}")
    # It fails for good at the second note, as a killed station would leave it.
    script.write_text(
        f'#!/bin/sh\nif grep -q "^# Note" "$1"; then echo >> {counter}\n'
        f'[ "$(wc -l < {counter})" = 2 ] && [ ! -e {lane.folder}/go ] && kill -9 $PPID\nfi\n'
        f'exec {real} "$1"\n'
    )
    script.chmod(0o755)
    lane.settings(lane.folder / "data", command=f"{script} {{file}}")
    words = [sys.executable, "-m", "lockgate.cli.main", "station", "scan", crate, "--home", lane.station]
    assert subprocess.run(words, check=False, capture_output=True).returncode == -9
    assert list((lane.station / "station/stage").iterdir()), "a file lay before the scanner"
    (lane.folder / "go").touch()
    counter.write_text("")
    done = lane.scanned(crate)
    assert len(counter.read_text()) == 2, "the first note was not shown again"
    assert len(done["report"]["files"]) == 3
    assert not list((lane.station / "station/stage").iterdir())
    counter.write_text("")
    lane.scanned(crate)
    assert counter.read_text() == ""
    (lane.folder / "data/more.ndb").write_text("Lockgate-Test-9:0:*:" + b"three-more-bytes".hex() + "\n")
    os.utime(lane.folder / "data/more.ndb", (2_000_000_000, 2_000_000_000))
    lane.scanned(crate)
    assert len(counter.read_text()) == 3, "other data: everything is shown again"


def test_a_later_crossing_is_scanned_whole_though_its_crate_carries_only_what_is_new(
    lane: StationLane,
) -> None:
    lane.scanned(lane.cross("One that stays."))
    crate = lane.cross("One that stays.", "One more.", more=("--since", "1"))
    manifest = json.loads(base64.b64decode(json.loads((crate / "crate.json").read_bytes())["payload"]))
    assert manifest["bases"], "the crate builds on the first one"
    assert lane.scanned(crate)["outcomes"] == {"clean": 2}


def test_a_dry_run_opens_nothing(lane: StationLane) -> None:
    crate = lane.cross("The pump has two valves.")
    before = sorted(path for path in lane.station.rglob("*") if path.is_file())
    ran = lane.scan(crate, "--dry-run")
    assert ran.status == 0, ran.err
    assert ran.value["crossing"] == 1
    assert ran.value["sample_bytes"] >= 4 << 20
    after = sorted(path for path in lane.station.rglob("*") if path.is_file())
    assert after == before


@pytest.mark.slow
def test_a_station_without_a_key_reads_only_crates_in_cleartext(tmp_path: Path) -> None:
    lane = StationLane(tmp_path / "lane", demanded=policy(cleartext=True)).make()
    for file in (lane.station / "keys").glob("recipient.*"):
        file.unlink()
    crate = lane.cross("The pump has two valves.", more=("--cleartext",))
    assert lane.scanned(crate)["outcomes"] == {"clean": 1}
    sealed = lane.cross("The pump has three valves.")
    assert lane.scan(sealed).error["code"] == "LG-2705"
    assert len(list((lane.station / "outbox").glob("*.station.json"))) == 1


def test_a_station_is_not_a_high_side_and_the_high_side_is_no_station(lane: StationLane) -> None:
    crate = lane.cross("The pump has two valves.")
    for words in (
        ("station", "scan", crate, "--home", lane.high),
        ("station", "check", "--home", lane.high),
        ("receive", crate, "--home", lane.station),
        ("gate", "list", "--home", lane.station),
        ("station", "record", 1, crate / "crate.json", "--home", lane.station),
    ):
        status, error = lane.commands.refused(*words)
        assert (status, error["code"]) == (2, "LG-1f01")


def test_the_report_that_travels_is_canonical_and_small(lane: StationLane) -> None:
    done = lane.scanned(lane.cross("The pump has two valves."))
    envelope = json.loads(Path(done["file"]).read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert len(envelope["signatures"]) == 1


def test_a_station_that_joins_later_begins_with_a_crate_that_builds_on_nothing(lane: StationLane) -> None:
    first, second = lane.cross("One."), lane.cross("One.", "Two.")
    assert lane.scan(second).error["code"] == "LG-2012"
    refused = lane.scan(second, "--begin")
    assert refused.error["code"] == "LG-3703", "it builds on the first"
    whole = lane.cross("One.", "Two.", "Three.", more=("--full",))
    done = lane.scan(whole, "--begin")
    assert done.status == 0, done.err
    assert len(done.value["report"]["files"]) == 3
    assert lane.scan(whole, "--begin").error["code"] == "LG-1773"
    for earlier in (first, second):
        assert lane.scan(earlier).error["code"] == "LG-2010"
    texts = ["One.", "Two.", "Three.", "Four."]
    assert lane.scanned(lane.cross(*texts, more=("--from", "3")))["outcomes"] == {"clean": 4}
    settings = lane.low / "lockgate.toml"
    settings.write_text(settings.read_text() + "\n[seal]\nbuild_from = 3\n")
    crate = lane.cross(*texts, "Five.")
    assert lane.scanned(crate)["outcomes"] == {"clean": 5}
    envelope = json.loads((crate / "crate.json").read_bytes())
    bases = json.loads(base64.b64decode(envelope["payload"]))["bases"]
    assert bases
    assert min(map(int, bases)) == 3


def test_the_first_crate_of_a_lane_needs_no_beginning_and_a_forged_one_begins_nothing(
    lane: StationLane,
) -> None:
    crate = lane.cross("One.")
    manifest = crate / "crate.json"
    honest = manifest.read_bytes()
    manifest.write_bytes(honest.replace(b'"signatures"', b'"signaturez"'))
    assert lane.scan(crate, "--begin").status != 0
    manifest.write_bytes(honest)
    assert lane.scan(crate, "--begin").status == 0
