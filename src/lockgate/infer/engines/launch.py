"""Starts one program: the admitted one, that cannot outlive its parent, gain rights, or dump its memory.

Run by path in an isolated interpreter, with the standard library alone::

    python -I -S launch.py PARENT ORDER REPORT PROGRAM ARGUMENT…

``ORDER`` and ``REPORT`` are inherited descriptors. The order (JSON) says which files make up the
program: each is copied into memory that only this process and the program see, hashed on the way,
and mounted over the place where it was installed (mount_namespaces(7), tmpfs(5)). Between the hash
and the program's own reading there is then no file that anybody else could change. A model that is
read from a folder goes the same way: its files come as descriptors, its folder is mounted over an
empty one. With ``alone`` the program gets a network of its own that has loopback and nothing else
(network_namespaces(7)). The report (JSON) says what came of each wish; what the system does not allow
is left undone, and a file that is not the admitted one ends everything.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRIVATE = "private"
"""In a report: the program runs from a private copy of its files."""
MODEL = "model"
"""In a report: the model's folder is a private copy."""
ALONE = "alone"
"""In a report: the program has a network of its own."""
REFUSED = "refused"
"""In a report: the file that is not the admitted one."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 1 << 14, 1 << 18
_CHUNK = 1 << 20


class _Refused(Exception):  # noqa: N818  # says which file, and is caught below
    """A file is not the admitted one."""


def _called(result: int) -> None:
    """Demand that a call of the C library succeeded."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(libc: Any, kind: bytes | None, place: Path, flags: int, options: str = "") -> None:
    _called(libc.mount(kind, os.fsencode(place), kind, ctypes.c_ulong(flags), options.encode() or None))


def _own(libc: Any, namespaces: int) -> bool:
    """Take namespaces of our own, with a user namespace where rights are missing; tell whether."""
    user, group = os.geteuid(), os.getegid()
    try:
        _called(libc.unshare(namespaces))
    except OSError:
        try:
            _called(libc.unshare(_CLONE_NEWUSER | namespaces))
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
        except OSError:
            return False
    return True


def _loopback() -> None:
    """Bring up the loopback device (netdevice(7)): parts of a program talk to each other by it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, _GET_FLAGS, asked))[1]
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sh22x", b"lo", flags | _UP))


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 of the bytes that were written."""
    state = hashlib.sha256()
    handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not block
    with os.fdopen(handle, "rb", buffering=0) as stream, target.open("xb", buffering=0) as copy:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
            copy.write(chunk)
        os.fchmod(copy.fileno(), os.fstat(handle).st_mode & 0o555)
    return state.hexdigest()


def _fill(order: dict[str, Any], installed: int, place: Path) -> None:
    """Copy the admitted files below the mounted place; those of the program's folder must all be there."""
    for path, digest in order["files"].items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = _copy(Path(f"/proc/self/fd/{installed}", path), target)
        except FileNotFoundError:
            found = ""
        if found == digest:
            continue
        if path.startswith(order["folder"]):
            raise _Refused(path)
        target.unlink(missing_ok=True)


def _long(order: dict[str, Any], sources: list[Path]) -> bool:
    """Tell whether a copy is not wanted, or would be longer than it may be."""
    size, limit = 0, order["limit"]
    for source in sources:
        try:
            size += source.stat().st_size
        except OSError:
            continue  # whoever copies says which file is missing
    return not limit or size > limit


def _private(libc: Any, order: dict[str, Any]) -> bool:
    """Mount a private, read-only copy of the program's files over them; tell whether the system allows it.

    Raises:
        _Refused: A file is missing or changed.

    """
    place = Path(order["root"])
    installed = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if _long(order, [place / path for path in order["files"]]):
        return False
    return _mounted(libc, place, order["limit"], lambda: _fill(order, installed, place))


def _model(libc: Any, order: dict[str, Any]) -> bool:
    """Mount a private, read-only copy of a model's files over its folder; tell whether that was allowed.

    Raises:
        _Refused: A file is not the admitted one.

    """
    place = Path(order["place"])
    sources = {path: Path(f"/proc/self/fd/{handle}") for path, handle, _ in order["files"]}

    def fill() -> None:
        for path, _, digest in order["files"]:
            target = place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if _copy(sources[path], target) != digest:
                raise _Refused(path)

    return not _long(order, list(sources.values())) and _mounted(libc, place, order["limit"], fill)


def _mounted(libc: Any, place: Path, limit: int, fill: Callable[[], None]) -> bool:
    """Mount memory over a folder, fill it and close it for writing; tell whether the system allows it."""
    flags = _MS_NOSUID | _MS_NODEV
    options = f"mode=0755,size={limit}"
    try:
        _mount(libc, b"tmpfs", place, flags, options)
    except OSError:
        return False
    try:
        fill()
        _mount(libc, b"tmpfs", place, flags | _MS_REMOUNT | _MS_RDONLY, options)
    except OSError:  # without the rights, or without the room
        libc.umount2(os.fsencode(place), 2)
        return False
    return True


def _prepared(libc: Any, order: dict[str, Any]) -> dict[str, Any]:
    """Do what an order asks for, as far as the system allows, and return the report."""
    alone = order["alone"] and _own(libc, _CLONE_NEWNS | _CLONE_NEWNET)
    if not alone and not _own(libc, _CLONE_NEWNS):
        return {}
    if alone:
        _loopback()
    try:
        _mount(libc, None, Path("/"), _MS_REC | _MS_PRIVATE)
    except OSError:
        return {ALONE: alone}
    model = order["model"] is not None and _model(libc, order["model"])
    return {ALONE: alone, PRIVATE: _private(libc, order), MODEL: model}


def main(arguments: list[str]) -> None:
    """Prepare this process (prctl(2)) and become the program.

    Args:
        arguments: The parent's process id, the descriptors of order and report, the program's
            path, and the program's arguments.

    """
    parent, order, report, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    with open(int(order), "rb") as stream:  # noqa: PTH123  # a descriptor
        wanted = json.load(stream)
    kept = [handle for _, handle, _ in (wanted["model"] or {"files": []})["files"]]
    for handle in (int(report), *kept):  # the program must not write the one, and has no need of the others
        os.set_inheritable(handle, False)  # noqa: FBT003
    try:
        done = _prepared(libc, wanted)
    except _Refused as refused:
        os.write(int(report), json.dumps({REFUSED: str(refused)}).encode())
        sys.exit(f"{refused} is not the admitted file")
    os.write(int(report), json.dumps(done).encode())
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        _called(libc.prctl(option, int(value), 0, 0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606  # becoming the verified program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
