"""The policy on tools, on a request's way: what may be offered, and what becomes of each call."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import msgspec

from lockgate.core.wire import whole_second
from lockgate.guard.errors import ToolRefusedError
from lockgate.guard.held import HELD_FORMAT, HeldCall, HeldCalls, HeldState
from lockgate.guard.tools import Caller, Judged, Ruling, ToolPolicy, judge, offered_by
from lockgate.infer.answers import in_thread
from lockgate.infer.engines.ports import Message, ToolCall
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.ports import GuardFinding, Principal
from lockgate.infer.requests import ChatRequest
from lockgate.infer.toolfile import ToolSource


@dataclass(frozen=True, slots=True)
class Ruled:
    """What became of a call: the call where it may leave, else what the caller reads in its place."""

    call: ToolCall | None
    note: str = ""
    finding: GuardFinding | None = None


class ToolDesk:
    """Decides about tools.

    Args:
        source: The list of tools.
        held: The calls that wait for a person; where there are none, what would wait is refused.
        executor: A thread for them.
        metrics: Where decisions are counted.

    """

    def __init__(
        self, source: ToolSource, held: HeldCalls | None, executor: Executor, metrics: GatewayMetrics
    ) -> None:
        """Keep the parts."""
        self._source = source
        self._held = held
        self._executor = executor
        self._metrics = metrics

    def rules_for(self, chat: ChatRequest, key: Principal) -> "ToolRules":
        """Return what holds for a request.

        Raises:
            ToolRefusedError: It offers a tool that its key may not have called.

        """
        policy = self._source.current()
        offered = offered_by(chat.options.get("tools"))
        for name in sorted(offered):
            if (why := policy.refusal(name, key.id, key.labels)) is not None:
                self._count(name, policy, Ruling.REFUSE)
                what = f"The tool {name!r} may not be offered: {why}."
                raise ToolRefusedError(what, param="tools", tool=name)
        return ToolRules(self, policy, Caller(key.id, key.labels, offered, tainted(chat.messages)))

    async def ruled(self, rules: "ToolRules", call: ToolCall, receipt: str) -> Ruled:
        """Return what becomes of a call that the model wants."""
        name = _known(call.name, rules)
        judged = judge(rules.policy, rules.caller, call.name, call.arguments)
        if judged.ruling is Ruling.HOLD:
            judged, note = await self._settled(rules, call, judged, receipt)
        else:
            note = f"[refused: the tool {name} was not called; {judged.why}]"
        self._count(call.name, rules.policy, judged.ruling)
        if judged.ruling is Ruling.PASS:
            return Ruled(call)
        done = "held" if judged.ruling is Ruling.HOLD else "refused"
        return Ruled(None, note, GuardFinding(where="tool", what=f"call:{name}", action=done))

    async def _settled(
        self, rules: "ToolRules", call: ToolCall, judged: Judged, receipt: str
    ) -> tuple[Judged, str]:
        """Return what is decided about a call that a person has to allow."""
        held = self._held
        if held is None:
            return Judged(Ruling.REFUSE), f"[refused: the tool {call.name} was not called; {judged.why}]"
        entry = HeldCall(
            format=HELD_FORMAT,
            id="",
            key=rules.caller.key,
            tool=call.name,
            arguments=call.arguments,
            sha256=judged.sha256,
            receipt=receipt,
            held=whole_second(held.clock()),
        )
        state, name = await in_thread(self._executor, lambda: held.settle(entry))
        if state is HeldState.ALLOWED:
            return Judged(Ruling.PASS), ""
        if state is HeldState.REFUSED:
            return Judged(
                Ruling.REFUSE
            ), f"[refused: the tool {call.name} was not called; a person said no: {name}]"
        return judged, f"[held: the tool {call.name} needs a person's yes: {name}; then ask again]"

    def _count(self, name: str, policy: ToolPolicy, ruling: Ruling) -> None:
        known = name if name in policy.tools else "other"
        self._metrics.guarded.labels("answer", f"tool:{known}", ruling.value).inc()


class ToolRules(msgspec.Struct, frozen=True):
    """What holds for the tools of one request."""

    desk: ToolDesk
    policy: ToolPolicy
    caller: Caller

    async def ruled(self, call: ToolCall, receipt: str) -> Ruled:
        """Return what becomes of a call; see `ToolDesk.ruled`."""
        return await self.desk.ruled(self, call, receipt)


def tainted(messages: Sequence[Message]) -> bool:
    """Tell whether text of documents or tools stands in a conversation."""
    for message in messages:  # noqa: SIM110  # for each request, and without a generator
        if (message.role == "tool" and message.text) or message.looked_up:
            return True
    return False


def _known(name: str, rules: ToolRules) -> str:
    """Return a tool's name where the request offered it; what a model makes up is no name for a receipt."""
    return name if name in rules.caller.offered else "not offered"
