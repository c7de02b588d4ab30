"""A suite of attacks on a model behind the gateway, and what its answers mean."""

from lockgate.guard.redteam.report import Compared, RedTeamReport, Tally, compared, site_tally, tallied
from lockgate.guard.redteam.suite import Case, Result, load_suite, result_of, site_case

__all__ = [
    "Case",
    "Compared",
    "RedTeamReport",
    "Result",
    "Tally",
    "compared",
    "load_suite",
    "result_of",
    "site_case",
    "site_tally",
    "tallied",
]
