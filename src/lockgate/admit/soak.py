"""Reports of canary hosts at the gate: taken when their signatures verify, verified anew at each use."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate.admit.errors import BadReportError
from lockgate.admit.model import ChannelPointer
from lockgate.admit.parts import GateParts
from lockgate.core.roots import Purpose
from lockgate.core.soak import CANDIDATE, HEALTH_FORMAT, HEALTH_TYPE, HealthReport, unmet
from lockgate.core.wire import decode
from lockgate.trust.dsse import open_envelope, verify

REPORTS = "soak-report"
"""Version of ``candidate`` and host → the newest report, signed."""

REPORT_LIMIT = 64 * 1024
"""Longest report that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class Soak:
    """How the snapshot on ``candidate`` stands: who reported, and what it lacks (nothing: it is ready)."""

    pointer: ChannelPointer
    reports: tuple[HealthReport, ...]
    lacks: tuple[str, ...]


def read_report(parts: GateParts, envelope: bytes, now: datetime) -> HealthReport:
    """Return a report whose one signature is its host's.

    Raises:
        BadReportError: Of another lane or channel, dated ahead, or signed for another host.
        LockgateError: A signature that does not verify, or a key that is no canary's.

    """
    opened = open_envelope(envelope, limit=REPORT_LIMIT)
    people = verify(opened, parts.site, Purpose.CANARY, now, HEALTH_TYPE)
    report = decode(HealthReport, opened.payload, limit=REPORT_LIMIT, name="health report")
    if report.format != HEALTH_FORMAT or report.lane != parts.site.lane or report.channel != CANDIDATE:
        what = f"The report is about {report.channel[:64]!r} of lane {report.lane[:64]!r}."
        raise BadReportError(what)
    if people != {report.host}:
        what = f"The report of {report.host[:64]!r} is signed by {', '.join(sorted(people))}."
        raise BadReportError(what)
    if report.made > now + timedelta(seconds=parts.policy.skew_seconds):
        what = f"The report of {report.host} is dated in the future."
        raise BadReportError(what)
    return report


def keep_report(parts: GateParts, pointer: ChannelPointer | None, envelope: bytes) -> HealthReport:
    """Keep a report about what ``candidate`` serves now; an older one of the same host never replaces it.

    Raises:
        BadReportError: About another version, or older than one that is kept.
        LockgateError: See `read_report`.

    """
    report = read_report(parts, envelope, parts.clock())
    if pointer is None or not _about(report, pointer):
        what = f"The report is about version {report.channel_version} of {CANDIDATE!r}, which is not served."
        raise BadReportError(what)
    key = f"{report.channel_version:09d}:{report.host}"
    with parts.records.transaction() as tx:
        known = tx.get(REPORTS, key)
        if known is not None and known != envelope:
            before = decode(HealthReport, open_envelope(known).payload)
            if before.made >= report.made:
                what = f"A report of {report.host} is kept that is not older."
                raise BadReportError(what)
        tx.put(REPORTS, key, envelope)
    parts.audit.append(
        {"kind": "soak", "host": report.host, "version": report.channel_version, "healthy": report.healthy}
    )
    return report


def _about(report: HealthReport, pointer: ChannelPointer) -> bool:
    same = (report.channel_version, report.snapshot_sha256) == (pointer.version, pointer.snapshot_sha256)
    return same and report.made >= pointer.published


def soak_of(parts: GateParts, pointer: ChannelPointer) -> Soak:
    """Return how the snapshot on ``candidate`` stands now.

    Raises:
        LockgateError: A kept report does not verify, or the rules cannot be read.

    """
    now = parts.clock()
    with parts.records.transaction() as tx:
        kept = [value for _, value in tx.scan(REPORTS, f"{pointer.version:09d}:")]
    reports = tuple(read_report(parts, envelope, now) for envelope in kept)
    mine = tuple(report for report in reports if _about(report, pointer))
    rules = parts.admission_rules
    rule = rules.soak if rules else None
    return Soak(pointer, mine, tuple(unmet(rule, mine, pointer.published, now)))
