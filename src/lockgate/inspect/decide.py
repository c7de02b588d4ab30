"""Turns what the worker said into a verdict. Pure; trusts nothing that does not add up."""

from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.inspect.ports import InspectItem, Part
from lockgate.inspect.tally import LABEL_LENGTH, USE_LENGTH, USES

UNREAD = "unread"
"""Detected type of a file whose inspection gave no answer."""

_CODE_LENGTH = 48
_USE_TEXT = USE_LENGTH + 16


def believable(part: Part, item: InspectItem, findings: int) -> bool:
    """Return whether a worker's answer is about this file and within its bounds."""
    texts = [text for found in part.findings for text in (found.where, found.why)]
    return (
        part.size == item.size
        and part.covered <= part.size
        and len(part.findings) <= findings
        and max(len(part.uses), len(part.requires)) <= USES + 1
        and all(len(t) <= _USE_TEXT and t.isprintable() for t in (*part.uses, *part.requires))
        and all(len(text) <= LABEL_LENGTH and text.isprintable() for text in texts)
        and all(0 < len(found.code) <= _CODE_LENGTH and found.code.isascii() for found in part.findings)
    )


def decide(item: InspectItem, part: Part) -> Verdict:
    """Return the verdict of a file.

    Findings of low severity and above come first, then what was not understood, then what was
    parsed and is opaque; clean is only what is left when every byte is claimed.
    """
    whole = part.complete and part.covered == part.size
    if any(found.severity is not Severity.INFO for found in part.findings):
        outcome = Outcome.FINDINGS
    elif not whole:
        outcome = Outcome.INCOMPLETE
    else:
        outcome = Outcome.OPAQUE if part.opaque else Outcome.CLEAN
    # A file that was not wholly understood never counts as wholly covered.
    covered = part.covered if whole else min(part.covered, max(0, part.size - 1))
    return Verdict(
        path=item.path,
        sha256=item.sha256,
        size=item.size,
        detected=part.detected,
        outcome=outcome,
        covered=covered,
        findings=part.findings,
        inspectors=part.inspectors,
        opaque=part.opaque,
        uses=part.uses,
        requires=part.requires,
    )


def unread(item: InspectItem, code: str, why: str, severity: Severity = Severity.INFO) -> Verdict:
    """Return the verdict of a file whose inspection gave no answer."""
    outcome = Outcome.INCOMPLETE if severity is Severity.INFO else Outcome.FINDINGS
    return Verdict(
        path=item.path,
        sha256=item.sha256,
        size=item.size,
        detected=UNREAD,
        outcome=outcome,
        covered=0,
        findings=(Finding(code=code, severity=severity, where="", why=why[:LABEL_LENGTH]),),
        inspectors=(),
    )
