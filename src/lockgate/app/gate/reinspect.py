"""Looking again at what was admitted: one run at a time, at a limited rate, and what came of it on file.

What came of it is told in `app.gate.rechecked`; what counts is signed (`admit.reinspect`).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from lockgate.admit.reinspect import Looked
from lockgate.app.files import write_whole
from lockgate.app.gate.gate import SandboxedInspection, open_gate
from lockgate.app.gate.rechecked import (
    ChangedVerdict,
    ReinspectionState,
    TakenAway,
    last_run,
    state_file,
)
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import HostError, LockgateError
from lockgate.core.ports import Progress
from lockgate.core.wire import encode, whole_second

SHOWN = 200
"""Most artifacts of each kind that the state names."""

_log = structlog.get_logger("lockgate.reinspect")


class ReinspectingError(HostError):
    """Another run looks again at what was admitted."""

    code = "LG-5f20"
    advice = "Wait for it: `lockgate doctor` says how far it came."


@dataclass(frozen=True, slots=True)
class Due:
    """What a run would look at again: how many artifacts, files and bytes, and their package URLs."""

    artifacts: tuple[str, ...]
    files: int
    size: int


@contextmanager
def _alone(side: Side) -> Iterator[None]:
    """Keep other runs out; the kernel lets go of it when this process ends, however it ends."""
    side.home.run.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(side.home.run / "reinspect.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReinspectingError("Another run looks again at what was admitted.") from None
        yield
    finally:
        os.close(descriptor)


def due(side: Side, progress: Progress) -> Due:
    """Return what a run would look at again; nothing is inspected or written."""
    found = open_gate(side).reinspector.old(SandboxedInspection(side, progress).basis())
    files = [file for each in found for file in each.artifact.files]
    return Due(tuple(each.artifact.purl for each in found), len(files), sum(file.size for file in files))


def reinspect(side: Side, progress: Progress, *, rate: int = 0, jobs: int | None = None) -> ReinspectionState:
    """Look again at everything whose verdicts are old, and take away what the policy says.

    Args:
        side: The high side.
        progress: Told of the bytes.
        rate: Most bytes to look at in a second; 0: as the settings say.
        jobs: Files at a time, and one more (`inspect_files`).

    Raises:
        ReinspectingError: Another run goes on.
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    with _alone(side):
        started, before = whole_second(utc_now()), last_run(side)
        earlier = before.changed if before else ()
        pace = _Pace(rate or side.settings.reinspect.bytes_per_second)

        def tell(looked: Looked, finished: datetime | None = None) -> ReinspectionState:
            state = _state(looked, earlier, started, finished)
            write_whole(state_file(side), encode(state))
            return state

        log = audit_log(side)
        intent = log.intent("reinspect")
        try:
            inspector = SandboxedInspection(side, progress, jobs)
            looked = open_gate(side).reinspector.run(inspector, pause=pace, told=tell, progress=progress)
        except LockgateError as error:
            log.outcome(intent, "failed", code=error.code, error=error.what)
            raise
        state = tell(looked, whole_second(utc_now()))
        log.outcome(intent, "done", looked=looked.done, changed=len(looked.changed), beyond=len(state.beyond))
        _alert(looked)
        return state


class _Pace:
    """Waits where looking is ahead of a rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._seen = 0

    def __call__(self, size: int) -> None:
        self._seen += size
        ahead = self._seen / self._rate - (time.monotonic() - self._began)
        if ahead > 0:
            time.sleep(ahead)


def _state(
    looked: Looked, earlier: tuple[ChangedVerdict, ...], started: datetime, finished: datetime | None
) -> ReinspectionState:
    now = tuple(
        ChangedVerdict(
            crossing=c.crossing, purl=c.purl, before=c.before, after=c.after, codes=c.codes, held=c.held
        )
        for c in looked.changed
    )
    fresh = {(c.crossing, c.purl) for c in now}
    kept = tuple(c for c in earlier if (c.crossing, c.purl) not in fresh)
    taken = tuple(
        TakenAway(
            channel=t.channel,
            withdrawn=t.withdrawn[:SHOWN],
            held=t.held[:SHOWN],
            beyond=t.beyond[:SHOWN],
        )
        for t in looked.taken
    )
    return ReinspectionState(
        started=started,
        finished=finished,
        total=looked.total,
        done=looked.done,
        changed=(*now, *kept)[:SHOWN],
        taken=taken,
    )


def _alert(looked: Looked) -> None:
    for each in looked.changed:
        _log.warning("verdict changed", **msgspec.to_builtins(each))
    for taken in looked.taken:
        if taken.beyond:
            _log.error("served though newer verdicts hold it", channel=taken.channel, purls=taken.beyond[:20])
