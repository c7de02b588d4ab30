"""What came of trying a lock on a throw-away high side, and whether it still counts. Pure decisions.

What a rehearsal says stands in an attestation that the collector signs. It is bound to the digest of the
lock, to that of the host's profile as it was carried, and to the release of Lockgate that tried it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import PolicyError
from lockgate.core.wire import Document, Moment

REHEARSAL_FORMAT = "lockgate-rehearsal/1"

REHEARSAL_LIMIT = 4 << 20
"""Longest attestation of a rehearsal that is read, in bytes."""

STEPS_LIMIT = 2000
"""Most steps of one rehearsal."""

MISSING_LIMIT = 500
"""Most missing things that one rehearsal names."""

TEXT_LIMIT = 600

Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
Lines = Annotated[str, msgspec.Meta(max_length=2000)]


class RehearsalDemandedError(PolicyError):
    """The policy demands a rehearsal that passed, and this lock has none."""

    code = "LG-3008"
    advice = "Run `lockgate rehearse MANIFEST --host PROFILE`, and collect what it names as missing."


class Mark(StrEnum):
    """How a step ended. What could not be tried is never shown as passed."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"


class Step(Document, frozen=True):
    """One thing that was tried, or could not be: what, how it ended, and why."""

    what: Text
    mark: Mark
    why: Text = ""
    seconds: Annotated[int, msgspec.Meta(ge=0)] = 0


class Missing(Document, frozen=True):
    """Something that a client asked for in vain, and the lines of a manifest that bring it."""

    protocol: Annotated[str, msgspec.Meta(max_length=64)]
    name: Text
    version: Text = ""
    proposal: Lines = ""


class Rehearsal(Document, frozen=True):
    """What a rehearsal showed: the predicate of its attestation.

    `native` tells whether programs for the host's processor could be run at all.
    """

    format: str
    lane: str
    lockgate: str
    lock_sha256: Digest
    host_sha256: Digest
    host: Text
    started: Moment
    finished: Moment
    native: bool
    left_packets: Annotated[int, msgspec.Meta(ge=0)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=STEPS_LIMIT)]
    missing: Annotated[tuple[Missing, ...], msgspec.Meta(max_length=MISSING_LIMIT)] = ()

    def marked(self, mark: Mark) -> tuple[Step, ...]:
        """Return the steps that ended in one way."""
        return tuple(step for step in self.steps if step.mark is mark)

    @property
    def mark(self) -> Mark:
        """Return how it ended as a whole.

        It failed where a step did, where something is missing, or where a packet left the throw-away side. It
        proves nothing where nothing was tried, or where nothing for the host's processor runs here.
        """
        if self.marked(Mark.FAILED) or self.missing or self.left_packets:
            return Mark.FAILED
        return Mark.PASSED if self.native and self.marked(Mark.PASSED) else Mark.UNPROVEN

    @property
    def passed(self) -> bool:
        """Tell whether it passed."""
        return self.mark is Mark.PASSED


class Standing(StrEnum):
    """What a lock can show."""

    NONE = "none"
    STALE = "stale"
    FAILED = "failed"
    UNPROVEN = "unproven"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Whether a lock was rehearsed, in a sentence for people, and the rehearsal where there is one."""

    standing: Standing
    why: str
    rehearsal: Rehearsal | None = None

    @property
    def passed(self) -> bool:
        """Tell whether it may be sealed without a warning."""
        return self.standing is Standing.PASSED


def judge_rehearsal(
    found: Rehearsal | None, lock_sha256: str, host_sha256: str, release: str, lane: str
) -> Rehearsed:
    """Return what a lock can show of rehearsals. Fails closed: whatever is of something else is stale.

    Args:
        found: The newest rehearsal whose signature holds; None: there is none.
        lock_sha256: The digest of the lock that is to be sealed.
        host_sha256: The digest of the newest profile of the host that this side was given.
        release: The release of Lockgate that runs.
        lane: The lane.

    """
    if found is None:
        return Rehearsed(Standing.NONE, "This lock was never tried on a throw-away high side.")
    when = f"The rehearsal of {found.finished:%Y-%m-%d %H:%M} UTC"
    for stale, why in (
        (found.format != REHEARSAL_FORMAT or found.lane != lane, "is of another lane or format"),
        (found.lock_sha256 != lock_sha256, "is of another lock than the present one"),
        (found.host_sha256 != host_sha256, "is for another profile of the host than the newest one"),
        (found.lockgate != release, f"was made by Lockgate {found.lockgate[:40]}, not by {release}"),
    ):
        if stale:
            return Rehearsed(Standing.STALE, f"{when} {why}.", found)
    if found.mark is Mark.UNPROVEN:
        why = "could run nothing for the host" if not found.native else "tried nothing"
        return Rehearsed(Standing.UNPROVEN, f"{when} {why}.", found)
    if not found.passed:
        count, lost = len(found.marked(Mark.FAILED)), len(found.missing)
        if found.left_packets:
            why = f"let {found.left_packets} packets leave"
        else:
            why = f"failed in {count} steps and missed {lost} things"
        return Rehearsed(Standing.FAILED, f"{when} {why}.", found)
    unproven = len(found.marked(Mark.UNPROVEN))
    told = f"{when} passed; {unproven} things could not be tried."
    return Rehearsed(Standing.PASSED, told, found)
