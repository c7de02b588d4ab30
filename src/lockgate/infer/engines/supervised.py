"""A program that the gateway starts: verified before it runs, looked at, started again, ended for sure.

What differs from program to program (how it gets its model, its command line, its environment) is asked of
the class that extends this one, once for each start.
"""

import asyncio
import errno
import os
import secrets
import signal
import socket
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock
from lockgate.core.wire import whole_second
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.installation import Installation, verify
from lockgate.infer.engines.log import EngineLog
from lockgate.infer.engines.over_http import SHOWN, ClientEngine
from lockgate.infer.engines.ports import Enforcement, EngineState, LoadedModel
from lockgate.infer.engines.process import EngineProcess, Launch
from lockgate.infer.errors import EngineProcessorError, EngineStartError
from lockgate.infer.limits import COPY_LIMIT, SEAL_LIMIT, EngineLimits
from lockgate.infer.ports import ModelFile

LOOPBACK = "127.0.0.1"
SILENT = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LLAMA_OFFLINE": "1",
    "OLLAMA_NO_CLOUD": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Switches that keep engines and their libraries from calling out; each of them is set for each engine."""

_POLL_SECONDS = 0.05
_PORTS_TRIED = 3
"""How often a program is started at one go where somebody else takes its port before it listens there."""

_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class SupervisedConfig:
    """How a program is supervised. Times are in seconds, sizes in bytes.

    Attributes:
        run_folder: For the engine's log and what it writes; made when it is missing.
        start_seconds: How long it may take to load its model.
        probe_seconds: How often a running engine is asked for its health.
        probe_failures: After how many silent probes in a row it is started again.
        backoff_seconds: The pause before the first restart; it doubles up to `backoff_limit`.
        stable_seconds: After how long a run counts as a success and the pause starts over.
        stop_seconds: How long it may take to end by itself.
        seal_limit: Largest model that is copied into memory that nobody else can write.
        copy_limit: Longest engine that runs from a private copy of its files.

    """

    run_folder: Path
    start_seconds: float = 180.0
    probe_seconds: float = 5.0
    probe_failures: int = 6
    backoff_seconds: float = 0.5
    backoff_limit: float = 30.0
    stable_seconds: float = 60.0
    stop_seconds: float = 10.0
    seal_limit: int = SEAL_LIMIT
    copy_limit: int = COPY_LIMIT


ConfigT = TypeVar("ConfigT", bound=SupervisedConfig)


class Order:
    """What one start needs; whoever makes it puts what is to be closed after the start on the stack."""

    def __init__(
        self, launch: Launch, arguments: Sequence[str], client: ChatClient, descriptors: Sequence[int] = ()
    ) -> None:
        """Keep the parts.

        Args:
            launch: The program's launch.
            arguments: What follows its name.
            client: The way to it.
            descriptors: What it inherits.

        """
        self.launch = launch
        self.arguments = arguments
        self.client = client
        self.descriptors = descriptors


class SupervisedEngine(ClientEngine, Generic[ConfigT]):
    """One supervised program with one model.

    Args:
        model: The admitted weights.
        installation: The installed program and the digests of its admitted files.
        config: How to supervise it.
        limits: Bounds on what is taken from it.
        clock: Dates the load.

    """

    def __init__(
        self,
        *,
        model: ModelFile,
        installation: Installation,
        config: ConfigT,
        limits: EngineLimits,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing is started."""
        super().__init__()
        self._model = model
        self._installation = installation
        self._config = config
        self._limits = limits
        self._clock = clock
        self._restarts = 0
        self._process: EngineProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._log = EngineLog(config.run_folder / "engine.log")

    @property
    def restarts(self) -> int:
        """Return how often the program had to be started again."""
        return self._restarts

    @property
    def pid(self) -> int | None:
        """Return the process id of the running program."""
        return self._process.pid if self._process else None

    @abstractmethod
    async def _order(self, stack: ExitStack) -> Order:
        """Hash the model, then say how the program is started.

        Raises:
            ModelMismatchError: The model's bytes are not the admitted ones.

        """

    @abstractmethod
    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""

    @abstractmethod
    def _enforcement(self, launch: Launch) -> Enforcement:
        """Return what stands behind the digest of the model that a started program reads."""

    async def _demand_model(self, client: ChatClient) -> None:
        """Demand that a program that takes requests has the model; most load it before they do.

        Raises:
            EngineStartError: It does not have it.

        """

    def _release(self) -> None:
        """Give back what holds the model."""
        self._loaded = None

    async def start(self) -> None:
        """Verify, load and start; see `Engine.start`."""
        if self._supervisor is not None:
            return
        self._stopping.clear()
        self._state = EngineState.STARTING
        try:
            await self._launch()
        except BaseException as error:
            self._state, self._detail = EngineState.FAILED, str(error)[:SHOWN]
            await self._end()
            self._release()
            raise
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the program and free its memory."""
        self._stopping.set()
        if self._supervisor is not None:
            supervisor, self._supervisor = self._supervisor, None
            await supervisor
        await self._end()
        self._release()
        self._state, self._detail = EngineState.STOPPED, ""

    async def _launch(self) -> None:
        """Start the program; at another port where somebody took its own before it listened there.

        Raises:
            EngineStartError: It did not come up, for another reason or at the last of several ports.

        """
        for left in reversed(range(_PORTS_TRIED)):
            try:
                await self._launch_once()
            except EngineStartError:
                if not left or not self._lost_port():
                    raise
                _logger.warning("engine lost its port", port=self._client.port if self._client else 0)
                await self._end()
            else:
                return

    def _lost_port(self) -> bool:
        """Tell whether the program ended and its port is somebody else's."""
        process, client = self._process, self._client
        ended = process is not None and process.status is not None
        return ended and client is not None and client.port > 0 and taken(client.port)

    async def _launch_once(self) -> None:
        """Verify the program, hash the model, start the one with the other, wait until it serves."""
        await asyncio.to_thread(verify, self._installation)
        with ExitStack() as stack:
            order = await self._order(stack)
            launch, self._client = order.launch, order.client
            self._process = process = await EngineProcess.start(
                launch,
                order.arguments,
                environment=self._environment(),
                folder=self._config.run_folder,
                descriptors=order.descriptors,
                log=self._log,
            )
            await self._until_ready(launch, process, order.client)
            engine_enforcement = launch.enforcement()
            enforcement = self._enforcement(launch)
        await self._demand_model(order.client)
        self._loaded = LoadedModel(
            sha256=self._model.sha256,
            size=self._model.size,
            enforcement=enforcement,
            loaded=whole_second(self._clock()),
            engine=self._installation.name,
            engine_sha256=self._installation.sha256,
            engine_enforcement=engine_enforcement,
        )
        self._state, self._detail = EngineState.READY, ""

    def _start(self) -> Launch:
        return Launch(self._installation, self._config.copy_limit)

    async def _until_ready(self, start: Launch, process: EngineProcess, client: ChatClient) -> None:
        """Poll the program's health until it serves.

        Raises:
            EngineFilesError: A file of the program was changed after it had been compared.
            EngineStartError: It ended (`EngineProcessorError`: at an instruction that the processor does
                not know), or did not serve in time.

        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.start_seconds
        while not (await client.ready() and process.status is None):
            if await process.ended_within(_POLL_SECONDS):
                await self._log.drained()
                start.enforcement()
                raise self._ended_early(process.status)
            if loop.time() >= until:
                what = f"The engine did not serve within {self._config.start_seconds:g} seconds."
                raise EngineStartError(what, log=self._log.path.name, end=self._log.end())

    def _ended_early(self, status: int | None) -> EngineStartError:
        """Return why a program that ended while it started did so, as far as its status tells."""
        facts = {"log": self._log.path.name, "end": self._log.end()}
        if status == -signal.SIGILL:
            return EngineProcessorError("The engine was built for another processor than this one.", **facts)
        what = f"The engine ended with status {status} while it started."
        return EngineStartError(what, **facts)

    async def _supervise(self) -> None:
        """Start the program again whenever it ends or goes silent, until it is to stop."""
        config = self._config
        pause = config.backoff_seconds
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            why = await self._trouble()
            if self._stopping.is_set():
                return
            if loop.time() - began >= config.stable_seconds:
                pause = config.backoff_seconds
            if self._process is not None:  # else it did not start, which the state says already
                self._state, self._detail = EngineState.RESTARTING, why
            _logger.warning("engine restarts", reason=why, pause_seconds=pause)
            await self._end()
            if await self._told_to_stop(pause):
                return
            pause = min(pause * 2, config.backoff_limit)
            self._restarts += 1
            try:
                await self._launch()
            except (LockgateError, OSError) as error:
                self._state, self._detail = EngineState.FAILED, str(error)[:SHOWN]
                _logger.warning("engine did not start", error=self._detail)
                await self._end()

    async def _trouble(self) -> str:
        """Return why the program has to be started again; also returns when it is to stop."""
        silent = 0
        while (process := self._process) is not None and (client := self._client) is not None:
            if await self._told_to_stop(self._config.probe_seconds, process):
                return "told to stop"
            if process.status is not None:
                return f"the engine ended with status {process.status}"
            silent = 0 if await client.ready() else silent + 1
            if silent >= self._config.probe_failures:
                return "the engine does not answer"
        return self._detail or "the engine does not run"

    async def _told_to_stop(self, seconds: float, process: EngineProcess | None = None) -> bool:
        """Wait that long, or until told to stop, or until the program ends."""
        waits: list[asyncio.Task[bool]] = [asyncio.create_task(self._stopping.wait())]
        if process is not None:
            waits.append(asyncio.create_task(process.ended_within(seconds)))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self._stopping.is_set()

    async def _end(self) -> None:
        client, self._client = self._client, None
        process, self._process = self._process, None
        if client is not None:
            await client.close()
        if process is not None:
            await process.end(self._config.stop_seconds)


def free_port() -> int:
    """Return a TCP port that is free on loopback now; a program that loses it is started at another."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def taken(port: int) -> bool:
    """Tell whether a TCP port of loopback is in use; what is left of ended connections does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # passes over TIME_WAIT (socket(7))
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def new_secret(stack: ExitStack) -> tuple[str, int]:
    """Return a secret and a descriptor of anonymous memory that holds it, which so meets no disk."""
    secret = secrets.token_hex(32)
    fd = os.memfd_create("lockgate-secret", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    os.write(fd, secret.encode() + b"\n")
    os.lseek(fd, 0, os.SEEK_SET)
    return secret, fd
