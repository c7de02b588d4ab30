"""A log whose writers are killed: what was acknowledged is there, and the log holds."""

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.processes import children
from lockgate.audit import AuditLog
from lockgate.store import open_records

ORIGIN = "lockgate/test/high"
SECONDS = 180
THREADS = 6


def open_log(url: str) -> AuditLog:
    return AuditLog(open_records(url), ORIGIN, lambda: datetime(2026, 1, 2, tzinfo=UTC))


def write_until_killed(url: str, writer: int, acknowledged: int) -> None:
    """Append from several threads and acknowledge each event through a pipe, after `append` returned."""
    log = open_log(url)

    def work(thread: int) -> None:
        n = 0
        while True:
            index = log.append({"writer": writer, "thread": thread, "n": n})
            os.write(acknowledged, f"{index} {writer} {thread} {n}\n".encode())
            n += 1

    threads = [threading.Thread(target=work, args=(each,)) for each in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(url: str, writer: int):
    reader, target = os.pipe()
    child = children.Process(target=write_until_killed, args=(url, writer, _Handle(target)))
    child.start()
    os.close(target)
    return child, reader


class _Handle(int):
    """A file descriptor that crosses into the child with its number changed there."""

    def __reduce__(self):
        from multiprocessing import reduction

        return _take, (reduction.DupFd(int(self)),)


def _take(duplicate) -> int:
    return duplicate.detach()


def read_lines(reader: int, count: int) -> bytes:
    """Return at least so many lines."""
    data = b""
    while data.count(b"\n") < count:
        piece = os.read(reader, 1 << 16)
        assert piece, "the writer ended by itself"
        data += piece
    return data


def drain(reader: int) -> bytes:
    data = b""
    while piece := os.read(reader, 1 << 16):
        data += piece
    os.close(reader)
    return data


@pytest.mark.parametrize("after", [1, 8, 30])
def test_two_writers_killed_lose_nothing_that_they_acknowledged(tmp_path: Path, after: int) -> None:
    url = f"sqlite:///{tmp_path / 'audit.sqlite'}"
    open_log(url)
    running = [start(url, writer) for writer in range(2)]
    said = b""
    for child, reader in running:
        said += read_lines(reader, after)
        os.kill(child.pid, signal.SIGKILL)
    for child, reader in running:
        child.join(SECONDS)
        assert child.exitcode == -signal.SIGKILL
        said += drain(reader)
    log = open_log(url)
    assert log.verify() == log.checkpoint()
    events = dict(log.events())
    acknowledged = [tuple(map(int, line.split())) for line in said.decode().splitlines()]
    assert len(acknowledged) >= 2 * after
    assert len({index for index, *_ in acknowledged}) == len(acknowledged)
    for index, writer, thread, n in acknowledged:
        assert (events[index]["writer"], events[index]["thread"], events[index]["n"]) == (writer, thread, n)
    for writer in range(2):
        for thread in range(THREADS):
            mine = [e["n"] for e in events.values() if (e["writer"], e["thread"]) == (writer, thread)]
            assert mine == list(range(len(mine)))
    size = log.size()
    assert log.append({"n": "after"}) == size
    assert log.verify().size == size + 1
