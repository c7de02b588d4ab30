"""Parsers that turn on their host; they run inside the sandbox and report how far they came.

A test copies this file beside Lockgate's own code, since only that is visible inside.
"""

import ctypes
import json
import os
import signal
import socket
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


def _outcome(attempt):
    try:
        return str(attempt())
    except OSError as error:
        return f"refused {error.errno}"


def _syscall(*arguments):
    result = _LIBC.syscall(*arguments)
    return f"refused {ctypes.get_errno()}" if result < 0 else f"gave {result}"


def network(data, args):
    del data, args
    families = {"inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "vsock": 40, "unix": 1}
    tried = {
        name: _outcome(lambda family=family: socket.socket(family, socket.SOCK_DGRAM))
        for name, family in families.items()
    }
    tried["io_uring"] = _syscall(425, 1, 0)
    tried["interfaces"] = _outcome(lambda: list(Path("/sys/class/net").iterdir()))
    return json.dumps(tried).encode()


def reading(data, args):
    del data
    paths = [
        *json.loads(args),
        "/etc/passwd",
        "/etc/shadow",
        "/proc/self/maps",
        "/proc/1/environ",
        "/dev/mem",
    ]
    return json.dumps(
        {path: _outcome(lambda path=path: Path(path).read_bytes()[:9]) for path in paths}
    ).encode()


def writing(data, args):
    del data
    tried = {path: _outcome(lambda path=path: Path(path).write_bytes(b"x")) for path in json.loads(args)}
    tried["own file"] = _outcome(lambda: os.write(0, b"x"))
    tried["own file again"] = _outcome(lambda: os.open("/proc/self/fd/0", os.O_RDWR))
    tried["truncate"] = _outcome(lambda: os.ftruncate(0, 0))
    tried["chmod"] = _outcome(lambda: os.fchmod(0, 0o777))
    tried["mkdir"] = _outcome(lambda: Path("/of-mine").mkdir())
    tried["memory file"] = _outcome(lambda: os.memfd_create("x"))
    return json.dumps(tried).encode()


def processes(data, args):
    del data, args
    forks = 0
    last = ""
    for _ in range(200):
        last = _outcome(os.fork)
        if last == "0":
            os._exit(0)
        forks += last.isdigit()
    tried = {"forks": forks, "last": last}
    tried["execute"] = _outcome(lambda: os.execv("/usr/bin/true", ["true"]))  # noqa: S606  # it must fail
    tried["kill"] = _outcome(lambda: os.kill(1, signal.SIGKILL))
    tried["kill all"] = _outcome(lambda: os.kill(-1, signal.SIGKILL))
    tried["trace"] = _syscall(101, 0, 0, 0, 0)
    tried["unshare"] = _syscall(272, 0x10000000)
    tried["mount"] = _syscall(165, b"none", b"/", b"tmpfs", 0, None)
    tried["identity"] = f"{os.getuid()}"
    tried["environment"] = dict(os.environ)
    return json.dumps(tried).encode()


def memory(data, args):
    del data, args
    held = []
    while True:
        held.append(bytearray(64 << 20))


def endless(data, args):
    del data, args
    while True:
        pass


def flood(data, args):
    del data, args
    while True:
        os.write(1, b"x" * 65536)


def crash(data, args):
    del data, args
    ctypes.string_at(0)
    return b""


def leave(data, args):
    """Writes half an answer and goes."""
    del data, args
    os.write(1, b'{"detected":"text"')
    os._exit(0)


def blame(data, args):
    """Pretends that the sandbox failed."""
    del data, args
    os.write(2, b"bwrap: setting up uid map: Permission denied\n")
    os._exit(1)


def lie(data, args):
    """Says that the file is clean and longer than it is."""
    del data, args
    return (
        b'{"detected":"text","size":1,"covered":1,"complete":true,"opaque":[],"findings":[],"inspectors":[]}'
    )


def echo(data, args):
    return bytes(data) + args


def many(data, args):
    return bytes(data) * int(args)


def neighbours(data, args):
    """Look for descriptors, processes and memory of anybody else."""
    del data, args
    tried = {}
    own = os.fstat(0).st_ino
    for descriptor in range(3, 1024):
        outcome = _outcome(lambda descriptor=descriptor: os.fstat(descriptor).st_ino)
        if outcome not in {"refused 9", str(own)}:  # what mmap keeps is the file itself
            tried[f"descriptor {descriptor}"] = outcome
    tried["signal to the parent"] = _outcome(lambda: os.kill(os.getppid(), signal.SIGKILL))
    tried["signal to all"] = _outcome(lambda: os.kill(-1, signal.SIGKILL))
    tried["trace the parent"] = _syscall(101, 16, os.getppid(), 0, 0)
    tried["memory of the parent"] = _syscall(310, os.getppid(), 0, 0, 0, 0, 0)
    tried["descriptor of the parent"] = _syscall(438, os.getppid(), 3, 0)
    return json.dumps(tried).encode()
