"""Reports that are forged, of another crate, partial, expired or altered: refused, each with its code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from corpora.gates import START, Scripted, World
from lockgate.admit import Gate
from lockgate.admit.errors import HeldBackError
from lockgate.admit.ports import StationReader
from lockgate.approve import read_statement
from lockgate.core.errors import LockgateError, NotCanonicalError
from lockgate.core.policy import StationRule
from lockgate.core.roots import (
    KeyExpiredError,
    KeyPurposeError,
    Purpose,
    Root,
    UnknownKeyError,
)
from lockgate.core.station import REPORT_FORMAT, FileScan, ScannerFacts, Scans, StationReport, judge_stations
from lockgate.core.verdict import Outcome
from lockgate.core.wire import encode
from lockgate.crossing.station import (
    StationLedger,
    demand_fresh,
    demand_place,
    demand_report,
    read_report,
    sign_report,
)
from lockgate.crossing.station.errors import (
    ReportExpiredError,
    ReportFormError,
    ReportPartialError,
    ReportPlaceError,
    ReportsLimitError,
)
from lockgate.crossing.station.report import STATION
from lockgate.store import MemoryRecords
from lockgate.trust.attest import attest
from lockgate.trust.dsse import add_signature, open_envelope, sign
from lockgate.trust.errors import EnvelopeError, SignatureError
from lockgate.trust.keys import new_signer

KEY = new_signer(Purpose.SCANNER, "station-1")
OTHER = new_signer(Purpose.SCANNER, "station-2")


class Stations(World):
    """A gate with two stations; what they signed lies in a ledger as on a high side."""

    def __post_init__(self):
        super().__post_init__()
        keys = {s.keyid: s.held(self.site.expires) for s in (KEY, OTHER)}
        self.site = msgspec.structs.replace(self.site, keys=self.site.keys | keys)
        self.shelf = MemoryRecords()

    @property
    def gate(self) -> Gate:
        world = self

        class Reader(StationReader):
            def reports(self, crossing, artifacts):
                kept = StationLedger(world.shelf, world.site)
                facts = (crossing.sequence, crossing.crate_sha256, crossing.lock_sha256)
                return kept.reports(*facts, artifacts).reports

        return Gate(replace(super().gate._p, stations=Reader()))

    def report(self, sequence: int = 1, **changes: object) -> StationReport:
        crossing = self.gate.crossing(sequence)
        files = tuple(
            FileScan(path=f.path, sha256=f.sha256, size=f.size, outcome=Outcome.CLEAN)
            for a in self.gate.lock(crossing).artifacts
            for f in a.files
        )
        made = StationReport(
            format=REPORT_FORMAT,
            lane="test",
            crossing=sequence,
            crate_sha256=crossing.crate_sha256,
            lock_sha256=crossing.lock_sha256,
            scanner=ScannerFacts(name="clamav", version="1", adapter="command", database=START),
            largest=1 << 20,
            started=START,
            finished=START + timedelta(minutes=5),
            expires=START + timedelta(days=7),
            files=files,
        )
        return msgspec.structs.replace(made, **changes)

    def record(self, report: StationReport, key=KEY) -> None:
        data = sign_report(report, key)
        StationLedger(self.shelf, self.site).record(data, read_report(data, self.site))

    def held(self, sequence: int = 1) -> list[str]:
        gate = self.gate
        return [held.reason for held in gate.assess(gate.crossing(sequence)).held]


@pytest.fixture
def world() -> Stations:
    made = Stations()
    made.arrive(1, "a", "b")
    made.with_policy(station=StationRule(scanners=("clamav",), database_age=86400))
    return made


def refused(data: bytes, site: Root, error: type[LockgateError], at: datetime = START) -> None:
    with pytest.raises(error) as caught:
        read_report(data, site, at)
    assert type(caught.value) is error


def test_only_a_key_for_scanning_that_the_site_lists_signs_reports(world: Stations) -> None:
    report = world.report()
    assert read_report(sign_report(report, KEY), world.site, START).station == "station-1"
    refused(sign_report(report, new_signer(Purpose.SCANNER, "station-1")), world.site, UnknownKeyError)
    refused(sign_report(report, world.inspector), world.site, KeyPurposeError)
    refused(sign_report(report, world.key("ap-1")), world.site, KeyPurposeError)
    refused(sign_report(report, KEY), world.site, KeyExpiredError, world.site.expires)
    late = world.site.expires + timedelta(days=1)
    backdated = world.report(finished=late, expires=late + timedelta(days=1))
    with pytest.raises(KeyExpiredError):
        read_report(sign_report(backdated, KEY), world.site)
    stranger = add_signature(sign_report(report, KEY), new_signer(Purpose.SCANNER, "x"))
    refused(stranger, world.site, UnknownKeyError)


def test_a_report_that_was_altered_after_it_was_signed_is_refused(world: Stations) -> None:
    data = sign_report(world.report(), KEY)
    opened = open_envelope(data)
    other = open_envelope(sign_report(world.report(crossing=2), KEY))
    moved = data.replace(
        msgspec.json.decode(data)["signatures"][0]["sig"].encode(),
        msgspec.json.decode(sign(other.payload_type, other.payload, [KEY]))["signatures"][0]["sig"].encode(),
    )
    refused(moved, world.site, SignatureError)
    refused(data + b"\n", world.site, NotCanonicalError)
    refused(sign("text/plain", opened.payload, [KEY]), world.site, EnvelopeError)


def test_a_report_that_contradicts_itself_is_refused(world: Stations) -> None:
    report = world.report()
    for changes in (
        {"format": "lockgate-station/2"},
        {"finished": START - timedelta(seconds=1)},
        {"expires": START},
        {"largest": 0},
    ):
        refused(sign_report(msgspec.structs.replace(report, **changes), KEY), world.site, ReportFormError)
    few = {report.files[0].path: report.files[0].sha256, "meta/crate.json": report.crate_sha256}
    refused(attest(few, STATION, report, KEY), world.site, ReportFormError)
    crate = {scan.path: scan.sha256 for scan in report.files} | {"meta/crate.json": "0" * 64}
    refused(attest(crate, STATION, report, KEY), world.site, ReportFormError)
    whole = {scan.path: scan.sha256 for scan in report.files} | {"meta/crate.json": report.crate_sha256}
    refused(attest(whole, "urn:lockgate:inspection:v1", report, KEY), world.site, ReportFormError)


def test_a_report_of_another_lane_crossing_crate_or_content_is_refused(world: Stations) -> None:
    report, crossing = world.report(), world.gate.crossing(1)
    refused(sign_report(msgspec.structs.replace(report, lane="other"), KEY), world.site, ReportPlaceError)
    artifacts = world.gate.lock(crossing).artifacts
    facts = (1, crossing.crate_sha256, crossing.lock_sha256)
    signed = read_report(sign_report(report, KEY), world.site)
    demand_report(signed, *facts, artifacts)
    for other in ((2, *facts[1:]), (1, "e" * 64, facts[2]), (1, facts[1], "e" * 64)):
        with pytest.raises(ReportPlaceError):
            demand_report(signed, *other, artifacts)
    with pytest.raises(ReportPlaceError):
        demand_place(signed, 1, "e" * 64)


def test_a_partial_report_is_refused_and_so_is_one_of_too_much(world: Stations) -> None:
    report, crossing = world.report(), world.gate.crossing(1)
    artifacts = world.gate.lock(crossing).artifacts
    other = msgspec.structs.replace(report.files[0], sha256="f" * 64)
    for files in (
        report.files[:1],
        (),
        (*report.files, report.files[0]),
        (*report.files, other),
        (other, *report.files[1:]),
    ):
        signed = read_report(sign_report(msgspec.structs.replace(report, files=files), KEY), world.site)
        with pytest.raises(ReportPartialError):
            demand_report(signed, 1, crossing.crate_sha256, crossing.lock_sha256, artifacts)


def test_an_expired_report_is_refused_and_one_from_the_future(world: Stations) -> None:
    signed = read_report(sign_report(world.report(), KEY), world.site)
    demand_fresh(signed, START + timedelta(days=6), 60)
    for at in (START + timedelta(days=7), START + timedelta(days=400), START - timedelta(days=1)):
        with pytest.raises(ReportExpiredError):
            demand_fresh(signed, at, 60)


def test_a_clean_report_lets_a_crossing_through_and_the_statement_binds_it(world: Stations) -> None:
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    assert world.held() == []
    crossing = world.gate.crossing(1)
    asked = world.gate.request(1, "stable", world.operator)
    assert read_statement(asked).verdicts_sha256 == crossing.verdicts_sha256
    said = world.gate.verdicts(crossing).verdicts
    assert all(v.inspectors[-1].startswith("station station-1: clamav 1, data of 2026-05-01") for v in said)
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))


def test_a_report_counts_only_while_it_is_current(world: Stations) -> None:
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    asked = world.gate.request(1, "stable", world.operator)
    signed = world.signed(asked, "ap-1", "ap-2")
    world.now = START + timedelta(days=6, hours=23)
    assert world.held() == []
    world.now = START + timedelta(days=7)
    assert {r.split(" expired")[0] for r in world.held()} == {"The report of station station-1"}
    with pytest.raises(LockgateError):
        world.gate.execute(signed)


def test_data_that_was_too_old_or_of_no_known_date_does_not_do(world: Stations) -> None:
    old = ScannerFacts(name="clamav", version="1", adapter="command", database=START - timedelta(days=2))
    world.record(world.report(scanner=old))
    world.gate.inspect(1, Scripted())
    assert all("too old" in reason for reason in world.held())
    undated = msgspec.structs.replace(old, database=None)
    world.record(world.report(scanner=undated))
    world.gate.inspect(1, Scripted())
    assert all("which date" in reason or "too old" in reason for reason in world.held())
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    assert world.held() == []


def test_each_scanner_that_the_policy_names_has_to_have_reported(world: Stations) -> None:
    world.with_policy(station=StationRule(scanners=("clamav", "second")))
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    assert set(world.held()) == {"There is no station's report by second."}
    second = ScannerFacts(name="second", version="9", adapter="icap")
    world.record(world.report(scanner=second), OTHER)
    world.gate.inspect(1, Scripted())
    assert world.held() == []


@pytest.mark.parametrize("outcome", [Outcome.FINDINGS, Outcome.INCOMPLETE, Outcome.OPAQUE])
@pytest.mark.parametrize("comes", ["before", "after"])
def test_the_strictest_report_wins_whenever_it_comes(world: Stations, outcome: Outcome, comes: str) -> None:
    world.record(world.report())
    if comes == "after":
        world.gate.inspect(1, Scripted())
        signed = world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2")
    report = world.report()
    bad = msgspec.structs.replace(report.files[0], outcome=outcome, names=("Evil",))
    world.record(msgspec.structs.replace(report, files=(bad, *report.files[1:])), OTHER)
    if comes == "before":
        world.gate.inspect(1, Scripted())
        verdicts = {v.path: v for v in world.gate.verdicts(world.gate.crossing(1)).verdicts}
        assert verdicts[bad.path].outcome is Outcome.FINDINGS
    assert {h.path for h in world.gate.assess(world.gate.crossing(1)).held} == {bad.path}
    if comes == "after":  # two persons approved already: publication judges again
        with pytest.raises(LockgateError):
            world.gate.execute(signed)
    with pytest.raises(HeldBackError):
        world.gate.request(1, "stable", world.operator)


def test_a_station_whose_key_was_dropped_counts_for_nothing_any_more(world: Stations) -> None:
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    assert world.held() == []
    keys = {i: k for i, k in world.site.keys.items() if i != KEY.keyid}
    world.site = msgspec.structs.replace(world.site, keys=keys)
    assert set(world.held()) == {"There is no station's report by clamav."}
    crossing = world.gate.crossing(1)
    facts = (1, crossing.crate_sha256, crossing.lock_sha256)
    kept = StationLedger(world.shelf, world.site).reports(*facts, world.gate.lock(crossing).artifacts)
    assert kept.reports == ()
    assert "LG-2002" in kept.unproven[0]


def test_a_row_that_somebody_wrote_or_changed_counts_for_nothing(world: Stations) -> None:
    world.record(world.report())
    world.gate.inspect(1, Scripted())
    with world.shelf.transaction() as tx:
        ((key, data),) = list(tx.scan("station"))
        tx.put("station", key, data.replace(b"A", b"B", 1))
    assert set(world.held()) == {"There is no station's report by clamav."}
    forged = sign_report(world.report(), new_signer(Purpose.SCANNER, "station-1"))
    with world.shelf.transaction() as tx:
        tx.put("station", key, forged)
    assert set(world.held()) == {"There is no station's report by clamav."}


def test_the_number_of_reports_is_bounded_and_the_same_one_again_changes_nothing(world: Stations) -> None:
    for minute in range(16):
        world.record(world.report(finished=START + timedelta(minutes=minute + 1)))
    world.record(world.report(finished=START + timedelta(minutes=1)))
    with pytest.raises(ReportsLimitError):
        world.record(world.report(finished=START + timedelta(minutes=40)))


def test_a_gate_without_stations_admits_nothing_where_a_report_is_demanded() -> None:
    world = World(now=datetime(2026, 5, 1, 12, tzinfo=UTC))
    world.arrive(1, "a")
    world.with_policy(station=StationRule())
    world.gate.inspect(1, Scripted())
    with pytest.raises(HeldBackError, match="any scanner"):
        world.gate.request(1, "stable", world.operator)


def test_a_report_does_only_for_files_that_it_speaks_of(world: Stations) -> None:
    world.gate.inspect(1, Scripted())
    crossing = world.gate.crossing(1)
    artifact = world.gate.lock(crossing).artifacts[0]
    report = world.report()
    few = tuple(scan for scan in report.files if scan.path != artifact.files[0].path)
    signed = read_report(sign_report(msgspec.structs.replace(report, files=few), KEY), world.site)
    (verdict,) = [v for v in world.gate.verdicts(crossing).verdicts if v.path == artifact.files[0].path]
    named = msgspec.structs.replace(verdict, inspectors=(signed.label,))
    policy = world.site.policy
    (held,) = judge_stations(policy, artifact, [named], Scans.of([signed]), START)
    assert "does not speak of all its files" in held.reason


def test_a_policy_without_a_rule_encodes_as_before() -> None:
    assert b"station" not in encode(World().site.policy)
