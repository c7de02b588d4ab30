"""Killing a piece of work at a step of its own, or at a moment: in a forked child of a preloaded parent.

The steps are not listed by hand. Python's interpreter reports every call that changes a file
(`sys.addaudithook`, PEP 578), SQLite every statement that writes and every commit, whoever sends it;
what raises no event (fsync, write) is wrapped. A new durable step is one of these and so counts by
itself.
"""

import gc
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

EVENTS = frozenset(
    {
        "os.chmod",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "sqlite3.connect",
    }
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COMMIT")


class Steps:
    """Counts the steps of this process from now on, and kills it before one of them (0: never)."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.names: list[str] = []

    def step(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def attach(self) -> None:
        """Watch this process; there is no way back, so this is for a child."""
        sys.addaudithook(self._event)
        for name in ("fsync", "fdatasync", "pwrite", "write"):
            setattr(os, name, self._before(name, getattr(os, name)))
        sa.event.listen(sa.pool.Pool, "checkout", lambda own, *_: own.set_trace_callback(self._statement))

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS or (event == "open" and self._writes(arguments)):
            self.step(event)

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        return bool(flags & _WRITES) and not str(mode or "").startswith("r")

    def _statement(self, statement: str) -> None:
        if statement.lstrip().upper().startswith(_CHANGES):
            self.step(statement.split(maxsplit=1)[0].lower())

    def _before(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any) -> Any:
            self.step(name)
            return call(*arguments)

        return stepped


def forked(work: Callable[[], object]) -> tuple[int, int]:
    """Do work in a child; return its process id and the reading end of a pipe with what it returned."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    status = 1
    gc.freeze()  # what the parent left behind is the parent's to end
    try:
        os.close(read)
        said = json.dumps(work()).encode()
        with os.fdopen(write, "wb") as pipe:
            pipe.write(said)
        status = 0
    except BaseException as error:  # noqa: BLE001  # said to the parent's terminal; the child ends here
        sys.__stderr__.write(f"{type(error).__name__}: {error}\n")  # type: ignore[union-attr]
    finally:
        os._exit(status)


def answer(child: int, read: int) -> Any:
    """Wait for a child; return what it said, or None when it was killed."""
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return json.loads(said)


def killed_before(last: int, work: Callable[[], object]) -> list[str] | None:
    """Do work in a child that is killed before a step; return the steps when it came to its end."""

    def counted() -> list[str]:
        steps = Steps(last)
        steps.attach()
        work()
        steps.last = 0  # what follows is ours: telling the parent
        return list(steps.names)

    found: list[str] | None = answer(*forked(counted))
    return found


def killed_after(seconds: float | None, work: Callable[[], object]) -> float | None:
    """Do work in a child and kill it from outside after that time (None: never).

    Return how long the work took, in seconds, or None when the child was killed before it had ended.
    """

    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    child, read = forked(timed)
    if seconds is not None and not select.select([read], [], [], seconds)[0]:
        os.kill(child, signal.SIGKILL)
    took: float | None = answer(child, read)
    return took


_ROOM = 2 << 30
"""Bytes that a folder in memory has to have free: containers often have 64 MiB there for all that run."""


def fast_folder(fallback: Path) -> Path:
    """Return a folder in memory where there is one: copies and commits there cost next to nothing."""
    shared = Path("/dev/shm")  # noqa: S108  # the system's tmpfs
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= _ROOM
    return shared if roomy else fallback
