"""A station's report as it travels: an in-toto statement in a DSSE envelope, signed by the station's key."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from lockgate.core.artifact import Artifact
from lockgate.core.digests import sha256
from lockgate.core.roots import Purpose, Root
from lockgate.core.station import REPORT_FORMAT, SignedReport, StationReport, same_files
from lockgate.core.wire import decode, encode
from lockgate.crossing.format import CRATE_FILE
from lockgate.crossing.station.errors import (
    ReportExpiredError,
    ReportFormError,
    ReportPartialError,
    ReportPlaceError,
)
from lockgate.trust.attest import INTOTO_TYPE, STATEMENT_V1, InTotoStatement, attest
from lockgate.trust.dsse import open_envelope, verify
from lockgate.trust.keys import Signer

STATION = "urn:lockgate:station:v1"
"""Predicate type of a station's report."""

REPORT_LIMIT = 1 << 28
"""Longest report that is read, in bytes."""

_CRATE = "meta/" + CRATE_FILE
"""Subject that stands for the crate; no file of a lock may lie below ``meta/``."""


def sign_report(report: StationReport, station: Signer) -> bytes:
    """Return a report as it travels."""
    return attest(_subjects(report), STATION, report, station)


def _subjects(report: StationReport) -> dict[str, str]:
    return {scan.path: scan.sha256 for scan in report.files} | {_CRATE: report.crate_sha256}


def read_report(data: bytes, site: Root, at: datetime | None = None) -> SignedReport:
    """Return a report that a station of the site signed; nothing of it is believed before.

    Args:
        data: The envelope as it travelled.
        site: Names the stations' keys.
        at: The moment that the key's expiry is judged by; when the report was finished when left out.

    Raises:
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError, ThresholdError, EnvelopeError:
            Not signed by a station.
        ReportFormError: It contradicts itself.
        ReportPlaceError: Of another lane.
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not a report in its one form.

    """
    opened = open_envelope(data, limit=REPORT_LIMIT)
    moment = at or datetime.min.replace(tzinfo=site.expires.tzinfo)  # signatures first, the moment after
    people = verify(opened, site, Purpose.SCANNER, moment, INTOTO_TYPE)
    statement = decode(InTotoStatement, opened.payload, limit=REPORT_LIMIT, name="station report")
    report = decode(StationReport, encode(statement.predicate), limit=REPORT_LIMIT, name="station report")
    if at is None:
        site.persons(opened.signatures, Purpose.SCANNER, report.finished)
    _demand_form(statement, report)
    if report.lane != site.lane:
        what = f"The report is of lane {report.lane!r}, not of {site.lane!r}."
        raise ReportPlaceError(what)
    return SignedReport(sha256=sha256(data), station=" and ".join(sorted(people)), report=report)


def _demand_form(statement: InTotoStatement, report: StationReport) -> None:
    subjects = {subject.name: subject.digest for subject in statement.subject}
    expected = {name: {"sha256": digest} for name, digest in _subjects(report).items()}
    known = statement.type_ == STATEMENT_V1 and statement.predicate_type == STATION
    if not known or report.format != REPORT_FORMAT:
        raise ReportFormError("The attestation is no station's report of this version.")
    if subjects != expected or len(statement.subject) != len(expected):
        raise ReportFormError("The report does not speak of what it attests.")
    if not report.started <= report.finished < report.expires:
        raise ReportFormError("The report ends before it begins.")
    if any(scan.size > report.largest and scan.outcome == "clean" for scan in report.files):
        raise ReportFormError(
            "The report calls a file clean that is longer than the scanner was seen to read."
        )


def demand_report(
    signed: SignedReport, crossing: int, crate_sha256: str, lock_sha256: str, artifacts: Sequence[Artifact]
) -> None:
    """Demand that a report is of a crossing and speaks of all that the crossing brought.

    Raises:
        ReportPlaceError: Of another crossing, crate or content.
        ReportPartialError: Not of exactly the files that were locked.

    """
    demand_place(signed, crossing, crate_sha256, lock_sha256)
    report = signed.report
    if not same_files(report, artifacts):
        what = f"The report speaks of {len(report.files)} files, and not of exactly those that were locked."
        raise ReportPartialError(what)


def demand_place(signed: SignedReport, crossing: int, crate_sha256: str, lock_sha256: str = "") -> None:
    """Demand that a report is of a crossing and its crate; of a lock, where one is given.

    Raises:
        ReportPlaceError: Of another one.

    """
    report = signed.report
    found = (report.crossing, report.crate_sha256, report.lock_sha256)
    if found != (crossing, crate_sha256, lock_sha256 or report.lock_sha256):
        what = f"The report is of crossing {report.crossing}, crate {report.crate_sha256[:16]}…"
        raise ReportPlaceError(what, expected=crate_sha256)


def demand_fresh(signed: SignedReport, at: datetime, skew: int) -> None:
    """Demand that a report has neither expired nor is dated in the future.

    Args:
        signed: The report.
        at: The present moment.
        skew: How far clocks may disagree, in seconds.

    Raises:
        ReportExpiredError: It is.

    """
    report = signed.report
    if at >= report.expires:
        what = f"The report expired on {report.expires:%Y-%m-%d %H:%M} UTC."
        raise ReportExpiredError(what)
    if (report.finished - at).total_seconds() > skew:
        what = f"The report is dated {report.finished:%Y-%m-%d %H:%M} UTC."
        raise ReportExpiredError(what)


def as_plain(signed: SignedReport) -> dict[str, object]:
    """Return a report as plain values, with counts by outcome."""
    counts: dict[str, int] = {}
    for scan in signed.report.files:
        counts[scan.outcome] = counts.get(scan.outcome, 0) + 1
    return {**msgspec.to_builtins(signed), "outcomes": counts, "outcome": signed.report.outcome.value}
