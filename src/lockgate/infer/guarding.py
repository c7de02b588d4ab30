"""The guards on a request's way: its texts before a model sees them, its answer before it leaves."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from lockgate.guard import Channel, Decision, GuardPolicy, InputGuard, Outcome, OutputFilter
from lockgate.guard.errors import PromptBlockedError
from lockgate.infer.answers import Answer
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.ports import Citation, GuardFinding, Message

FILTERED = "content_filter"
"""Why an answer ended that was stopped, in the API's own word."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the guards met in a request, and the error when one of them stops it."""

    findings: tuple[GuardFinding, ...]
    blocked: PromptBlockedError | None = None


class Guards:
    """The guards of one gateway.

    Args:
        policy: What each guard does.
        canaries: Words that must not leave in any answer.
        metrics: Where hits are counted.

    """

    def __init__(self, policy: GuardPolicy, canaries: Sequence[str], metrics: GatewayMetrics) -> None:
        """Keep the parts."""
        self._policy = policy
        self._canaries = tuple(canaries)
        self._metrics = metrics
        self._input = InputGuard(policy)

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Check the turns that the user wrote, up to the first that a rule blocks."""
        found: list[GuardFinding] = []
        for message in messages:
            if message.role != "user":
                continue
            decision = self._input.check(message.text, Channel.USER)
            self._count(decision, Channel.USER)
            found += _findings(decision, Channel.USER)
            if decision.outcome is Outcome.BLOCK:
                first = decision.hits[0]
                what = f"The guard {first.rule!r} stopped this request: {first.why}"
                return Admission(tuple(found), PromptBlockedError(what, rule=first.rule))
        return Admission(tuple(found))

    def _count(self, decision: Decision, channel: Channel) -> None:
        for hit in decision.hits:
            self._metrics.guarded.labels(channel.value, hit.rule, decision.outcome.value).inc()

    def filtered(self, answer: Answer, messages: Sequence[Message]) -> "FilteredAnswer":
        """Return an answer whose text passes the output filter on its way."""
        system = "\n".join(message.text for message in messages if message.role == "system")
        return FilteredAnswer(answer, OutputFilter(self._policy, self._canaries, system), self._metrics)


class FilteredAnswer(Answer):
    """An answer behind the output filter. What stops it ends the engine's work at once."""

    def __init__(self, answer: Answer, through: OutputFilter, metrics: GatewayMetrics) -> None:
        """Keep the answer and its filter."""
        super().__init__()
        self._inner = answer
        self._filter = through
        self._metrics = metrics
        self.status = answer.status

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return what the answer cites."""
        return self._inner.citations

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """Return what the filter met."""
        action = "stopped" if self._filter.stopped else "met"
        return tuple(
            GuardFinding(where="answer", what=f"{guard}:{what}", action=action, count=count)
            for (guard, what), count in sorted(self._filter.hits.items())
        )

    async def texts(self) -> AsyncGenerator[str, None]:
        """Yield what may leave of the answer's text."""
        async with aclosing(self._inner.texts()) as texts:
            async for text in texts:
                if passed := self._filter.feed(text):
                    yield passed
                if self._filter.stopped:
                    break
        if rest := self._filter.finish():
            yield rest
        inner = self._inner
        self.finish, self.usage, self.status = inner.finish, inner.usage, inner.status
        if self._filter.stopped:
            self.finish = FILTERED
        for (guard, what), count in self._filter.hits.items():
            self._metrics.guarded.labels("answer", f"{guard}:{what}", "hit").inc(count)


def _findings(decision: Decision, channel: Channel) -> list[GuardFinding]:
    return [
        GuardFinding(where=channel.value, what=hit.rule, action=decision.outcome.value)
        for hit in decision.hits
    ]
