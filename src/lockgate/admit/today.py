"""What is held of a crossing now: rules, advisories and waivers change while it waits."""

from lockgate.admit.assess import Assessor
from lockgate.admit.model import Crossing
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Held
from lockgate.core.sequence import CrossingState


def held_today(assessor: Assessor, crossing: Crossing) -> tuple[tuple[Held, ...], str]:
    """Return what would be held of a crossing that waits if it were asked for now, and why nobody can tell.

    Of one that does not wait it is what was held when it was inspected or judged last. Where it cannot be
    told (rules that are gone or altered, say), that stands there too, beside the reason.
    """
    if crossing.state is not CrossingState.INSPECTED:
        return crossing.held, ""
    try:
        return assessor.assess(crossing).held, ""
    except LockgateError as error:
        return crossing.held, f"{error.what} ({error.code})"
