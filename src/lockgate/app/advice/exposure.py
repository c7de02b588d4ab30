"""Joining the served snapshot to the advisories: exposure, its metrics, and what is wanted next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lockgate.admit.assess import contents_of
from lockgate.admit.model import CROSSINGS, Crossing
from lockgate.advisories import (
    Age,
    Exposed,
    Served,
    Totals,
    ages,
    exposure,
    match_all,
    totals,
)
from lockgate.app.advice.advisories import Place
from lockgate.app.gate.gate import open_gate
from lockgate.app.high.channel import channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.core.artifact import Kind
from lockgate.core.errors import LockgateError
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.wire import decode
from lockgate.watch import ExposureFigures, exposure_metrics

_SOFTWARE = frozenset(Kind) - {Kind.DOCUMENT, Kind.RULES}
"""Documents have no versions that advisories speak of."""


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """The exposure of what is served, its counts, and the age of the data it rests on."""

    channel_version: int
    snapshot_sha256: str
    exposed: list[Exposed]
    totals: Totals
    ages: list[Age]


def report(side: Side, where: Place) -> ExposureReport:
    """Return the exposure of the served snapshot, which is verified through its approvers' signatures.

    Raises:
        NothingPublishedError: Nothing is served.
        NoAdvisoryDataError: No advisory data is loaded.

    """
    channel = channel_reader(side, "exposure").current()
    data = where.shelf.open()  # before a large snapshot is gone through for nothing
    try:
        served = _served(side, channel.snapshot)
        freshness = where.freshness()
        asked = dict.fromkeys(purl for each in served for purl in each.asked)
        answers = match_all(data, asked, freshness, claims=where.claims())
        exposed = exposure(data, served, answers, freshness.now)
        found = ages(data.sources, freshness)
    finally:
        data.close()
    statement = channel.statement
    return ExposureReport(
        statement.channel_version, statement.snapshot_sha256, exposed, totals(exposed), found
    )


def _served(side: Side, snapshot: Snapshot) -> list[Served]:
    """Return the software that is served: when it was admitted, and what images hold."""
    software = [
        a
        for a in snapshot.admitted
        if a.artifact.kind in _SOFTWARE and not {"advisories", "trust-roots"} & a.artifact.attributes.keys()
    ]
    days, held = _admitted(side), _contents(side, [a for a in software if a.artifact.kind is Kind.OCI])
    return [
        Served(
            artifact=a.artifact,
            admitted=days.get(a.crossing),
            contents=held.get((a.crossing, a.artifact.purl), ()),
        )
        for a in software
    ]


def _contents(side: Side, images: Sequence[Admitted]) -> dict[tuple[int, str], tuple[str, ...]]:
    """Return what images hold, as the inspector signed; one whose verdict is gone is unknown by itself."""
    found = {}
    gate = open_gate(side) if images else None
    for sequence in sorted({image.crossing for image in images}):
        mine = [image.artifact for image in images if image.crossing == sequence]
        try:
            verdicts = gate.counting(gate.crossing(sequence)) if gate else ()
        except LockgateError:
            continue
        found.update({(sequence, purl): held for purl, held in contents_of(mine, verdicts).items()})
    return found


def _admitted(side: Side) -> dict[int, datetime | None]:
    """Return when each crossing ended at the gate."""
    records = records_of(side)
    with records.transaction() as tx:
        crossings = [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)]
    records.close()
    return {crossing.sequence: crossing.finished for crossing in crossings}


def metrics(found: ExposureReport) -> str:
    """Return the counts and ages in Prometheus' text form."""
    return exposure_metrics(
        ExposureFigures(
            severities=found.totals.severities,
            outcomes=found.totals.outcomes,
            exploited=found.totals.exploited,
            longest=found.totals.longest,
            ages={age.source.name: age.seconds for age in found.ages},
            stale={age.source.name: age.stale for age in found.ages},
        )
    )
