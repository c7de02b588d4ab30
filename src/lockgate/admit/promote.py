"""Promotion: ``stable`` takes over the very snapshot that soaked on ``candidate``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lockgate.admit.assess import Assessor
from lockgate.admit.derived import Derivations
from lockgate.admit.errors import (
    BehindStableError,
    PromotionChangedError,
    SnapshotDerivationError,
    SoakUnmetError,
    TakenAwayError,
    WrongStateError,
)
from lockgate.admit.model import ChannelPointer
from lockgate.admit.parts import GateParts
from lockgate.admit.snapshots import SnapshotMaker, slot_of
from lockgate.admit.soak import Soak, keep_report, soak_of
from lockgate.approve import verify_channel
from lockgate.core.emergency import Standing
from lockgate.core.parts import snapshot_digest
from lockgate.core.policy import approvers_for
from lockgate.core.ruling import demand_roles, demanded_of
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.soak import CANDIDATE, STABLE, HealthReport
from lockgate.core.statement import Statement, TooFewApproversError

if TYPE_CHECKING:
    from lockgate.core.artifact import Artifact

FROM_VERSION, FROM_STATEMENT, SOAKED = "from_version", "from_statement", "soaked"
"""Facts of a promotion: version and statement of ``candidate``, and who reported on it."""

PAGES, EARLIER = "pages", "as an earlier release of Lockgate made them"
"""A fact that is there where pages are of another form than this release's; it informs approvers."""


def demand_soak_first(parts: GateParts, channel: str) -> None:
    """Demand that a crossing goes to ``candidate`` where a rule says that snapshots soak.

    Raises:
        SoakUnmetError: It would go straight to ``stable``.

    """
    rules = parts.admission_rules
    if channel == STABLE and rules is not None and rules.soak is not None:
        what = f"The rules let nothing into {STABLE!r} that did not soak on {CANDIDATE!r}."
        raise SoakUnmetError(what)


