"""What the gate says of the way that a crossing took."""

from lockgate.app.crossing.custody import NoChainError
from lockgate.app.gate.gate import open_gate
from lockgate.app.settings import Side
from lockgate.core.custody import CustodyReport


def report_of(side: Side, sequence: int) -> CustodyReport:
    """Return what approvers are shown of a crossing.

    Raises:
        NoSuchCrossingError: There is no such crossing at the gate.
        NoChainError: Nothing is on record, and the policy demands nothing.

    """
    report = open_gate(side).custody(sequence)
    if report is None:
        what = f"There is no chain of hand-overs for crossing {sequence}."
        raise NoChainError(what)
    return report
