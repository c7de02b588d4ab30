"""The sandbox: namespaces around a worker that confines itself, one process per job.

Namespaces (process, network, mount, host name, IPC, cgroup) come from `lockgate.inspect.launch`; resource
limits, Landlock and seccomp from `lockgate.inspect.confine`, in the worker, before it reads a byte
of the file. The worker sees the interpreter, the system's libraries and our own code, all
read-only; its file as a descriptor; no ``/proc``, no ``/dev``, no network.
"""

import os
import re
import select
import stat
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.inspect import launch
from lockgate.inspect.announced import SiteInspector
from lockgate.inspect.errors import (
    BadEntryError,
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    NotInspectableError,
    SandboxUnavailableError,
)
from lockgate.inspect.launch import Child, Launcher
from lockgate.inspect.ports import Job, Sandbox
from lockgate.inspect.rulesets import RuleSet
from lockgate.inspect.tally import printable
from lockgate.inspect.worker import READY

DISTRIBUTIONS = {
    "msgspec": ("msgspec",),
    "detect-secrets": ("detect_secrets",),
    "yara-x": ("yara_x",),
    "jinja2": ("jinja2",),
    "markupsafe": ("markupsafe",),
    "markdown-it-py": ("markdown_it",),
    "mdurl": ("mdurl",),
    "pypdfium2": ("pypdfium2", "pypdfium2_cfg", "pypdfium2_raw"),
    "selectolax": ("selectolax",),
    "zstandard": ("zstandard",),
    "cryptography": ("cryptography",),
    "cffi": (f"_cffi_backend{sysconfig.get_config_var('EXT_SUFFIX')}",),
}
"""Distribution → packages that parsers import; no other third-party code is visible inside."""

_BOOT = "import sys; sys.path[:0] = ['/code', '/site']; from lockgate.inspect.worker import main; main()"
ENTRY = re.compile(r"lockgate(?:\.[a-z][a-z0-9_]*)+:[a-z][a-z0-9_]*")
_KEPT_ERROR = 4096
_READ = 1 << 16


@dataclass(slots=True)
class Streams:
    """What a child wrote, within bounds."""

    limit: int
    answer: bytearray = field(default_factory=bytearray)
    error: bytearray = field(default_factory=bytearray)

    def add(self, name: str, data: bytes) -> None:
        """Keep some bytes of the answer or of the errors.

        Raises:
            JobOutputError: The answer is too long.

        """
        if name == "error":
            self.error += data[: _KEPT_ERROR - len(self.error)]
            return
        self.answer += data
        if len(self.answer) > self.limit + len(READY):
            what = f"The inspecting process answered more than {self.limit} bytes."
            raise JobOutputError(what, limit="output_bytes")