class Promoter:
    """Decides whether what ``candidate`` serves may become ``stable``."""

    def __init__(self, parts: GateParts, assessor: Assessor, maker: SnapshotMaker) -> None:
        """Use the gate's parts."""
        self._p = parts
        self._assessor = assessor
        self._maker = maker
        self._derivations = Derivations(parts)

    def soak(self) -> Soak:
        """Return how the snapshot on ``candidate`` stands.

        Raises:
            WrongStateError: Nothing is on ``candidate``.

        """
        return soak_of(self._p, self._candidate())

    def keep(self, envelope: bytes) -> HealthReport:
        """Keep a canary host's report; see `soak.keep_report`."""
        return keep_report(self._p, self._assessor.pointer(CANDIDATE), envelope)

    def _candidate(self) -> ChannelPointer:
        pointer = self._assessor.pointer(CANDIDATE)
        if pointer is None:
            what = f"The channel {CANDIDATE!r} has no snapshot."
            raise WrongStateError(what, advice="Publish a crossing into it: `lockgate gate request`.")
        return pointer

    def facts(self) -> tuple[ChannelPointer, dict[str, str]]:
        """Return where ``candidate`` points and what a promotion says of it, when it may be promoted.

        Raises:
            SoakUnmetError, BehindStableError, TakenAwayError: It may not be.

        """
        pointer = self._candidate()
        soak = self._demand_soaked(pointer)
        self._demand_follows(self._standing(pointer).snapshot)
        seen = [f"{report.host} {'healthy' if report.healthy else 'unhealthy'}" for report in soak.reports]
        facts = {
            FROM_VERSION: str(pointer.version),
            FROM_STATEMENT: pointer.statement_sha256,
            SOAKED: ", ".join(sorted(seen)) or "no canary host reported",
        }
        form = self._derivations.form(pointer.snapshot_sha256)
        if form is not None and form != self._p.pages.form():
            facts[PAGES] = EARLIER
        return pointer, facts

    def demand(self, statement: Statement, approvers: frozenset[str]) -> None:
        """Demand that a promotion that was signed may take effect now.

        Raises:
            PromotionChangedError: ``candidate`` moved, or it is about another channel.
            SnapshotDerivationError: A page of the snapshot does not follow from its artifacts.
            SoakUnmetError, BehindStableError, TakenAwayError: It may not be promoted.
            TooFewApproversError, RoleMissingError: A rule demands more of what is new.

        """
        pointer, facts = self._candidate(), dict(statement.facts or {})
        same = (facts.get(FROM_VERSION), facts.get(FROM_STATEMENT), statement.snapshot_sha256)
        if statement.channel != STABLE or same != (
            str(pointer.version),
            pointer.statement_sha256,
            pointer.snapshot_sha256,
        ):
            raise PromotionChangedError("What is on the candidate channel changed after the request.")
        snapshot = self._standing(pointer).snapshot
        self._demand_derived(snapshot, statement.snapshot_sha256)
        self._demand_soaked(pointer)
        self._demand_follows(snapshot)
        self._demand_enough(snapshot, approvers)

    def _demand_derived(self, snapshot: Snapshot, digest: str) -> None:
        """Demand that each page of a snapshot, which has this digest, follows from the artifacts.

        Pages that an earlier release made in another form cannot be made again: of those the gate has to have
        signed, when it made them and two persons had them published, that they follow.
        """
        if snapshot_digest(self._maker.subset(snapshot, lambda _: True)) == digest:
            return
        form = self._derivations.form(digest)
        if form is None or form == self._p.pages.form():
            raise SnapshotDerivationError("The pages of the snapshot do not follow from its artifacts.")

    def _standing(self, pointer: ChannelPointer) -> Standing:
        envelope = self._p.blobs.read(pointer.statement_sha256)
        return verify_channel(envelope, self._p.site, self._p.blobs)

    def _demand_soaked(self, pointer: ChannelPointer) -> Soak:
        soak = soak_of(self._p, pointer)
        if soak.lacks:
            what = f"Version {pointer.version} of {CANDIDATE!r} has not soaked: {'; '.join(soak.lacks)}."
            raise SoakUnmetError(what)
        return soak

    def _demand_follows(self, offered: Snapshot) -> None:
        """Demand that nothing comes back that was taken away, and nothing newer is lost."""
        pointer = self._assessor.pointer(STABLE)
        if pointer is None:
            return
        standing = self._standing(pointer)
        present = {a.artifact.purl for a in standing.snapshot.admitted}
        before = {a.artifact.purl for a in standing.signed_snapshot.admitted} if standing.chain else set()
        if back := sorted((before - present) & {a.artifact.purl for a in offered.admitted}):
            what = f"{back[0]} was held or withdrawn on {STABLE!r}, and {CANDIDATE!r} still has it."
            raise TakenAwayError(what, purl=back[0])
        slots = {slot_of(a): a.crossing for a in offered.admitted}
        for each in standing.snapshot.admitted:
            if slots.get(slot_of(each), 0) < each.crossing:
                what = f"{STABLE!r} serves {each.artifact.purl}, which {CANDIDATE!r} lacks."
                raise BehindStableError(what, purl=each.artifact.purl)

    def _demand_enough(self, snapshot: Snapshot, approvers: frozenset[str]) -> None:
        served = self._assessor.served(STABLE)
        known = {a.artifact.purl for a in served.admitted} if served else set()
        fresh = [a for a in snapshot.admitted if a.artifact.purl not in known]
        rules = self._p.admission_rules
        need, roles = demanded_of(rules, (a.artifact for a in fresh))
        need = max(need, self._opaque_need(fresh))
        if len(approvers) < need:
            what = f"{len(approvers)} persons approved; the rules for what is new demand {need}."
            raise TooFewApproversError(what)
        demand_roles(rules, roles, approvers)

    def _opaque_need(self, fresh: Iterable[Admitted]) -> int:
        by_crossing: dict[int, list[Artifact]] = {}
        for each in fresh:
            by_crossing.setdefault(each.crossing, []).append(each.artifact)
        need = 0
        for sequence, artifacts in by_crossing.items():
            paths = {file.path for artifact in artifacts for file in artifact.files}
            verdicts = self._assessor.counting(self._assessor.crossing(sequence))
            need = max(need, approvers_for(self._p.policy, [v for v in verdicts if v.path in paths]))
        return need
