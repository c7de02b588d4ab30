"""System calls by name for the attempts of the sandbox's self-test, and what an attempt is.

Only the standard library is imported here and in the other modules of the self-test: an attempt also runs
outside of the sandbox, by a plain interpreter.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

Args = dict[str, Any]

# asm/unistd_64.h (x86-64).
_X86: Final = {
    "ptrace": 101, "syslog": 103, "chroot": 161, "mount": 165, "setpriority": 141,
    "keyctl": 250, "fanotify_init": 300, "unshare": 272, "vmsplice": 278,
    "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "seccomp": 317, "bpf": 321, "userfaultfd": 323, "shmget": 29,
    "clone": 56, "name_to_handle_at": 303,
    "fcntl": 72, "ioctl": 16, "mlock": 149,
}  # fmt: skip
# asm-generic/unistd.h (AArch64).
_ARM: Final = {
    "ptrace": 117, "syslog": 116, "chroot": 51, "mount": 40, "setpriority": 140,
    "keyctl": 219, "fanotify_init": 262, "unshare": 97, "vmsplice": 75,
    "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "seccomp": 277, "bpf": 280, "userfaultfd": 282, "shmget": 194,
    "clone": 220, "name_to_handle_at": 264,
    "fcntl": 25, "ioctl": 29, "mlock": 228,
}  # fmt: skip
_EVERYWHERE: Final = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "pidfd_open": 434,
    "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "landlock_create_ruleset": 444, "memfd_secret": 447,
}  # fmt: skip
"""From 424 on a call has the same number on every processor."""
_CALLS: Final = {"x86_64": {**_X86, **_EVERYWHERE}, "aarch64": {**_ARM, **_EVERYWHERE}}

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000

libc: Final = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """Return the result of a call of the C library.

    Raises:
        OSError: It failed.

    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name: str, *arguments: object) -> int:
    """Make a system call; numbers among the arguments are as wide as a register.

    Raises:
        OSError: It failed, or there is no table for this processor.

    """
    machine = _CALLS.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOTSUP, f"no table of system calls for {platform.machine()}")
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return check(libc.syscall(ctypes.c_long(machine[name]), *wide))


def own_mounts() -> None:
    """Give an unprivileged process the right to mount, where nobody else sees it."""
    call("unshare", _CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER)
    call("mount", None, b"/", None, _MS_REC_PRIVATE, None)


DENIED: Final = frozenset({errno.EPERM})
UNSEEN: Final = frozenset({errno.ENOENT})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way out.

    `refusals` are the error numbers by which the sandbox says no; any other failure shows nothing.
    `ends` says how a job ends that is stopped from outside: ``cpu``, ``wall`` or ``call`` (killed by the
    filter for a call of another table). `control` prepares the run without a sandbox; an attempt that
    `leaves` something is believed only if it is found.
    """

    title: str
    act: Callable[[Args], None]
    refusals: frozenset[int] = DENIED
    ends: Literal["", "cpu", "wall", "call"] = ""
    control: Callable[[], None] | None = None
    leaves: bool = False
