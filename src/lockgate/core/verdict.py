"""Verdicts: what inspection says of a file, bound to its digest and to who said it."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.provenance import Fact
from lockgate.core.wire import Document


class Outcome(StrEnum):
    """The four outcomes. Neither opaque nor incomplete is ever shown as clean."""

    CLEAN = "clean"
    OPAQUE = "opaque"
    INCOMPLETE = "incomplete"
    FINDINGS = "findings"


_RANK = {Outcome.CLEAN: 0, Outcome.OPAQUE: 1, Outcome.INCOMPLETE: 2, Outcome.FINDINGS: 3}


class Severity(StrEnum):
    """How bad a finding is; `INFO` alone does not change an outcome."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Finding(Document, frozen=True):
    """One thing an inspector saw: a stable code, how bad, where in the file, and why."""

    code: str
    severity: Severity
    where: str
    why: str


class Verdict(Document, frozen=True):
    """What was found in one file.

    `covered` counts the bytes that a validated parser claimed; a verdict is never clean when
    it is less than `size`. `inspectors` names each inspector with its version. `opaque` names the
    kinds of content that were parsed but not understood, wherever inside the file they lie; it is
    kept beside the outcome because findings outrank it there. `basis` says what else the verdict
    rests on, by name: ``engine`` (a digest over every inspector's version), ``rules`` (the digest of
    the set of rules), and each scanner's database. A verdict with another basis than today's is old.
    `provenance` is what signatures say of the file, `packages` are the package URLs of what an image
    holds, `uses` says which members reach outside of their program (``network pkg/api.py``; see
    `lockgate.inspect.inspectors.uses`): nothing in itself, and what a new version began to do is shown to
    approvers. `requires` is what a package says that it needs, in its ecosystem's own words. Verdicts of
    before there were such facts leave the fields out.
    """

    path: str
    sha256: Digest
    size: Size
    detected: str
    outcome: Outcome
    covered: Size
    findings: tuple[Finding, ...]
    inspectors: tuple[str, ...]
    opaque: tuple[str, ...] = ()
    basis: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    provenance: tuple[Fact, ...] | msgspec.UnsetType = msgspec.UNSET
    packages: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    uses: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    requires: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def rests_on(self) -> dict[str, str]:
        """Return the basis; that of verdicts made before there was one is empty."""
        return {} if isinstance(self.basis, msgspec.UnsetType) else self.basis

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Return what signatures say of the file."""
        return () if isinstance(self.provenance, msgspec.UnsetType) else self.provenance

    @property
    def contents(self) -> tuple[str, ...]:
        """Return the package URLs of what the image holds that the file is the manifest of."""
        return () if isinstance(self.packages, msgspec.UnsetType) else self.packages


def stricter(first: Verdict, later: Verdict) -> Verdict:
    """Return what counts of two verdicts on one file: everything that either found, on the later's basis.

    A later verdict that is better lifts nothing by itself.
    """
    return msgspec.structs.replace(
        later,
        outcome=worst((first.outcome, later.outcome)),
        covered=min(first.covered, later.covered),
        findings=tuple(dict.fromkeys((*later.findings, *first.findings))),
        inspectors=tuple(sorted({*first.inspectors, *later.inspectors})),
        opaque=tuple(sorted({*first.opaque, *later.opaque})),
        # Trust roots may have expired since; a signature that is bad now is a finding beside.
        provenance=later.provenance if isinstance(first.provenance, msgspec.UnsetType) else first.provenance,
    )


def same_meaning(first: Verdict, later: Verdict) -> bool:
    """Tell whether two verdicts on one file say the same, whatever inspectors and versions said it."""

    def meaning(verdict: Verdict) -> tuple[object, ...]:
        above = frozenset((f.code, f.severity) for f in verdict.findings if f.severity is not Severity.INFO)
        return verdict.outcome, above, frozenset(verdict.opaque), verdict.covered == verdict.size

    return meaning(first) == meaning(later)


def rank(outcome: Outcome) -> int:
    """Return how unfavourable an outcome is: the higher, the worse."""
    return _RANK[outcome]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the least favourable of some outcomes (clean when there are none)."""
    return max(outcomes, key=_RANK.__getitem__, default=Outcome.CLEAN)
