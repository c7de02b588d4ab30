"""Exposure: how far behind what is served lies, what is known against it, and for how long.

A fact that nothing tells is empty or -1 and is shown as "not known", never as nought.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.model import Found, Matched, Outcome
from lockgate.advisories.names import Name, Question, question
from lockgate.advisories.ports import AdvisoryData
from lockgate.advisories.versions import UnreadableVersionError, key_of
from lockgate.advisories.vex import CLOSED
from lockgate.core.artifact import Artifact, Kind
from lockgate.core.verdict import Severity
from lockgate.core.wire import Document, Moment

_DAY = 86_400
NOT_KNOWN = -1


class Served(Document, frozen=True):
    """An artifact as it is served: when it was admitted (None: not on record).

    `contents` are the package URLs of what an image holds, as its signed verdict lists them.
    """

    artifact: Artifact
    admitted: Moment | None
    contents: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Return the package URLs by which advisories are asked about it."""
        return self.contents or (self.artifact.purl,)


class Open(Document, frozen=True):
    """One open vulnerability: known since, and exposed for that many days (known and admitted).

    `inside` is the package of an image that it is about, else empty.
    """

    found: Found
    days_known: int
    days_exposed: int
    inside: str = ""


class Exposed(Document, frozen=True):
    """One artifact: dates, distance to the newest known version, and what is open against it.

    `newest` is the newest version that advisories or the snapshot name; `days_behind` counts from
    its release where the lock tells that, and is -1 where it does not.
    """

    purl: str
    kind: Kind
    outcome: Outcome
    reason: str
    stale: bool
    released: Moment | None
    admitted: Moment | None
    newest: str
    days_behind: int
    fixed: str
    open: tuple[Open, ...]
    licence: str
    knowledge_cutoff: str = ""
    successor: str = ""


def exposure(
    data: AdvisoryData, served: Sequence[Served], answers: Iterable[Matched], now: datetime
) -> list[Exposed]:
    """Return the exposure of each served artifact.

    Args:
        data: The advisories that the answers rest on.
        served: The artifacts.
        answers: One answer for each package URL that they are asked by.
        now: The present moment.

    """
    versions, said = _versions(served), {answer.purl: answer for answer in answers}
    return [_exposed(data, s, [said[purl] for purl in s.asked], versions, now) for s in served]


def released(artifact: Artifact) -> datetime | None:
    """Return when upstream released an artifact, as its lock says: its first file's upload."""
    return min((file.uploaded for file in artifact.files if file.uploaded is not None), default=None)


Versions = dict[tuple[str, str], dict[str, datetime | None]]
"""By ecosystem and name: the versions that are served, and when upstream released each."""


def _asked(purl: str) -> Question | None:
    try:
        return question(purl)
    except BadPackageError:
        return None


def _versions(served: Iterable[Served]) -> Versions:
    found: Versions = {}
    for each in served:
        asked = _asked(each.artifact.purl)
        for name, version in asked.names[:1] if asked else ():
            found.setdefault((name.ecosystem, name.name), {})[version] = released(each.artifact)
    return found


_WORST = (Outcome.AFFECTED, Outcome.UNKNOWN, Outcome.TOO_OLD, Outcome.NOT_AFFECTED)


def _exposed(
    data: AdvisoryData, served: Served, parts: Sequence[Matched], versions: Versions, now: datetime
) -> Exposed:
    """Return the exposure of one artifact; an image stands as the worst of what it holds."""
    artifact, worst = served.artifact, min(parts, key=lambda part: _WORST.index(part.outcome))
    asked = _asked(artifact.purl)
    newest, behind = _newest(data, asked, versions, now) if asked else ("", NOT_KNOWN)
    return Exposed(
        purl=artifact.purl,
        kind=artifact.kind,
        outcome=worst.outcome,
        reason=f"{worst.purl}: {worst.reason}" if served.contents and worst.reason else worst.reason,
        stale=any(part.stale for part in parts),
        released=released(artifact),
        admitted=served.admitted,
        newest=newest,
        days_behind=behind,
        fixed="" if served.contents else worst.fixed,
        open=tuple(
            _open(found, served.admitted, now, part.purl if served.contents else "")
            for part in parts
            for found in part.found
            if found.vex not in CLOSED
        ),
        licence=artifact.licence,
        knowledge_cutoff=artifact.attributes.get("knowledge-cutoff", ""),
        successor=artifact.attributes.get("successor", ""),
    )


def _days(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()) // _DAY)


def _open(found: Found, admitted: datetime | None, now: datetime, inside: str) -> Open:
    known = datetime.fromisoformat(found.first_known) if found.first_known else None
    begun = max(known, admitted) if known and admitted else None
    return Open(
        found=found,
        days_known=_days(known, now) if known else NOT_KNOWN,
        days_exposed=_days(begun, now) if begun else NOT_KNOWN,
        inside=inside,
    )


def _newest(data: AdvisoryData, asked: Question, versions: Versions, now: datetime) -> tuple[str, int]:
    """Return the newest version that anything names, and how many days ago it was released."""
    name, present = asked.names[0]
    key = key_of(name.ecosystem, "ECOSYSTEM")
    if key is None:
        return "", NOT_KNOWN
    dates = versions.get((name.ecosystem, name.name), {})
    newest, best = "", None
    for version in (present, *dates, *_named(data, name)):
        try:
            at: Any = key(version)
            if best is None or best < at:
                newest, best = version, at
        except UnreadableVersionError:
            continue  # what is no version is not the newest
    if newest == present:
        return newest, 0 if best is not None else NOT_KNOWN
    date = dates.get(newest)
    return newest, _days(date, now) if date else NOT_KNOWN


def _named(data: AdvisoryData, name: Name) -> list[str]:
    """Return the fixed versions that advisories name: versions that exist upstream."""
    return [
        event.version
        for row in data.rows(name.ecosystem, name.name)
        for entry in data.entries(row)
        for part in entry.ranges
        for event in part.events
        if event.kind == "fixed"
    ]


class Totals(Document, frozen=True):
    """Counts over everything that is served, for metrics: findings by severity, and outcomes.

    `longest` is how many days the longest exposed finding of a severity has been open (-1: not known).
    """

    severities: dict[str, int]
    exploited: int
    outcomes: dict[str, int]
    longest: dict[str, int]


def totals(exposed: Iterable[Exposed]) -> Totals:
    """Return the counts; every severity and outcome stands there, also with nought."""
    severities = {str(severity): 0 for severity in Severity} | {"not known": 0}
    outcomes = {str(outcome): 0 for outcome in Outcome}
    longest: dict[str, int] = {}
    exploited = 0
    for artifact in exposed:
        outcomes[artifact.outcome] += 1
        for each in artifact.open:
            severity = str(each.found.severity or "not known")
            severities[severity] += 1
            longest[severity] = max(longest.get(severity, NOT_KNOWN), each.days_exposed)
            exploited += each.found.kev is not None
    return Totals(severities=severities, exploited=exploited, outcomes=outcomes, longest=longest)
