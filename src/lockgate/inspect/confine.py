"""Takes every right from the running process that a parser does not need. Linux only.

Three layers beside the namespaces that bubblewrap makes: resource limits; Landlock
(landlock(7)): no write, no network, no signal to others; and a seccomp filter (seccomp(2)) that
lets only the listed system calls pass, with no way to open a file for writing, to make a process,
a thread (RLIMIT_NPROC does not bind root), a socket or an io_uring. Landlock alone lets UDP through
and AF_VSOCK is not bound by network namespaces: hence the filter.
"""

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from lockgate.inspect.errors import SandboxUnavailableError

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2

_LANDLOCK_CREATE: Final = 444
_LANDLOCK_RESTRICT: Final = 446
_LANDLOCK_VERSION: Final = 1
_FS_READ: Final = (1 << 2) | (1 << 3) | 1
"""Execute (mapping a library needs none), read file, read folder: the rights left to the namespace."""
_FS_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_TCP: Final = 3
_SCOPES: Final = 3
_ABI_NET: Final = 4
_ABI_SCOPE: Final = 6

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_EPERM, _ENOSYS = 1, 38
_X32 = 0x40000000
_OPEN_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PROT_EXEC = 4

# asm/unistd_64.h (x86-64) and asm-generic/unistd.h (AArch64).
_X86 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
    "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19,
    "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "getpid": 39, "exit": 60,
    "uname": 63, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "sysinfo": 99,
    "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "sigaltstack": 131, "gettid": 186,
    "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218,
    "clock_gettime": 228, "clock_getres": 229, "exit_group": 231, "newfstatat": 262, "readlinkat": 267,
    "faccessat": 269, "set_robust_list": 273, "getrandom": 318, "membarrier": 324, "statx": 332,
    "rseq": 334, "faccessat2": 439, "stat": 4, "lstat": 6, "access": 21, "poll": 7, "restart_syscall": 219,
}  # fmt: skip
_ARM = {
    "getcwd": 17, "dup": 23, "faccessat": 48, "close": 57, "getdents64": 61, "lseek": 62, "read": 63,
    "write": 64, "readv": 65, "writev": 66, "pread64": 67, "readlinkat": 78, "newfstatat": 79, "fstat": 80,
    "exit": 93, "exit_group": 94, "set_tid_address": 96, "futex": 98, "set_robust_list": 99,
    "clock_gettime": 113, "clock_getres": 114, "sched_getaffinity": 123, "sched_yield": 124,
    "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "uname": 160, "getrlimit": 163, "gettimeofday": 169, "getpid": 172, "getuid": 174,
    "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "brk": 214, "munmap": 215,
    "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278, "membarrier": 283,
    "statx": 291, "rseq": 293, "faccessat2": 439,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    calls: dict[str, int]
    openat: int
    clone3: int
    fcntl: int
    ioctl: int
    prlimit: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, _X86, openat=257, clone3=435, fcntl=72, ioctl=16, prlimit=302),
    "aarch64": _Machine(0xC00000B7, _ARM, openat=56, clone3=435, fcntl=25, ioctl=29, prlimit=261),
}
_HARMLESS_FCNTL = (1, 3, 1030)
"""F_GETFD, F_GETFL, and F_DUPFD_CLOEXEC, by which mmap keeps its descriptor."""
_READING_IOCTL = (0x5401, 0x5413)
"""TCGETS and TIOCGWINSZ, by which Python asks whether a descriptor is a terminal."""


_NAMESPACES = 0x7E020000
"""Flags of clone(2) that make namespaces."""
_FAMILIES = (16, 17, 40)
"""Netlink, packets of a link, VSOCK: what network namespaces do not bind, or no program needs."""
# As above; calls with the numbers of asm-generic/unistd.h from 424 on are the same everywhere.
_WAYS_X86 = (
    101, 155, 161, 165, 166, 167, 175, 246, 248, 249, 250, 272, 298, 304, 308, 310, 311, 313, 321, 323,
)  # fmt: skip
_WAYS_ARM = (117, 41, 51, 40, 39, 224, 105, 104, 217, 218, 219, 97, 241, 265, 268, 270, 271, 273, 280, 282)
"""ptrace, pivot_root, chroot, mount, umount2, swapon, init_module, kexec_load, add_key, request_key, keyctl,
unshare, perf_event_open, open_by_handle_at, setns, process_vm_readv, process_vm_writev, finit_module, bpf,
userfaultfd."""
_WAYS = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)
"""io_uring's three, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr."""
_SOCKET_CLONE = {"x86_64": (41, 56), "aarch64": (198, 220)}


