"""The filter of system calls, run as the kernel runs it: on either processor it lets pass what is listed."""

import struct
from itertools import product

import pytest

from lockgate.inspect import confine

ALLOW, NOT_PERMITTED, MISSING, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
WORDS = (0, 1, 3, 1030, 0x5401, 0x5413, 0o1101, 1 << 40)
NUMBERS = (*range(700), 1023, 4095, 0x3FFFFFFF)
MOST_STEPS = 24


def ran(code: bytes, call: int, arguments: tuple[int, ...], architecture: int) -> tuple[int, int]:
    """Run a filter (seccomp(2), ``struct seccomp_data``); return its answer and how many steps it took."""
    data = struct.pack("<2IQ6Q", call & 0xFFFFFFFF, architecture, 0, *arguments)
    at = held = steps = 0
    while True:
        kind, true, false, value = struct.unpack_from("<HBBI", code, at * 8)
        at, steps = at + 1, steps + 1
        if kind == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif kind == 0x06:
            return value, steps
        else:
            met = {0x15: held == value, 0x45: bool(held & value), 0x35: held >= value}[kind]
            at += true if met else false


def expected(machine, call: int, arguments: tuple[int, ...]) -> int:
    low = [argument & 0xFFFFFFFF for argument in arguments]
    if call == machine.clone3:
        return MISSING
    asked = {
        machine.openat: not low[2] & confine._OPEN_WRITES,
        machine.prlimit: not (low[0] or arguments[2]),
        machine.fcntl: low[1] in confine._HARMLESS_FCNTL,
        machine.ioctl: low[1] in confine._READING_IOCTL,
    }
    return ALLOW if asked.get(call, call in machine.calls.values()) else NOT_PERMITTED


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request, monkeypatch):
    monkeypatch.setattr(confine.platform, "machine", lambda: request.param)
    return confine._MACHINES[request.param]


def test_calls_pass_that_are_listed_and_no_others(machine) -> None:
    code = confine.program.__wrapped__()
    for call in NUMBERS:
        for second, third in product(WORDS, WORDS) if call in _asked(machine) else [(0, 0), (7, 7)]:
            arguments = (0, second, third, 0, 0, 0)
            answer, steps = ran(code, call, arguments, machine.audit)
            assert answer == expected(machine, call, arguments), (call, arguments)
            assert steps <= MOST_STEPS


def test_a_limit_is_read_of_this_process_alone_and_never_set(machine) -> None:
    code = confine.program.__wrapped__()
    answers = {
        (pid, new): ran(code, machine.prlimit, (pid, 7, new, 1 << 40, 0, 0), machine.audit)[0]
        for pid in (0, 1, 7)
        for new in (0, 1, 1 << 32, 1 << 40)
    }
    assert [asked for asked, answer in answers.items() if answer == ALLOW] == [(0, 0)]


def _asked(machine) -> tuple[int, ...]:
    return (machine.openat, machine.prlimit, machine.fcntl, machine.ioctl)


def test_calls_by_another_table_end_the_process(machine) -> None:
    code = confine.program.__wrapped__()
    assert ran(code, 1, (0,) * 6, machine.audit ^ 1)[0] == KILLED
    assert ran(code, 0x40000000 | 1, (0,) * 6, machine.audit)[0] == KILLED


@pytest.mark.parametrize("calls", [{0}, {1}, {0, 1, 2}, {3, 5, 7}, set(range(10, 90)), {2**29}])
def test_a_search_finds_what_it_was_made_of(calls) -> None:
    allow, deny = struct.pack("<HBBI", 6, 0, 0, 1), struct.pack("<HBBI", 6, 0, 0, 0)
    code = struct.pack("<HBBI", 0x20, 0, 0, 0) + confine._among(calls, allow, deny)
    for number in {0, *calls, *(call + 1 for call in calls), *(max(0, call - 1) for call in calls)}:
        assert ran(code, number, (0,) * 6, 0)[0] == (number in calls)
