"""See how the services are: health and metrics, asked over loopback, bounded."""

from lockgate.watch.cadence import calendar
from lockgate.watch.exposure import ALERTS, Alert, ExposureFigures, alert_rules, exposure_metrics
from lockgate.watch.health import Condition, Health, Target, check, check_all, scrape
from lockgate.watch.ports import Probe, Reply
from lockgate.watch.probe import HttpProbe
from lockgate.watch.verdicts import ALERT_GROUPS, VERDICT_ALERTS

__all__ = [
    "ALERTS",
    "ALERT_GROUPS",
    "VERDICT_ALERTS",
    "Alert",
    "Condition",
    "ExposureFigures",
    "Health",
    "HttpProbe",
    "Probe",
    "Reply",
    "Target",
    "alert_rules",
    "calendar",
    "check",
    "check_all",
    "exposure_metrics",
    "scrape",
]
