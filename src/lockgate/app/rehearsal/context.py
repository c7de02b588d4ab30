"""What every part of a rehearsal works with, and what each thing that was tried comes to."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.app.rehearsal.box import Box, Ran
from lockgate.app.rehearsal.missing import from_output
from lockgate.collect.manifest import LoadedManifest
from lockgate.core.artifact import Artifact, Kind, Lock
from lockgate.core.host import HostProfile
from lockgate.core.rehearsal import TEXT_LIMIT, Mark, Missing, Step
from lockgate.inspect.tally import printable


@dataclass(frozen=True, slots=True)
class Outcome:
    """One step with what it found missing."""

    step: Step
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """A rehearsal under way.

    Attributes:
        box: Runs clients.
        clients: Where their folders are made.
        host: What the host of the high side is.
        manifest: What was asked for.
        lock: What was collected.
        url: The throw-away mirrors.
        apt_sources: What apt has to be told; empty where nothing is served to it.
        blob: Gives a file of the lock by its digest.
        machine: The architecture of this machine.
        tell: Told what is tried next.

    """

    box: Box
    clients: Path
    host: HostProfile
    manifest: LoadedManifest
    lock: Lock
    url: str
    apt_sources: str
    blob: Callable[[str], Path]
    machine: str
    tell: Callable[[str], None]
    numbers: list[int] = field(default_factory=lambda: [0])

    @property
    def native(self) -> bool:
        """Tell whether programs for the host run on this machine."""
        return self.host.architecture == self.machine

    def artifacts(self, *kinds: Kind) -> list[Artifact]:
        """Return the lock's artifacts of some kinds."""
        return [each for each in self.lock.artifacts if each.kind in kinds]

    def folder(self, name: str) -> Path:
        """Return a new folder that clients may write."""
        self.numbers[0] += 1
        made = self.clients / f"{self.numbers[0]:03d}-{name}"
        made.mkdir()
        return made


class Trial:
    """One step while it runs: begins to count when it is made."""

    def __init__(self, context: Context, what: str) -> None:
        """Begin."""
        self._what = printable(what, TEXT_LIMIT)
        self._begun = time.monotonic()
        context.tell(self._what)

    def passed(self, why: str = "") -> Outcome:
        """Return that it worked."""
        return Outcome(self._step(Mark.PASSED, why))

    def unproven(self, why: str) -> Outcome:
        """Return that it could not be tried."""
        return Outcome(self._step(Mark.UNPROVEN, why))

    def failed(self, why: str, missing: Iterable[Missing] = ()) -> Outcome:
        """Return that it did not work."""
        return Outcome(self._step(Mark.FAILED, why), tuple(missing))

    def of(self, ran: Ran, why: str = "") -> Outcome:
        """Return what a client's end says."""
        return self.passed(why) if ran.well else self.failed(ran.reason, from_output(ran.said))

    def _step(self, mark: Mark, why: str) -> Step:
        seconds = round(time.monotonic() - self._begun)
        return Step(what=self._what, mark=mark, why=printable(why, TEXT_LIMIT), seconds=seconds)


def some(words: Sequence[str], most: int = 4) -> str:
    """Return the first of several words, for a line."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return f"{', '.join(words[:most])}{more}"
