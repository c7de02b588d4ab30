"""Joining the crossing's rebuilder with the sandbox of inspection."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from lockgate.core.wire import encode
from lockgate.crossing.delta.errors import PatchError, PatchLimitError
from lockgate.crossing.delta.worker import ENTRY, RebuildArgs
from lockgate.crossing.ports import Rebuilder
from lockgate.inspect import Job
from lockgate.inspect.errors import (
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    NotInspectableError,
    SandboxUnavailableError,
)
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.inspect.streaming import JobStream, job_stream

MEMORY_BYTES = 1 << 30
"""Memory of a rebuilding process, beside the patch that is mapped into it."""

WALL_SECONDS = 300
"""Seconds of a rebuilding process, beside those for its bytes."""

BYTES_PER_SECOND = 64 * 1024
"""Slowest rebuilding that is waited for, in bytes of the new file and of its bases."""


class SandboxRebuilder(Rebuilder):
    """Rebuilds each file in a process of its own that can do nothing else."""

    def __init__(self, sandbox: ProcessSandbox) -> None:
        """Use a sandbox."""
        self._sandbox = sandbox

    @contextmanager
    def rebuild(self, patch: Path, bases: Mapping[str, Path], size: int) -> Iterator[BinaryIO]:
        """Give a stream of the file that a patch describes."""
        length = patch.stat().st_size
        seconds = WALL_SECONDS + (size + sum(p.stat().st_size for p in bases.values())) // BYTES_PER_SECOND
        job = Job(
            entry=ENTRY,
            file=patch,
            wall_seconds=float(seconds),
            cpu_seconds=seconds,
            memory_bytes=MEMORY_BYTES + length,
            output_bytes=size,
        )

        def args(descriptors: Sequence[int]) -> bytes:
            return encode(RebuildArgs(size, tuple(zip(bases, descriptors, strict=True))))

        with _our_errors(), job_stream(self._sandbox, job, list(bases.values()), args) as stream:
            yield cast("BinaryIO", _Stream(stream))


@contextmanager
def _our_errors() -> Iterator[None]:
    """Turn what the sandbox says of a job into what is wrong with the patch."""
    try:
        yield
    except (JobFailedError, NotInspectableError) as error:
        what = "A patch does not rebuild its file."
        raise PatchError(what, last=error.where.get("last")) from error
    except (JobTimeoutError, JobOutputError) as error:
        what = f"A patch took more than it may: {error.what}"
        raise PatchLimitError(what, limit=error.where.get("limit")) from error


class _Stream:
    """A job's stream whose refusals are those of a patch."""

    def __init__(self, stream: JobStream) -> None:
        self._stream = stream

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with the next bytes, with none at the end."""
        with _our_errors():
            return self._stream.readinto(buffer)

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        buffer = bytearray(count if count >= 0 else 1 << 20)
        return bytes(buffer[: self.readinto(memoryview(buffer))])


def rebuilder() -> SandboxRebuilder | None:
    """Return what rebuilds files here, or None where there is no sandbox: deltas are refused then."""
    try:
        return SandboxRebuilder(ProcessSandbox())
    except SandboxUnavailableError:
        return None
