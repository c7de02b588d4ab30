"""The console over one high side's home."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from lockgate.admit import Crossing, Verdicts
from lockgate.admit.errors import NoSuchCrossingError
from lockgate.app.advice.advisories import place
from lockgate.app.advice.exposure import ExposureReport, report
from lockgate.app.gate.rechecked import last_run
from lockgate.app.gate.who import Traced, trace_named
from lockgate.app.high.appealing import file_appeal
from lockgate.app.high.appeals import appeals_of, decide, ruled_now, texts_of
from lockgate.app.high.approvals import HandedIn, Shown, Waiting, WaitingRequests
from lockgate.app.high.artifacts import ArtifactFacts, ArtifactReadings
from lockgate.app.high.catalogue import Catalogue, catalogue_of
from lockgate.app.high.channel import served_side
from lockgate.app.high.clients import client_configs
from lockgate.app.high.console import HOSTS_VARIABLE, Readings
from lockgate.app.high.models import ModelRow, list_models
from lockgate.app.lane.standing import expiries
from lockgate.app.record.asking import last_asked
from lockgate.app.trust import utc_now
from lockgate.app.wishes.high import Standing, make_wish, standings
from lockgate.approve import VerifiedChannel
from lockgate.approve.errors import NothingPublishedError
from lockgate.console.joining import doors_of
from lockgate.console.matters import matters
from lockgate.console.pages import build_app
from lockgate.console.ports import (
    CATALOGUE_SECONDS,
    Alerts,
    ApprovalRow,
    ChannelCard,
    ConsoleData,
    CrossingDetail,
    CrossingRow,
    Ending,
    KindRow,
    Matter,
    Overview,
    ServiceRow,
    Tally,
)
from lockgate.console.shell import Shell
from lockgate.core.custody import CustodyReport
from lockgate.core.difference import Difference
from lockgate.core.emergency import judge_debt
from lockgate.core.errors import LockgateError
from lockgate.core.statement import Statement
from lockgate.core.verdict import Outcome, Verdict
from lockgate.guard.appeals import Appeal
from lockgate.guard.replay import Ruling
from lockgate.infer.identity import Identity
from lockgate.mirror import ClientConfig
from lockgate.trust.webauthn import Assertion


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was served when it was read, and by which statement."""

    read: datetime
    statement: Statement
    catalogue: Catalogue


