"""What other admission rules would change: every artifact served or waiting, judged by both."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lockgate.admit import Assessment, Crossing, GateParts
from lockgate.admit.assess import Assessor
from lockgate.admit.model import CHANNELS
from lockgate.core.policy import Held, approvers_for
from lockgate.core.rules import ActiveRules
from lockgate.core.ruling import demanded_of
from lockgate.core.sequence import CrossingState


@dataclass(frozen=True, slots=True)
class Change:
    """What other rules would change for one artifact.

    `where` is the channel that serves it, or ``quarantine``; `before` and `after` say why it is held
    (nothing: it is admitted). With `anew` it is served on, and held only if it came in once more: rules
    about advisories, golden prompts and names ask of what enters alone.
    """

    crossing: int
    purl: str
    where: str
    before: tuple[Held, ...]
    after: tuple[Held, ...]
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Approvals:
    """How many persons, of which roles, a waiting crossing needs now and would need."""

    crossing: int
    before: tuple[int, tuple[str, ...]]
    after: tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would change, and over how many artifacts the rules were tried."""

    artifacts: int
    changes: tuple[Change, ...]
    approvals: tuple[Approvals, ...]


def dry_run(parts: GateParts, rules: ActiveRules | None) -> DryRun:
    """Return what rules would change, compared with those in force. Nothing is written."""
    now, then = Assessor(parts), Assessor(replace(parts, rules=rules))
    served = _served(parts, now)
    looked = 0
    changes: list[Change] = []
    approvals: list[Approvals] = []
    for crossing in now.crossings():
        published = crossing.state is CrossingState.PUBLISHED
        if not crossing.verdicts_sha256 or not (published or crossing.state is CrossingState.INSPECTED):
            continue
        before, after = (each.assess(crossing, entering=not published) for each in (now, then))
        again = [each.assess(crossing) for each in (now, then)] if published else []
        for artifact in now.lock(crossing).artifacts:
            where = served.get((crossing.sequence, artifact.purl), "") if published else "quarantine"
            if not where:
                continue
            looked += 1
            for pair, anew in (((before, after), False), (again, True)):
                was, would = (_reasons(each, artifact.purl) for each in pair) if pair else ((), ())
                if was != would:
                    changes.append(Change(crossing.sequence, artifact.purl, where, was, would, anew))
                    break
        if not published:
            approvals += _approvals(crossing, parts, rules, before, after)
    return DryRun(looked, tuple(changes), tuple(approvals))


def _reasons(assessment: Assessment, purl: str) -> tuple[Held, ...]:
    return tuple(held for held in assessment.held if held.purl == purl)


def _served(parts: GateParts, assessor: Assessor) -> dict[tuple[int, str], str]:
    with parts.records.transaction() as tx:
        names = [name for name, _ in tx.scan(CHANNELS)]
    served = [(name, snapshot) for name in names if (snapshot := assessor.served(name)) is not None]
    return {(each.crossing, each.artifact.purl): name for name, snap in served for each in snap.admitted}


def _approvals(
    crossing: Crossing, parts: GateParts, rules: ActiveRules | None, before: Assessment, after: Assessment
) -> Iterator[Approvals]:
    was = _needed(parts, parts.rules, before)
    would = _needed(parts, rules, after)
    if was != would:
        yield Approvals(crossing.sequence, was, would)


def _needed(
    parts: GateParts, rules: ActiveRules | None, assessment: Assessment
) -> tuple[int, tuple[str, ...]]:
    entering = {file.path for artifact in assessment.admitted for file in artifact.files}
    mine = [verdict for verdict in assessment.verdicts.verdicts if verdict.path in entering]
    need, roles = demanded_of(rules.rules if rules else None, assessment.admitted)
    return max(need, approvers_for(parts.policy, mine)), tuple(sorted(roles))
