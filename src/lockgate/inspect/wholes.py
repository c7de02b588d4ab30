"""What is added to the verdicts of an artifact's files because of what its other files say. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from lockgate.core.provenance import Fact, State
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.inspect.tally import printable

_BAD = {
    State.INVALID: ("provenance-invalid", Severity.HIGH),
    State.EXPIRED: ("provenance-expired", Severity.MEDIUM),
}
"""What speaks against a file though nobody demands provenance."""


@dataclass(slots=True)
class Notes:
    """What was seen of one file from outside it."""

    facts: list[Fact] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    inspectors: set[str] = field(default_factory=set)
    packages: tuple[str, ...] = ()
    complete: bool = True

    def note(self, code: str, severity: Severity, where: str, why: str) -> None:
        """Keep a finding."""
        self.findings.append(
            Finding(code=code, severity=severity, where=printable(where), why=printable(why))
        )

    def unfinished(self, code: str, where: str, why: str) -> None:
        """Say that something was not understood."""
        self.note(code, Severity.INFO, where, why)
        self.complete = False


Extras = dict[str, Notes]
"""Path in the lock → what is added to its verdict."""


def notes_of(extras: Extras, path: str) -> Notes:
    """Return the notes of a path, made where there are none yet."""
    return extras.setdefault(path, Notes())


def merge(into: Extras, more: Extras) -> None:
    """Add notes to others."""
    for path, notes in more.items():
        mine = notes_of(into, path)
        mine.facts += notes.facts
        mine.findings += notes.findings
        mine.inspectors |= notes.inspectors
        mine.packages += notes.packages
        mine.complete &= notes.complete


def amended(verdicts: Iterable[Verdict], extras: Extras) -> list[Verdict]:
    """Return verdicts with what was seen from outside; none becomes better."""
    return [
        _amended(verdict, extras[verdict.path]) if verdict.path in extras else verdict for verdict in verdicts
    ]


def _amended(verdict: Verdict, notes: Notes) -> Verdict:
    bad = [
        Finding(
            code=_BAD[f.state][0], severity=_BAD[f.state][1], where=verdict.path, why=printable(f.sentence)
        )
        for f in notes.facts
        if f.state in _BAD
    ]
    findings = (*verdict.findings, *notes.findings, *bad)
    outcome, covered = verdict.outcome, verdict.covered
    if not notes.complete:
        covered = min(covered, max(0, verdict.size - 1))
        outcome = Outcome.INCOMPLETE if outcome is not Outcome.FINDINGS else outcome
    if any(found.severity is not Severity.INFO for found in findings):
        outcome = Outcome.FINDINGS
    return msgspec.structs.replace(
        verdict,
        outcome=outcome,
        covered=covered,
        findings=findings,
        inspectors=(*verdict.inspectors, *sorted(notes.inspectors - set(verdict.inspectors))),
        provenance=(*verdict.facts, *notes.facts) if notes.facts else verdict.provenance,
        packages=notes.packages or verdict.packages,
    )
