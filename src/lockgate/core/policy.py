"""The admission policy: what may enter, who must agree, for how long. Data and one decision."""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.verdict import Outcome, Severity, Verdict
from lockgate.core.wire import Document

_SEVERITIES = list(Severity)


class OpaqueRule(Document, frozen=True):
    """Which opaque content a policy admits: by detected type, and who has to look.

    `source` says which provenance is demanded: a file counts only when the collector's signed
    lock names where it came from.
    """

    detected: str
    source: str = "collector-signed-lock"
    scanner: str = "structure"
    approvers: Annotated[int, msgspec.Meta(ge=2, le=16)] = 2


class CustodyRule(Document, frozen=True):
    """What a site demands of the way of a crate's package.

    `required` demands an unbroken chain for admission; `maximum_seconds` is how long one person may
    have the package; `custodians`, where it names anybody, names everybody who may have it or sign.
    """

    required: bool = True
    maximum_seconds: Annotated[int, msgspec.Meta(ge=60, le=400 * 86400)] = 86400
    custodians: tuple[str, ...] = ()


class StationRule(Document, frozen=True):
    """What a site demands of transfer stations, where scanners look inside that it is told to use.

    `required` demands a clean report for whatever enters; `scanners` names those of which each must
    have reported (any one where it names none); `database_age` is how old, in seconds, a scanner's
    data may be when it looks.
    """

    required: bool = True
    scanners: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    database_age: Annotated[int, msgspec.Meta(ge=3600, le=400 * 86400)] | msgspec.UnsetType = msgspec.UNSET

    @property
    def database_seconds(self) -> int | None:
        """Return how old a scanner's data may be, in seconds; None: any age, or none told."""
        return None if isinstance(self.database_age, msgspec.UnsetType) else self.database_age


class Right(StrEnum):
    """What one operator may do in an emergency."""

    HOLD = "hold"
    WITHDRAW = "withdraw"
    ROLLBACK = "rollback"


class EmergencyRule(Document, frozen=True):
    """What one operator may do at once, and by when a second person has to sign.

    `withdraw_limit` is how many artifacts may be withdrawn since two persons signed last.
    """

    rights: tuple[Right, ...]
    owed_seconds: Annotated[int, msgspec.Meta(ge=60, le=30 * 86400)] = 86400
    withdraw_limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16


class PromotionRule(Document, frozen=True):
    """What a model needs before it answers for most of a name's callers.

    `golden_differing` is how many golden prompts it may answer otherwise than recorded. Unset, a version
    needs none; those that were replayed have to be answered as recorded. `red_team_percent` is the largest
    share of attacks of a category that may work, and no category may be worse than with the version before;
    unset, no run is needed.
    """

    golden_differing: Annotated[int, msgspec.Meta(ge=0, le=256)] | msgspec.UnsetType = msgspec.UNSET
    red_team_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] | msgspec.UnsetType = msgspec.UNSET

    @property
    def golden_most(self) -> int | None:
        """Return how many golden prompts may be answered otherwise; None: none are needed."""
        return None if isinstance(self.golden_differing, msgspec.UnsetType) else self.golden_differing

    @property
    def red_team_most(self) -> int | None:
        """Return the largest share of attacks that may work, in percent; None: no run is needed."""
        return None if isinstance(self.red_team_percent, msgspec.UnsetType) else self.red_team_percent


class AutomaticRule(Document, frozen=True):
    """What the gate may take away by itself when a verdict changed, without anybody's approval.

    `withdraw_limit` is how many artifacts it may withdraw since two persons signed last; of what is
    beyond, `hold_limit` artifacts are held. More than both together is told and not touched: rules that
    fire on everything must not empty a mirror.
    """

    withdraw_limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 16
    hold_limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 64


