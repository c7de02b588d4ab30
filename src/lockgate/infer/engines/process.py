"""One engine's process: started so that it cannot outlive us, signalled without races, ended for sure."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lockgate.core.wire import encode
from lockgate.infer.engines import launch
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.log import EngineLog
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.errors import EngineFilesError, EngineStartError

HELP_LIMIT = 1 << 20
"""Most of a program's help text that is read, in bytes."""

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of admitted files that a program reads its model from.

    Attributes:
        place: Where the program finds it. What lies there is seen where the system allows no private copy.
        limit: Up to this length of all files together, in bytes, there is a private copy; 0: never.
        files: Path below the place, open descriptor, and SHA-256 of each file.

    """

    place: Path
    limit: int
    files: tuple[tuple[str, int, str], ...]


class Launch:
    """One start of an installed program by `launch`: its order, and the report that comes back."""

    def __init__(
        self, installation: Installation, copy_limit: int, model: Tree | None = None, *, alone: bool = False
    ) -> None:
        """Write the order.

        Args:
            installation: The program and the digests of its files.
            copy_limit: Up to this length of all files together, in bytes, the program runs from a
                private copy; 0: never.
            model: The folder that it reads its model from, if it reads one.
            alone: Whether it gets a network of its own, without a way out.

        """
        tree = None
        if model is not None:
            tree = {"place": str(model.place), "limit": model.limit, "files": [list(f) for f in model.files]}
        order = {
            "root": str(installation.root.resolve()),
            "folder": installation.folder,
            "limit": copy_limit,
            "files": dict(installation.files),
            "model": tree,
            "alone": alone,
        }
        self._program = installation.command
        self._model = tuple(fd for _, fd, _ in model.files) if model is not None else ()
        self._order = _anonymous("lockgate-order", encode(order))
        self._report = _anonymous("lockgate-report", b"")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the descriptors that are its own."""
        os.close(self._order)
        os.close(self._report)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Return what the launcher inherits."""
        return self._order, self._report, *self._model

    @property
    def command(self) -> list[str]:
        """Return the command line, up to the program's own arguments."""
        script = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid())]
        return [*script, str(self._order), str(self._report), *self._program]

    def enforcement(self) -> Enforcement:
        """Return what stands behind the digests of the files that the program runs from.

        Raises:
            EngineFilesError: A file was changed after it had been compared.

        """
        return Enforcement.PRIVATE if self._said().get(launch.PRIVATE) else Enforcement.HASHED

    def model_enforcement(self) -> Enforcement:
        """Return what stands behind the digests of the model's folder; see `enforcement`."""
        return Enforcement.PRIVATE if self._said().get(launch.MODEL) else Enforcement.HASHED

    def alone(self) -> bool:
        """Tell whether the program has a network of its own; see `enforcement`."""
        return bool(self._said().get(launch.ALONE))

    def _said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(os.pread(self._report, HELP_LIMIT, 0) or b"{}")
        if file := said.get(launch.REFUSED):
            what = f"The engine's file {file} was changed after it had been compared."
            raise EngineFilesError(what, file=file)
        return said


def _anonymous(name: str, content: bytes) -> int:
    handle = os.memfd_create(name, os.MFD_CLOEXEC)
    with os.fdopen(handle, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def flags_of(start: Launch, environment: Mapping[str, str], seconds: float) -> frozenset[str]:
    """Return the options that a program names in its help text. Blocks.

    Raises:
        EngineFilesError: A file of the program was changed.
        EngineStartError: It does not say so in time.

    """
    output = os.memfd_create("lockgate-help", os.MFD_CLOEXEC)
    try:
        subprocess.run(  # noqa: S603  # the verified program
            [*start.command, "--help"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            timeout=seconds,
            check=False,
            pass_fds=start.descriptors,
        )
        start.enforcement()
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
        start: Launch,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        descriptors: Sequence[int],
        log: EngineLog,
    ) -> "EngineProcess":
        """Start a program in a session of its own.

        Args:
            start: The program's launch.
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
                *start.command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                pass_fds=(*start.descriptors, *descriptors),
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