class ProcessSandbox(Sandbox):
    """Runs each job in a process of its own, in namespaces of its own."""

    def __init__(
        self,
        *,
        launcher: Launcher | None = None,
        distributions: Mapping[str, Sequence[str]] = DISTRIBUTIONS,
        code: Path = Path(__file__).parents[1],
        rules: RuleSet | None = None,
        site: Sequence[SiteInspector] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find what makes namespaces here and lay out what the worker sees.

        Args:
            launcher: What makes the namespaces; left out, what works on this host.
            distributions: Third-party packages that the worker may see, by distribution.
            code: Folder of our own package.
            rules: Packs of rules that are seen inside, beside our own.
            site: The site's own inspectors, whose packages are seen inside.
            monotonic: Clock that deadlines are measured by, in seconds.

        Raises:
            SandboxUnavailableError: Nothing makes namespaces here.

        """
        self._launcher = launcher or launch.launcher()
        self._monotonic = monotonic
        self.rules = rules or RuleSet()
        self.site = tuple(site)
        own = {
            each.distribution: tuple(
                {one.package for one in self.site if one.distribution == each.distribution}
            )
            for each in self.site
        }
        self._layout = launch.layout_of({**distributions, **own}, code, self.rules)

    def describe(self) -> dict[str, str]:
        """Return the layers of the isolation."""
        from lockgate.inspect.confine import landlock_abi  # noqa: PLC0415  # loads ctypes

        return {
            **self._launcher.describe(),
            "seccomp": "allow-list",
            "landlock": f"ABI {landlock_abi()}" if landlock_abi() else "not offered by this kernel",
        }

    def run(self, job: Job) -> bytes:
        """Return the answer of a job, or raise what the port says."""
        if not ENTRY.fullmatch(job.entry):
            what = f"{printable(job.entry)} is no function of Lockgate."
            raise BadEntryError(what)
        source = open_regular(job.file)
        args = os.memfd_create("args")
        try:
            os.write(args, job.args)
            os.lseek(args, 0, os.SEEK_SET)
            return self._run(job, source, args)
        finally:
            os.close(source)
            os.close(args)

    def _run(self, job: Job, source: int, args: int) -> bytes:
        streams = Streams(job.output_bytes)
        with self.start(job, source, args) as child:
            try:
                drain(child, streams, self._monotonic() + job.wall_seconds, self._monotonic)
            finally:
                child.kill()
        return judge(child.wait(), streams)

    def start(self, job: Job, source: int, args: int, more: Sequence[int] = ()) -> Child:
        """Start a job's process.

        Args:
            job: What to run.
            source: Descriptor of its file, which becomes its standard input.
            args: Descriptor of a file with its arguments.
            more: Further descriptors that it may read, under the same numbers.

        """
        words = [_BOOT, job.entry, str(args), str(job.cpu_seconds), str(job.memory_bytes)]
        return self._launcher.start(self._layout, words, source, (args, *more), answers=True)


def drain(child: Child, streams: Streams, deadline: float, monotonic: Callable[[], float]) -> None:
    """Take in what a child writes, up to its end.

    Args:
        child: The child, whose standard output is a pipe to us.
        streams: Takes what it writes.
        deadline: When its time is over, by the clock.
        monotonic: The clock, in seconds.

    Raises:
        JobTimeoutError: It still runs at the deadline.
        JobOutputError: The answer is too long.

    """
    named = {"answer": child.stdout, "error": child.stderr}
    opened = {stream.fileno(): name for name, stream in named.items() if stream}
    take_in(opened, streams, deadline, monotonic)
    try:
        child.wait(max(0.0, deadline - monotonic()))
    except subprocess.TimeoutExpired as error:
        what = "The inspecting process ran past its time."
        raise JobTimeoutError(what, limit="wall_seconds") from error


def take_in(
    opened: Mapping[int, str], streams: Streams, deadline: float, monotonic: Callable[[], float]
) -> None:
    """Take in the streams of a process up to their ends.

    Args:
        opened: Descriptor of each and its name: ``answer`` or ``error``.
        streams: Takes what comes.
        deadline: When the time is over, by the clock.
        monotonic: The clock, in seconds.

    Raises:
        JobTimeoutError: They are still open at the deadline.
        JobOutputError: The answer is too long.

    """
    left = dict(opened)
    polled = select.poll()  # not by way of `selectors`: two descriptors for a moment, for each file
    for descriptor in left:
        polled.register(descriptor, select.POLLIN)
    while left:
        rest = deadline - monotonic()
        if rest <= 0:
            what = "The inspecting process ran past its time."
            raise JobTimeoutError(what, limit="wall_seconds")
        for descriptor, _ in polled.poll(rest * 1000):
            data = os.read(descriptor, _READ)
            if data:
                streams.add(left[descriptor], data)
            else:
                polled.unregister(descriptor)
                del left[descriptor]


def judge(status: int, streams: Streams) -> bytes:
    """Return the answer of a process that ended, or raise what its end means."""
    last = printable(streams.error.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1])
    if not streams.answer.startswith(READY):
        what = f"The sandbox did not come up: {last or f'status {status}'}"
        raise SandboxUnavailableError(what)
    if status:
        what = f"The inspecting process ended with status {status}."
        raise JobFailedError(what, last=last or None)
    return bytes(streams.answer[len(READY) :])


def open_regular(file: Path) -> int:
    """Open a regular file for reading, without following a link; return the descriptor.

    Raises:
        NotInspectableError: It is none, or cannot be read.

    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        what = f"{file} cannot be opened: {error.strerror}."
        raise NotInspectableError(what) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        what = f"{file} is no regular file."
        raise NotInspectableError(what)
    return descriptor
