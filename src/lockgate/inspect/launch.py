"""What a sandbox shows to the process inside, and the ways of starting a process that sees only that.

Two launchers: bubblewrap, which needs user namespaces that everybody may make, and the root-owned helper of
`lockgate.inspect.helper`, for hosts that forbid them. Both give the process namespaces of its own, one
read-only view, and no privilege; limits, Landlock and seccomp it takes itself (`lockgate.inspect.confine`).
"""

import shutil
import subprocess
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.outer import Outer
from lockgate.inspect.rulesets import MOUNT, RuleSet

ENVIRONMENT = {"LANG": "C.UTF-8"}
START = "/tmp"  # noqa: S108  # a file system of the sandbox's own
WRITABLE = (START, "/dev/shm")  # noqa: S108  # the same
"""Where a process with a `Room` starts, and may write."""
PROCESSES = ("--proc", "/proc", "--remount-ro", "/proc")
"""Bubblewrap's words for ``/proc``: read-only, or whoever is root outside could change the kernel there."""
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_NOBODY = "65534"
_PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """The view of a process inside.

    `mounts` are read-only: what lies outside, and where it is seen; `links` are symbolic links: where, and
    to what. `python` is the interpreter's command, up to the code to run.
    """

    mounts: tuple[tuple[Path, str], ...]
    links: tuple[tuple[str, str], ...]
    python: tuple[str, ...]
    room: "Room | None" = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a whole program needs beside what it reads: a parser gets none of it.

    It sees the processes inside in ``/proc``, has the devices null, zero, full, random and urandom and the
    loopback device of its own network, starts in ``/tmp`` and may write there and in ``/dev/shm``: up to so
    many bytes each, in memory.
    """

    bytes: int
    environment: Mapping[str, str]


def environment_of(layout: Layout) -> Mapping[str, str]:
    """Return the variables that a process inside has."""
    return layout.room.environment if layout.room else ENVIRONMENT


class Child(Protocol):
    """A started process, as `subprocess.Popen` shows one."""

    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    @property
    def returncode(self) -> int | None:
        """The exit status, once it was waited for."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, for as many seconds; return the exit status."""

    def kill(self) -> None:
        """End it and everything that it started."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its pipes and wait for its end."""


class Launcher(ABC):
    """Starts processes in namespaces of their own."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what isolates, for `lockgate doctor` and the audit log."""

    @abstractmethod
    def start(
        self, layout: Layout, words: Sequence[str], source: int | None, more: Sequence[int], *, answers: bool
    ) -> Child:
        """Start the interpreter.

        Args:
            layout: What it sees.
            words: Its arguments.
            source: Descriptor of its standard input; nothing to read when left out.
            more: Further descriptors that it has, under the same numbers.
            answers: Whether its standard output is a pipe to us; it goes nowhere otherwise.

        Raises:
            SandboxUnavailableError: It cannot be started.

        """


class Bubblewrap(Launcher):
    """Lets bubblewrap make the namespaces, a user namespace among them."""

    def __init__(self, program: str = "bwrap") -> None:
        """Find bubblewrap, by name or path.

        Raises:
            SandboxUnavailableError: It is not installed.

        """
        found = shutil.which(program)
        if found is None:
            what = f"The program {program} is not installed."
            raise SandboxUnavailableError(what)
        self._program = found

    @property
    def program(self) -> str:
        """Return bubblewrap's path."""
        return self._program

    def describe(self) -> dict[str, str]:
        """Return what isolates."""
        return {
            "sandbox": "bubblewrap",
            "program": self._program,
            "namespaces": "user, pid, net, mount, uts, ipc, cgroup",
        }

    def refused(self) -> str:
        """Return why bubblewrap makes no namespaces here; empty when it does."""
        command = [self._program, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
        try:
            ran = subprocess.run(  # noqa: S603  # our own fixed command
                command, capture_output=True, timeout=_PROBE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        said = ran.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        return (said or f"status {ran.returncode}") if ran.returncode else ""

    def start(
        self, layout: Layout, words: Sequence[str], source: int | None, more: Sequence[int], *, answers: bool
    ) -> Outer:
        """Start bubblewrap, which starts the interpreter."""
        try:
            return Outer(  # our own command; nothing in it comes from the file
                [self._program, *_arguments(layout), *layout.python, *words],
                stdin=subprocess.DEVNULL if source is None else source,
                stdout=subprocess.PIPE if answers else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=tuple(more),
                env={},
                cwd="/",
            )
        except OSError as error:
            what = f"Bubblewrap cannot be started: {error}."
            raise SandboxUnavailableError(what) from error


def launcher() -> Launcher:
    """Return what makes namespaces here: bubblewrap, or the helper where bubblewrap may not.

    Raises:
        SandboxUnavailableError: Bubblewrap is not installed, or neither works.

    """
    bubblewrap = Bubblewrap()
    refused = bubblewrap.refused()
    if not refused:
        return bubblewrap
    from lockgate.inspect.helped import Helper  # noqa: PLC0415  # most hosts never need it

    helper = Helper()
    helper.demand(f"Bubblewrap makes no namespaces here ({refused})")
    return helper


def layout_of(distributions: Mapping[str, Sequence[str]], code: Path, rules: RuleSet) -> Layout:
    """Return what a parser sees: the system's libraries, the interpreter, our code, and what that imports.

    Args:
        distributions: Third-party packages, by distribution.
        code: Folder of our own package.
        rules: Packs of rules that are seen beside our own.

    Raises:
        SandboxUnavailableError: A distribution is not installed.

    """
    interpreter = Path(sys.executable).resolve()
    links = [(each, str(Path(each).readlink())) for each in _LIBRARIES if Path(each).is_symlink()]
    mounts = [(Path(each), each) for each in _LIBRARIES if not Path(each).is_symlink()]
    library = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    shared = library / str(sysconfig.get_config_var("INSTSONAME") or "none")
    cache, standard = Path("/etc/ld.so.cache"), Path(sysconfig.get_path("stdlib"))
    mounts += [(path, str(path)) for path in (cache, interpreter, standard, shared)]
    mounts = [(path, place) for path, place in mounts if path.exists()]
    mounts.append((code, "/code/lockgate"))
    for name, packages in distributions.items():
        mounts += [(path, f"/site/{path.name}") for path in _folders(name, packages)]
    mounts += [(pack.file, str(MOUNT / f"{pack.sha256[:16]}.yar")) for pack in rules.packs]
    return Layout(tuple(mounts), tuple(links), (str(interpreter), "-I", "-S", "-B", "-X", "utf8", "-c"))


def _arguments(layout: Layout) -> Iterator[str]:
    """Yield bubblewrap's arguments, up to the command."""
    yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "lockgate", "--clearenv")
    for name, value in environment_of(layout).items():
        yield from ("--setenv", name, value)
    for place, target in layout.links:
        yield from ("--symlink", target, place)
    if layout.room is not None:
        size = str(layout.room.bytes)
        yield from PROCESSES
        yield from ("--dev", "/dev")
        for place in WRITABLE:
            yield from ("--size", size, "--tmpfs", place)
        yield from ("--remount-ro", "/dev")
    for path, place in layout.mounts:
        yield from ("--ro-bind", str(path), place)
    yield from ("--remount-ro", "/", "--chdir", START if layout.room else "/", "--")


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