class Policy(Document, frozen=True):
    """The rules of one site. It is part of the signed site root.

    `approvers` counts persons beside the requester; `core.profiles` says how few each profile allows.
    """

    version: Annotated[int, msgspec.Meta(ge=1)] = 1
    profile: str = "small-team"
    approvers: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    approval_seconds: Annotated[int, msgspec.Meta(ge=60)] = 7 * 86400
    receive_seconds: Annotated[int, msgspec.Meta(ge=3600)] = 30 * 86400
    skew_seconds: Annotated[int, msgspec.Meta(ge=0)] = 86400
    clock_jump_seconds: Annotated[int, msgspec.Meta(ge=3600)] = 90 * 86400
    maximum_severity: Severity = Severity.LOW
    opaque: tuple[OpaqueRule, ...] = ()
    labels: tuple[str, ...] = ("public", "internal")
    custody: CustodyRule | msgspec.UnsetType = msgspec.UNSET
    emergency: EmergencyRule | msgspec.UnsetType = msgspec.UNSET
    automatic: AutomaticRule | msgspec.UnsetType = msgspec.UNSET
    witness_seconds: Annotated[int, msgspec.Meta(ge=60, le=400 * 86400)] | msgspec.UnsetType = msgspec.UNSET

    cleartext: bool | msgspec.UnsetType = msgspec.UNSET
    rehearsal: bool | msgspec.UnsetType = msgspec.UNSET
    station: StationRule | msgspec.UnsetType = msgspec.UNSET
    maximum_advisory: Severity | msgspec.UnsetType = msgspec.UNSET
    hold_exploited: bool | msgspec.UnsetType = msgspec.UNSET
    advisory_age_seconds: Annotated[int, msgspec.Meta(ge=3600, le=400 * 86400)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    promotion: PromotionRule | msgspec.UnsetType = msgspec.UNSET

    @property
    def promotion_rule(self) -> PromotionRule | None:
        """Return what a model's promotion needs, or None where the policy does not say."""
        return None if isinstance(self.promotion, msgspec.UnsetType) else self.promotion

    @property
    def takes_cleartext(self) -> bool:
        """Tell whether crates that are signed and not sealed may be received; they may not by default."""
        return self.cleartext is True

    @property
    def demands_rehearsal(self) -> bool:
        """Tell whether a lock may be sealed only with a rehearsal that passed; it may without by default."""
        return self.rehearsal is True

    @property
    def station_rule(self) -> StationRule | None:
        """Return the rule for transfer stations, or None where the policy has none."""
        return None if isinstance(self.station, msgspec.UnsetType) else self.station

    @property
    def advisory_bound(self) -> Severity | None:
        """Return the worst known vulnerability that may enter, or None where none is held for it."""
        return None if isinstance(self.maximum_advisory, msgspec.UnsetType) else self.maximum_advisory

    @property
    def holds_exploited(self) -> bool:
        """Tell whether what is known to be exploited is held; it is not by default."""
        return self.hold_exploited is True

    @property
    def advisory_age(self) -> int | None:
        """Return how old advisory data may be for admission, in seconds; None: any, or none."""
        return None if isinstance(self.advisory_age_seconds, msgspec.UnsetType) else self.advisory_age_seconds

    @property
    def asks_advisories(self) -> bool:
        """Tell whether any rule of this policy needs advisory data."""
        return self.advisory_bound is not None or self.holds_exploited or self.advisory_age is not None

    @property
    def emergency_rule(self) -> EmergencyRule | None:
        """Return what one operator may do in an emergency, or None where it is nothing."""
        return None if isinstance(self.emergency, msgspec.UnsetType) else self.emergency

    @property
    def automatic_rule(self) -> AutomaticRule | None:
        """Return what the gate may take away by itself, or None where it is nothing."""
        return None if isinstance(self.automatic, msgspec.UnsetType) else self.automatic

    @property
    def witness_age(self) -> int | None:
        """Return how old the newest cosignature may be for admission, in seconds; None: any, or none."""
        return None if isinstance(self.witness_seconds, msgspec.UnsetType) else self.witness_seconds

    @property
    def custody_rule(self) -> CustodyRule | None:
        """Return the rule for custody, or None where the policy has none."""
        return None if isinstance(self.custody, msgspec.UnsetType) else self.custody


class Held(Document, frozen=True):
    """One reason why an artifact stays in quarantine, and what would resolve it."""

    purl: str
    path: str
    reason: str
    resolve: str


def _opaque(verdict: Verdict) -> set[str]:
    """Return the kinds of opaque content; findings do not hide them."""
    if verdict.outcome is Outcome.OPAQUE and not verdict.opaque:
        return {verdict.detected}
    return set(verdict.opaque)


def approvers_for(policy: Policy, verdicts: Iterable[Verdict]) -> int:
    """Return how many persons must approve what these verdicts are about.

    A rule for opaque content may demand more than the policy does for everything.
    """
    kinds = set().union(*(_opaque(verdict) for verdict in verdicts))
    return max([policy.approvers, *(rule.approvers for rule in policy.opaque if rule.detected in kinds)])


def judge(
    policy: Policy, purl: str, label: str, verdicts: Iterable[Verdict], lifted: Collection[str] = ()
) -> tuple[Held, ...]:
    """Return the reasons that hold an artifact back; none when the policy lets it through.

    Fails closed: an outcome or label that no rule admits is a reason. Findings whose codes are
    `lifted` by a waiver hold nothing; what else speaks against their file still does.
    """
    held: list[Held] = []
    if label not in policy.labels:
        reason = f"The label {label!r} is not one that this site may hold."
        held.append(
            Held(purl=purl, path="", reason=reason, resolve="Label it in the manifest, or change the policy.")
        )
    admitted = {rule.detected for rule in policy.opaque}
    bound = _SEVERITIES.index(policy.maximum_severity)
    for verdict in verdicts:
        above = [
            f for f in verdict.findings if _SEVERITIES.index(f.severity) > bound and f.code not in lifted
        ]
        reason = resolve = ""
        if above:
            first = max(above, key=lambda finding: _SEVERITIES.index(finding.severity))
            place = f" at {first.where}" if first.where else ""
            reason = f"{first.code} ({first.severity}){place}: {first.why}"
            resolve = "Bring a version without it, or waive the finding with two approvals."
        elif verdict.outcome is Outcome.FINDINGS and not verdict.findings:
            reason = "The verdict speaks of findings and names none."
            resolve = "Inspect the crossing again with `lockgate gate inspect`."
        elif verdict.outcome is Outcome.INCOMPLETE or verdict.covered != verdict.size:
            known = f"{verdict.covered} of {verdict.size} bytes"
            reason = f"Inspection is incomplete: {known} understood as {verdict.detected}."
            resolve = "Repack it in a supported format, or install an inspector for it."
        elif unruled := _opaque(verdict) - admitted:
            reason = f"Opaque content ({', '.join(sorted(unruled))}) that no rule of the policy admits."
            resolve = "Add an opaque rule for this type to the policy (two signatures)."
        if reason:
            held.append(Held(purl=purl, path=verdict.path, reason=reason, resolve=resolve))
    return tuple(held)
