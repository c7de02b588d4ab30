"""The guards on a request's way: its texts before a model sees them, its answer before it leaves."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter

import msgspec

from lockgate.core.ports import Entropy
from lockgate.guard import (
    Channel,
    Datamark,
    Decision,
    GuardPolicy,
    InputGuard,
    Mode,
    Outcome,
    OutputFilter,
    Scorer,
    Unmarker,
)
from lockgate.guard.appeals import TEXT_BYTES
from lockgate.guard.errors import PromptBlockedError
from lockgate.infer.answers import Answer
from lockgate.infer.engines.ports import Message, ToolCall, Usage
from lockgate.infer.forms.base import Delta
from lockgate.infer.limits import CALL_ID_CHARACTERS
from lockgate.infer.logprobs import HeldLogprobs
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.ports import Citation, GuardFinding
from lockgate.infer.tooling import ToolRules

FILTERED = "content_filter"
"""Why an answer ended that was stopped, in the API's own word."""


_NOTHING = Delta()
_UNMARKED = Unmarker("")  # it keeps nothing, so all share it
_CHANNELS = {"user": Channel.USER, "tool": Channel.TOOL}


class Admission(msgspec.Struct, frozen=True):
    """What the guards decided about a request's texts, and the error when one of them stops it."""

    decisions: tuple[tuple[Decision, Channel], ...]
    blocked: PromptBlockedError | None = None

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """Return what receipts say of it."""
        if not self.decisions:
            return ()
        return tuple(found for decided in self.decisions for found in _findings(*decided))