class HomeData(ConsoleData):
    """What the console shows, read from a home with its signatures checked."""

    def __init__(self, readings: Readings) -> None:
        """Show these readings."""
        self._readings = readings
        self._requests = WaitingRequests(readings.side)
        self._artifacts = ArtifactReadings(readings.side)
        self._catalogue: _Kept | None = None
        self._clients: tuple[Statement | None, list[ClientConfig]] | None = None

    @property
    def lane(self) -> str:
        """Return the lane's name."""
        return self._readings.side.lane

    @property
    def assurance(self) -> str:
        """Return the lane's assurance."""
        return self._readings.side.settings.lane.assurance

    def endings(self) -> tuple[Ending, ...]:
        """Return when both roots and their keys end, the earliest first."""
        now = utc_now()
        return tuple(
            Ending(e.root, e.what, e.person, e.identifier[:16], (e.expires - now).total_seconds())
            for e in expiries(self._readings.side, now)
        )

    def alerts(self) -> Alerts:
        """Return what has to be looked at, read from signatures and from what witnesses answered."""
        now = utc_now()
        try:
            owed = self._readings.channel().owed
            debt = int(judge_debt(owed, now))
        except NothingPublishedError:
            owed, debt = (), 0
        except LockgateError:
            owed, debt = (), -1
        due = min((statement.expires for statement in owed), default=None)
        told, run = last_asked(self._readings.side), last_run(self._readings.side)
        return Alerts(
            debt=debt,
            debt_seconds=None if due is None else (due - now).total_seconds(),
            witnesses=tuple(
                (w.address, not w.code, (now - w.answered).total_seconds() if w.answered else None)
                for w in told
            ),
            held=self._readings.held(),
            verdicts=(len(run.changed), len(run.beyond), run.total - run.done) if run else None,
        )

    def overview(self) -> Overview:
        """Return the first page's content."""
        card, problem = self._channel()
        approvals, unshown = self._approvals()
        rows = tuple(self._row(crossing)[0] for crossing in self._readings.crossings())
        return Overview(
            now=utc_now(),
            channel=card,
            channel_problem=problem,
            crossings=rows,
            approvals=approvals,
            approvals_problem=unshown,
            services=tuple(
                ServiceRow(
                    health.target.name, health.condition, health.detail, self._readings.page_of(health)
                )
                for health in self._readings.health()
            ),
            matters=self._matters(rows),
        )

    def _matters(self, rows: tuple[CrossingRow, ...]) -> tuple[Matter, ...]:
        try:
            endings = self.endings()
            return matters(
                self.alerts(),
                endings,
                rows,
                waiting=self.waiting(),
                wishes=self.wishes(),
                appeals=self.appeals(),
            )
        except LockgateError as error:
            what = f"What waits cannot be told. {error.code}: {error.what}"
            return (Matter(what, error.what_to_do, grave=True),)

    def crossing(self, sequence: int) -> CrossingDetail | None:
        """Return one crossing, or None when there is no such number."""
        crossing = self._readings.crossing(sequence)
        if crossing is None:
            return None
        row, verdicts = self._row(crossing)
        counting: tuple[Verdict, ...] = ()
        try:
            counting = self._artifacts.verdicts(crossing) if verdicts else ()
        except LockgateError as error:  # newer verdicts that are not what the inspector signed
            row = replace(row, problem=f"{error.code}: {error.what}")
        held, unsure = self._artifacts.held(crossing)
        if unsure and not row.problem:
            row = replace(row, problem=f"What is held now cannot be told: {unsure}")
        return CrossingDetail(
            row=row,
            inspected=verdicts.inspected if verdicts else None,
            verdicts=counting,
            held=held,
            artifacts={
                file.path: artifact.purl
                for artifact in self._artifacts.artifacts(crossing)
                for file in artifact.files
            },
        )

    def clients(self) -> list[ClientConfig]:
        """Return what clients have to know; read anew when the channel moves."""
        try:
            statement: Statement | None = self._readings.channel().statement
        except NothingPublishedError:
            statement = None
        if self._clients is None or self._clients[0] != statement:
            found = client_configs(self._readings.side, published=statement is not None)
            self._clients = statement, found
        return self._clients[1]

    def models(self) -> list[ModelRow]:
        """Return what is known of the models that are served."""
        return list_models(self._readings.side)

    def catalogue(self) -> Catalogue:
        """Return what is served; read anew when the channel moves, or after a while for its use."""
        now, statement = utc_now(), self._readings.channel().statement
        kept = self._catalogue
        if (
            kept is None
            or kept.statement != statement
            or (now - kept.read).total_seconds() > CATALOGUE_SECONDS
        ):
            kept = self._catalogue = _Kept(now, statement, catalogue_of(self._readings.side))
        return kept.catalogue

    def trace(self, what: str) -> Traced:
        """Return who let something in, proven."""
        return trace_named(self._readings.side, what)

    def difference(self, sequence: int) -> Difference:
        """Return what approving a crossing would change."""
        crossing = self._readings.crossing(sequence)
        if crossing is None:
            what = f"There is no crossing {sequence}."
            raise NoSuchCrossingError(what)
        return self._artifacts.difference(crossing)

    def artifact(self, sequence: int, purl: str) -> ArtifactFacts | None:
        """Return one artifact of a crossing, or None where there is none of that name."""
        crossing = self._readings.crossing(sequence)
        return self._artifacts.facts(crossing, purl) if crossing else None

    def shown_with(self, name: str) -> Difference | None:
        """Return the difference that a waiting statement binds."""
        return self._requests.difference(name)

    def exposure(self) -> ExposureReport:
        """Return how exposed what is served is, from the loaded advisories."""
        side = self._readings.side
        return report(side, place(side.home.root, None, None))

    def wishes(self) -> list[Standing]:
        """Return what is asked for and how far it came."""
        return standings(self._readings.side)

    def wish(self, purl: str, reason: str, owner: Identity) -> None:
        """Ask for a package in somebody's name."""
        make_wish(self._readings.side, purl, reason, f"{owner.name} ({owner.id})"[:500])

    def appeals(self) -> Sequence[Appeal]:
        """Return the appeals against the guards."""
        return appeals_of(self._readings.side).all()

    def appeal(self, receipt: str, reason: str, text: str, owner: Identity) -> Appeal:
        """Record an appeal in somebody's name."""
        return file_appeal(self._readings.side, receipt, reason, text, owner)

    def replay_appeal(self, number: int) -> Sequence[Ruling]:
        """Return what the guards of now decide about each text of an appeal."""
        side = self._readings.side
        return ruled_now(side, number, texts_of(appeals_of(side).get(number), None))

    def decide_appeal(self, number: int, *, grant: bool, reason: str, reviewer: Identity) -> Appeal:
        """Decide about an appeal in somebody's name, and about none whose texts cannot be read here."""
        side = self._readings.side
        texts_of(appeals_of(side).get(number), None)
        return decide(side, number, grant=grant, reason=reason, reviewer=reviewer.id)

    def waiting(self) -> tuple[Waiting, ...]:
        """Return the requests that wait for approvals."""
        return self._requests.waiting()

    def statement(self, name: str, origin: str) -> Shown:
        """Return a statement as it is shown at an origin."""
        return self._requests.shown(name, origin)

    def hand_in(self, name: str, credential: str, assertion: Assertion) -> HandedIn:
        """Keep a signature that a browser made, when it verifies."""
        return self._requests.hand_in(name, credential, assertion)

    def custody(self, sequence: int) -> CustodyReport | None:
        """Return how a crossing's package came; None where nothing is on record and nothing demanded."""
        crossing = self._readings.crossing(sequence)
        return self._readings.custody(crossing) if crossing else None

    def _channel(self) -> tuple[ChannelCard | None, str]:
        try:
            verified = self._readings.channel()
        except LockgateError as error:
            return None, f"{error.code}: {error.what} {error.what_to_do}"
        statement = verified.statement
        card = ChannelCard(
            name=statement.channel,
            version=statement.channel_version,
            snapshot_sha256=statement.snapshot_sha256,
            approvers=tuple(sorted(verified.approvers)),
            requester=statement.requester,
            approved=statement.created,
            kinds=kinds(verified),
        )
        return card, ""

    def _approvals(self) -> tuple[tuple[ApprovalRow, ...], str]:
        try:
            found = self._readings.approvals()
        except LockgateError as error:
            return (), f"{error.code}: {error.what}"
        rows = (
            ApprovalRow(
                operation=statement.operation,
                crossing=statement.crossing,
                version=pointer.version,
                requester=statement.requester,
                approvers=tuple(sorted(people)),
                asked=statement.created,
                effective=pointer.published,
                snapshot_sha256=pointer.snapshot_sha256,
            )
            for pointer, statement, people in found
        )
        return tuple(rows), ""

    def _row(self, crossing: Crossing) -> tuple[CrossingRow, Verdicts | None]:
        verdicts, problem = None, ""
        try:
            verdicts = self._readings.verdicts(crossing)
        except LockgateError as error:
            problem = f"{error.code}: {error.what}"
        row = CrossingRow(
            sequence=crossing.sequence,
            crate_id=crossing.crate_id,
            crate_sha256=crossing.crate_sha256,
            state=crossing.state,
            received=crossing.received,
            finished=crossing.finished,
            held=len(crossing.held),
            tallies=tallies(verdicts.verdicts) if verdicts else None,
            problem=problem,
        )
        return row, verdicts


def tallies(verdicts: Iterable[Verdict]) -> tuple[Tally, ...]:
    """Return how many files and bytes ended with each outcome that occurs."""
    files: Counter[Outcome] = Counter()
    sizes: Counter[Outcome] = Counter()
    for verdict in verdicts:
        files[verdict.outcome] += 1
        sizes[verdict.outcome] += verdict.size
    return tuple(Tally(outcome, files[outcome], sizes[outcome]) for outcome in Outcome if files[outcome])


def kinds(verified: VerifiedChannel) -> tuple[KindRow, ...]:
    """Return what a snapshot holds, by kind."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for each in verified.snapshot.admitted:
        groups.setdefault(each.artifact.kind, []).append((each.artifact.size, each.outcome))
    return tuple(
        KindRow(
            kind,
            len(items),
            sum(size for size, _ in items),
            tuple(sorted(Counter(outcome for _, outcome in items).items())),
        )
        for kind, items in sorted(groups.items())
    )


def console_app() -> Shell:
    """Return the console's application for the home that the environment names."""
    side = served_side()
    hosts = msgspec.json.decode(os.environ.get(HOSTS_VARIABLE, "[]"), type=list[str])
    return build_app(HomeData(Readings(side)), hosts, doors_of(side))
