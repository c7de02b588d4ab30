"""Runs the package client as a child process: bounded in time, watched, its last words read."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    InstallerError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.core.errors import LockgateError

WATCH_SECONDS = 0.2
"""How often arriving bytes are counted for the person who watches."""

WORDS_LIMIT = 1 << 18
"""Bytes of the client's messages that are read."""

REASON_LENGTH = 400
"""Characters of the client's own reason that an error repeats."""

_SECRETS = re.compile(r"(?<=://)[^/\s@]+@")
_SIGNS: tuple[tuple[str, type[LockgateError]], ...] = (
    ("DO NOT MATCH THE HASHES", DigestMismatchError),
    ("No space left on device", DiskFullError),
    ("Retrying (", UnreachableError),
    ("No module named pip", InstallerError),
    ("Could not find a version", UnresolvableError),
    ("No matching distribution", UnresolvableError),
    ("conflicting dependencies", UnresolvableError),
    ("Invalid requirement", UnresolvableError),
    ("ResolutionImpossible", UnresolvableError),
    ("HTTP error", UnreachableError),
    ("Could not install packages due to an OSError", UnreachableError),
    ("Connection", UnreachableError),
)


@dataclass(frozen=True, slots=True)
class Client:
    """A package client: its name, what its downloads end in, and which error its words mean."""

    name: str
    suffix: str
    blame: Callable[[str, int], LockgateError]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a client; pip where none is named. What it prints is kept in `output`, if at all."""

    command: list[str]
    environ: Mapping[str, str]
    work: Path
    seconds: float
    client: Client | None = None
    output: Path | None = None

    @property
    def tool(self) -> Client:
        """Return the client."""
        return self.client or PIP


def run(job: Run, seen: Callable[[int], None]) -> None:
    """Run the client to its end.

    Its temporary files lie in the job's folder, where `seen` is told of their growth.

    Raises:
        DigestMismatchError, UnresolvableError, UnreachableError, DiskFullError: By what it said.
        InstallerError: It is missing, or failed otherwise.
        CollectLimitError: It took too long.

    """
    folder = job.work / "tmp"
    folder.mkdir(exist_ok=True)
    words = job.work / "messages.txt"
    with words.open("wb") as sink:
        process = _start(job, folder, sink.fileno())
        try:
            status = _watch(process, job, seen)
        finally:
            _end(process)
    if status != 0:
        with words.open("rb") as stream:
            raise job.tool.blame(stream.read(WORDS_LIMIT).decode("utf-8", "replace"), status)


def run_text(
    command: list[str], environ: Mapping[str, str], seconds: float = 60.0, *, client: str = "pip"
) -> str:
    """Return what a short run of the client prints.

    Raises:
        InstallerError: It is missing, failed or took too long.

    """
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter with fixed arguments
            command,
            env=dict(environ),
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"{client} did not run: {error}."
        raise InstallerError(what) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout)[:WORDS_LIMIT].decode("utf-8", "replace")
        raise blame(words, done.returncode)
    return done.stdout.decode("utf-8", "replace")


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what the client said, with its own reason in one line."""
    kind = next((error for sign, error in _SIGNS if sign in words), InstallerError)
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    reasons = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if kind is UnreachableError:
        reasons = [line.removeprefix("WARNING: ") for line in lines if "Retrying (" in line][-1:] or reasons
    reason = without_secrets((reasons or lines[-1:] or [f"it ended with status {status}"])[0])
    what = f"pip: {reason[:REASON_LENGTH].rstrip('.')}."
    return kind(what)


def without_secrets(text: str) -> str:
    """Return text without the users and passwords of the addresses in it."""
    return _SECRETS.sub("", text)


PIP = Client("pip", ".whl", blame)


def _start(job: Run, folder: Path, sink: int) -> subprocess.Popen[bytes]:
    environ = {**job.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    try:
        with (job.output or Path(os.devnull)).open("wb") as out:
            return subprocess.Popen(  # noqa: S603  # a client that the caller names; arguments are a list
                job.command,
                env=environ,
                cwd=job.work,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=sink,
                start_new_session=True,
            )
    except OSError as error:
        what = f"{job.tool.name} could not be started: {error.strerror}."
        raise InstallerError(what) from error


def _watch(process: subprocess.Popen[bytes], job: Run, seen: Callable[[int], None]) -> int:
    deadline = time.monotonic() + job.seconds
    highest = 0
    while True:
        try:
            return process.wait(timeout=WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                what = f"{job.tool.name} took longer than {job.seconds:.0f} seconds."
                raise CollectLimitError(what, limit="client_seconds") from None
        if (size := _size(job.work / "tmp", job.tool.suffix)) > highest:
            seen(size - highest)
            highest = size


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no child behind, however the run ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _size(folder: Path, suffix: str) -> int:
    """Return the bytes of the packages that lie below a folder; files may vanish meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            if name.endswith(suffix):
                try:
                    total += os.stat(os.path.join(root, name), follow_symlinks=False).st_size  # noqa: PTH116, PTH118  # hot
                except FileNotFoundError:
                    continue
    return total
