"""What came of looking again at what was admitted, as the newest run left it in ``run/reinspect.json``.

The console's metrics, its health and the doctor read it. It decides nothing.
"""

from pathlib import Path

from lockgate.app.files import read_named
from lockgate.app.settings import Side
from lockgate.core.errors import LockgateError
from lockgate.core.wire import Document, Moment, decode

STATE_FILE = "reinspect.json"
STATE_LIMIT = 4 << 20
"""Longest state that is read, in bytes."""


class ChangedVerdict(Document, frozen=True):
    """An artifact on which newer verdicts say something else."""

    crossing: int
    purl: str
    before: str
    after: str
    codes: tuple[str, ...]
    held: bool


class TakenAway(Document, frozen=True):
    """What one channel lost by itself, and what it still serves though newer verdicts hold it."""

    channel: str
    withdrawn: tuple[str, ...]
    held: tuple[str, ...]
    beyond: tuple[str, ...]


class ReinspectionState(Document, frozen=True):
    """The newest run: how far it came and what it found. `changed` keeps what earlier runs found too."""

    started: Moment
    finished: Moment | None
    total: int
    done: int
    changed: tuple[ChangedVerdict, ...]
    taken: tuple[TakenAway, ...]

    @property
    def beyond(self) -> tuple[str, ...]:
        """Return what is served though newer verdicts hold it: two persons have to look."""
        return tuple(dict.fromkeys(purl for each in self.taken for purl in each.beyond))

    @property
    def sentence(self) -> str:
        """Return it in one sentence."""
        ended = f"ended {self.finished:%Y-%m-%d %H:%M} UTC" if self.finished else "has not ended"
        text = f"looked again at {self.done} of {self.total} artifacts, {ended}; {len(self.changed)} changed"
        return text + (f"; still served though held: {', '.join(self.beyond[:3])}" if self.beyond else "")


def state_file(side: Side) -> Path:
    """Return where the newest run says how far it came."""
    return side.home.run / STATE_FILE


def last_run(side: Side) -> ReinspectionState | None:
    """Return what came of the newest run; None where there was none or nobody can tell."""
    if not state_file(side).is_file():
        return None
    try:
        return decode(ReinspectionState, read_named(state_file(side), limit=STATE_LIMIT), name="state")
    except LockgateError:
        return None
