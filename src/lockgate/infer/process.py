"""One engine's process: started so that it cannot outlive us, signalled without races, ended for sure."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockgate.infer import launch
from lockgate.infer.enginelog import EngineLog
from lockgate.infer.errors import EngineStartError

HELP_LIMIT = 1 << 20
"""Most of a program's help text that is read, in bytes."""

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


def _launcher(program: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), str(program)]


def flags_of(program: Path, environment: Mapping[str, str], seconds: float) -> frozenset[str]:
    """Return the options that a program names in its help text. Blocks.

    Raises:
        EngineStartError: It does not say so in time.

    """
    command = [*_launcher(program), "--help"]
    output = os.memfd_create("lockgate-help", os.MFD_CLOEXEC)
    try:
        subprocess.run(  # noqa: S603  # the verified program
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            timeout=seconds,
            check=False,
        )
        said = os.pread(output, HELP_LIMIT, 0)
    except (subprocess.TimeoutExpired, OSError) as error:
        what = f"The engine does not say which options it has: {type(error).__name__}."
        raise EngineStartError(what) from error
    finally:
        os.close(output)
    return frozenset(_FLAG.findall(said.decode(errors="replace")))


class EngineProcess:
    """A running program. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, pidfd: int, log: EngineLog) -> None:
        """Take over a process that was just started."""
        self._process = process
        self._pidfd = pidfd
        self._log = log

    @classmethod
    async def start(
        cls,
        program: Path,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        descriptors: Sequence[int],
        log: EngineLog,
    ) -> "EngineProcess":
        """Start a program in a session of its own.

        Args:
            program: The executable.
            arguments: What follows its name.
            environment: All of its environment.
            folder: Its working folder.
            descriptors: What it inherits, under the same numbers.
            log: Takes what it prints.

        Raises:
            EngineStartError: The system cannot start it.

        """
        try:
            process = await asyncio.create_subprocess_exec(
                *_launcher(program),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                pass_fds=tuple(descriptors),
                start_new_session=True,
            )
        except OSError as error:
            what = f"The engine cannot be started: {error.strerror}."
            raise EngineStartError(what) from error
        if process.stdout is not None:
            log.follow(process.stdout)
        return cls(process, os.pidfd_open(process.pid), log)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Return how it ended (negative: by that signal), or nothing while it runs."""
        return self._process.returncode

    async def ended_within(self, seconds: float) -> bool:
        """Wait until it ended, at most that long, and tell whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return self.status is not None

    async def end(self, seconds: float) -> None:
        """Send SIGTERM and, when it does not end in that time, SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.status is None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, number)
            if await self.ended_within(seconds):
                break
        await self._log.drained()
        os.close(self._pidfd)
