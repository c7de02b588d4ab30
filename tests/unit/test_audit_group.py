"""Group commit: who waits with whom, and what becomes of everybody when a commit fails."""

import threading
from collections.abc import Sequence

import pytest

from corpora.audited import NOW, ORIGIN
from lockgate.audit.errors import AuditUnavailableError, EventTooLargeError
from lockgate.audit.group import GroupCommit
from lockgate.audit.log import AuditLog
from lockgate.core.errors import LockgateError
from lockgate.store import MemoryRecords
from lockgate.store.errors import RecordsUnavailableError

SECONDS = 180


class Slow:
    """Commits that stay open until the test lets them end."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.fail: BaseException | None = None

    def __call__(self, events: Sequence[bytes]) -> int:
        begin = sum(len(group) for group in self.groups)
        self.groups.append(list(events))
        self.entered.release()
        assert self.leave.acquire(timeout=SECONDS)
        if self.fail:
            raise self.fail
        return begin


def start(group: GroupCommit, results: dict[bytes, object], *events: bytes) -> list[threading.Thread]:
    def run(event: bytes) -> None:
        try:
            results[event] = group.append(event)
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            results[event] = error

    threads = [threading.Thread(target=run, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    return threads


def wait_queued(group: GroupCommit, count: int) -> None:
    done = threading.Event()
    for _ in range(SECONDS * 100):
        with group._changed:
            if len(group._waiting) == count:
                return
        done.wait(0.01)
    pytest.fail("the events were not queued")


def test_what_arrives_during_a_commit_shares_the_next_one() -> None:
    slow, results = Slow(), {}
    group = GroupCommit(slow, most=3)
    threads = start(group, results, b"a")
    assert slow.entered.acquire(timeout=SECONDS)
    threads += start(group, results, b"b", b"c", b"d", b"e")
    wait_queued(group, 4)
    assert results == {}  # nobody returns before a commit ended
    slow.leave.release()
    threads[0].join(SECONDS)
    assert results == {b"a": 0}
    assert slow.entered.acquire(timeout=SECONDS)
    slow.leave.release()
    assert slow.entered.acquire(timeout=SECONDS)
    slow.leave.release()
    for thread in threads:
        thread.join(SECONDS)
    assert [len(each) for each in slow.groups] == [1, 3, 1]
    order = [event for each in slow.groups for event in each]
    assert results == {event: at for at, event in enumerate(order)}


@pytest.mark.parametrize("fault", [RecordsUnavailableError("full"), KeyboardInterrupt()])
def test_a_failed_commit_fails_for_all_in_it_and_for_nobody_else(fault: BaseException) -> None:
    slow, results = Slow(), {}
    group = GroupCommit(slow)
    threads = start(group, results, b"a")
    assert slow.entered.acquire(timeout=SECONDS)
    threads += start(group, results, b"b", b"c")
    wait_queued(group, 2)
    slow.leave.release()
    assert slow.entered.acquire(timeout=SECONDS)
    slow.fail = fault
    slow.leave.release()
    for thread in threads:
        thread.join(SECONDS)
    assert results[b"a"] == 0
    failed = [results[b"b"], results[b"c"]]
    assert any(isinstance(each, LockgateError) for each in failed)
    assert not any(isinstance(each, int) for each in failed)
    slow.fail = None
    slow.leave.release()
    assert isinstance(group.append(b"d"), int)


class Broken(MemoryRecords):
    """Records whose transactions fail on demand."""

    fault: Exception | None = None

    def transaction(self):
        if self.fault:
            raise self.fault
        return super().transaction()


def test_database_faults_are_errors_of_ours_and_the_log_goes_on() -> None:
    records = Broken()
    log = AuditLog(records, ORIGIN, lambda: NOW)
    log.append({"n": 0})
    for fault, error in (
        (OSError(28, "No space left on device"), AuditUnavailableError),
        (RecordsUnavailableError("The records refused a change."), RecordsUnavailableError),
    ):
        records.fault = fault
        with pytest.raises(error):
            log.append({"n": 1})
    records.fault = None
    assert log.append({"n": 1}) == 1
    assert log.verify().size == 2


def test_an_event_has_a_bound() -> None:
    log = AuditLog(MemoryRecords(), ORIGIN, lambda: NOW)
    with pytest.raises(EventTooLargeError):
        log.append({"text": "x" * (1 << 20)})
    assert log.size() == 0
