"""What the sandbox's self-test tries in order to get out; each attempt is a real one, and harmless.

The same code runs twice: as a job inside the sandbox, where every attempt must fail, and as a plain
process outside it (`main`), which shows that the attempt can succeed at all. Only the standard library is
imported beside the attempts, so that nothing else can be the reason of a refusal.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lockgate.inspect.escape_calls import UNSEEN, Args, Attempt, call, check, libc, own_mounts
from lockgate.inspect.escapes_kernel import KERNEL

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PROCESS_KEYRING: Final = -2
_BPF_MAP_ARRAY: Final = 2
_UFFD_USER_MODE_ONLY: Final = 1
_THREADS: Final = 64
_STACK_BYTES: Final = 64 << 10
_VSOCK, _PACKET = 40, 17


def _socket(family: int, kind: int = socket.SOCK_DGRAM) -> Callable[[Args], None]:
    def attempt(args: Args) -> None:
        del args
        socket.socket(family, kind).close()

    return attempt


def _send(family: int, where: str) -> Callable[[Args], None]:
    def attempt(args: Args) -> None:
        address = tuple(args[where]) if family == socket.AF_INET else args[where]
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"escaped", address)

    return attempt


def _io_uring(args: Args) -> None:
    del args
    call("io_uring_setup", 1, ctypes.create_string_buffer(256))


def _ptrace(args: Args) -> None:
    del args
    call("ptrace", 0, 0, 0, 0)  # PTRACE_TRACEME


def _mount(args: Args) -> None:
    del args
    call("mount", b"none", b"/usr", b"tmpfs", 0, None)


def _keyctl(args: Args) -> None:
    del args
    call("keyctl", 0, _PROCESS_KEYRING, 1)  # KEYCTL_GET_KEYRING_ID, which makes one


def _bpf(args: Args) -> None:
    del args
    made = (ctypes.c_uint32 * 32)(_BPF_MAP_ARRAY, 4, 4, 1)
    call("bpf", 0, made, ctypes.sizeof(made))


def _userfaultfd(args: Args) -> None:
    del args
    call("userfaultfd", _UFFD_USER_MODE_ONLY)


def _unshare(flags: int) -> Callable[[Args], None]:
    def attempt(args: Args) -> None:
        del args
        call("unshare", flags)

    return attempt


def _write_file(args: Args) -> None:
    Path(args["new"]).write_bytes(b"escaped")


def _write_source(args: Args) -> None:
    del args
    descriptor = os.open("/proc/self/fd/0", os.O_WRONLY)
    os.write(descriptor, b"escaped")


def _read(where: str) -> Callable[[Args], None]:
    def attempt(args: Args) -> None:
        path = args[where]
        if os.path.isdir(path):  # noqa: PTH112  # plain calls: the fewer the layers the better
            os.listdir(path)  # noqa: PTH208
            return
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            stream.read(1)

    return attempt


def _processes(args: Args) -> None:
    del args
    os.stat("/proc/1")  # noqa: PTH116


def _signal(args: Args) -> None:
    os.kill(args["pid"], 0)


def _pidfd(args: Args) -> None:
    call("pidfd_open", args["pid"], 0)


def _memory_of_host(args: Args) -> None:
    """Read the engine's memory, where a signing key would be, by process_vm_readv(2)."""
    got = ctypes.create_string_buffer(args["length"])
    local = (ctypes.c_size_t * 2)(ctypes.addressof(got), args["length"])
    remote = (ctypes.c_size_t * 2)(args["address"], args["length"])
    call("process_vm_readv", args["pid"], local, 1, remote, 1, 0)


def _leave_open() -> None:
    os.dup(os.open("/etc/passwd", os.O_RDONLY))


def _inherited(args: Args) -> None:
    """Look for a descriptor of another file than the inspected one, as of a key that was left open."""
    own = os.fstat(0)
    for descriptor in range(3, args["descriptors"]):
        try:
            found = os.fstat(descriptor)
        except OSError:
            continue
        if (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino):
            return
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _setuid(args: Args) -> None:
    del args
    os.setresuid(0, 0, 0)


def _execute(args: Args) -> None:
    os.execv(args["program"], ["self-test", "-I", "-S", "-c", "print('{\"done\": true}')"])  # noqa: S606


def _fork(args: Args) -> None:
    del args
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _threads(args: Args) -> None:
    del args
    ended = threading.Event()
    threading.stack_size(_STACK_BYTES)
    try:
        for _ in range(_THREADS):
            threading.Thread(target=ended.wait, daemon=True).start()
    except RuntimeError as error:  # "can't start new thread", without a number
        raise OSError(errno.EAGAIN, str(error)) from error
    finally:
        ended.set()


def _memory(args: Args) -> None:
    mmap.mmap(-1, args["memory_bytes"]).close()


def _cpu(args: Args) -> None:
    while time.process_time() < args["cpu_seconds"]:
        pass


