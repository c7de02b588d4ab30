"""Counters, gauges and histograms that one event loop changes: plain numbers, shown to Prometheus.

Each request counts a dozen things. The client library's own metrics take a lock for each, for threads that
there are not here, and would cost a request more than its key and its model together. Series are kept by
their label values; what is shown is made of `prometheus_client`'s families, so that format and names are its.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Series:
    """One number: of a counter, or of a gauge. Used as a context it is one more while the block runs."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        """Begin at zero."""
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        self.value += amount

    def __enter__(self) -> None:
        """Add one."""
        self.value += 1

    def __exit__(self, *_: object) -> None:
        """Take it off again."""
        self.value -= 1

    def set(self, value: float) -> None:
        """Put a number in its place."""
        self.value = value


class Spread:
    """How values spread over the buckets of a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin with no value seen."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Take a value into the first bucket that has room for it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Numbers(Collector):
    """A counter or a gauge with its series.

    Args:
        name: Without the suffix that counters are shown with.
        said: What it counts, in a sentence.
        labels: The names of its labels.
        gauge: Whether it may sink.

    """

    def __init__(self, name: str, said: str, labels: Sequence[str] = (), *, gauge: bool = False) -> None:
        """Begin without series; one without labels is there at once."""
        self._name, self._said, self._labels = name, said, labels
        self._kind = GaugeMetricFamily if gauge else CounterMetricFamily
        self._series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.labels()

    def labels(self, *values: str) -> Series:
        """Return the series of these label values."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Series()
        return found

    def add(self, amount: float, *values: str) -> None:
        """Add to the series of these label values."""
        found = self._series.get(values)
        if found is None:
            found = self.labels(*values)
        found.value += amount

    def collect(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        family = self._kind(self._name, self._said, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        yield family


class Spreads(Collector):
    """A histogram with its series.

    Args:
        name: Its name.
        said: What it measures, in a sentence.
        labels: The names of its labels.
        bounds: Upper bounds of its buckets, ascending; one without a bound follows.

    """

    def __init__(self, name: str, said: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        """Begin without series."""
        self._name, self._said, self._labels = name, said, labels
        self._bounds = bounds
        self._shown = [*(f"{float(bound)}" for bound in bounds), "+Inf"]
        self._series: dict[tuple[str, ...], Spread] = {}

    def labels(self, *values: str) -> Spread:
        """Return the series of these label values."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Spread(self._bounds)
        return found

    def collect(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        family = HistogramMetricFamily(self._name, self._said, labels=self._labels)
        for values, spread in self._series.items():
            buckets = list(zip(self._shown, accumulate(spread.counts), strict=True))
            family.add_metric(values, buckets=buckets, sum_value=spread.total)
        yield family
