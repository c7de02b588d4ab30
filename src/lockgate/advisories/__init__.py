"""Vulnerability data: loaded from files, asked by package URL, never clean by ignorance.

Data sets (OSV, KEV, EPSS) are immutable files named by their digest; one small list says which
hold. An answer is affected, not affected, unknown to the database, or database too old.
"""

from lockgate.advisories.bill import purls_of
from lockgate.advisories.exposure import Exposed, Open, Served, Totals, exposure, totals
from lockgate.advisories.limits import Limits
from lockgate.advisories.match import AGE_SECONDS, Freshness, Matcher
from lockgate.advisories.model import Found, Matched, Outcome, SetKind, Source
from lockgate.advisories.ports import AdvisoryData
from lockgate.advisories.ranges import npm_range
from lockgate.advisories.service import (
    Age,
    Explained,
    Loading,
    Shown,
    Wish,
    ages,
    exit_status,
    explain,
    load,
    match_all,
    show,
    status_of,
)
from lockgate.advisories.shelf import Shelf
from lockgate.advisories.vex import Claim, Claims, claims_of
from lockgate.advisories.wanted import Wanted, manifest_of, manifest_of_requests, read_wanted, wanted_of

__all__ = [
    "AGE_SECONDS",
    "AdvisoryData",
    "Age",
    "Claim",
    "Claims",
    "Explained",
    "Exposed",
    "Found",
    "Freshness",
    "Limits",
    "Loading",
    "Matched",
    "Matcher",
    "Open",
    "Outcome",
    "Served",
    "SetKind",
    "Shelf",
    "Shown",
    "Source",
    "Totals",
    "Wanted",
    "Wish",
    "ages",
    "claims_of",
    "exit_status",
    "explain",
    "exposure",
    "load",
    "manifest_of",
    "manifest_of_requests",
    "match_all",
    "npm_range",
    "purls_of",
    "read_wanted",
    "show",
    "status_of",
    "totals",
    "wanted_of",
]