def _wall(args: Args) -> None:
    threading.Event().wait(args["wall_seconds"])


def _file_size(args: Args) -> None:
    del args
    descriptor = os.memfd_create("self-test")
    os.write(descriptor, b"x")


def _descriptors(args: Args) -> None:
    for _ in range(args["descriptors"]):
        os.dup(0)


def _raise_limit(args: Args) -> None:
    del args
    limits = (ctypes.c_uint64 * 2)(*resource.getrlimit(resource.RLIMIT_NOFILE))
    check(libc.setrlimit(resource.RLIMIT_NOFILE, limits))  # Python's own hides the number


ATTEMPTS: Final[dict[str, Attempt]] = {
    "inet": Attempt("Make an IPv4 socket (family 2)", _socket(2)),
    "inet6": Attempt("Make an IPv6 socket (family 10)", _socket(10)),
    "netlink": Attempt("Make a netlink socket (family 16)", _socket(16)),
    "packet": Attempt("Make a packet socket (family 17)", _socket(_PACKET)),
    "vsock": Attempt("Make a VSOCK socket (family 40)", _socket(_VSOCK, socket.SOCK_STREAM)),
    "udp": Attempt("Send a UDP datagram to this host", _send(socket.AF_INET, "udp"), leaves=True),
    "unix": Attempt("Send to a Unix socket of the host", _send(socket.AF_UNIX, "unix"), leaves=True),
    "abstract": Attempt("Send to an abstract Unix socket", _send(socket.AF_UNIX, "abstract"), leaves=True),
    "io-uring": Attempt("Set up an io_uring", _io_uring),
    "ptrace": Attempt("Be traced (ptrace)", _ptrace),
    "mount": Attempt("Mount a file system", _mount, control=own_mounts),
    "keyctl": Attempt("Reach the kernel's keyrings (keyctl)", _keyctl),
    "bpf": Attempt("Make a BPF map", _bpf),
    "userfaultfd": Attempt("Make a userfaultfd", _userfaultfd),
    "user-namespace": Attempt("Make a user namespace", _unshare(_CLONE_NEWUSER)),
    "net-namespace": Attempt("Make user and network namespaces", _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)),
    "write": Attempt("Write a file outside", _write_file, leaves=True),
    "write-source": Attempt("Change the inspected file", _write_source, leaves=True),
    "read-key": Attempt("Read a private key of the site", _read("key"), refusals=UNSEEN),
    "read-home": Attempt("Read the side's home", _read("home"), refusals=UNSEEN),
    "read-neighbour": Attempt("Read another file in inspection", _read("neighbour"), refusals=UNSEEN),
    "read-system": Attempt("Read /etc/passwd", _read("system"), refusals=UNSEEN),
    "processes": Attempt("See other processes", _processes, refusals=UNSEEN),
    "signal": Attempt("Signal another process", _signal),
    "pidfd": Attempt("Take hold of another process (pidfd)", _pidfd),
    "memory-of-host": Attempt("Read the engine's memory", _memory_of_host),
    "inherited": Attempt(
        "Use a descriptor that was left open",
        _inherited,
        refusals=frozenset({errno.EBADF}),
        control=_leave_open,
    ),
    "setuid": Attempt("Become root (setresuid)", _setuid),
    "execute": Attempt("Start a program (as a setuid one)", _execute),
    "fork": Attempt("Make a process", _fork),
    "threads": Attempt(f"Make {_THREADS} threads", _threads, refusals=frozenset({errno.EAGAIN})),
    "memory": Attempt("Use more memory", _memory, refusals=frozenset({errno.ENOMEM})),
    "cpu": Attempt("Use more processor time", _cpu, ends="cpu"),
    "wall": Attempt("Stay longer", _wall, ends="wall"),
    "file-size": Attempt("Write even one byte to a file of its own", _file_size),
    "descriptors": Attempt("Open more files", _descriptors, refusals=frozenset({errno.EMFILE})),
    "raise-limit": Attempt("Change a limit", _raise_limit),
    **KERNEL,
}
"""Every attempt by its name, in the order in which they are reported."""


def attempt_entry(data: memoryview, args: bytes) -> bytes:
    """Try one way out and say how it went: the entry that runs inside.

    Returns:
        JSON: ``{"done": true}``, or ``{"errno": NUMBER}``.

    """
    del data
    given = json.loads(args)
    try:
        ATTEMPTS[given["name"]].act(given)
    except OSError as error:
        return json.dumps({"errno": error.errno}).encode()
    return b'{"done": true}'


def main() -> None:
    """Try one way out without a sandbox; arguments come as JSON in the first argument."""
    signal.alarm(60)
    prepare = ATTEMPTS[json.loads(sys.argv[1])["name"]].control
    try:
        if prepare:
            prepare()
    except OSError as error:
        sys.stdout.write(json.dumps({"errno": error.errno}))
        return
    sys.stdout.write(attempt_entry(memoryview(b""), sys.argv[1].encode()).decode())
