"""Joining the measure of leaks: what is asked, what the link showed, and what it says."""

import ssl
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lockgate.app.check.leak_capture import SAMPLES_LEAST, LeakSamplesError, Plan, traces
from lockgate.app.files import read_named
from lockgate.core.ports import Progress
from lockgate.infer.leak import Leak, Trace, measure

SHAPED, CONTROL = "shaped", "control"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the shaped answers tell, beside the control."""

    shaped: Leak
    control: Leak

    @property
    def shown(self) -> bool:
        """Tell whether shaping is shown to work: it tells nothing, and the control tells."""
        return self.control.told and not self.shaped.told

    @property
    def cost(self) -> float:
        """Return how many times the control's bytes the shaped answers take."""
        return self.shaped.wire_bytes / max(self.control.wire_bytes, 1.0)

    @property
    def sentence(self) -> str:
        """Return what it means."""
        if not self.control.told:
            return "Nothing is shown: the control's topics are not told apart either. Ask for more samples."
        if self.shaped.told:
            return "The shaped answers still tell the topic."
        found = f"The shaped answers tell nothing that this measure finds (area up to {self.shaped.high:.3f})"
        return f"{found}, at {self.cost:.1f} times the bytes."

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "shaped": {**asdict(self.shaped), "told": self.shaped.told},
            "control": {**asdict(self.control), "told": self.control.told},
            "cost": self.cost,
            "shown": self.shown,
        }


def measured(plan: Plan, tls: ssl.SSLContext | None, seed: int, told: Progress | None = None) -> Measured:
    """Ask, listen and judge.

    Raises:
        CaptureError: The link cannot be listened to.
        LeakSamplesError: Too few answers were wanted or came.

    """
    if plan.samples < SAMPLES_LEAST or not all(plan.topics):
        what = f"A topic needs questions, and at least {SAMPLES_LEAST} answers."
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

    return Measured(leak(SHAPED), leak(CONTROL))


def lines(file: Path) -> list[str]:
    """Return the lines of a file with questions."""
    text = read_named(file).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def context(authority: Path | None) -> ssl.SSLContext | None:
    """Return how a gateway with a certificate of an authority is spoken to."""
    return ssl.create_default_context(cafile=str(authority)) if authority else None
