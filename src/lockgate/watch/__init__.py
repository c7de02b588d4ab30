"""See how the services are: health and metrics, asked over loopback, bounded."""

from lockgate.watch.health import Condition, Health, Target, check, check_all, scrape
from lockgate.watch.ports import Probe, Reply
from lockgate.watch.probe import HttpProbe

__all__ = [
    "Condition",
    "Health",
    "HttpProbe",
    "Probe",
    "Reply",
    "Target",
    "check",
    "check_all",
    "scrape",
]
