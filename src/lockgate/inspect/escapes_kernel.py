"""Ways out by calls of newer kernels, or that are seldom thought of.

Where a call needs a descriptor or a name that the sandbox does not even let it get, the attempt goes on with
another one: what refuses it has to be the filter, and no other thing that happens to be missing.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import struct
from collections.abc import Callable
from typing import Final

from lockgate.inspect.escape_calls import Args, Attempt, call, check, libc, own_mounts

_PAGE: Final = mmap.PAGESIZE
_CLONE_NEWUSER: Final = 0x10000000
_MADV_COLD: Final = 20
_AT_FDCWD: Final = -100
_OPEN_TREE_CLONE_ALL: Final = 0x8001
_MOUNT_ATTR_NOSUID: Final = 2
_LANDLOCK_VERSION: Final = 1
_SECCOMP_FILTER, _NEW_LISTENER = 1, 8
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_ALLOW: Final = struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)
_FAN_REPORT_FID: Final = 0x200
_READ_ALL: Final = 3
_F_SETOWN: Final = 8
_TIOCSTI: Final = 0x5412
_IPC_PRIVATE, _IPC_RMID = 0, 0
_FIRST_PROCESSES: Final = (1, 2, 3)
"""Those of a process namespace: the one that made it, and the parent of all jobs."""
_FAMILIES: Final = 46
"""Socket families of Linux 6 (``AF_MAX``)."""
_NAMED: Final = frozenset({2, 10, 16, 17, 40})
"""Families that have an attempt each."""
_FOUR_GIB: Final = 1 << 32
_MAP_HERE: Final = 0x100000
"""``MAP_FIXED_NOREPLACE``."""
_GETPID_386: Final = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
"""``getpid`` by the table of 32-bit programs: ``mov eax, 20; int 0x80; ret`` (asm/unistd_32.h)."""


def _host(args: Args) -> int:
    """Return a descriptor of the engine's process, or another one where that cannot be had."""
    with contextlib.suppress(OSError):
        return call("pidfd_open", args["pid"], 0)
    return 0


def _take_descriptor(args: Args) -> None:
    call("pidfd_getfd", _host(args), args["key_descriptor"], 0)


def _advise_host(args: Args) -> None:
    page = (ctypes.c_size_t * 2)(args["address"] // _PAGE * _PAGE, _PAGE)
    call("process_madvise", _host(args), page, 1, _MADV_COLD, 0)


def _signal_host(args: Args) -> None:
    call("pidfd_send_signal", _host(args), 0, None, 0)


def _write_host(args: Args) -> None:
    """Change the engine's memory, by process_vm_writev(2)."""
    what = ctypes.create_string_buffer(b"escaped", args["length"])
    local = (ctypes.c_size_t * 2)(ctypes.addressof(what), args["length"])
    remote = (ctypes.c_size_t * 2)(args["address"], args["length"])
    call("process_vm_writev", args["pid"], local, 1, remote, 1, 0)


def _any_of(numbers: tuple[int, ...], act: Callable[[int], object]) -> None:
    """Act on one after the other until it works once; raise how the last failed."""
    for number in numbers[:-1]:
        with contextlib.suppress(OSError):
            act(number)
            return
    act(numbers[-1])


def _memory_inside(args: Args) -> None:
    """Read the memory of the processes inside, whose addresses are those of this one: all are its forks."""
    del args
    known = ctypes.create_string_buffer(b"escaped")
    got = ctypes.create_string_buffer(len(known))
    local = (ctypes.c_size_t * 2)(ctypes.addressof(got), len(known))
    remote = (ctypes.c_size_t * 2)(ctypes.addressof(known), len(known))
    processes = (*_FIRST_PROCESSES, os.getpid())
    _any_of(processes, lambda pid: call("process_vm_readv", pid, local, 1, remote, 1, 0))


def _signal_inside(args: Args) -> None:
    del args
    _any_of((*_FIRST_PROCESSES, os.getpid()), lambda pid: os.kill(pid, 0))


def _compare(args: Args) -> None:
    call("kcmp", os.getpid(), args["pid"], 0, 0, 0)  # KCMP_FILE


def _limit_inside(args: Args) -> None:
    """Change a limit by an address whose lower half is zero, which a filter may take for none at all."""
    del args
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    libc.mmap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_HERE
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    here = ctypes.c_void_p(_FOUR_GIB)
    at = libc.mmap(here, ctypes.c_size_t(_PAGE), rights, flags, -1, ctypes.c_long(0))
    if at != _FOUR_GIB:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    ctypes.memmove(here, struct.pack("@QQ", *kept), 16)
    check(libc.prlimit(0, resource.RLIMIT_NOFILE, here, None))


def _second_filter(args: Args) -> None:
    """Ask to be told of calls and to answer them: a filter with a listener (seccomp_unotify(2))."""
    del args
    held = ctypes.create_string_buffer(_ALLOW, len(_ALLOW))
    program = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(held)))
    call("seccomp", _SECCOMP_FILTER, _NEW_LISTENER, program)


