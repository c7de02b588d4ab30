"""A warm sandbox: one set of namespaces with the parsers loaded, one forked child for each file.

What isolates a file is the same as in `lockgate.inspect.sandbox`; what is saved is starting an
interpreter for each. The program inside is `lockgate.inspect.nursery`. When it dies, the jobs of that
moment fail and the next one starts another.
"""

import itertools
import os
import socket
import threading
from types import TracebackType
from typing import Any, Self

from lockgate.inspect.errors import (
    BadEntryError,
    JobFailedError,
    JobTimeoutError,
    SandboxUnavailableError,
)
from lockgate.inspect.launch import Launcher, Layout
from lockgate.inspect.nursery import UP
from lockgate.inspect.ports import Job
from lockgate.inspect.sandbox import ENTRY, ProcessSandbox, Streams, judge, open_regular, take_in
from lockgate.inspect.tally import printable

_START_SECONDS = 60.0
_MESSAGE = 256
_BOOT = "import sys; sys.path[:0] = ['/code', '/site']; from lockgate.inspect.nursery import main; main()"
_GONE = "The process that starts the parsers has gone."


class WarmSandbox(ProcessSandbox):
    """Runs each job in a child of its own, forked where the parsers are loaded already."""

    def __init__(self, **keywords: Any) -> None:
        """Lay out what the worker sees; nothing is started before the first job."""
        super().__init__(**keywords)
        self._lock = threading.Lock()
        self._nursery: _Nursery | None = None

    def __enter__(self) -> Self:
        """Return itself; the process inside ends with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process inside."""
        self.close()

    def close(self) -> None:
        """End the process inside, if there is one."""
        with self._lock:
            if self._nursery:
                self._nursery.close()
            self._nursery = None

    def describe(self) -> dict[str, str]:
        """Return the layers of the isolation."""
        return {**super().describe(), "processes": "one for each file, forked by a warm parent"}

    def run(self, job: Job) -> bytes:
        """Return the answer of a job, or raise what the port says."""
        if not ENTRY.fullmatch(job.entry):
            what = f"{printable(job.entry)} is no function of Lockgate."
            raise BadEntryError(what)
        opened = [open_regular(job.file)]
        try:
            opened.append(os.memfd_create("args"))
            os.write(opened[1], job.args)
            return self._warm(job, opened)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _warm(self, job: Job, opened: list[int]) -> bytes:
        nursery = self._started()
        out, out_end = os.pipe2(os.O_CLOEXEC)
        error, error_end = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                number = nursery.send(job, [*opened, out_end, error_end])
            finally:
                os.close(out_end)
                os.close(error_end)
            streams = Streams(job.output_bytes)
            deadline = self._monotonic() + job.wall_seconds
            try:
                take_in({out: "answer", error: "error"}, streams, deadline, self._monotonic)
                status = nursery.status(number, deadline - self._monotonic())
            except BaseException:
                nursery.kill(number)
                raise
        finally:
            os.close(out)
            os.close(error)
        return judge(status, streams)

    def _started(self) -> "_Nursery":
        with self._lock:
            if self._nursery is None or not self._nursery.alive:
                if self._nursery:
                    self._nursery.close()
                self._nursery = _Nursery(self._launcher, self._layout)
            return self._nursery


class _Nursery:
    """The process inside, and who waits for which of its children."""

    def __init__(self, launcher: Launcher, layout: Layout) -> None:
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._ended: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._up = threading.Event()
        self._failed: list[SandboxUnavailableError] = []
        self.alive = True
        # bubblewrap dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG): that has to be one
        # which lives as long as the process inside, not that of whoever had the first job.
        self._listener = threading.Thread(
            target=self._live, args=(launcher, layout), name="inspect-nursery", daemon=True
        )
        self._listener.start()
        self._up.wait()
        for error in self._failed:
            self._listener.join()
            raise error

    def _live(self, launcher: Launcher, layout: Layout) -> None:
        """Start the process inside, say whether it came up, and take in how its children end."""
        try:
            self._start(launcher, layout)
        except SandboxUnavailableError as error:
            self._failed.append(error)
            self._up.set()
            return
        self._up.set()
        self._listen()

    def _start(self, launcher: Launcher, layout: Layout) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        control = theirs.fileno()
        with theirs:
            try:
                self._child = launcher.start(layout, (_BOOT, str(control)), None, (control,), answers=False)
            except SandboxUnavailableError:
                ours.close()
                raise
        ours.settimeout(_START_SECONDS)
        self._demand_up()
        ours.settimeout(None)

    def _demand_up(self) -> None:
        try:
            up = self._socket.recv(_MESSAGE)
        except OSError:
            up = b""
        if up != UP:
            self._child.kill()
            with self._child as child:
                said = child.stderr.read() if child.stderr else b""
            self._socket.close()
            last = printable(said.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1])
            what = f"The sandbox did not come up: {last or f'status {child.returncode}'}"
            raise SandboxUnavailableError(what)

    def _listen(self) -> None:
        """Take in how children end, until the process is gone."""
        while True:
            try:
                message = self._socket.recv(_MESSAGE)
            except OSError:
                message = b""
            with self._changed:
                if not message:
                    self.alive = False
                else:
                    number, status = message.decode("ascii").split("\n")
                    if number in self._waiting:
                        self._ended[number] = int(status)
                self._changed.notify_all()
                if not message:
                    return

    def send(self, job: Job, descriptors: list[int]) -> str:
        """Have a child started; return the number of its job."""
        number = str(next(self._numbers))
        words = (number, job.entry, str(job.cpu_seconds), str(job.memory_bytes))
        with self._changed:
            self._waiting.add(number)
            self._changed.notify_all()
        try:
            socket.send_fds(self._socket, ["\n".join(words).encode("ascii")], descriptors)
        except OSError as error:
            raise JobFailedError(_GONE) from error
        return number

    def status(self, number: str, seconds: float) -> int:
        """Wait for the end of a job's child; return its exit status."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: number in self._ended or not self.alive, timeout=max(0.0, seconds)
            )
            self._waiting.discard(number)
            if number in self._ended:
                return self._ended.pop(number)
        if done:
            raise JobFailedError(_GONE)
        what = "The inspecting process ran past its time."
        raise JobTimeoutError(what, limit="wall_seconds")

    def kill(self, number: str) -> None:
        """End a job's child, if it still runs."""
        with self._changed:
            self._waiting.discard(number)
            self._ended.pop(number, None)
            alive = self.alive
        if alive:
            try:
                self._socket.send(f"kill\n{number}".encode("ascii"))
            except OSError:
                self.alive = False

    def close(self) -> None:
        """End the process and everything it started."""
        self._child.kill()
        self._child.wait()
        if self._child.stderr:
            self._child.stderr.close()
        self._listener.join()
        self._socket.close()
