"""What the mirror counts."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from lockgate.core.ports import Clock
from lockgate.mirror.view import SignedView


class Metrics:
    """The mirror's metrics, in a registry of their own."""

    def __init__(self, view: SignedView, clock: Clock) -> None:
        """Register every metric; those about the channel are read from the view."""
        self.clock = clock
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "lockgate_mirror_requests", "Requests answered.", ["protocol", "status"], registry=self.registry
        )
        self.sent = Counter(
            "lockgate_mirror_response_bytes", "Body bytes sent.", ["protocol"], registry=self.registry
        )
        self.misses = Counter(
            "lockgate_mirror_misses",
            "Requests for what is not in the snapshot.",
            ["protocol"],
            registry=self.registry,
        )
        self.refused_blobs = Counter(
            "lockgate_mirror_refused_blobs", "Blobs found altered in the store.", registry=self.registry
        )
        self._answered: dict[tuple[str, int], Counter] = {}
        self._sent: dict[str, Counter] = {}
        self._watch(view, clock)

    def answered(self, protocol: str, status: int) -> None:
        """Count an answer."""
        child = self._answered.get((protocol, status))
        if child is None:
            child = self._answered[protocol, status] = self.requests.labels(protocol, str(status))
        child.inc()

    def sent_bytes(self, protocol: str, count: int) -> None:
        """Count bytes of bodies."""
        child = self._sent.get(protocol)
        if child is None:
            child = self._sent[protocol] = self.sent.labels(protocol)
        child.inc(count)

    def _watch(self, view: SignedView, clock: Clock) -> None:
        def created() -> datetime | None:
            statement = view.status.statement
            return view.table.created if statement else None

        def version() -> float:
            statement = view.status.statement
            return float(statement.channel_version) if statement else 0.0

        def age() -> float:
            moment = created()
            return (clock() - moment).total_seconds() if moment else float("nan")

        def refused() -> float:
            return float(view.status.refused is not None)

        def debt() -> float:
            return float(view.status.debt(clock()))

        def left() -> float:
            owed = view.status.owed
            return (owed[0].expires - clock()).total_seconds() if owed else float("nan")

        for name, text, call in (
            ("channel_version", "Version of the channel that is served; 0 when none is.", version),
            ("snapshot_age_seconds", "How long ago the served snapshot was made.", age),
            ("second_signature", "0: none is owed; 1: one is due; 2: one is overdue.", debt),
            ("second_signature_seconds", "Time left for the second signature; below 0: overdue.", left),
            ("channel_refused", "1 while the channel on disk does not verify.", refused),
        ):
            Gauge(f"lockgate_mirror_{name}", text, registry=self.registry).set_function(call)
