"""The corpus as a matrix: for each format how many cases are missed and how many are wrongly stopped.

Run with ``-s`` to see it. A hostile case is missed when it comes out clean or opaque; an honest one is
wrongly stopped when it does not.
"""

import sys
from collections import Counter

from corpora.inspection_corpus import BAD, GOOD, UNREAD, Case, inspected
from lockgate.core.verdict import Severity

LEAST = 150


def _passes(case: Case) -> tuple[str, bool]:
    part = inspected(case.data, case.name, case.kind)
    quiet = all(found.severity is Severity.INFO for found in part.findings)
    return part.detected, quiet and part.complete and part.covered == part.size


def test_nothing_is_missed_and_nothing_honest_is_stopped() -> None:
    hostile, honest, missed, stopped = Counter(), Counter(), Counter(), Counter()
    for case in (*BAD, *UNREAD):
        kind, passes = _passes(case)
        hostile[kind] += 1
        missed[kind] += passes
    for case in GOOD:
        kind, passes = _passes(case)
        honest[kind] += 1
        stopped[kind] += not passes
    lines = [f"{'format':16}{'hostile':>9}{'missed':>8}{'honest':>8}{'stopped':>9}"]
    lines.extend(
        f"{kind:16}{hostile[kind]:9}{missed[kind]:8}{honest[kind]:8}{stopped[kind]:9}"
        for kind in sorted(hostile | honest)
    )
    lines.append(f"{'all':16}{hostile.total():9}{missed.total():8}{honest.total():8}{stopped.total():9}")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert (missed.total(), stopped.total()) == (0, 0)
    assert min(hostile.total(), honest.total()) >= LEAST
