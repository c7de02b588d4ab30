"""Transfer stations joined: the scanner of the settings, a crate opened for it, reports for the gate."""

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lockgate.admit import Crossing
from lockgate.admit.ports import StationReader
from lockgate.app.crossing.custody import Crate, read_crate
from lockgate.app.crossing.rebuild import rebuilder
from lockgate.app.files import write_named
from lockgate.app.keys import holds_key
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, recipient_key, signer_from, site_root, utc_now
from lockgate.core.artifact import Artifact, Lock
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState
from lockgate.core.station import ScannerFacts, SignedReport
from lockgate.core.wire import decode
from lockgate.crossing.ledger import FileSupplyRoots, RecordLedger, mark
from lockgate.crossing.open import Opener, OpenerParts, Received, Waiting
from lockgate.crossing.payload import LOCK
from lockgate.crossing.station import (
    CommandScanner,
    DropScanner,
    IcapScanner,
    Identity,
    Kept,
    Opened,
    ResultWords,
    Scanner,
    Station,
    StationLedger,
    StationParts,
    demand_fresh,
    demand_place,
    demand_report,
    demand_sight,
    read_address,
    read_report,
    sign_report,
    statuses,
)
from lockgate.crossing.station.errors import NoReportsError, StationSettingsError
from lockgate.store import FileBlobs

REPORT_SUFFIX = ".station.json"
"""A report lies beside its crate's folder, named like it with this ending."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A crossing that a station's scanner has seen: the signed report and where it lies."""

    signed: SignedReport
    file: Path


@dataclass(frozen=True, slots=True)
class Tried:
    """What trying a scanner showed; the crate is what would be scanned, its ``crate.json`` verified."""

    scanner: ScannerFacts
    sample: int
    crate: Crate | None = None


def scanner_of(side: Side) -> Scanner:
    """Return the scanner that a station's settings name.

    Raises:
        StationSettingsError: They name none, or one that cannot tell clean from found.

    """
    own = side.settings.station
    if not own.adapter or not own.scanner:
        raise StationSettingsError("The settings name no scanner: station.adapter and station.scanner.")
    identity = Identity(
        own.scanner,
        own.version,
        _words("version_command", own.version_command),
        Path(own.database) if own.database else None,
    )
    stage = side.home.station / "stage"
    if own.adapter == "icap":
        method = own.icap_method.upper()
        return IcapScanner(identity, read_address(own.icap), stage, method, own.seconds)
    if own.adapter == "folder":
        if not Path(own.folder).is_absolute():
            raise StationSettingsError("station.folder has to be the whole path of the watched folder.")
        told = ResultWords(own.result_suffix, own.result_clean, own.result_infected)
        words = told if own.folder_answer == "result" else None
        return DropScanner(identity, Path(own.folder), words, own.seconds)
    meant = statuses({"clean_status": own.clean_status, "infected_status": own.infected_status})
    return CommandScanner(
        identity,
        _words("command", own.command),
        stage,
        meant["clean_status"],
        meant["infected_status"],
        _pattern(own.found_pattern),
        own.seconds,
    )


def _words(key: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        what = f"station.{key} is not a command: {error}."
        raise StationSettingsError(what) from error


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text, re.MULTILINE)
    except re.error as error:
        what = f"station.found_pattern is no regular expression: {error}."
        raise StationSettingsError(what) from error
    if pattern.groups != 1:
        raise StationSettingsError("station.found_pattern needs exactly one group.")
    return pattern


def try_scanner(side: Side, crate: Path | None) -> Tried:
    """Ask a scanner who it is and show it the samples; verify a crate's ``crate.json``. Nothing is kept."""
    scanner = scanner_of(side)
    named = read_crate(side, crate) if crate else None
    scanner.stage.mkdir(parents=True, exist_ok=True, mode=0o770)
    return Tried(scanner.identify(), demand_sight(scanner, side.settings.station.largest_bytes), named)


def begin_with(side: Side, crate: Path) -> int:
    """Let a station that joins a lane later begin with a crate; return the number of the crossing before it.

    Only who sealed the crate says what came before: its ``crate.json`` is verified. The station sees
    crossings in order from there on.

    Raises:
        BegunLedgerError: The station has seen crates of this lane.
        LockgateError: ``crate.json`` does not verify.

    """
    manifest = read_crate(side, crate).manifest
    before = manifest.sequence - 1
    if not before:
        return before
    log, records = audit_log(side), records_of(side)
    intent = log.intent("station-begin", crossing=manifest.sequence)
    try:
        RecordLedger(records).begin_after(before, manifest.previous_sha256)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    finally:
        records.close()
    log.outcome(intent, "done", before=before, crate=manifest.previous_sha256)
    return before


