"""How the warm parent forks: a child is a process of its own, and what cannot be forked is told."""

import errno
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from lockgate.inspect import forking

_PROGRAM = """
import os
from lockgate.inspect import forking
held = [[number] for number in range(200_000)]
numbers, tell = os.pipe()
children = []
for turn in range(2):
    pid = forking.fork()
    if not pid:
        held[0][0] = turn + 1
        os.write(tell, f"{os.getpid()} {held[0][0]} {sum(each[0] for each in held)}\\n".encode())
        os._exit(turn + 3)
    children.append((pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
print(held[0][0], sum(each[0] for each in held))
print(*[f"{pid} {status}" for pid, status in children], sep="\\n")
print(os.read(numbers, 1000).decode(), end="")
"""


def test_each_child_has_the_memory_of_its_parent_for_itself() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    parent, first, second, said, also = ran.stdout.splitlines()
    assert parent == "0 19999900000"
    assert (first.split()[1], second.split()[1]) == ("3", "4")
    assert said == f"{first.split()[0]} 1 19999900001"
    assert also == f"{second.split()[0]} 2 19999900002"


def test_what_cannot_be_forked_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(forking, "_libc", lambda: SimpleNamespace(fork=lambda: -1))
    monkeypatch.setattr(forking.ctypes, "get_errno", lambda: errno.EAGAIN)
    with pytest.raises(BlockingIOError, match="temporarily unavailable"):
        forking.fork()


@pytest.mark.parametrize("has", [True, False])
def test_memory_is_given_back_where_the_library_can(monkeypatch, has: bool) -> None:  # noqa: FBT001
    asked: list[int] = []
    library = SimpleNamespace(malloc_trim=asked.append) if has else SimpleNamespace()
    monkeypatch.setattr(forking, "_libc", lambda: library)
    forking.give_back()
    assert asked == [0] * has


def test_the_heap_is_gathered_from_its_end_down_to_what_cannot_be(monkeypatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def madvise(start, size, advice) -> int:
        asked.append((start.value, size.value, advice))
        return -1 if start.value < 2 << 21 else 0

    library = SimpleNamespace(sbrk=mock.Mock(return_value=(5 << 21) + 4096), madvise=madvise)
    monkeypatch.setattr(forking, "_libc", lambda: library)
    assert forking.gather() == 3 << 21
    assert asked == [(place << 21, 1 << 21, 25) for place in (4, 3, 2, 1)]


@pytest.mark.parametrize(
    "library", [SimpleNamespace(), SimpleNamespace(sbrk=mock.Mock(return_value=4096), madvise=None)]
)
def test_nothing_is_gathered_where_nothing_can_be(monkeypatch, library) -> None:
    monkeypatch.setattr(forking, "_libc", lambda: library)
    assert forking.gather() == 0


_GATHERED = """
import os
from lockgate.inspect import forking
held = [[number] for number in range(300_000)]
forking.gather()
pid = forking.fork()
if not pid:
    held[0][0] = 7
    os._exit(sum(each[0] for each in held) == 44999850007)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), held[0][0], sum(each[0] for each in held))
"""


def test_what_is_gathered_stays_what_it_was_and_a_child_has_it_for_itself() -> None:
    ran = subprocess.run([sys.executable, "-c", _GATHERED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "0", "44999850000"]
