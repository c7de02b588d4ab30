"""The root-owned helper: gives one process namespaces of its own, takes every right from it, and starts it.

For hosts where nobody but root may make namespaces. It is a program by itself (``python3 -I -S helper.py``)
of the standard library alone, and reads nothing but one short request for each sandbox. Three rules keep it
from doing more for its caller than the caller could do alone:

- It mounts nothing by name: what a sandbox is to see comes as descriptors (``O_PATH``) that the caller
  opened. Their names are looked up again, and only what is still the very same is mounted: read-only, without
  devices and set-user-ID programs.
- It starts nothing as root: the process has the account nobody, no capability, an empty bounding set and
  no_new_privs before the first instruction of what the caller named.
- A sandbox ends with its connection: when the caller closes it, or dies, everything inside is killed.

Wire: Unix sockets that keep messages apart (unix(7), SOCK_SEQPACKET). The caller sends one message, JSON
and descriptors; gets one, the exit status in decimal (128 + the signal's number for a process that was
killed); any further message of the caller ends the process. What fails before the process starts is written
to the descriptor that the request names for its errors.
"""

import argparse
import contextlib
import ctypes
import fcntl
import grp
import json
import os
import resource
import selectors
import signal
import socket
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

VERSION: Final = 1
WIDER: Final = 2
"""The version of requests that ask for `memory`, `processes`, `devices` or `loopback` too."""
SOCKET: Final = "/run/lockgate/sandbox.socket"
"""Where the helper listens and callers look for it."""

MOST_REQUEST: Final = 128 << 10
MOST_DESCRIPTORS: Final = 250
"""Below the kernel's SCM_MAX_FD of 253."""
MOST_NUMBER: Final = 1 << 16
"""Highest number that a descriptor may have in the process."""
MOST_AT_ONCE: Final = 64
"""Sandboxes that run at one time."""
REQUEST_SECONDS: Final = 10.0
MOST_MEMORY: Final = 64 << 30
"""Longest file system in memory that a request may ask for, in bytes."""
DEVICES: Final = frozenset({(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)})
"""Devices that a sandbox may have, by number: null, zero, full, random, urandom."""
ROOT_BYTES: Final = 1 << 20
"""Size of the sandbox's own file system, which holds mount points and links alone."""
NOBODY: Final = 65534

_NEW_NS, _NEW_CGROUP, _NEW_UTS, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_PID, _NEW_NET = 0x20000000, 0x40000000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_DETACH: Final = 2
# asm-generic/unistd.h: new system calls have one number on every processor, pivot_root(2) is older.
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _SETATTR = 428, 429, 430, 431, 432, 442
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD: Final = -100
_EMPTY_PATH, _RECURSIVE, _CLONE_TREE = 0x1000, 0x8000, 1
_MOVE_EMPTY_PATH: Final = 4
_SET_STRING, _CREATE = 1, 6
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 28, 38
_SECURE_BITS: Final = 0b11101011
"""NOROOT, NO_CAP_AMBIENT_RAISE and their locks, and the lock of KEEP_CAPS (capabilities(7))."""
_CAPABILITY_VERSION: Final = 0x20080522
_CAPABILITIES: Final = 64
_FAILED: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class RequestError(Exception):
    """A request that is none, or asks for more than the helper gives."""


def main() -> None:
    """Serve one connection (``--serve``), or listen for them until it is stopped."""
    parser = argparse.ArgumentParser(description="Makes namespaces for Lockgate's sandbox. Runs as root.")
    parser.add_argument("--listen", default=SOCKET, help="socket to make, if systemd hands none over")
    parser.add_argument("--group", default="root", help="group whose members may ask, beside root")
    parser.add_argument("--serve", type=int, help="descriptor of the one connection to serve")
    options = parser.parse_args()
    if options.serve is not None:
        with socket.socket(fileno=options.serve) as connection:
            serve(connection)
        return
    with _listener(options.listen, options.group) as listener:
        _listen(listener)


