"""A job's answer as a stream: for answers that are too long for memory."""

import io
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lockgate.inspect.errors import (
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    SandboxUnavailableError,
)
from lockgate.inspect.launch import Child
from lockgate.inspect.ports import Job
from lockgate.inspect.sandbox import ProcessSandbox, open_regular
from lockgate.inspect.tally import printable
from lockgate.inspect.worker import READY

_READ = 1 << 18
_KEPT_ERROR = 4096
MakeArgs = Callable[[Sequence[int]], bytes]
"""Makes a job's arguments from the descriptors of its further files."""


class JobStream(io.RawIOBase):
    """Reads what a confined process writes, within the job's bounds."""

    def __init__(self, child: Child, job: Job, monotonic: Callable[[], float]) -> None:
        """Begin before the first byte."""
        self._child = child
        self._job = job
        self._monotonic = monotonic
        self._deadline = monotonic() + job.wall_seconds
        self._left = job.output_bytes
        self._error = bytearray()
        self._selector = selectors.DefaultSelector()
        for name, stream in (("answer", child.stdout), ("error", child.stderr)):
            if stream:
                self._selector.register(stream, selectors.EVENT_READ, name)
        self._held = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def close(self) -> None:
        """Let go of the pipes."""
        self._selector.close()
        super().close()

    def demand_ready(self) -> None:
        """Wait until the process is confined.

        Raises:
            SandboxUnavailableError: It ended, or wrote something else, before that.

        """
        head = b""
        while len(head) < len(READY) and (part := self._next(len(READY) - len(head))):
            head += part
        if head != READY:
            self._child.kill()
            what = f"The sandbox did not come up: {self._last() or f'status {self._child.wait()}'}"
            raise SandboxUnavailableError(what)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes, with none at the end of a good answer.

        Raises:
            JobTimeoutError: The process ran past its time.
            JobOutputError: It answers more than it may.
            JobFailedError: It died, or ended with an error.

        """
        if not self._held and not self._ended:
            self._held = memoryview(self._next(_READ))
            if not self._held:
                self._end()
            self._left -= len(self._held)
            if self._left < 0:
                what = f"The confined process answered more than {self._job.output_bytes} bytes."
                raise JobOutputError(what, limit="output_bytes")
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _next(self, most: int) -> bytes:
        """Return the next bytes of the answer, none at its end; keep what is written as errors."""
        while self._selector.get_map():
            left = self._deadline - self._monotonic()
            if left <= 0:
                raise JobTimeoutError("The confined process ran past its time.", limit="wall_seconds")
            for key, _ in self._selector.select(left):
                data = os.read(key.fd, most if key.data == "answer" else _KEPT_ERROR)
                if not data:
                    self._selector.unregister(key.fileobj)
                elif key.data == "answer":
                    return data
                else:
                    self._error += data[: _KEPT_ERROR - len(self._error)]
        return b""

    def _end(self) -> None:
        self._ended = True
        try:
            status = self._child.wait(max(0.0, self._deadline - self._monotonic()))
        except subprocess.TimeoutExpired as error:
            raise JobTimeoutError("The confined process ran past its time.", limit="wall_seconds") from error
        if status:
            what = f"The confined process ended with status {status}."
            raise JobFailedError(what, last=self._last() or None)

    def _last(self) -> str:
        return printable(self._error.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1])


@contextmanager
def job_stream(
    sandbox: ProcessSandbox,
    job: Job,
    more: Sequence[Path],
    args: MakeArgs,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[JobStream]:
    """Run a job and give its answer as a stream; the process ends with the block.

    Args:
        sandbox: Where it runs.
        job: What it runs; its own arguments are not used.
        more: Further files that it reads.
        args: Makes its arguments.
        monotonic: Clock that the deadline is measured by, in seconds.

    """
    descriptors: list[int] = []
    try:
        source = open_regular(job.file)
        descriptors.append(source)
        files = []
        for path in more:
            files.append(open_regular(path))
            descriptors.append(files[-1])
        given = os.memfd_create("args")
        descriptors.append(given)
        os.write(given, args(files))
        os.lseek(given, 0, os.SEEK_SET)
        with sandbox.start(job, source, given, files) as child:
            try:
                with JobStream(child, job, monotonic) as stream:
                    stream.demand_ready()
                    yield stream
            finally:
                child.kill()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
