"""The gateway's own metrics, in a registry of its own (no process-wide state)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

_GUARD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
_FIRST_TOKEN = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class GatewayMetrics:
    """Counts what the gateway does. Label values come from closed sets."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "lockgate_gateway_requests",
            "Requests by route and status.",
            ("route", "status"),
            registry=self.registry,
        )
        self.answers = Counter(
            "lockgate_gateway_answers",
            "Answers by model and how they ended.",
            ("model", "status"),
            registry=self.registry,
        )
        self.shares = Counter(
            "lockgate_gateway_share_answers",
            "Answers for a name with shares, by the model that gave them.",
            ("name", "model"),
            registry=self.registry,
        )
        self.tokens = Counter(
            "lockgate_gateway_tokens",
            "Tokens that engines counted.",
            ("model", "kind"),
            registry=self.registry,
        )
        self.first_token = Histogram(
            "lockgate_gateway_first_token_seconds",
            "From a request's arrival to the first text of its answer.",
            ("model",),
            registry=self.registry,
            buckets=_FIRST_TOKEN,
        )
        self.in_flight = Gauge("lockgate_gateway_in_flight", "Answers in the making.", registry=self.registry)
        self.engine_up = Gauge(
            "lockgate_gateway_engine_up", "1 when the engine serves.", ("model",), registry=self.registry
        )
        self.debt = Gauge(
            "lockgate_gateway_second_signature",
            "0: none is owed; 1: one is due; 2: one is overdue.",
            registry=self.registry,
        )
        self.guarded = Counter(
            "lockgate_guard_hits",
            "What guards met, by channel, rule and decision.",
            ("channel", "rule", "decision"),
            registry=self.registry,
        )
        self.guard_seconds = Histogram(
            "lockgate_guard_seconds",
            "Time that guards took: of each on a text before it, of the filter on an answer behind it.",
            ("channel", "guard"),
            registry=self.registry,
            buckets=_GUARD,
        )
        self.rejected = Counter(
            "lockgate_gateway_rejected", "Requests refused, by error code.", ("code",), registry=self.registry
        )

    def exposition(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)
