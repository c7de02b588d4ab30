"""What the gateway counts is shown as Prometheus' own client would show it."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from lockgate.infer.counting import Numbers, Spreads

BOUNDS = (0.005, 0.5, 1, 30)


def shown(collectors: Iterable[Collector]) -> list[str]:
    registry = CollectorRegistry(auto_describe=True)
    for one in collectors:
        registry.register(one)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_counters_gauges_and_histograms_show_as_the_librarys_own() -> None:
    asked, busy = Numbers("asked", "How often.", ("route", "status")), Numbers("busy", "Now.", gauge=True)
    spread = Spreads("took_seconds", "How long.", ("model",), BOUNDS)
    like = Counter("asked", "How often.", ("route", "status"), registry=None)
    is_busy, took = (
        Gauge("busy", "Now.", registry=None),
        Histogram("took_seconds", "How long.", ("model",), registry=None, buckets=BOUNDS),
    )
    for counter in (asked, like):
        counter.labels("/a", "200").inc()
        counter.labels("/a", "200").inc(2)
        counter.labels('/"b\\', "404").inc()
    for histogram in (spread, took):
        for value in (0.0, 0.005, 0.0050001, 0.5, 29.9, 30, 31):
            histogram.labels("small").observe(value)
    busy.labels().set(3)
    is_busy.set(3)
    assert shown([asked, busy, spread]) == shown([like, is_busy, took])


def test_a_gauge_counts_what_runs_and_forgets_what_failed() -> None:
    running = Numbers("running", "Now.", gauge=True).labels()
    with pytest.raises(KeyError), running, running:  # noqa: PT012  # the block is the case
        assert running.value == 2
        raise KeyError
    assert running.value == 0