class Bounds(NamedTuple):
    """What the process may use."""

    cpu_seconds: int
    memory_bytes: int
    descriptors: int = 64


def confine(bounds: Bounds) -> int:
    """Confine this process for the rest of its life; return the Landlock ABI (0: there is none).

    Raises:
        SandboxUnavailableError: This kernel or processor cannot do it.

    """
    _limit(bounds)
    libc = _libc()
    _demand(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    _demand(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    abi = _landlock(libc)
    _seccomp(libc)
    return abi


def prepare() -> None:
    """Make ahead what confining needs, for a process that forks many that confine themselves."""
    _demand(_libc().prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0), "PR_GET_DUMPABLE")
    _given(program())
    _ruleset()
    resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def landlock_abi() -> int:
    """Return the version of Landlock that the kernel offers (0: none)."""
    libc = _libc()
    return max(0, int(libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)))


def _demand(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        sentence = f"{what} failed: {os.strerror(number)}."
        raise SandboxUnavailableError(sentence)


def _limit(bounds: Bounds) -> None:
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_NOFILE, bounds.descriptors),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_AS, bounds.memory_bytes),
    ):
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _landlock(libc: ctypes.CDLL) -> int:
    """Deny every change to the file system, TCP, and signals to others; reading stays."""
    abi = landlock_abi()
    if not abi:
        return 0
    descriptor = libc.syscall(_LANDLOCK_CREATE, *_ruleset(), 0)
    _demand(descriptor, "landlock_create_ruleset")
    _demand(libc.syscall(_LANDLOCK_RESTRICT, descriptor, 0), "landlock_restrict_self")
    os.close(descriptor)
    return abi


@cache
def _ruleset() -> "tuple[ctypes.Array[ctypes.c_char], ctypes.c_size_t]":
    """Return ``struct landlock_ruleset_attr`` as this kernel knows it, and its size in bytes."""
    abi = landlock_abi()
    files = ((1 << _FS_BITS.get(abi, 16)) - 1) & ~_FS_READ
    raw = struct.pack("<3Q", files, _NET_TCP if abi >= _ABI_NET else 0, _SCOPES if abi >= _ABI_SCOPE else 0)
    size = 24 if abi >= _ABI_SCOPE else 16 if abi >= _ABI_NET else 8
    return ctypes.create_string_buffer(raw[:size], size), ctypes.c_size_t(size)


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, true, false, value)


def _argument(index: int) -> bytes:
    """Load the low half of a system call's argument."""
    return _op(_LOAD, 16 + 8 * index)


def _upper(index: int) -> bytes:
    """Load the high half of a system call's argument, which counts where it is an address."""
    return _op(_LOAD, 20 + 8 * index)


_READS_OWN_LIMIT = (_argument(0), _argument(2), _upper(2))
"""What is zero when prlimit(2) is about this very process and sets nothing. A job is the user that its parent
and its siblings are: it could else set their limits, and have other files end unread."""