def _no_new_privileges() -> None:
    check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _end_child(pid: int) -> None:
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _clone(args: Args) -> None:
    del args
    _end_child(call("clone", _CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0))


def _clone3(args: Args) -> None:
    del args
    given = (ctypes.c_uint64 * 11)(_CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD)
    _end_child(call("clone3", given, ctypes.sizeof(given)))


def _by_handle(args: Args) -> None:
    """Open a folder by what the file system calls it, past every path (open_by_handle_at(2))."""
    del args
    handle = ctypes.create_string_buffer(struct.pack("@Ii", 128, 0), 136)
    mount = ctypes.c_int()
    with contextlib.suppress(OSError):
        call("name_to_handle_at", _AT_FDCWD, b"/", handle, ctypes.byref(mount), 0)
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    call("open_by_handle_at", root, handle, os.O_RDONLY)


def _mount_calls(name: str, *arguments: object) -> Callable[[Args], None]:
    def attempt(args: Args) -> None:
        del args
        call(name, *arguments)

    return attempt


def _mount_attributes(args: Args) -> None:
    del args
    given = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_NOSUID)
    call("mount_setattr", _AT_FDCWD, b"/", 0, given, ctypes.sizeof(given))


def _namespace(args: Args) -> None:
    del args
    descriptor = 0
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/ns/uts", os.O_RDONLY)
    call("setns", descriptor, 0)


def _count_events(args: Args) -> None:
    """Open a counter of the processor's clock for this process (perf_event_open(2))."""
    del args
    kind, size, no_kernel = 1, 64, (1 << 5) | (1 << 6)
    given = ctypes.create_string_buffer(struct.pack("<IIQQQQQ", kind, size, 0, 0, 0, 0, no_kernel), 64)
    call("perf_event_open", given, 0, -1, -1, 0)


def _splice_memory(args: Args) -> None:
    """Give pages to a pipe without copying them (vmsplice(2)): they could change behind the reader."""
    del args
    descriptor = 1
    with contextlib.suppress(OSError):
        _, descriptor = os.pipe()
    data = ctypes.create_string_buffer(b"escaped")
    part = (ctypes.c_size_t * 2)(ctypes.addressof(data), len(data))
    call("vmsplice", descriptor, part, 1, 0)


def _kernel_log(args: Args) -> None:
    del args
    call("syslog", _READ_ALL, ctypes.create_string_buffer(64), 64)


def _priority(args: Args) -> None:
    del args
    call("setpriority", 0, 0, -5)


def _pin(args: Args) -> None:
    del args
    page = mmap.mmap(-1, _PAGE)
    call("mlock", ctypes.byref(ctypes.c_char.from_buffer(page)), _PAGE)


def _segment(args: Args) -> None:
    del args
    number = call("shmget", _IPC_PRIVATE, _PAGE, 0o600)
    check(libc.shmctl(number, _IPC_RMID, None))


def _shared_file(args: Args) -> None:
    path = f"/dev/shm/lockgate-self-test-{args['pid']}"  # noqa: S108  # what is tried
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.unlink(path)  # noqa: PTH108  # plain calls: the fewer the layers the better


def _other_families(args: Args) -> None:
    """Make a socket of any other family; each has to be refused alike."""
    del args
    failed = OSError(errno.EPERM, os.strerror(errno.EPERM))
    for family in range(1, _FAMILIES):
        if family in _NAMED:
            continue
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
            except OSError as error:
                failed = error if error.errno != errno.EPERM else failed
            else:
                return
    raise failed


def _socket_pair(args: Args) -> None:
    del args
    for end in socket.socketpair():
        end.close()


def _own_signals(args: Args) -> None:
    """Have the kernel signal the engine whenever a descriptor is ready (``F_SETOWN``)."""
    call("fcntl", 0, _F_SETOWN, args["pid"])


