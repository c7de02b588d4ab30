"""Tries to leave the sandbox in every way that `lockgate.inspect.escapes` knows, and judges from outside.

What the attempt says of itself is not believed alone: traces that it may have left outside are looked
for. Each attempt is made without the sandbox too; a refusal counts only where that one succeeds, or
is reported as impossible on this host anyway.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from lockgate.inspect.errors import JobFailedError, JobOutputError, JobTimeoutError
from lockgate.inspect.escape_calls import Attempt
from lockgate.inspect.escapes import ATTEMPTS
from lockgate.inspect.ports import Job, Sandbox
from lockgate.inspect.tally import printable

MEMORY_BYTES: Final = 512 << 20
CPU_SECONDS: Final = 1
WALL_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 60.0
"""How long an attempt may take that is not about time."""
DESCRIPTORS: Final = 128
CONTROL_SECONDS: Final = 90
ANSWER_BYTES: Final = 256
AT_ONCE: Final = 4

_ENTRY = "lockgate.inspect.escapes:attempt_entry"
_SECRET = b"a key in memory"
_IMPOSSIBLE = frozenset(
    {
        errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENODEV, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT,
        errno.ENOSPC, errno.EOPNOTSUPP, errno.EIO,
    }
)  # fmt: skip
"""What a host answers that lacks or forbids something; ENOSPC where no more namespaces are allowed, EIO where
nobody may type into a terminal for another."""
_ENDS = {"cpu": ("status 137.", "status 152."), "call": ("status 159.",)}
"""128 + SIGKILL or SIGXCPU: how bubblewrap reports a child that ran into RLIMIT_CPU; 128 + SIGSYS: one that
called by another table than the filter reads."""
_STOPPED = {
    "cpu": "stopped by the cpu time limit",
    "wall": "stopped by the wall time limit",
    "call": "ended by the filter",
}
_ALONE = """
import sys, types
for name, path in zip(("lockgate", "lockgate.inspect"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
del sys.argv[1:3]
from lockgate.inspect.escapes import main
main()
"""
"""Runs an attempt by a plain interpreter, without what our packages import by themselves."""


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an attempt went: done, refused with an error number, stopped from outside, or not tried."""

    done: bool = False
    errno: int = 0
    stopped: Literal["", "cpu", "wall", "call"] = ""
    untried: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt, judged.

    `inside` says how it went in the sandbox, `control` how it went without one.
    """

    name: str
    title: str
    result: Literal["PASS", "FAIL"]
    inside: str
    control: str


def judge(name: str, attempt: Attempt, inside: Outcome, control: Outcome) -> Tried:
    """Decide whether the sandbox held against one attempt; no input and no output."""
    held, said = _judge_inside(attempt, inside)
    proven, shown = _judge_control(control)
    return Tried(name, attempt.title, "PASS" if held and proven else "FAIL", said, shown)


def _judge_inside(attempt: Attempt, inside: Outcome) -> tuple[bool, str]:
    if inside.untried:
        return False, f"could not be tried: {inside.untried}"
    if inside.done:
        return False, "ESCAPED: the attempt succeeded"
    if inside.stopped:
        return inside.stopped == attempt.ends, _STOPPED[inside.stopped]
    if attempt.ends or inside.errno not in attempt.refusals:
        return False, f"failed for another reason: {os.strerror(inside.errno)}"
    return True, f"refused: {os.strerror(inside.errno)}"


def _judge_control(control: Outcome) -> tuple[bool, str]:
    if control.done:
        return True, "succeeds without the sandbox"
    if control.errno in _IMPOSSIBLE:
        return True, f"impossible on this host anyway: {os.strerror(control.errno)}"
    return False, f"the control failed: {control.untried or os.strerror(control.errno)}"


class Stage:
    """The host's side of one attempt: what it could reach, and what it left behind."""

    def __init__(self, folder: Path, name: str, home: Path | None) -> None:
        """Lay out files and sockets in an empty folder."""
        self.source = folder / "inspected"
        self._new = folder / "new"
        key, neighbour = folder / "site.key", folder / "neighbour"
        for path in (self.source, key, neighbour):
            path.write_bytes(b"content")
            path.chmod(0o600)
        self._key = os.open(key, os.O_RDONLY)
        os.set_inheritable(self._key, True)  # noqa: FBT003  # the call's own form
        self._secret = ctypes.create_string_buffer(_SECRET)
        self._sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        ]
        udp, unix, abstract = self._sockets
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(folder / "socket"))
        abstract.bind("")  # the kernel chooses an abstract name (unix(7), autobind)
        for each in self._sockets:
            each.settimeout(0)
        reach = {
            "udp": udp.getsockname(),
            "unix": str(folder / "socket"),
            "abstract": abstract.getsockname().decode(),
            "new": str(self._new),
            "key": str(key),
            "home": str(home or folder),
            "neighbour": str(neighbour),
            "system": "/etc/passwd",
            "program": str(Path(sys.executable).resolve()),
            "pid": os.getpid(),
            "key_descriptor": self._key,
            "address": ctypes.addressof(self._secret),
            "length": len(self._secret),
        }
        bounds = {
            "memory_bytes": MEMORY_BYTES * 2,
            "cpu_seconds": CPU_SECONDS + 1.0,
            "wall_seconds": WALL_SECONDS * 2,
            "descriptors": DESCRIPTORS,
        }
        self.args = msgspec.json.encode({"name": name, **reach, **bounds})

    def traces(self) -> list[str]:
        """Return what an attempt left behind outside."""
        found = ["a new file"] if self._new.exists() else []
        if self.source.read_bytes() != b"content":
            found.append("a changed file")
        if self._secret.value != _SECRET:
            found.append("a changed memory")
        for each in self._sockets:
            try:
                each.recv(16)
            except BlockingIOError:
                continue
            found.append("a datagram")
        return found

    def close(self) -> None:
        """Close the sockets and the key."""
        os.close(self._key)
        for each in self._sockets:
            each.close()


