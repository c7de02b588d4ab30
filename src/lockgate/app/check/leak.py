"""Joining the measure of leaks: what is asked, what the link showed, and what it says."""

import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lockgate.app.check.leak_capture import SAMPLES_LEAST, LeakSamplesError, Plan, traces
from lockgate.app.files import read_named
from lockgate.core.ports import Progress
from lockgate.infer.leak import Leak, Trace, measure

CONTROL = "control"

AREA_MOST = 0.55
"""Highest upper end of an area's 95 % interval that counts as telling nothing."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """What answers shaped in one way tell, beside the control.

    Attributes:
        leak: What was measured of them.
        control: The same of answers as they come.

    """

    leak: Leak
    control: Leak

    @property
    def shown(self) -> bool:
        """Tell whether shaping is shown to work: nothing is told within the bound, and the control tells."""
        return self.control.told and not self.leak.told and self.leak.high <= AREA_MOST

    @property
    def cost(self) -> float:
        """Return how many times the control's bytes these answers take."""
        return self.leak.wire_bytes / max(self.control.wire_bytes, 1.0)

    @property
    def sentence(self) -> str:
        """Return what it means."""
        if not self.control.told:
            return "nothing is shown: the control's topics are not told apart either. Ask for more samples."
        if self.leak.told:
            return "the answers still tell the topic."
        if not self.shown:
            return f"nothing found, but areas up to {self.leak.high:.3f} are possible. Ask for more samples."
        found = f"nothing is told that this measure finds (area up to {self.leak.high:.3f})"
        return f"{found}, at {self.cost:.1f} times the bytes."

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {**asdict(self.leak), "told": self.leak.told, "cost": self.cost, "shown": self.shown}


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured: the control, and each way of shaping by its name."""

    control: Leak
    shaped: Mapping[str, Shaped]

    @property
    def shown(self) -> bool:
        """Tell whether every way of shaping is shown to work."""
        return all(each.shown for each in self.shaped.values())

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "control": {**asdict(self.control), "told": self.control.told},
            "shaped": {name: each.as_dict() for name, each in self.shaped.items()},
            "shown": self.shown,
        }


def measured(plan: Plan, tls: ssl.SSLContext | None, seed: int, told: Progress | None = None) -> Measured:
    """Ask, listen and judge.

    Args:
        plan: What is asked; one name of its keys is `CONTROL`.
        tls: How the gateway is spoken to over TLS.
        seed: Of orders, folds and trees.
        told: Told about each answer.

    Raises:
        CaptureError: The link cannot be listened to.
        LeakSamplesError: Too few answers were wanted or came, or a file holds no key.

    """
    if plan.samples < SAMPLES_LEAST or not all(plan.topics):
        what = f"A topic needs questions, and at least {SAMPLES_LEAST} answers."
        raise LeakSamplesError(what)
    if CONTROL not in plan.keys or len(plan.keys) < 2 or not all(plan.keys.values()):  # noqa: PLR2004  # two to compare
        what = "A control and something shaped are compared, each with a key at least."
        raise LeakSamplesError(what)
    rng = np.random.default_rng(seed)
    order = [
        (name, topic, number) for name in plan.keys for topic in (0, 1) for number in range(plan.samples)
    ]
    found = traces(plan, [order[at] for at in rng.permutation(len(order))], tls, told)

    def leak(name: str) -> Leak:
        both = [[Trace(*each) for each in found[name, topic]] for topic in (0, 1)]
        if not all(trace.sizes for traces_ in both for trace in traces_):
            what = f"The link {plan.interface!r} did not show every answer: is the gateway reached over it?"
            raise LeakSamplesError(what)
        return measure(both[0], both[1], rng)

    control = leak(CONTROL)
    return Measured(control, {name: Shaped(leak(name), control) for name in plan.keys if name != CONTROL})


def lines(file: Path) -> list[str]:
    """Return the lines of a file with questions, or with keys."""
    text = read_named(file).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def context(authority: Path | None) -> ssl.SSLContext | None:
    """Return how a gateway with a certificate of an authority is spoken to."""
    return ssl.create_default_context(cafile=str(authority)) if authority else None