def _only(call: int, test: bytes) -> bytes:
    """Run a test for one call; the test ends in two returns."""
    return _op(_JUMP_EQUAL, call, 0, len(test) // 8) + test


def _machine() -> _Machine:
    """Return this processor's table of system calls."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        what = f"There is no seccomp table for {platform.machine()}."
        raise SandboxUnavailableError(what)
    return machine


def _native(machine: _Machine) -> bytes:
    """Kill whoever calls by another table than this processor's own; go on with the number of the call."""
    out = _op(_LOAD, 4) + _op(_JUMP_EQUAL, machine.audit, 1, 0) + _op(_RETURN, _KILL)
    return out + _op(_LOAD, 0) + _op(_JUMP_ABOVE, _X32, 0, 1) + _op(_RETURN, _KILL)


@cache
def program() -> bytes:
    """Return the filter, as an array of ``struct sock_filter``.

    Raises:
        SandboxUnavailableError: There is no table of system calls for this processor.

    """
    machine = _machine()
    allow, deny = _op(_RETURN, _ALLOW), _op(_RETURN, _ERRNO | _EPERM)
    missing = _op(_RETURN, _ERRNO | _ENOSYS)
    out = _native(machine)
    out += _only(machine.openat, _argument(2) + _op(_JUMP_SET, _OPEN_WRITES, 0, 1) + deny + allow)
    out += _only(machine.clone3, missing)
    nothing = b"".join(load + _op(_JUMP_EQUAL, 0, 1, 0) + deny for load in _READS_OWN_LIMIT)
    out += _only(machine.prlimit, nothing + allow)
    for call, wanted in ((machine.fcntl, _HARMLESS_FCNTL), (machine.ioctl, _READING_IOCTL)):
        tests = b"".join(
            _op(_JUMP_EQUAL, value, len(wanted) - place, 0) for place, value in enumerate(wanted)
        )
        out += _only(call, _argument(1) + tests + deny + allow)
    return out + _among(machine.calls.values(), allow, deny)


def _among(calls: Iterable[int], allow: bytes, deny: bytes) -> bytes:
    """Return a binary search for the number of a call among others.

    The kernel tries a filter once on every number there is when a process takes it (it keeps which calls are
    allowed whatever their arguments): tests one after the other cost each child twice as much.
    """
    held = frozenset(calls)
    begin, stop = {call for call in held if call - 1 not in held}, {call + 1 for call in held} - held
    starts = sorted({0} | begin | stop)
    return _search([(start, allow if start in held else deny) for start in starts])


def _search(runs: list[tuple[int, bytes]]) -> bytes:
    """Return a search in runs of numbers: where each begins, and what holds up to the next."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    below, rest = _search(runs[:middle]), _search(runs[middle:])
    return _op(_JUMP_ABOVE, runs[middle][0], len(below) // 8, 0) + below + rest


@cache
def ways_closed() -> bytes:
    """Return the filter for whole programs: everything passes but the ways out that none of them needs.

    Raises:
        SandboxUnavailableError: There is no table of system calls for this processor.

    """
    machine = _machine()
    sockets, clone = _SOCKET_CLONE[platform.machine()]
    allow, deny = _op(_RETURN, _ALLOW), _op(_RETURN, _ERRNO | _EPERM)
    out = _native(machine)
    out += _only(machine.clone3, _op(_RETURN, _ERRNO | _ENOSYS))  # its flags lie where no filter reads
    out += _only(clone, _argument(0) + _op(_JUMP_SET, _NAMESPACES, 0, 1) + deny + allow)
    families = b"".join(_op(_JUMP_EQUAL, each, 0, 1) + deny for each in _FAMILIES)
    out += _only(sockets, _argument(0) + families + allow)
    for call in (*(_WAYS_X86 if machine.calls is _X86 else _WAYS_ARM), *_WAYS):
        out += _op(_JUMP_EQUAL, call, 0, 1) + deny
    return out + allow


def close_ways() -> None:
    """Close the ways out that `ways_closed` names to this process and to all that it starts.

    Raises:
        SandboxUnavailableError: This kernel or processor cannot do it.

    """
    libc = _libc()
    _demand(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    _filter(libc, ways_closed())


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _seccomp(libc: ctypes.CDLL) -> None:
    _filter(libc, program())


def _filter(libc: ctypes.CDLL, code: bytes) -> None:
    _, given = _given(code)
    _demand(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, given, 0, 0), "PR_SET_SECCOMP")


@cache
def _given(code: bytes) -> "tuple[ctypes.Array[ctypes.c_char], ctypes._Pointer[_Program]]":
    """Return a filter in memory, and a pointer to its ``struct sock_fprog``."""
    held = ctypes.create_string_buffer(code, len(code))
    return held, ctypes.pointer(_Program(len(code) // 8, ctypes.cast(held, ctypes.c_void_p)))