@contextmanager
def _stage(name: str, home: Path | None) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="lockgate-self-test-") as folder:
        stage = Stage(Path(folder), name, home)
        try:
            yield stage
        finally:
            stage.close()


def _inside(sandbox: Sandbox, attempt: Attempt, stage: Stage) -> Outcome:
    job = Job(
        entry=_ENTRY,
        file=stage.source,
        args=stage.args,
        wall_seconds=WALL_SECONDS if attempt.ends == "wall" else PATIENCE_SECONDS,
        cpu_seconds=CPU_SECONDS if attempt.ends == "cpu" else int(PATIENCE_SECONDS),
        memory_bytes=MEMORY_BYTES,
        output_bytes=ANSWER_BYTES,
    )
    try:
        outcome = _decode(sandbox.run(job))
    except JobTimeoutError:
        outcome = Outcome(stopped="wall")
    except JobFailedError as error:
        ended = attempt.ends in _ENDS and error.what.endswith(_ENDS[attempt.ends])
        outcome = Outcome(stopped=attempt.ends) if ended else Outcome(untried=error.what)
    except JobOutputError as error:
        outcome = Outcome(untried=error.what)
    return Outcome(done=True) if stage.traces() else outcome


def _control(attempt: Attempt, stage: Stage) -> Outcome:
    command = [*plain_command(), stage.args.decode()]
    try:
        with stage.source.open("rb") as source:
            ran = subprocess.run(  # noqa: S603  # our own interpreter and file
                command, stdin=source, capture_output=True, timeout=CONTROL_SECONDS, check=False
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Outcome(untried=str(error)[:ANSWER_BYTES])
    if ran.returncode:
        last = ran.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        return Outcome(untried=printable(last)[:ANSWER_BYTES] or f"status {ran.returncode}")
    outcome = _decode(ran.stdout[:ANSWER_BYTES])
    if outcome.done and attempt.leaves and not stage.traces():
        return Outcome(untried="it says that it succeeded, and left nothing behind")
    return outcome


def plain_command() -> list[str]:
    """Return the command that makes an attempt without a sandbox, but for its arguments."""
    code = Path(__file__).parents[1]
    return [sys.executable, "-I", "-S", "-B", "-c", _ALONE, str(code), str(code / "inspect")]


def _decode(answer: bytes) -> Outcome:
    """Read an answer that nobody vouches for."""
    try:
        outcome = msgspec.json.decode(answer, type=Outcome)
    except msgspec.MsgspecError:
        return Outcome(untried="it answered something that is no answer")
    if not outcome.done and not outcome.errno:
        return Outcome(untried="it answered nothing")
    return Outcome(done=outcome.done, errno=outcome.errno)


def try_to_escape(
    sandbox: Sandbox,
    *,
    names: Sequence[str] = tuple(ATTEMPTS),
    home: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> list[Tried]:
    """Try every way out of a sandbox.

    Args:
        sandbox: The one that inspection uses.
        names: Attempts to make.
        home: Folder of the side, whose files must stay out of reach.
        advance: Called after each attempt.

    Raises:
        SandboxUnavailableError: The sandbox does not come up here at all.

    """

    def one(name: str) -> Tried:
        attempt = ATTEMPTS[name]
        with _stage(name, home) as stage:
            inside = _inside(sandbox, attempt, stage)
        with _stage(name, home) as stage:
            control = _control(attempt, stage)
        advance()
        return judge(name, attempt, inside, control)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, names))
