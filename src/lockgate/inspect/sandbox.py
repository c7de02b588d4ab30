"""The sandbox: bubblewrap around a worker that confines itself, one process per job.

Namespaces (user, process, network, mount, host name, IPC, cgroup) come from bubblewrap; resource
limits, Landlock and seccomp from `lockgate.inspect.confine`, in the worker, before it reads a byte
of the file. The worker sees the interpreter, the system's libraries and our own code, all
read-only; its file as a descriptor; no ``/proc``, no ``/dev``, no network.
"""

import os
import re
import selectors
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

from lockgate.inspect.errors import (
    BadEntryError,
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    NotInspectableError,
    SandboxUnavailableError,
)
from lockgate.inspect.ports import Job, Sandbox
from lockgate.inspect.rulesets import MOUNT, RuleSet
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
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_KEPT_ERROR = 4096
_READ = 1 << 16
_NOBODY = "65534"


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


class BubblewrapSandbox(Sandbox):
    """Runs each job in a process of its own, inside bubblewrap."""

    def __init__(
        self,
        *,
        program: str = "bwrap",
        distributions: Mapping[str, Sequence[str]] = DISTRIBUTIONS,
        code: Path = Path(__file__).parents[1],
        rules: RuleSet | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find bubblewrap and lay out what the worker sees.

        Args:
            program: Name or path of bubblewrap.
            distributions: Third-party packages that the worker may see, by distribution.
            code: Folder of our own package.
            rules: Packs of rules that are seen inside, beside our own.
            monotonic: Clock that deadlines are measured by, in seconds.

        Raises:
            SandboxUnavailableError: Bubblewrap is not installed.

        """
        found = shutil.which(program)
        if found is None:
            what = f"The program {program} is not installed."
            raise SandboxUnavailableError(what)
        self._bwrap = found
        self._monotonic = monotonic
        self.rules = rules or RuleSet()
        self._layout = tuple(_layout(distributions, code, self.rules))

    def command(self, boot: str) -> list[str]:
        """Return the command that runs one line of Python inside, up to that line's own arguments."""
        return [self._bwrap, *self._layout, boot]

    def describe(self) -> dict[str, str]:
        """Return the layers of the isolation."""
        from lockgate.inspect.confine import landlock_abi  # noqa: PLC0415  # loads ctypes

        return {
            "sandbox": "bubblewrap",
            "program": self._bwrap,
            "namespaces": "user, pid, net, mount, uts, ipc, cgroup",
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
                self._drain(child, streams, self._monotonic() + job.wall_seconds)
            finally:
                child.kill()
        return judge(child.returncode, streams)

    def start(self, job: Job, source: int, args: int, more: Sequence[int] = ()) -> "subprocess.Popen[bytes]":
        """Start a job's process.

        Args:
            job: What to run.
            source: Descriptor of its file, which becomes its standard input.
            args: Descriptor of a file with its arguments.
            more: Further descriptors that it may read, under the same numbers.

        """
        worker = [job.entry, str(args), str(job.cpu_seconds), str(job.memory_bytes)]
        try:
            return subprocess.Popen(  # noqa: S603  # our own command; nothing in it comes from the file
                [*self.command(_BOOT), *worker],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(args, *more),
                env={},
                cwd="/",
            )
        except OSError as error:
            what = f"Bubblewrap cannot be started: {error}."
            raise SandboxUnavailableError(what) from error

    def _drain(self, child: "subprocess.Popen[bytes]", streams: Streams, deadline: float) -> None:
        self._read(child.stdout, child.stderr, streams, deadline)
        try:
            child.wait(max(0.0, deadline - self._monotonic()))
        except subprocess.TimeoutExpired as error:
            what = "The inspecting process ran past its time."
            raise JobTimeoutError(what, limit="wall_seconds") from error

    def _read(
        self, answers: IO[bytes] | None, errors: IO[bytes] | None, streams: Streams, deadline: float
    ) -> None:
        """Take in both streams up to their ends.

        Raises:
            JobTimeoutError: They are still open at the deadline.
            JobOutputError: The answer is too long.

        """
        with selectors.DefaultSelector() as selector:
            for name, stream in (("answer", answers), ("error", errors)):
                if stream:
                    selector.register(stream, selectors.EVENT_READ, name)
            while selector.get_map():
                left = deadline - self._monotonic()
                if left <= 0:
                    what = "The inspecting process ran past its time."
                    raise JobTimeoutError(what, limit="wall_seconds")
                for key, _ in selector.select(left):
                    data = os.read(key.fd, _READ)
                    if data:
                        streams.add(key.data, data)
                    else:
                        selector.unregister(key.fileobj)


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


def _layout(distributions: Mapping[str, Sequence[str]], code: Path, rules: RuleSet) -> Iterator[str]:
    """Yield bubblewrap's arguments and the interpreter's, up to the worker's own."""
    yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "lockgate", "--clearenv")
    yield from ("--setenv", "LANG", "C.UTF-8")
    for folder in _LIBRARIES:
        if Path(folder).is_symlink():
            yield from ("--symlink", str(Path(folder).readlink()), folder)
        else:
            yield from ("--ro-bind-try", folder, folder)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    shared = library / str(sysconfig.get_config_var("INSTSONAME") or "none")
    for path in (interpreter, Path(sysconfig.get_path("stdlib")), shared):
        if path.exists():
            yield from ("--ro-bind", str(path), str(path))
    yield from ("--ro-bind", str(code), "/code/lockgate")
    for name, packages in distributions.items():
        for path in _folders(name, packages):
            yield from ("--ro-bind", str(path), f"/site/{path.name}")
    for pack in rules.packs:
        yield from ("--ro-bind", str(pack.file), str(MOUNT / f"{pack.sha256[:16]}.yar"))
    yield from ("--remount-ro", "/", "--chdir", "/", "--")
    yield from (str(interpreter), "-I", "-S", "-B", "-X", "utf8", "-c")


def _folders(name: str, packages: Sequence[str]) -> Iterator[Path]:
    """Yield the folders of a distribution's packages and of its metadata."""
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        what = f"The distribution {name}, which parsers need, is not installed."
        raise SandboxUnavailableError(what) from error
    for package in packages:
        yield Path(str(found.locate_file(package)))
    info = next(file for file in found.files or () if file.match("*.dist-info/METADATA"))
    yield Path(str(found.locate_file(info))).parent