def scan_crate(side: Side, crate: Path, out: Path | None, progress: Progress) -> Scanned | Waiting:
    """Open a crate as a recipient, show all of it to the scanner, and write the signed report.

    Called again, it goes on where it was. Nothing of a crate is parsed before it is authenticated, and
    nothing is shown to the scanner before all of it was hashed against what was signed.

    Returns:
        The report; what is missing while volumes are.

    Raises:
        LockgateError: Refused, with the step's own error; no report is written then.

    """
    scanner = scanner_of(side)
    key = signer_from(side.home.keys, Purpose.SCANNER, site_root(side, utc_now()))
    log = audit_log(side)
    intent = log.intent("station-scan", crate=crate.name)
    try:
        opened = _open(side, crate, progress)
        if isinstance(opened, Waiting):
            log.outcome(intent, "waiting", crate=opened.crate_sha256)
            return opened
        report = Station(_parts(side, scanner)).scan(opened, progress)
        data = sign_report(report, key)
        # What is given out is read as the high side will read it: a key that does not count shows here.
        signed = read_report(data, site_root(side, None), utc_now())
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    target = out or side.home.outbox / f"{crate.name}{REPORT_SUFFIX}"
    write_named(target, data)
    log.outcome(intent, "done", crate=opened.crate_sha256, report=signed.sha256, outcome=report.outcome)
    return Scanned(signed, target)


def _parts(side: Side, scanner: Scanner) -> StationParts:
    scanner.stage.mkdir(parents=True, exist_ok=True, mode=0o770)
    return StationParts(
        scanner=scanner,
        contents=FileBlobs(side.home.quarantine),
        records=records_of(side),
        clock=utc_now,
        free=lambda: shutil.disk_usage(scanner.stage).free,
        largest=side.settings.station.largest_bytes,
        lives=timedelta(days=side.settings.station.report_days),
    )


def _open(side: Side, crate: Path, progress: Progress) -> Opened | Waiting:
    staging = side.home.quarantine / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    records = records_of(side)
    opener = Opener(
        OpenerParts(
            lane=side.lane,
            site=site_root(side, utc_now()),
            supply_pin=side.settings.trust.supply_pin,
            roots=FileSupplyRoots(side.home.trust),
            ledger=RecordLedger(records),
            # A station may have no key of its own where the policy takes crates in cleartext.
            keys=(recipient_key(side),) if holds_key(side.home.keys, "recipient") else (),
            quarantine=FileBlobs(side.home.quarantine),
            staging=staging,
            clock=utc_now,
            rebuilder=rebuilder(),
        )
    )
    received = opener.receive(crate, progress)
    if isinstance(received, Waiting):
        return received
    _mark_open(side, received)
    manifest = received.manifest
    return Opened(side.lane, manifest.sequence, received.crate_sha256, received.lock, received.lock_sha256)


def _mark_open(side: Side, received: Received) -> None:
    """Put on record that a crossing lies open here, so that later ones may build on it."""
    records = records_of(side)
    with records.transaction() as tx:
        mark(tx, received.manifest.sequence, CrossingState.QUARANTINED)
    records.close()


def record_report(side: Side, sequence: int, data: bytes) -> SignedReport:
    """Keep a station's report of a crossing that was received; return it.

    Raises:
        NoReportsError: The crossing was not received here.
        ReportExpiredError, ReportPlaceError, ReportPartialError, ReportFormError: It does not count.
        LockgateError: It is not signed by a station of this site.

    """
    records, log = records_of(side), audit_log(side)
    site, now = site_root(side, None), utc_now()
    intent = log.intent("station-record", crossing=sequence, report=sha256(data))
    try:
        signed = read_report(data, site, now)
        held = RecordLedger(records).held(sequence)
        if held is None:
            what = f"Crossing {sequence} was not opened on this side."
            raise NoReportsError(what)
        lock = decode(Lock, FileBlobs(side.home.quarantine).read(held.meta[LOCK]), name="lock")
        demand_report(signed, sequence, held.crate_sha256, held.meta[LOCK], lock.artifacts)
        demand_fresh(signed, now, (site.policy or Policy()).skew_seconds)
        StationLedger(records, site).record(data, signed)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    finally:
        records.close()
    log.outcome(intent, "done", station=signed.station, outcome=signed.report.outcome)
    return signed


def check_report(side: Side, data: bytes, crate: Path | None) -> SignedReport:
    """Return a report that a station of this site signed; of a crate, where one is named.

    Raises:
        LockgateError: It does not verify, has expired, or is of another crate.

    """
    site = site_root(side, None)
    signed = read_report(data, site, utc_now())
    demand_fresh(signed, utc_now(), (site.policy or Policy()).skew_seconds)
    if crate is not None:
        named = read_crate(side, crate)
        demand_place(signed, named.manifest.sequence, named.sha256)
    return signed


def kept_reports(side: Side, crossing: Crossing, artifacts: Sequence[Artifact]) -> Kept:
    """Return what is on record of a crossing at the high side."""
    records = records_of(side)
    try:
        ledger = StationLedger(records, site_root(side, None))
        return ledger.reports(crossing.sequence, crossing.crate_sha256, crossing.lock_sha256, artifacts)
    finally:
        records.close()


class RecordedStations(StationReader):
    """The gate's reading of reports on record."""

    def __init__(self, side: Side) -> None:
        """Read a high side."""
        self._side = side

    def reports(self, crossing: Crossing, artifacts: Sequence[Artifact]) -> Sequence[SignedReport]:
        """Return the reports on record whose signatures hold and that are of this very crossing."""
        return kept_reports(self._side, crossing, artifacts).reports
