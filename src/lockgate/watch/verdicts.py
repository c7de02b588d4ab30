"""Alerts about verdicts: what newer rules say otherwise, what is served all the same, what grew old.

The metrics are the console's (`lockgate.console.pages`); the form of the rules is that of `exposure`.
"""

from lockgate.watch.exposure import ALERTS, Alert

VERDICT_ALERTS = (
    Alert(
        "LockgateVerdictChanged",
        "lockgate_verdicts_changed > 0",
        "0m",
        "warning",
        "Newer rules or inspectors say something else of what was admitted.",
    ),
    Alert(
        "LockgateServedAgainstVerdict",
        "lockgate_verdicts_beyond > 0",
        "0m",
        "critical",
        "Something is served that a newer verdict holds: withdraw it, or decide again.",
    ),
    Alert(
        "LockgateWithdrawn",
        "lockgate_second_signature > 0",
        "0m",
        "warning",
        "Something was withdrawn by one person or by the gate itself; a second signature is owed.",
    ),
    Alert(
        "LockgateWithdrawalOverdue",
        "lockgate_second_signature == 2 or lockgate_second_signature < 0",
        "0m",
        "critical",
        "The second signature over a withdrawal is overdue, or nobody can tell.",
    ),
    Alert(
        "LockgateVerdictsOld",
        "lockgate_verdicts_old > 0",
        "6h",
        "warning",
        "Rules or inspectors are newer than verdicts, and not all was looked at again.",
    ),
    Alert(
        "LockgateVerdictsNotMeasured",
        "absent(lockgate_verdicts_changed)",
        "26h",
        "warning",
        "Nobody has told for a day what newer verdicts say.",
    ),
)

ALERT_GROUPS = {"lockgate-exposure": ALERTS, "lockgate-verdicts": VERDICT_ALERTS}
"""All alerting rules, by the names of their groups."""
