"""Custody at the gate: what approvers are shown and bind, and what an unbroken chain is demanded for."""

from lockgate.admit.errors import CustodyBrokenError
from lockgate.admit.model import Crossing
from lockgate.admit.parts import GateParts
from lockgate.core.custody import CustodyReport
from lockgate.core.statement import NOTHING
from lockgate.core.submission import is_submission
from lockgate.core.wire import digest_of


def custody_report(parts: GateParts, crossing: Crossing) -> CustodyReport | None:
    """Return what is known of a crossing's way, or None where nothing is and nothing is demanded."""
    if is_submission(crossing.sequence):
        return None  # nothing was carried
    return parts.custody.report(crossing) if parts.custody else None


def custody_digest(parts: GateParts, crossing: Crossing) -> str:
    """Return the digest that a statement binds a crossing's way by; zeros without a report."""
    report = custody_report(parts, crossing)
    return NOTHING if report is None else digest_of(report)


def demand_custody(parts: GateParts, crossing: Crossing) -> None:
    """Demand an unbroken chain where the policy says so.

    Raises:
        CustodyBrokenError: There is none, or a finding breaks it.

    """
    rule = parts.policy.custody_rule
    if rule is None or not rule.required or is_submission(crossing.sequence):
        return
    report = custody_report(parts, crossing)
    if report is None:
        what = f"There is no chain of hand-overs for crossing {crossing.sequence}."
        raise CustodyBrokenError(what)
    if report.breaks:
        first = report.breaks[0]
        what = f"The chain of crossing {crossing.sequence} is broken ({first.kind}): {first.what}"
        raise CustodyBrokenError(what, step=first.step + 1)
