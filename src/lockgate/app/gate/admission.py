"""What admission asks before each step: the clock, the log, and the holds on record."""

from lockgate.app.gate.holds import demand_open, watch_clock
from lockgate.app.record.logwatch import watch_log
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import site_root, utc_now
from lockgate.core.policy import Policy


def demand_admission(side: Side) -> None:
    """Demand that something may be admitted now.

    Raises:
        ClockNotBelievedError: The clock is behind the floor, or jumped since the last run.
        LogBehindError: The log is not what a witness cosigned.
        LogUnwitnessedError: No witness cosigned it lately, which the policy demands.
        AdmissionHeldError: Something else holds admission, or held it and two have not looked yet.

    """
    records, now = records_of(side), utc_now()
    try:
        watch_clock(side, records, site_root(side, None).policy or Policy(), now)
        watch_log(side, records, now)
        demand_open(records)
    finally:
        records.close()
