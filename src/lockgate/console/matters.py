"""What somebody has to look at, the grave first: out of facts that the console reads anyway."""

from collections.abc import Iterable, Iterator, Sequence

from lockgate.app.high.approvals import Waiting
from lockgate.app.lane.standing import WARN_DAYS
from lockgate.app.wishes.high import Standing
from lockgate.console import format as fmt
from lockgate.console.ports import Alerts, CrossingRow, Ending, Matter
from lockgate.core.sequence import CrossingState
from lockgate.core.wish import WishState
from lockgate.guard.appeals import Appeal, AppealState

_DAY = 86_400
_DUE, _OVERDUE = 1, 2
_RENEW = "The holders renew it in a ceremony: `lockgate root`."
_SECOND = "`lockgate gate owed` names it, `lockgate gate ratify` takes the signature of another person."


def matters(
    alerts: Alerts,
    endings: Iterable[Ending],
    crossings: Iterable[CrossingRow],
    *,
    waiting: Sequence[Waiting],
    wishes: Iterable[Standing],
    appeals: Iterable[Appeal],
) -> tuple[Matter, ...]:
    """Return what somebody has to look at.

    Args:
        alerts: Second signatures, what is held, newer verdicts, witnesses.
        endings: When roots and keys end, the earliest first.
        crossings: All crossings.
        waiting: Requests that wait for approvals.
        wishes: What people asked for.
        appeals: Appeals against the guards.

    """
    found = [
        *_signatures(alerts),
        *_verdicts(alerts),
        *_ends(endings),
        *_at_the_gate(crossings, waiting),
        *_people(wishes, appeals),
        *_kept_still(alerts),
    ]
    return tuple(sorted(found, key=lambda each: not each.grave))


def _signatures(alerts: Alerts) -> Iterator[Matter]:
    left = alerts.debt_seconds
    if alerts.debt == _OVERDUE:
        late = f" since {fmt.lapse(-left)}" if left is not None else ""
        yield Matter(
            f"A second signature under an emergency is overdue{late}.", _SECOND, "/pending", grave=True
        )
    elif alerts.debt == _DUE:
        within = f" within {fmt.lapse(left)}" if left is not None else ""
        yield Matter(f"A second signature under an emergency is owed{within}.", _SECOND, "/pending")


def _verdicts(alerts: Alerts) -> Iterator[Matter]:
    changed, beyond, _ = alerts.verdicts or (0, 0, 0)
    advice = "`lockgate gate reinspect` tells which."
    if beyond:
        verb = "is" if beyond == 1 else "are"
        what = f"{fmt.plural(beyond, 'artifact')} {verb} served though newer verdicts hold them."
        yield Matter(what, advice, grave=True)
    elif changed:
        yield Matter(f"Newer verdicts say something else of {fmt.plural(changed, 'artifact')}.", advice)


def _ends(endings: Iterable[Ending]) -> Iterator[Matter]:
    for each in endings:
        if each.seconds_left >= WARN_DAYS * _DAY:
            return  # the earliest come first
        whose = f" of {each.person}" if each.person else ""
        thing = (
            f"The {each.root} root"
            if each.what == "root"
            else f"The {each.root} root's {each.what} key{whose}"
        )
        if each.seconds_left <= 0:
            yield Matter(f"{thing} has ended.", _RENEW, grave=True)
        else:
            yield Matter(f"{thing} ends in {fmt.lapse(each.seconds_left)}.", _RENEW)


def _at_the_gate(crossings: Iterable[CrossingRow], waiting: Sequence[Waiting]) -> Iterator[Matter]:
    alive = [each for each in waiting if not each.expired and not each.void]
    asked = {each.statement.crossing for each in alive}
    if alive:
        verb = "waits" if len(alive) == 1 else "wait"
        yield Matter(f"{fmt.plural(len(alive), 'request')} {verb} for approvals.", "", "/pending")
    for row in crossings:
        page = f"/crossings/{row.sequence}"
        if row.problem:
            yield Matter(
                f"The verdicts on crossing {row.sequence} cannot be shown.", row.problem, page, grave=True
            )
        elif row.state == CrossingState.QUARANTINED:
            advice = f"`lockgate gate inspect {row.sequence}`"
            yield Matter(f"Crossing {row.sequence} waits for inspection.", advice, page)
        elif row.state == CrossingState.INSPECTED and row.sequence not in asked:
            advice = f"`lockgate gate request {row.sequence}`"
            yield Matter(
                f"Crossing {row.sequence} is inspected, and nobody asked for approval.", advice, page
            )


def _people(wishes: Iterable[Standing], appeals: Iterable[Appeal]) -> Iterator[Matter]:
    if asked := sum(1 for each in wishes if each.state is WishState.REQUESTED):
        verb = "waits" if asked == 1 else "wait"
        yield Matter(f"{fmt.plural(asked, 'request')} for packages {verb} for a decision.", "", "/requests")
    if open_ := sum(1 for each in appeals if each.state is AppealState.OPEN):
        verb = "waits" if open_ == 1 else "wait"
        yield Matter(
            f"{fmt.plural(open_, 'appeal')} against the guards {verb} for a decision.", "", "/appeals"
        )


def _kept_still(alerts: Alerts) -> Iterator[Matter]:
    if alerts.held:
        verb = "is" if alerts.held == 1 else "are"
        yield Matter(f"{fmt.plural(alerts.held, 'crossing')} {verb} held by an operator.")
    for address, cosigned, age in alerts.witnesses:
        if not cosigned:
            last = f"the last time was {fmt.lapse(age)} ago" if age is not None else "it never did"
            yield Matter(f"The witness at {address} does not cosign: {last}.", "`lockgate audit verify`")
