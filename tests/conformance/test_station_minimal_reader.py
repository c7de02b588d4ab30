"""A reader that shares no code with ours reads the published report of a station, and refuses others."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from minimal_custody import RefusedError, canonical
from minimal_station import demand_crossing, read_report

import make_station_vectors
from lockgate.core.roots import Purpose
from lockgate.core.wire import encode
from lockgate.crossing.station.report import STATION
from lockgate.trust.attest import attest
from make_custody_vectors import CRATE, fixed
from make_station_vectors import NOW, TARGET, made

REPORT = (TARGET / "crate-000042-abcdef.station.json").read_bytes()
KEYS = json.loads((TARGET / "keys.json").read_text())
LOCK = (TARGET / "lock.json").read_bytes()
STATION_KEY = fixed(Purpose.SCANNER, "station-1")


def test_the_vectors_are_what_we_write_today() -> None:
    assert {path.name: path.read_bytes() for path in Path(TARGET).iterdir()} == made()


def test_a_second_reader_reads_the_report() -> None:
    report = read_report(REPORT, KEYS, "harbour")
    demand_crossing(report, 42, CRATE, LOCK, NOW + timedelta(days=1))
    assert report["stations"] == ["station-1"]
    assert [(scan["outcome"], scan["names"]) for scan in report["files"]] == [
        ("clean", []),
        ("findings", ["Doc.Macro-1"]),
        ("incomplete", []),
    ]
    assert (report["scanner"]["name"], report["largest"]) == ("clamav", 64)


def changed(**changes: object) -> bytes:
    """Return a report with other content that the station's own key signed."""
    report = json.loads(encode(make_station_vectors.report())) | changes
    subjects = {scan["path"]: scan["sha256"] for scan in report["files"]}
    return attest(subjects | {"meta/crate.json": report["crate_sha256"]}, STATION, report, STATION_KEY)


FILES = json.loads(encode(make_station_vectors.report()))["files"]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "lockgate-station/2"},
        {"lane": "plant"},
        {"largest": 1},
        {"finished": "2026-02-01T08:00:00Z"},
        {"expires": "2026-03-01T08:00:00Z"},
        {"started": "2026-03-01T08:00:00"},
        {"files": [*FILES, FILES[0]]},
        {"files": [{**FILES[0], "outcome": "fine"}, *FILES[1:]]},
        {"files": [{**FILES[0], "names": ["Doc.Macro-1"] * 17}, *FILES[1:]]},
        {"note": "free text"},
    ],
)
def test_the_second_reader_refuses_what_contradicts_the_format(changes: dict[str, object]) -> None:
    with pytest.raises(RefusedError):
        read_report(changed(**changes), KEYS, "harbour")
    assert read_report(changed(), KEYS, "harbour")["crossing"] == 42


def test_the_second_reader_refuses_what_nobody_signed() -> None:
    envelope = json.loads(REPORT)
    other = fixed(Purpose.SCANNER, "station-9")
    report = make_station_vectors.report()
    foreign = attest({"meta/crate.json": CRATE}, STATION, report, other)
    for data in (
        canonical({**envelope, "signatures": []}),
        canonical({**envelope, "payloadType": "text/plain"}),
        canonical({**envelope, "payload": json.loads(changed(largest=65))["payload"]}),
        attest({"meta/crate.json": CRATE}, STATION, report, STATION_KEY),
        foreign,
        REPORT + b"\n",
    ):
        with pytest.raises((RefusedError, ValueError)):
            read_report(data, KEYS, "harbour")
    approver = {keyid: {**key, "purpose": "approver"} for keyid, key in KEYS.items()}
    with pytest.raises(RefusedError):
        read_report(REPORT, approver, "harbour")


def test_the_second_reader_holds_a_report_against_its_crossing() -> None:
    report, at = read_report(REPORT, KEYS, "harbour"), NOW + timedelta(days=1)
    fewer = {**report, "files": report["files"][1:]}
    for wrong in (
        (report, 41, CRATE, LOCK, at),
        (report, 42, "0" * 64, LOCK, at),
        (report, 42, CRATE, LOCK.replace(b"pump", b"plum"), at),
        (report, 42, CRATE, LOCK, NOW + timedelta(days=7)),
        (fewer, 42, CRATE, LOCK, at),
    ):
        with pytest.raises(RefusedError):
            demand_crossing(*wrong)
