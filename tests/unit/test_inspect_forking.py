"""How the warm parent forks: a child is a process of its own, and what cannot be forked is told."""

import ctypes
import errno
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from lockgate.inspect import forking, nursery

_PROGRAM = """
import os
from lockgate.inspect import forking, nursery
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


def test_the_heap_is_gathered_from_its_end_down_to_where_it_begins_with_what_objects_lie_in(
    monkeypatch,
) -> None:
    asked: list[tuple[int, int, int]] = []
    held = object()
    beside = id(held) // (1 << 21)
    errors = {3: errno.EAGAIN, 1: errno.ENOMEM}

    def madvise(start, size, advice) -> int:
        asked.append((start.value // size.value, size.value, advice))
        ctypes.set_errno(errors.get(asked[-1][0], 0))
        return -1 if asked[-1][0] in errors else 0

    library = SimpleNamespace(sbrk=mock.Mock(return_value=(5 << 21) + 4096), madvise=madvise)
    monkeypatch.setattr(forking, "_libc", lambda: library)
    assert forking.gather([held, held]) == 3 << 21  # all but two that cannot be
    assert asked == [(place, 1 << 21, 25) for place in (4, 3, 2, 1, beside)]


@pytest.mark.parametrize(
    "library", [SimpleNamespace(), SimpleNamespace(sbrk=mock.Mock(return_value=4096), madvise=None)]
)
def test_nothing_is_gathered_where_nothing_can_be(monkeypatch, library) -> None:
    monkeypatch.setattr(forking, "_libc", lambda: library)
    assert forking.gather() == 0


_HOLES = """
import ctypes
from lockgate.inspect import forking, nursery
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.mallinfo2.restype = ctypes.c_void_p, forking._Usage
held = [libc.malloc(ctypes.c_size_t(size)) for size in (700, 3000, 20_000) * 500]
for piece in held[::2]:
    libc.free(ctypes.c_void_p(piece))
def holes():
    usage = libc.mallinfo2()
    return usage.fordblks - usage.keepcost
before = holes()
print(forking.fill(), before, holes())
"""


def test_holes_of_the_heap_are_filled() -> None:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library tells nothing of its heap")
    ran = subprocess.run([sys.executable, "-c", _HOLES], capture_output=True, text=True, check=True)
    pieces, before, after = map(int, ran.stdout.split())
    assert pieces > 700
    assert before > 4_000_000
    assert after < before // 20


def test_nothing_is_filled_where_nothing_tells_of_holes(monkeypatch) -> None:
    monkeypatch.setattr(forking, "_libc", SimpleNamespace)
    assert forking.fill() == 0


_GATHERED = """
import os
from lockgate.inspect import forking, nursery
held = [[number] for number in range(300_000)]
forking.fill()
forking.gather(held)
pid = forking.fork()
if not pid:
    held[0][0] = 7
    os._exit(sum(each[0] for each in held) == 44999850007)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), held[0][0], sum(each[0] for each in held))
"""


def test_what_is_gathered_stays_what_it_was_and_a_child_has_it_for_itself() -> None:
    ran = subprocess.run([sys.executable, "-c", _GATHERED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "0", "44999850000"]


def test_what_small_files_need_is_loaded_first_so_that_it_lies_together(monkeypatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(nursery, "import_module", done.append)
    for module, name in (
        (nursery.first_look, "load"), (nursery.malware, "load"), (nursery.secrets, "load"),
        (nursery.plain, "load"), (nursery.sample, "inspect"), (nursery, "prepare"), (nursery, "_bind"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda said=f"{module.__name__}.{name}": done.append(said))
    nursery._load()
    first = next(name for name in done if name.startswith("lockgate.inspect.inspectors."))
    assert done[:3] == ["lockgate.inspect.first_look.load", "lockgate.inspect.sample.inspect", first]
    assert done[-3:] == [
        "lockgate.inspect.sample.inspect",
        "lockgate.inspect.nursery.prepare",
        "lockgate.inspect.nursery._bind",
    ]


_SETTLED = """
import gc
from lockgate.inspect import nursery
held = [[number] for number in range(100_000)]
nursery._settle()
print(gc.isenabled(), gc.get_freeze_count() > 100_000, sum(each[0] for each in held))
"""


def test_the_collector_leaves_what_is_forked_alone() -> None:
    ran = subprocess.run([sys.executable, "-c", _SETTLED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "4999950000"]


_SHARED = """
import os, signal, socket
from lockgate.inspect import nursery
pairs = [socket.socketpair() for _ in range(3)]
first = os.getpid()
own = nursery._shared([theirs for _, theirs in pairs])
own.send(f"{os.getpid()}".encode())
if os.getpid() != first:
    own.recv(1)
    os._exit(0)
pids = []
for ours, _ in pairs:
    ours.settimeout(60)
    pids.append(int(ours.recv(100)))
print(own is pairs[0][1], pids[0] == first, len(set(pids)))
for pid, (ours, _) in list(zip(pids, pairs))[1:]:
    os.kill(pid, signal.SIGKILL)
    print(ours.recv(100) == b"", os.waitpid(pid, 0)[0] == pid)
"""


def test_each_line_has_a_process_of_its_own_and_closes_with_it() -> None:
    ran = subprocess.run([sys.executable, "-c", _SHARED], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["True True 3", "True True", "True True"]


_REAPED = """
import os, socket
from lockgate.inspect import nursery
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
pids = [os.fork() or os._exit(status) for status in (3, 4)]
for pid in pids:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
children = {pids[1]: "7"}
nursery._reap(theirs, children)
theirs.close()
print(ours.recv(100), ours.recv(100), children)
"""


def test_the_end_of_a_process_that_has_no_job_is_no_answer() -> None:
    ran = subprocess.run([sys.executable, "-c", _REAPED], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == r"b'7\n4' b'' {}"
