"""Metrics of exposure and their alerts: what is open, for how long, what is exploited, how old the data is.

Format of the rules: Prometheus, "Alerting rules".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest

LONG_DAYS = 30
"""How many days a high or critical vulnerability may be open before somebody is told."""


@dataclass(frozen=True, slots=True)
class ExposureFigures:
    """Counts by severity and outcome, exploited ones, and age in seconds (-1: no date) by data set.

    `longest` is how many days the longest open vulnerability of a severity has been exposed (-1: not known).
    """

    severities: Mapping[str, int]
    outcomes: Mapping[str, int]
    exploited: int
    longest: Mapping[str, int]
    ages: Mapping[str, int]
    stale: Mapping[str, bool]


def exposure_metrics(figures: ExposureFigures) -> str:
    """Return the figures in the Prometheus exposition format, version 0.0.4."""
    registry = CollectorRegistry()
    labelled = (
        ("lockgate_open_vulnerabilities", "Open vulnerabilities", "severity", figures.severities),
        ("lockgate_exposure_artifacts", "Served artifacts by outcome", "outcome", figures.outcomes),
        ("lockgate_exposure_longest_days", "Days of the longest exposure", "severity", figures.longest),
        ("lockgate_advisory_age_seconds", "Age of a data set, -1 without date", "source", figures.ages),
        ("lockgate_advisory_stale", "Whether a data set is too old", "source", figures.stale),
    )
    for name, meaning, label, values in labelled:
        gauge = Gauge(name, meaning, [label], registry=registry)
        for key, value in values.items():
            gauge.labels(key).set(int(value))
    known = Gauge(
        "lockgate_exploited_vulnerabilities", "Open ones that are known to be exploited", registry=registry
    )
    known.set(figures.exploited)
    return generate_latest(registry).decode()


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule: its expression in PromQL, how long it has to hold, and what people read."""

    name: str
    expression: str
    holds: str
    severity: str
    summary: str


ALERTS = (
    Alert(
        "LockgateExploitedVulnerability",
        "lockgate_exploited_vulnerabilities > 0",
        "0m",
        "critical",
        "Something that is known to be exploited is open in what is served.",
    ),
    Alert(
        "LockgateCriticalVulnerability",
        'lockgate_open_vulnerabilities{severity="critical"} > 0',
        "0m",
        "critical",
        "A critical vulnerability is open in what is served.",
    ),
    Alert(
        "LockgateLongExposed",
        f'lockgate_exposure_longest_days{{severity=~"high|critical"}} > {LONG_DAYS}',
        "0m",
        "warning",
        f"A high or critical vulnerability has been open for more than {LONG_DAYS} days.",
    ),
    Alert(
        "LockgateUnknownToAdvisories",
        'lockgate_exposure_artifacts{outcome="unknown to the database"} > 0',
        "1h",
        "warning",
        "Advisory data does not know something that is served; unknown is not clean.",
    ),
    Alert(
        "LockgateAdvisoriesTooOld",
        "lockgate_advisory_stale == 1 or lockgate_advisory_age_seconds < 0",
        "0m",
        "warning",
        "A set of advisory data is too old, or nothing says how old it is.",
    ),
    Alert(
        "LockgateExposureNotMeasured",
        "absent(lockgate_exposure_artifacts)",
        "26h",
        "warning",
        "Nobody has written the figures of exposure for a day.",
    ),
)


def alert_rules(groups: Mapping[str, Iterable[Alert]] | None = None) -> str:
    """Return alerting rules as Prometheus reads them from a rule file, in groups.

    Every text is a double-quoted YAML scalar, whose escapes are those of JSON.
    """
    lines = ["groups:"]
    for name, alerts in (groups or {"lockgate-exposure": ALERTS}).items():
        lines += [f"  - name: {name}", "    rules:"]
        for alert in alerts:
            lines += [
                f"      - alert: {alert.name}",
                f"        expr: {json.dumps(alert.expression)}",
                f"        for: {alert.holds}",
                f"        labels: {{severity: {alert.severity}}}",
                f"        annotations: {{summary: {json.dumps(alert.summary)}}}",
            ]
    return "\n".join([*lines, ""])
