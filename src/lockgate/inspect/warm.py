"""A warm sandbox: one set of namespaces with the parsers loaded, one forked child for each file.

What isolates a file is the same as in `lockgate.inspect.sandbox`; what is saved is starting an
interpreter for each. The program inside is `lockgate.inspect.nursery`; it serves several lines, each by a
process of its own. When one of them dies, the jobs of that moment fail and the next one starts others.
"""

import itertools
import os
import select
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
_LINES = 2
"""Parents inside, which fork side by side: of a small file's time a fifth goes by in its parent."""
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
        self._waiting: dict[str, socket.socket] = {}  # which line has the job
        self._lines: list[socket.socket] = []
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
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(_LINES)]
        self._lines = [ours for ours, _ in pairs]
        controls = tuple(theirs.fileno() for _, theirs in pairs)
        try:
            words = (_BOOT, *map(str, controls))
            self._child = launcher.start(layout, words, None, controls, answers=False)
        except SandboxUnavailableError:
            self._hang_up()
            raise
        finally:
            for _, theirs in pairs:
                theirs.close()
        for line in self._lines:
            self._demand_up(line)

    def _demand_up(self, line: socket.socket) -> None:
        line.settimeout(_START_SECONDS)
        try:
            up = line.recv(_MESSAGE)
        except OSError:
            up = b""
        if up != UP:
            self._child.kill()
            with self._child as child:
                said = child.stderr.read() if child.stderr else b""
            self._hang_up()
            last = printable(said.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1])
            what = f"The sandbox did not come up: {last or f'status {child.returncode}'}"
            raise SandboxUnavailableError(what)
        line.settimeout(None)

    def _hang_up(self) -> None:
        for line in self._lines:
            line.close()

    def _listen(self) -> None:
        """Take in how children end, until a process is gone."""
        polled = select.poll()
        lines = {line.fileno(): line for line in self._lines}
        for descriptor in lines:
            polled.register(descriptor, select.POLLIN)
        while self.alive:
            for descriptor, _ in polled.poll():
                self._take(lines[descriptor])

    def _take(self, line: socket.socket) -> None:
        """Take in the end of one child, or of a process that forks them."""
        try:
            message = line.recv(_MESSAGE)
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

    def send(self, job: Job, descriptors: list[int]) -> str:
        """Have a child started; return the number of its job."""
        number = str(next(self._numbers))
        words = (number, job.entry, str(job.cpu_seconds), str(job.memory_bytes))
        with self._changed:
            busy = list(self._waiting.values())
            line = min(self._lines, key=busy.count)
            self._waiting[number] = line
            self._changed.notify_all()
        try:
            socket.send_fds(line, ["\n".join(words).encode("ascii")], descriptors)
        except OSError as error:
            with self._changed:
                del self._waiting[number]
            raise JobFailedError(_GONE) from error
        return number

    def status(self, number: str, seconds: float) -> int:
        """Wait for the end of a job's child; return its exit status."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: number in self._ended or not self.alive, timeout=max(0.0, seconds)
            )
            if number in self._ended:
                del self._waiting[number]
                return self._ended.pop(number)
        if done:
            raise JobFailedError(_GONE)
        what = "The inspecting process ran past its time."
        raise JobTimeoutError(what, limit="wall_seconds")

    def kill(self, number: str) -> None:
        """End a job's child, if it still runs."""
        with self._changed:
            line = self._waiting.pop(number, None)
            self._ended.pop(number, None)
            alive = self.alive
        if alive and line:
            try:
                line.send(f"kill\n{number}".encode("ascii"))
            except OSError:
                self.alive = False

    def close(self) -> None:
        """End the process and everything it started."""
        self._child.kill()
        self._child.wait()
        if self._child.stderr:
            self._child.stderr.close()
        self._listener.join()
        self._hang_up()
