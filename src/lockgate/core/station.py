"""What a transfer station's scanner said of a crossing, and what the policy makes of it. Pure decisions.

A station opens a crate as a recipient of its own, shows every file to the scanner that a site is told
to use, and signs what it said. Its report can only hold things back: it admits nothing.
The document stands in docs/formats/station-v1.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from lockgate.core.artifact import Artifact, Digest, Size
from lockgate.core.policy import Held, Policy, StationRule
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict, worst
from lockgate.core.wire import Document, Moment

REPORT_FORMAT = "lockgate-station/1"

FILES_LIMIT = 1_000_000
"""Most files of one report."""

NAMES_LIMIT = 16
"""Most names of what was found in one file."""

FOUND = "scanner-found"
UNFINISHED = "scanner-unfinished"

_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
Text = Annotated[str, msgspec.Meta(max_length=200, pattern=_TEXT)]
"""What a scanner says: one line without control characters."""

ScannerName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class FileScan(Document, frozen=True):
    """What a scanner said of one file: clean, findings, or incomplete with the reason."""

    path: str
    sha256: Digest
    size: Size
    outcome: Outcome
    names: Annotated[tuple[Text, ...], msgspec.Meta(max_length=NAMES_LIMIT)] = ()
    why: Text = ""


class ScannerFacts(Document, frozen=True):
    """Which scanner it was: its name, its version, and the date of its data where that is known."""

    name: ScannerName
    version: Text
    adapter: ScannerName
    database: Moment | None = None


class StationReport(Document, frozen=True):
    """What a station signs of one crossing: the predicate of its attestation.

    `largest` is the length, in bytes, of the largest sample in which the scanner was seen to find the
    EICAR test pattern, before and after it looked at the files; no longer file is ever clean here.
    """

    format: str
    lane: str
    crossing: Annotated[int, msgspec.Meta(ge=1, le=10**6 - 1)]
    crate_sha256: Digest
    lock_sha256: Digest
    scanner: ScannerFacts
    largest: Size
    started: Moment
    finished: Moment
    expires: Moment
    files: Annotated[tuple[FileScan, ...], msgspec.Meta(max_length=FILES_LIMIT)]

    @property
    def outcome(self) -> Outcome:
        """Return the least favourable outcome of all files."""
        return worst(scan.outcome for scan in self.files)


class SignedReport(Document, frozen=True):
    """A report whose signature holds: its digest as it travelled, and the station that signed."""

    sha256: Digest
    station: str
    report: StationReport

    @property
    def scanner(self) -> str:
        """Return scanner, version and the date of its data, as people read them."""
        facts = self.report.scanner
        dated = f", data of {facts.database:%Y-%m-%d}" if facts.database else ""
        return f"{facts.name} {facts.version}{dated}"

    @property
    def label(self) -> str:
        """Return how signed verdicts name this report."""
        return f"station {self.station}: {self.scanner} (report {self.sha256[:16]})"


@dataclass(frozen=True, slots=True)
class Scans:
    """Verified reports of one crossing, with what they say by path and digest."""

    reports: tuple[SignedReport, ...]
    by_file: Mapping[tuple[str, str], Sequence[tuple[SignedReport, FileScan]]]

    @classmethod
    def of(cls, reports: Iterable[SignedReport]) -> "Scans":
        """Return reports, indexed."""
        known = tuple(reports)
        found: dict[tuple[str, str], list[tuple[SignedReport, FileScan]]] = {}
        for signed in known:
            for scan in signed.report.files:
                found.setdefault((scan.path, scan.sha256), []).append((signed, scan))
        return cls(known, found)

    def about(self, path: str, sha256: str) -> Sequence[tuple[SignedReport, FileScan]]:
        """Return what is said of one file, by report."""
        return self.by_file.get((path, sha256), ())


def with_scans(verdicts: Iterable[Verdict], scans: Scans) -> tuple[Verdict, ...]:
    """Return verdicts with what stations said of the same files added; the stricter outcome wins."""
    return tuple(_with_scans(verdict, scans.about(verdict.path, verdict.sha256)) for verdict in verdicts)


def _with_scans(verdict: Verdict, said: Sequence[tuple[SignedReport, FileScan]]) -> Verdict:
    findings = tuple(
        Finding(
            code=FOUND if scan.outcome is Outcome.FINDINGS else UNFINISHED,
            severity=Severity.CRITICAL if scan.outcome is Outcome.FINDINGS else Severity.HIGH,
            where=verdict.path,
            why=f"{signed.scanner}: {_reason(scan)}",
        )
        for signed, scan in said
        if scan.outcome is not Outcome.CLEAN
    )
    return msgspec.structs.replace(
        verdict,
        outcome=worst([verdict.outcome, *([Outcome.FINDINGS] if findings else [])]),
        findings=(*verdict.findings, *findings),
        inspectors=(*verdict.inspectors, *(signed.label for signed, _ in said)),
    )


def _reason(scan: FileScan) -> str:
    return ", ".join(scan.names) or scan.why or scan.outcome.value


def judge_stations(
    policy: Policy, artifact: Artifact, verdicts: Sequence[Verdict], scans: Scans, at: datetime
) -> tuple[Held, ...]:
    """Return the reasons by which stations hold an artifact back.

    Fails closed. What the signed verdicts name already is judged with them, as a finding. A file of
    which a report that came later says more than clean is held; where the policy demands reports, each
    has to be current, from a scanner with data that is young enough, whole for the artifact, and named
    by the verdicts that the inspector signed.

    Args:
        policy: The site's policy.
        artifact: What wants in.
        verdicts: The inspector's, over the artifact's files.
        scans: The reports on record for the crossing, verified.
        at: The present moment.

    """
    held = [
        _held(artifact, verdict.path, f"{signed.scanner} at station {signed.station}: {_reason(scan)}.", _BAD)
        for verdict in verdicts
        for signed, scan in scans.about(verdict.path, verdict.sha256)
        if scan.outcome is not Outcome.CLEAN and signed.label not in verdict.inspectors
    ]
    rule = policy.station_rule
    if rule is None or not rule.required:
        return tuple(held)
    for scanner in rule.scanners or ("",):
        mine = [signed for signed in scans.reports if scanner in {"", signed.report.scanner.name}]
        reasons = [_lacks(rule, verdicts, signed, scans, at) for signed in mine]
        if "" not in reasons:
            what = reasons[-1] if reasons else f"There is no station's report by {scanner or 'any scanner'}."
            held.append(_held(artifact, "", what, _MISSING))
    return tuple(held)


def _lacks(
    rule: StationRule, verdicts: Sequence[Verdict], signed: SignedReport, scans: Scans, at: datetime
) -> str:
    """Return why one report does not do for an artifact; nothing where it does."""
    report = signed.report
    if at >= report.expires:
        return f"The report of station {signed.station} expired on {report.expires:%Y-%m-%d %H:%M} UTC."
    if stale := stale_data(rule, report):
        return stale
    if any(signed not in [by for by, _ in scans.about(v.path, v.sha256)] for v in verdicts):
        return f"The report of station {signed.station} does not speak of all its files."
    if any(signed.label not in verdict.inspectors for verdict in verdicts):
        return f"The report of station {signed.station} came after inspection; the verdicts do not name it."
    return ""


def stale_data(rule: StationRule, report: StationReport) -> str:
    """Return why a scanner's data was too old when it looked; nothing where it was not."""
    limit = rule.database_seconds
    if limit is None:
        return ""
    facts = report.scanner
    if facts.database is None:
        return f"The report does not say of which date the data of {facts.name} is."
    if report.started - facts.database > timedelta(seconds=limit):
        return f"The data of {facts.name} was of {facts.database:%Y-%m-%d} when it looked; that is too old."
    return ""


def same_files(report: StationReport, artifacts: Sequence[Artifact]) -> bool:
    """Tell whether a report speaks of exactly the files of a lock, each once."""
    said = [(scan.path, scan.sha256, scan.size) for scan in report.files]
    locked = [(file.path, file.sha256, file.size) for artifact in artifacts for file in artifact.files]
    return sorted(said) == sorted(locked)


_BAD = "Inspect again with `lockgate gate inspect`, and bring a version that the scanner passes."
_MISSING = "Scan the crate at a station, `lockgate station record` its report, then `lockgate gate inspect`."


def _held(artifact: Artifact, path: str, reason: str, resolve: str) -> Held:
    return Held(purl=artifact.purl, path=path, reason=reason, resolve=resolve)
