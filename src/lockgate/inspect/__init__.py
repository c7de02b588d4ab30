"""Inspection: what a file is, whether every byte of it was understood, and what was found.

Parsers run in a sandbox, one process per file, and fail closed: what is unknown, unfinished, over
a limit or crashes its parser is *incomplete*; machine code and weights whose structure was fully
parsed are *opaque*; *clean* is only what is left. An inspector that a file takes over from within
could still lie about that one file: hence structure checks that leave little room, and people who
approve.
"""

from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import InspectItem, Job, Sandbox
from lockgate.inspect.rulesets import RulePack, RuleSet
from lockgate.inspect.service import basis_of, inspect_file, inspect_files, run_in_sandbox

__all__ = [
    "InspectItem",
    "Job",
    "Limits",
    "RulePack",
    "RuleSet",
    "Sandbox",
    "basis_of",
    "inspect_file",
    "inspect_files",
    "run_in_sandbox",
]