class Guards:
    """The guards of one gateway.

    Args:
        policy: What each guard does.
        canaries: Words that must not leave in any answer.
        metrics: Where hits are counted.
        scorer: The classifier, if there is one.
        keeps: Whether answers remember what the model wrote, for auditors.

    """

    def __init__(
        self,
        policy: GuardPolicy,
        canaries: Sequence[str],
        metrics: GatewayMetrics,
        scorer: Scorer | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        """Keep the parts."""
        self._keeps = keeps
        self._canaries = tuple(canaries)
        self._metrics = metrics
        self._scorer = scorer
        self.follow(policy)

    @property
    def policy(self) -> GuardPolicy:
        """Return what each guard does now."""
        return self._policy

    def follow(self, policy: GuardPolicy) -> None:
        """Do so from now on; answers that have begun are filtered as they began."""
        self._policy = policy
        self._input = InputGuard(policy, self._scorer)

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Check the turns of the user and what tools answered, up to the first that a rule blocks.

        It may run in a thread; `count` is for whoever gets the result.
        """
        decided: list[tuple[Decision, Channel]] = []
        for text, channel in texts_of(messages):
            if not self._input.watches(channel):
                continue
            decision = self._input.check(text, channel)
            decided.append((decision, channel))
            if decision.outcome is Outcome.BLOCK:
                first = decision.hits[0]
                what = f"The guard {first.rule!r} stopped this request: {first.why}"
                return Admission(tuple(decided), PromptBlockedError(what, rule=first.rule))
        return Admission(tuple(decided))

    def count(self, admission: Admission) -> None:
        """Count what was decided; only where the gateway's loop runs, as counters know no threads."""
        for decision, channel in admission.decisions:
            self._count(decision, channel)

    def marked(
        self, messages: Sequence[Message], entropy: Entropy
    ) -> tuple[tuple[Message, ...], Datamark | None]:
        """Return the turns as a model is shown them: text of tools and documents told apart, and the mark."""
        for message in messages:
            if message.role == "tool" or message.looked_up:
                break
        else:
            return tuple(messages), None
        mark = Datamark(self._policy.marking, entropy)
        shown = [_shown(message, mark) for message in messages]
        last = max(at for at, message in enumerate(messages) if message.role == "tool" or message.looked_up)
        reminded = f"{shown[last].text}\n\n{mark.reminder(_asked(messages))}"
        shown[last] = replace(shown[last], text=reminded)
        first = shown[0]
        if first.role == "system":
            return (replace(first, text=f"{first.text}\n\n{mark.note}"), *shown[1:]), mark
        return (Message("system", mark.note), *shown), mark

    def _count(self, decision: Decision, channel: Channel) -> None:
        for hit in decision.hits:
            self._metrics.guarded.labels(channel.value, hit.rule, decision.outcome.value).inc()
        for guard, seconds in decision.seconds.items():
            self._metrics.guard_seconds.labels(channel.value, guard.value).observe(seconds)

    def filtered(
        self,
        answer: Answer,
        messages: Sequence[Message],
        *,
        tools: ToolRules,
        mark: Datamark | None = None,
        logprobs: bool = False,
    ) -> "FilteredAnswer":
        """Return an answer whose text passes the output filter on its way, with its tokens if asked for.

        Calls of tools pass the filter and then the policy on tools.
        """
        system = "\n".join(message.text for message in messages if message.role == "system")
        fresh = partial(OutputFilter, self._policy, self._canaries, system)
        unmarker = mark.unmarker() if mark else _UNMARKED
        said = Unfiltered(TEXT_BYTES) if self._keeps else None
        return FilteredAnswer(
            answer, fresh, self._metrics, tools=tools, unmarker=unmarker, logprobs=logprobs, said=said
        )

    @property
    def watches_canaries(self) -> bool:
        """Tell whether answers are searched for canaries."""
        return bool(self._canaries) and self._policy.canary is not Mode.OFF


class FilteredAnswer(Answer):
    """An answer behind the output filter. What stops it ends the engine's work at once."""

    def __init__(
        self,
        answer: Answer,
        fresh: Callable[[], OutputFilter],
        metrics: GatewayMetrics,
        *,
        tools: ToolRules,
        unmarker: Unmarker,
        logprobs: bool,
        said: "Unfiltered | None",
    ) -> None:
        """Keep the answer and what makes filters."""
        super().__init__()
        self._inner = answer
        self._filter = fresh()
        self._fresh = fresh
        self._metrics = metrics
        self._tools = tools
        self._unmarker = unmarker
        self._calls: list[ToolCall] = []
        self._ruled: list[GuardFinding] = []
        self._hits: dict[tuple[str, str], int] = defaultdict(int)
        self._held = HeldLogprobs() if logprobs else None
        self._said = said
        self._open = self._filter.idle and not unmarker.marks  # nothing looks at it, so all of it passes
        self._seconds = 0.0
        self.status = answer.status

    @property
    def prompt_bound(self) -> int:
        """Return how many tokens its prompt has at most."""
        return self._inner.prompt_bound

    @property
    def charged(self) -> Usage:
        """Return what it is charged for."""
        return self._inner.charged

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return what the answer cites."""
        return self._inner.citations

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """Return what the filter met."""
        if not self._hits and not self._filter.hits:
            return tuple(self._ruled)
        action = "stopped" if self._filter.stopped else "met"
        hits = Counter(self._hits)
        hits.update({(guard.value, what): n for (guard, what), n in self._filter.hits.items()})
        met = tuple(
            GuardFinding(where="answer", what=f"{guard}:{what}", action=action, count=count)
            for (guard, what), count in sorted(hits.items())
        )
        return met + tuple(self._ruled)

    @property
    def unfiltered(self) -> str:
        """Return its text as the model wrote it, where it is kept."""
        return self._said.text if self._said is not None else ""

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield what may leave of the answer's text, and of the arguments of its tool calls."""
        inner = self._inner
        source = inner.source()
        try:
            async for came in source:
                if (delta := self._taken(inner.part(came))) is not None:
                    yield delta
                if self._filter.stopped:
                    break
        finally:
            await source.aclose()
        for part in inner.rest() if not self._filter.stopped else ():
            self._taken(part)
        if not self._open and (rest := self._kept_back()):
            yield self._passed(_NOTHING, rest)
        self.finishes, self.usage, self.status = inner.finishes, inner.usage, inner.status
        self.stopped_by = inner.stopped_by
        for delta in await self._permitted(self._calls) if self._calls else ():
            yield delta
        if self._filter.stopped:
            self.finishes = (FILTERED,)
        self._metrics.guard_seconds.labels("answer", "filter").observe(self._seconds)
        if self._hits or self._filter.hits:
            self._count_hits()

    def _kept_back(self) -> str:
        """Return what waited in the filter for the answer's end."""
        return self._filter.feed(self._unmarker.finish()) + self._filter.finish()

    def _taken(self, delta: Delta | None) -> Delta | None:
        """Return what may leave once more of the answer came; tool calls wait for its end."""
        if delta is None:
            return None
        if delta.call is not None:
            self._calls.append(delta.call)
            return None
        if self._said is not None:
            self._said.add(delta.text)
        self.ending = self._inner.ending
        passed = delta.text
        if not self._open:
            began = perf_counter()
            passed = self._filter.feed(self._unmarker.feed(passed))
            self._seconds += perf_counter() - began
        return self._passed(delta, passed) if passed or self._held is not None else None

    def _count_hits(self) -> None:
        for finding in self.findings:
            if finding.where == "answer":
                self._metrics.guarded.labels("answer", finding.what, "hit").inc(finding.count)

    async def _permitted(self, calls: Sequence[ToolCall]) -> list[Delta]:
        """Return the calls that the policy on tools lets pass; before them what became of the others."""
        passing = [
            checked for at, call in enumerate(calls) if (checked := self._called(at, call)) is not None
        ]
        ruled = [await self._tools.ruled(call, self._receipt) for call in passing]
        self._ruled += [one.finding for one in ruled if one.finding is not None]
        passed = [one.call for one in ruled if one.call is not None]
        if passing and not passed:
            self.finishes = (FILTERED,)
        notes = [Delta(one.note) for one in ruled if one.call is None]
        return notes + [Delta(call=call) for call in passed]

    def _passed(self, came: Delta, left: str) -> Delta:
        if self._held is None:
            return came if left is came.text and not came.logprobs else Delta(left)
        return Delta(left, logprobs=self._held.passed(came.text, came.logprobs, left))

    def _called(self, at: int, call: ToolCall) -> ToolCall | None:
        """Return a tool call whose arguments passed a filter of their own; nothing once one was stopped."""
        if self._filter.stopped:
            return None
        through = self._fresh()
        passed = through.feed(self._unmarker.whole(call.arguments)) + through.finish()
        for (guard, what), count in through.hits.items():
            self._hits[guard.value, what] += count
        if through.stopped:
            self._filter.stopped = True
            return None
        return replace(call, id=self._id_of(at, call), arguments=passed)

    def _id_of(self, at: int, call: ToolCall) -> str:
        """Return a call's id, or one of our own where a filter alters it or callers could not send it back.

        Some engines let the model write it. Most draw it, and what looks like a number of somebody's in it is
        by chance: so it is no hit of the filter's.
        """
        through = self._fresh()
        left = through.feed(call.id) + through.finish()
        if left == call.id and len(left) <= CALL_ID_CHARACTERS and left.isprintable():
            return left
        return f"call_{self._receipt}_{at}"


class Unfiltered:
    """What a model wrote, up to the length that is kept for auditors; a longer text is not kept."""

    def __init__(self, characters: int) -> None:
        """Begin with nothing, and room for that many characters."""
        self._parts: list[str] = []
        self._room = characters

    def add(self, text: str) -> None:
        """Take a part."""
        self._room -= len(text)
        if self._room >= 0:
            self._parts.append(text)

    @property
    def text(self) -> str:
        """Return all of it; nothing where it is too long."""
        return "".join(self._parts) if self._room >= 0 else ""


def _shown(message: Message, mark: Datamark) -> Message:
    """Return a turn as a model is shown it."""
    if message.role == "tool":
        return replace(message, text=mark.mark(message.text))
    text = message.text
    for start, end in reversed(message.looked_up):
        text = f"{text[:start]}{mark.mark(text[start:end])}{text[end:]}"
    return replace(message, text=text, looked_up=())


def _asked(messages: Sequence[Message]) -> str:
    """Return the last words of the user, without what was found in documents."""
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    text = last.text if last is not None else ""
    for start, end in reversed(last.looked_up if last is not None else ()):
        text = f"{text[:start]} {text[end:]}"
    return text


def texts_of(messages: Sequence[Message]) -> Iterator[tuple[str, Channel]]:
    """Yield the texts that are checked: those of the user, of tools, and what was found in documents."""
    for message in messages:
        channel = _CHANNELS.get(message.role)
        if channel is not None and message.text:
            yield message.text, channel
        for start, end in message.looked_up:
            yield message.text[start:end], Channel.RETRIEVED


def _findings(decision: Decision, channel: Channel) -> list[GuardFinding]:
    """Return what receipts say of a decision; of the classifier which one, and its score."""
    said = {"classifier": f"classifier:{decision.classifier}:{decision.score or 0:.3f}"}
    return [
        GuardFinding(where=channel.value, what=said.get(hit.rule, hit.rule), action=decision.outcome.value)
        for hit in decision.hits
    ]