def _terminal(args: Args) -> None:
    """Type into a terminal, as if a person did (``TIOCSTI``, CVE-2017-5226)."""
    del args
    descriptor = 0
    with contextlib.suppress(OSError):
        _, descriptor = os.openpty()
    fcntl.ioctl(descriptor, _TIOCSTI, b"x")


def _dumpable(args: Args) -> None:
    """Let others read this process and the kernel write its memory to a file when it crashes."""
    del args
    check(libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def _other_table(args: Args) -> None:
    """Call by the table of 32-bit programs, in which a filter's numbers mean other calls."""
    del args
    code = mmap.mmap(-1, _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(_GETPID_386)
    check(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())


def _has_other_table() -> None:
    """Find out whether this kernel has that table: where it has not, whoever calls by it crashes."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _other_table({})
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


_MISSING: Final = frozenset({errno.ENOSYS})
"""The flags of clone3 lie where no filter reads: it is said not to be there at all."""

_OF_X86: Final = (
    {"other-table": Attempt("Call by the 32-bit table", _other_table, ends="call", control=_has_other_table)}
    if platform.machine() == "x86_64"
    else {}
)
KERNEL: Final[dict[str, Attempt]] = {
    "take-descriptor": Attempt("Take the engine's key by a pidfd (pidfd_getfd)", _take_descriptor),
    "advise-host": Attempt("Say what the engine's memory is for (process_madvise)", _advise_host),
    "signal-pidfd": Attempt("Signal another process by a pidfd", _signal_host),
    "write-memory": Attempt("Change the engine's memory", _write_host, leaves=True),
    "memory-inside": Attempt("Read the memory of processes inside", _memory_inside),
    "signal-inside": Attempt("Signal processes inside", _signal_inside),
    "limit-inside": Attempt("Change a limit by an odd address (prlimit)", _limit_inside),
    "compare": Attempt("Compare descriptors with another process (kcmp)", _compare),
    "own-signals": Attempt("Have the kernel signal another process (F_SETOWN)", _own_signals),
    "second-filter": Attempt("Answer calls itself (seccomp)", _second_filter, control=_no_new_privileges),
    "landlock": Attempt(
        "Make rules of its own (Landlock)",
        _mount_calls("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION),
    ),
    "dumpable": Attempt("Be dumped and read by others (PR_SET_DUMPABLE)", _dumpable),
    "clone": Attempt("Make a process in a user namespace (clone)", _clone),
    "clone3": Attempt("Make a process in a user namespace (clone3)", _clone3, refusals=_MISSING),
    "setns": Attempt("Enter a namespace (setns)", _namespace),
    "chroot": Attempt("Take another root (chroot)", _mount_calls("chroot", b"/"), control=own_mounts),
    "fsopen": Attempt("Open a file system (fsopen)", _mount_calls("fsopen", b"tmpfs", 0), control=own_mounts),
    "open-tree": Attempt(
        "Copy a mount (open_tree)",
        _mount_calls("open_tree", _AT_FDCWD, b"/", _OPEN_TREE_CLONE_ALL),
        control=own_mounts,
    ),
    "mount-setattr": Attempt("Change a mount (mount_setattr)", _mount_attributes, control=own_mounts),
    "by-handle": Attempt("Open a folder without a path (open_by_handle_at)", _by_handle),
    "perf": Attempt("Count what the processor does (perf_event_open)", _count_events),
    "watch": Attempt("Watch files (fanotify)", _mount_calls("fanotify_init", _FAN_REPORT_FID, 0)),
    "kernel-log": Attempt("Read the kernel's log", _kernel_log),
    "vmsplice": Attempt("Lend pages to a pipe (vmsplice)", _splice_memory),
    "secret-memory": Attempt("Have memory that nobody sees (memfd_secret)", _mount_calls("memfd_secret", 0)),
    "pin-memory": Attempt("Pin memory (mlock)", _pin),
    "segment": Attempt("Share memory by a number (shmget)", _segment),
    "shared-file": Attempt("Share memory by a name (/dev/shm)", _shared_file),
    "families": Attempt("Make a socket of any other family", _other_families),
    "socket-pair": Attempt("Make a pair of sockets", _socket_pair),
    "terminal": Attempt("Type into a terminal (TIOCSTI)", _terminal),
    "priority": Attempt("Run before others (setpriority)", _priority),
    **_OF_X86,
}
"""Every such attempt by its name, in the order in which they are reported."""