def _listener(path: str, group: str) -> socket.socket:
    """Return systemd's socket (sd_listen_fds(3)), or a new one that root and one group reach."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=3)
    owner = grp.getgrnam(group).gr_gid
    place = Path(path)
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    listener.bind(path)
    os.umask(before)
    os.chown(path, 0, owner)
    place.chmod(0o660)
    listener.listen(MOST_AT_ONCE)
    return listener


def _listen(listener: socket.socket) -> NoReturn:
    """Serve each connection in a process of its own; close those over MOST_AT_ONCE."""
    running: set[int] = set()
    while True:
        connection, _ = listener.accept()
        with connection:
            while running and (ended := os.waitpid(-1, os.WNOHANG)[0]):
                running.discard(ended)
            if len(running) >= MOST_AT_ONCE:
                continue
            child = os.fork()
            if not child:
                listener.close()
                _end(serve, connection)
            running.add(child)


def _end(function: Any, *arguments: Any) -> NoReturn:
    """Call a function and end this process, whatever happens; nothing of the caller's loop is run twice."""
    status = _FAILED
    try:
        status = function(*arguments) or 0
    except Exception as error:  # noqa: BLE001  # the process ends here; its caller sees no good status
        with contextlib.suppress(OSError):
            os.write(2, f"sandbox helper: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(status)


def serve(connection: socket.socket) -> None:
    """Take one request, run it, and answer how it ended."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    connection.settimeout(REQUEST_SECONDS)
    message, descriptors, flags, _ = socket.recv_fds(connection, MOST_REQUEST, MOST_DESCRIPTORS)
    connection.settimeout(None)
    if not message:
        return
    request = read_request(
        message, len(descriptors), whole=not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    )
    alive, held = os.pipe()
    _check(_libc.unshare(_NEW_PID), "a process namespace")
    first = os.fork()
    if not first:
        connection.close()
        os.close(held)
        _end(_first, request, descriptors, alive)
    os.close(alive)
    for descriptor in descriptors:
        os.close(descriptor)
    _attend(connection, first)


def read_request(message: bytes, count: int, *, whole: bool = True) -> dict[str, Any]:
    """Return a request whose every part is of its type and within bounds.

    Args:
        message: JSON: ``version``; ``mounts`` and ``keep``, lists of [place or number, index of a
            descriptor]; ``links``, list of [place, target]; ``mounted_in``, index of the caller's mount
            namespace; ``errors``, index of where failures are written; ``command`` and ``environment``. In
            version `WIDER` also ``memory``, list of [place, bytes], for file systems that the process may
            write; ``devices``, list of [place, index]; ``processes``, whether it sees those inside in
            ``/proc``; ``loopback``, whether it has that network device; ``folder``, where it starts.
        count: Descriptors that came with it.
        whole: Whether nothing of it was cut off.

    Raises:
        RequestError: It is not so.

    """
    try:
        given = json.loads(message)
        request = {
            "mounts": [(_place(place), _index(at, count)) for place, at in given["mounts"]],
            "links": [(_place(place), _text(target)) for place, target in given["links"]],
            "keep": [(_index(number, MOST_NUMBER), _index(at, count)) for number, at in given["keep"]],
            "mounted_in": _index(given["mounted_in"], count),
            "errors": _index(given["errors"], count),
            "command": [_text(word) for word in given["command"]],
            "environment": {_text(name): _text(value) for name, value in given["environment"].items()},
        }
        wider = given if given.get("version") == WIDER else {}
        request |= {
            "memory": [
                (_place(place), _index(size, MOST_MEMORY + 1)) for place, size in wider.get("memory", [])
            ],
            "devices": [(_place(place), _index(at, count)) for place, at in wider.get("devices", [])],
            "processes": wider.get("processes") is True,
            "loopback": wider.get("loopback") is True,
            "folder": _text(wider.get("folder", "/")),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f"a request that cannot be read: {type(error).__name__}"
        raise RequestError(what) from error
    if given.get("version") not in {VERSION, WIDER} or not whole or not request["command"]:
        what = "a request of another version, one that was cut off, or one without a command"
        raise RequestError(what)
    return request


def _index(value: object, bound: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < bound:
        message = "no index"
        raise ValueError(message)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        message = "no text"
        raise ValueError(message)
    return value


def _place(value: object) -> str:
    place = _text(value)
    if not place.startswith("/") or ".." in place.split("/") or place == "/":
        message = "no place below the root"
        raise ValueError(message)
    return place


def _attend(connection: socket.socket, first: int) -> None:
    """Wait until the sandbox's first process ends; kill it when the caller says a word, or is gone."""
    ended = os.pidfd_open(first)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        selector.register(connection, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                break
            os.kill(first, signal.SIGKILL)
            selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.recv(MOST_REQUEST)  # what is unread when it closes would be an error to the caller
    status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    with contextlib.suppress(OSError):
        connection.send(str(status if status >= 0 else 128 - status).encode("ascii"))


def _first(request: dict[str, Any], descriptors: list[int], alive: int) -> int:
    """Be the first process of a sandbox: lay it out, give everything up, run the command.

    Returns:
        The command's exit status.

    """
    os.dup2(descriptors[request["errors"]], 2)
    _die_with_parent()
    os.setsid()
    os.umask(0o022)
    account = _has_nobody()
    _separate(descriptors[request["mounted_in"]])
    if request["loopback"]:
        _loopback()
    _lay_out(request, descriptors)
    _give_up(account=account)
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    _die_with_parent()
    if _is_over(alive):
        return _FAILED
    child = os.fork()
    if not child:
        _end(_run, request, descriptors)
    os.closerange(0, 2)
    os.closerange(3, MOST_NUMBER)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _is_over(alive: int) -> bool:
    """Tell whether the parent died before it was to take this process with it."""
    with selectors.DefaultSelector() as selector:
        selector.register(alive, selectors.EVENT_READ)
        return bool(selector.select(0))


def _die_with_parent() -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")


def _separate(mounted_in: int) -> None:
    """Leave every namespace of the host; the process namespace is new already."""
    theirs, ours = os.fstat(mounted_in), os.stat("/proc/self/ns/mnt")  # noqa: PTH116
    if (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino):
        _check(_libc.setns(mounted_in, _NEW_NS), "the caller's mount namespace")
    _check(_libc.unshare(_NEW_NS | _NEW_NET | _NEW_IPC | _NEW_UTS | _NEW_CGROUP), "namespaces")
    _check(_libc.mount(None, b"/", None, _MS_REC_PRIVATE, None), "private mounts")
    socket.sethostname("lockgate")


def _loopback() -> None:
    """Bring up the loopback device of the new network namespace (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, _GET_FLAGS, asked))[1]
        try:
            fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sh22x", b"lo", flags | _UP))
        except PermissionError as error:
            what = "the loopback device, for which the helper needs CAP_NET_ADMIN"
            raise RequestError(what) from error


def _lay_out(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make an empty root, put in what the caller holds open, and leave the host's root."""
    trees = [(place, _memory(size, b"1777")) for place, size in request["memory"]]
    trees += [(place, _tree(descriptors[at])) for place, at in request["mounts"]]
    trees += [(place, _device(descriptors[at])) for place, at in request["devices"]]
    if request["processes"]:  # mounted while the host's own is still there: the kernel asks for one (proc(5))
        closed = _READ_ONLY | _NO_SUID | _NO_DEVICES | _NO_PROGRAMS
        trees.append(("/proc", _new_mount(b"proc", (), closed)))
    root = _memory(ROOT_BYTES, b"0755")
    _call(_MOVE_MOUNT, root, b"", _AT_FDCWD, b"/", _MOVE_EMPTY_PATH, what="the root")
    os.fchdir(root)
    _call(_PIVOT_ROOT[os.uname().machine], b".", b".", what="pivot_root")
    _check(_libc.umount2(b".", _DETACH), "leaving the host's root")
    os.chdir("/")
    for place, tree in trees:
        _point(Path(place), tree)
        _call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, place.encode(), _MOVE_EMPTY_PATH, what=place)
        os.close(tree)
    for place, target in request["links"]:
        Path(place).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        Path(place).symlink_to(target)
    _set(root, _READ_ONLY | _NO_SUID | _NO_DEVICES)
    os.close(root)


def _tree(descriptor: int, attributes: int = _READ_ONLY | _NO_SUID | _NO_DEVICES) -> int:
    """Return a read-only copy of the mount below what a descriptor names, if its name still leads to it.

    The descriptor's mount belongs to the caller's namespace; open_tree(2) takes only what belongs to its own.
    """
    name = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    again = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    wanted, found = os.fstat(descriptor), os.fstat(again)
    if (wanted.st_dev, wanted.st_ino) != (found.st_dev, found.st_ino):
        what = f"{name} is no longer what the caller opened"
        raise RequestError(what)
    tree = _call(_OPEN_TREE, again, b"", _CLONE_TREE | _EMPTY_PATH | _RECURSIVE | os.O_CLOEXEC, what=name)
    os.close(again)
    _set(tree, attributes, _RECURSIVE)
    return tree


def _device(descriptor: int) -> int:
    """Return a copy of the mount of one device, which has to be among those that give nothing away."""
    found = os.fstat(descriptor)
    number = (os.major(found.st_rdev), os.minor(found.st_rdev))
    if not stat.S_ISCHR(found.st_mode) or number not in DEVICES:
        what = "a device that no sandbox gets"
        raise RequestError(what)
    return _tree(descriptor, _NO_SUID)


def _memory(size: int, mode: bytes) -> int:
    """Return a mount of an empty file system in memory, of so many bytes, that is nowhere yet."""
    options = ((b"size", str(size).encode()), (b"mode", mode))
    return _new_mount(b"tmpfs", options, _NO_SUID | _NO_DEVICES)


def _new_mount(kind: bytes, options: Sequence[tuple[bytes, bytes]], attributes: int) -> int:
    """Return a mount of a new file system that is nowhere yet."""
    what = kind.decode()
    made = _call(_FSOPEN, kind, 1, what=what)
    for key, value in options:
        _call(_FSCONFIG, made, _SET_STRING, key, value, 0, what=what)
    _call(_FSCONFIG, made, _CREATE, None, None, 0, what=what)
    mount = _call(_FSMOUNT, made, 1, attributes, what=what)
    os.close(made)
    return mount


def _point(place: Path, tree: int) -> None:
    """Make what a mount is mounted on: a folder for a folder, an empty file for a file."""
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        place.mkdir(mode=0o755, exist_ok=True)
    else:
        place.touch(mode=0o644)


def _set(mount: int, attributes: int, flags: int = 0) -> None:
    """Add attributes to a mount (mount_setattr(2))."""
    given = struct.pack("<4Q", attributes, 0, 0, 0)
    _call(_SETATTR, mount, b"", _EMPTY_PATH | flags, given, len(given), what="mount attributes")


def _has_nobody() -> bool:
    """Tell whether there is such an account; a user namespace that maps one account alone has none."""
    ranges = (line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines())
    return any(int(first) <= NOBODY < int(first) + int(count) for first, _, count in ranges)


def _give_up(*, account: bool) -> None:
    """Give up root's account, where there is another one, and every capability, for good."""
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECURE_BITS, 0, 0, 0), "PR_SET_SECUREBITS")
    for capability in range(_CAPABILITIES):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # capabilities end here (EINVAL)
    if account:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    header, none = struct.pack("<Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _check(_libc.capset(header, none), "capset")
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def _run(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Put the descriptors where the command looks for them, close all others, become the command."""
    kept = dict(request["keep"])
    above = max([*descriptors, *kept]) + 1
    for place, at in enumerate(kept.values()):
        os.dup2(descriptors[at], above + place)
    for place, number in enumerate(kept):
        os.dup2(above + place, number)
    start = 0
    for number in sorted(kept):
        if start < number:  # close_range(2) of nothing at 0 closes everything
            os.closerange(start, number)
        start = number + 1
    os.closerange(start, MOST_NUMBER)
    os.setsid()
    os.chdir(request["folder"])
    os.execve(request["command"][0], request["command"], request["environment"])  # noqa: S606


def _call(number: int, *arguments: object, what: str) -> int:
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *wide), what)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({what})")
    return result


if __name__ == "__main__":
    _end(main) if sys.flags.isolated else sys.exit("run it as: python3 -I -S helper.py")
