"""What is recorded around an effect: its intent before, and how it ended after."""

import pytest

from corpora.gates import START
from lockgate.audit import AuditLog
from lockgate.audit.errors import NoSuchLeafError
from lockgate.store import MemoryRecords


@pytest.fixture
def log() -> AuditLog:
    return AuditLog(MemoryRecords(), "lockgate/l/high", lambda: START)


def events(log: AuditLog) -> list[tuple[str, dict]]:
    found = [log.event(index) for index in range(log.size())]
    return [(each.get("action") or f"{each['status']} {each['intent']}", each["facts"]) for each in found]


def test_the_intent_is_there_before_and_the_outcome_after_with_what_was_found(log) -> None:
    with log.recorded("open", door=1) as said:
        assert events(log) == [("open", {"door": 1})]
        said["seen"] = 2
    assert events(log) == [("open", {"door": 1}), ("done 0", {"seen": 2})]


def test_a_refusal_is_recorded_with_its_code_and_goes_on(log) -> None:
    with pytest.raises(NoSuchLeafError) as refused, log.recorded("open"):
        log.event(9)
    why = {"code": NoSuchLeafError.code, "error": refused.value.what}
    assert events(log) == [("open", {}), ("refused 0", why)]


def test_what_ends_otherwise_leaves_the_intent_open(log) -> None:
    with pytest.raises(KeyboardInterrupt), log.recorded("open"):
        raise KeyboardInterrupt
    assert events(log) == [("open", {})]
