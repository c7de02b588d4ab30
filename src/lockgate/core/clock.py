"""Whether a side's clock may be believed when something is to be admitted. Pure decisions.

The *floor* is the newest moment that a verified signature proved, the *last run* what the clock
said when something was last admitted to. A clock that contradicts either holds admission until
two persons say that it is right. Serving asks no clock.
"""

from datetime import datetime, timedelta

from lockgate.core.policy import Policy
from lockgate.core.wire import Document, Moment, stamp

STEP = timedelta(hours=1)
"""How far a clock may be set back since the last run whatever the policy's skew: summer time and NTP."""


class ClockState(Document, frozen=True):
    """What a clock is judged by; `began` says that there were runs, though `last` may be lost."""

    last: Moment | None = None
    floor: Moment | None = None
    began: bool = False


def trouble(now: datetime, state: ClockState, policy: Policy) -> str:
    """Return why a clock is not believed, or nothing.

    Args:
        now: What the clock says.
        state: The floor and the last run.
        policy: Names skew and jump.

    """
    skew = timedelta(seconds=policy.skew_seconds)
    jump = timedelta(seconds=policy.clock_jump_seconds)
    said = f"the clock says {stamp(now)}"
    if state.floor is not None and now + skew < state.floor:
        return f"{said}, and {stamp(state.floor)} was proved before."
    if state.last is None:
        return f"{said}, and what it said at the last run is lost." if state.began else ""
    if now + min(jump, max(skew, STEP)) < state.last:
        return f"{said}, and {stamp(state.last)} at the last run: it went back."
    if now - state.last > jump:
        return f"{said}, and {stamp(state.last)} at the last run: it jumped."
    return ""


def raised(floor: datetime | None, proved: datetime, now: datetime) -> datetime:
    """Return the floor after a verified signature named a moment: never past the local clock.

    A signer who dates something in the future cannot lock the side out of its own present.
    """
    bounded = min(proved, now)
    return bounded if floor is None else max(floor, bounded)
