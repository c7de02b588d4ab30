"""Joining the cadence to a side: the plan from its settings, the crossings from its records."""

from dataclasses import dataclass
from datetime import date

from lockgate.admit.model import CROSSINGS, Crossing
from lockgate.app.settings import SettingsError, Side
from lockgate.app.stores import records_of
from lockgate.app.trust import utc_now
from lockgate.core.cadence import Cadence, Standing, standing
from lockgate.core.submission import is_submission
from lockgate.core.wire import decode
from lockgate.watch import calendar


@dataclass(frozen=True, slots=True)
class Plan:
    """A lane's cadence and how it stands now."""

    cadence: Cadence
    standing: Standing


def cadence_of(side: Side) -> Cadence:
    """Return the planned cadence.

    Raises:
        SettingsError: None is planned, or its first day is none.

    """
    planned = side.settings.cadence
    try:
        first = date.fromisoformat(planned.first)
    except ValueError:
        what = (
            f"cadence.first is {planned.first!r}, not a day." if planned.first else "No cadence is planned."
        )
        raise SettingsError(what, key="cadence.first") from None
    return Cadence(first, planned.every_days, planned.grace_days)


def plan_of(side: Side) -> Plan:
    """Return the cadence of a high side and which planned crossings did not come."""
    cadence = cadence_of(side)
    records = records_of(side)
    with records.transaction() as tx:
        crossings = [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)]
    records.close()
    received = [each.received for each in crossings if not is_submission(each.sequence)]
    return Plan(cadence, standing(cadence, received, utc_now()))


def calendar_of(side: Side, count: int) -> bytes:
    """Return the next planned crossings as an iCalendar file."""
    now = utc_now()
    return calendar(side.lane, cadence_of(side).planned(now.date(), count), now)
