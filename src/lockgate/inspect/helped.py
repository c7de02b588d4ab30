"""The second launcher: asks the root-owned helper for namespaces, where nobody else may make them.

Root starts a helper of its own for each process. Everybody else asks the one that listens; only a helper that
root started is believed, since whoever starts the process could write its verdict.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Self

from lockgate.inspect import helper
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.launch import START, WRITABLE, Launcher, Layout, environment_of

_ANSWER = 64
_ASK_SECONDS = 30
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)
_NO_STATUS = 255
"""The status of a process whose helper said nothing of its end."""


class HelpedChild:
    """A process that the helper started; it ends with the connection."""

    def __init__(
        self,
        connection: socket.socket,
        served: "subprocess.Popen[bytes] | None",
        stdout: IO[bytes] | None,
        stderr: IO[bytes],
    ) -> None:
        """Take over the connection, a helper that serves nobody else, and our ends of the pipes."""
        self.stdout = stdout
        self.stderr: IO[bytes] | None = stderr
        self.returncode: int | None = None
        self._connection = connection
        self._served = served

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipes and wait for the end."""
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs after as many seconds.

        """
        if self.returncode is not None:
            return self.returncode
        try:
            self._connection.settimeout(timeout if timeout is None or timeout > 0 else 0.001)
            said = self._connection.recv(_ANSWER)
        except TimeoutError as error:
            raise subprocess.TimeoutExpired("sandbox helper", timeout or 0) from error
        except OSError:
            said = b""
        self.returncode = int(said) if said.isdigit() else _NO_STATUS
        self._connection.close()
        if self._served:
            self._served.wait()
        return self.returncode

    def kill(self) -> None:
        """End it and everything that it started."""
        if self.returncode is None:
            with suppress(OSError):
                self._connection.send(b"end")


class Helper(Launcher):
    """Lets the root-owned helper make the namespaces."""

    def __init__(self, path: str = helper.SOCKET) -> None:
        """Name the socket that the helper listens on; root does without."""
        self._path = None if os.geteuid() == 0 else path

    def demand(self, why: str) -> None:
        """See that the helper is there.

        Args:
            why: Why it is needed, for the error.

        Raises:
            SandboxUnavailableError: None is there, or one that is not root's.

        """
        if self._path:
            try:
                _connect(self._path).close()
            except SandboxUnavailableError as error:
                what = f"{why}. {error.what}"
                raise SandboxUnavailableError(what) from error

    def describe(self) -> dict[str, str]:
        """Return what isolates."""
        return {
            "sandbox": "helper",
            "program": self._path or helper.__file__,
            "namespaces": "pid, net, mount, uts, ipc, cgroup",
        }

    def start(
        self, layout: Layout, words: Sequence[str], source: int | None, more: Sequence[int], *, answers: bool
    ) -> HelpedChild:
        """Ask the helper to start the interpreter."""
        with ExitStack() as ours, ExitStack() as theirs:
            error, error_end = _pipe(ours, theirs)
            out, out_end = _pipe(ours, theirs) if answers else (None, None)
            nothing = _opened(theirs, os.devnull, os.O_RDWR)
            stdin = nothing if source is None else source
            kept = {0: stdin, 1: out_end or nothing, 2: error_end, **{each: each for each in more}}
            message, descriptors = _request(layout, words, kept, theirs)
            connection, served = self._connected()
            try:
                socket.send_fds(connection, [message], descriptors)
            except OSError as problem:
                connection.close()
                what = f"The helper takes no request: {problem.strerror}."
                raise SandboxUnavailableError(what) from problem
            ours.pop_all()
        return HelpedChild(connection, served, out, error)

    def _connected(self) -> "tuple[socket.socket, subprocess.Popen[bytes] | None]":
        """Return a connection to the helper, and the helper when it is one of our own."""
        if self._path:
            return _connect(self._path), None
        connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, "-I", "-S", "-B", helper.__file__, "--serve", str(other.fileno())]
            try:
                served = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                    command, stdin=subprocess.DEVNULL, pass_fds=(other.fileno(),), env={}, cwd="/"
                )
            except OSError as error:
                connection.close()
                what = f"The helper cannot be started: {error}."
                raise SandboxUnavailableError(what) from error
        return connection, served


def _connect(path: str) -> socket.socket:
    """Return a connection to the helper that listens.

    Raises:
        SandboxUnavailableError: Nobody listens, or somebody else than root.

    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A queue that is full fails at once where the socket does not block, as with Python's own timeouts.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _ASK_SECONDS, 0))
    try:
        connection.connect(path)
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError as error:
        connection.close()
        what = f"No sandbox helper answers at {path}: {error.strerror or error}."
        raise SandboxUnavailableError(what) from error
    _, user, _ = struct.unpack("3i", raw)
    if user != 0:
        connection.close()
        what = f"The sandbox helper at {path} runs as user {user}, and not as root."
        raise SandboxUnavailableError(what)
    return connection


def _request(
    layout: Layout, words: Sequence[str], kept: dict[int, int], theirs: ExitStack
) -> tuple[bytes, list[int]]:
    """Return the helper's message and the descriptors that go with it (`lockgate.inspect.helper`)."""
    descriptors = list(kept.values())
    keep = [(number, at) for at, number in enumerate(kept)]
    mounts = []
    for path, place in layout.mounts:
        mounts.append((place, len(descriptors)))
        descriptors.append(_opened(theirs, path.resolve(), os.O_PATH))
    wider = _wider(layout, descriptors, theirs)
    descriptors.append(_opened(theirs, "/proc/self/ns/mnt", os.O_RDONLY))
    if len(descriptors) > helper.MOST_DESCRIPTORS:
        what = f"The helper takes {helper.MOST_DESCRIPTORS} descriptors, and {len(descriptors)} are needed."
        raise SandboxUnavailableError(what)
    request = {
        "version": helper.VERSION,
        "mounts": mounts,
        "links": layout.links,
        "keep": keep,
        "errors": list(kept).index(2),
        "mounted_in": len(descriptors) - 1,
        "command": [*layout.python, *words],
        "environment": dict(environment_of(layout)),
        **wider,
    }
    return json.dumps(request).encode(), descriptors


def _wider(layout: Layout, descriptors: list[int], theirs: ExitStack) -> dict[str, object]:
    """Return what a request asks for where a whole program runs inside; add the devices' descriptors."""
    if layout.room is None:
        return {}
    devices = []
    for name in _DEVICES:
        devices.append((f"/dev/{name}", len(descriptors)))
        descriptors.append(_opened(theirs, f"/dev/{name}", os.O_PATH))
    return {
        "version": helper.WIDER,
        "memory": [(place, layout.room.bytes) for place in WRITABLE],
        "devices": devices,
        "links": [*layout.links, *_LINKS],
        "processes": True,
        "loopback": True,
        "folder": START,
    }


def _opened(stack: ExitStack, path: "str | os.PathLike[str]", flags: int) -> int:
    """Return a descriptor that is closed with the stack."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        what = f"{path} cannot be opened for the sandbox: {error.strerror}."
        raise SandboxUnavailableError(what) from error
    stack.callback(os.close, descriptor)
    return descriptor


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[IO[bytes], int]:
    """Return our end of a pipe and the other one, each closed with its stack."""
    end, other = os.pipe2(os.O_CLOEXEC)
    theirs.callback(os.close, other)
    return ours.enter_context(open(end, "rb", buffering=0)), other  # noqa: PTH123
