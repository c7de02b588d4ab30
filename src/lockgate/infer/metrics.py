"""The gateway's own metrics, in a registry of its own (no process-wide state)."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from lockgate.infer.counting import Numbers, Spreads

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

_GUARD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
_FIRST_TOKEN = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class GatewayMetrics:
    """Counts what the gateway does. Label values come from closed sets."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.requests = Numbers(
            "lockgate_gateway_requests", "Requests by route and status.", ("route", "status")
        )
        self.answers = Numbers(
            "lockgate_gateway_answers", "Answers by model and how they ended.", ("model", "status")
        )
        self.shares = Numbers(
            "lockgate_gateway_share_answers",
            "Answers for a name with shares, by the model that gave them.",
            ("name", "model"),
        )
        self.tokens = Numbers("lockgate_gateway_tokens", "Tokens that engines counted.", ("model", "kind"))
        self.first_token = Spreads(
            "lockgate_gateway_first_token_seconds",
            "From a request's arrival to the first text of its answer.",
            ("model",),
            _FIRST_TOKEN,
        )
        in_flight = Numbers("lockgate_gateway_in_flight", "Answers in the making.", gauge=True)
        self.in_flight = in_flight.labels()
        self.engine_up = Numbers(
            "lockgate_gateway_engine_up", "1 when the engine serves.", ("model",), gauge=True
        )
        debt = Numbers(
            "lockgate_gateway_second_signature",
            "0: none is owed; 1: one is due; 2: one is overdue.",
            gauge=True,
        )
        self.debt = debt.labels()
        self.guarded = Numbers(
            "lockgate_guard_hits",
            "What guards met, by channel, rule and decision.",
            ("channel", "rule", "decision"),
        )
        self.guard_seconds = Spreads(
            "lockgate_guard_seconds",
            "Time that guards took: of each on a text before it, of the filter on an answer behind it.",
            ("channel", "guard"),
            _GUARD,
        )
        self.rejected = Numbers("lockgate_gateway_rejected", "Requests refused, by error code.", ("code",))
        self.registry = CollectorRegistry(auto_describe=True)
        for one in (
            self.requests,
            self.answers,
            self.shares,
            self.tokens,
            self.first_token,
            in_flight,
            self.engine_up,
            debt,
            self.guarded,
            self.guard_seconds,
            self.rejected,
        ):
            self.registry.register(one)

    def exposition(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)
