"""Metrics of exposure: what is open by severity, what is exploited, how old the data is."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest


@dataclass(frozen=True, slots=True)
class ExposureFigures:
    """Counts by severity and outcome, exploited ones, and age in seconds (-1: no date) by data set."""

    severities: Mapping[str, int]
    outcomes: Mapping[str, int]
    exploited: int
    ages: Mapping[str, int]
    stale: Mapping[str, bool]


def exposure_metrics(figures: ExposureFigures) -> str:
    """Return the figures in the Prometheus exposition format, version 0.0.4."""
    registry = CollectorRegistry()
    labelled = (
        ("lockgate_open_vulnerabilities", "Open vulnerabilities", "severity", figures.severities),
        ("lockgate_exposure_artifacts", "Served artifacts by outcome", "outcome", figures.outcomes),
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
