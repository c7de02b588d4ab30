"""Every file of the corpus gets the verdict that it must get."""

import pytest

from corpora.inspection_corpus import BAD, GOOD, UNREAD, Case, inspected
from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome, Severity
from lockgate.inspect.decide import decide
from lockgate.inspect.ports import InspectItem


def _verdict(case: Case):
    part = inspected(case.data, case.name, case.kind)
    item = InspectItem(
        path=case.name, kind=case.kind, file="x", sha256=sha256(case.data), size=len(case.data)
    )
    return decide(item, part)


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_good_content_is_wholly_understood(case: Case) -> None:
    verdict = _verdict(case)
    assert [f for f in verdict.findings if f.severity is not Severity.INFO] == []
    assert verdict.outcome is case.outcome, verdict.findings
    assert verdict.covered == len(case.data)
    if case.detected:
        assert verdict.detected == case.detected


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_content_is_found_out(case: Case) -> None:
    verdict = _verdict(case)
    assert case.code in {found.code for found in verdict.findings}, verdict
    assert verdict.outcome not in {Outcome.CLEAN, Outcome.OPAQUE}


@pytest.mark.parametrize("case", UNREAD, ids=str)
def test_content_that_is_not_understood_is_never_clean(case: Case) -> None:
    verdict = _verdict(case)
    assert verdict.outcome in {Outcome.INCOMPLETE, Outcome.FINDINGS}, verdict
    assert verdict.covered < verdict.size
    assert verdict.findings
