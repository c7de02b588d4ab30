"""A server that somebody else runs: vLLM, Ollama, TGI, llama.cpp, or any other of the OpenAI API.

What it holds in memory cannot be seen from here. The admitted bytes are hashed again before it gets any
request, and every receipt says that the server's own copy is declared, not checked.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import structlog

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock
from lockgate.core.wire import whole_second
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.over_http import SHOWN, ClientEngine
from lockgate.infer.engines.ports import Enforcement, EngineState, LoadedModel
from lockgate.infer.engines.sealed import hashed
from lockgate.infer.engines.wire import Wire
from lockgate.infer.engines.wire_ollama import TAGS, OllamaWire, elsewhere
from lockgate.infer.engines.wire_openai import OpenAiWire, VllmWire
from lockgate.infer.engines.wire_tgi import INFO, TgiWire, model_of
from lockgate.infer.errors import EngineUnavailableError, RemoteModelError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

UNKNOWN_PROGRAM = "0" * 64
"""Stands in receipts for the digest of a program that the gateway does not see."""

_logger = structlog.get_logger("lockgate.infer")


class RemoteKind(StrEnum):
    """What a server speaks."""

    OPENAI = "openai"
    LLAMA = "llama"
    VLLM = "vllm"
    OLLAMA = "ollama"
    TGI = "tgi"


_WIRES: dict[RemoteKind, type[Wire]] = {
    RemoteKind.OPENAI: OpenAiWire,
    RemoteKind.LLAMA: OpenAiWire,
    RemoteKind.VLLM: VllmWire,
    RemoteKind.OLLAMA: OllamaWire,
    RemoteKind.TGI: TgiWire,
}


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Where a server is and what it speaks.

    Attributes:
        url: Scheme, host and port, without a path.
        kind: What it speaks.
        model: The name under which it serves the model.
        secret: What it wants as bearer token; empty for none.
        probe_seconds: How often its health and its model are looked at.

    """

    url: str
    kind: RemoteKind
    model: str
    secret: str = ""
    probe_seconds: float = 5.0


class RemoteEngine(ClientEngine):
    """One model of a server that runs by itself.

    Args:
        model: The admitted weights that it is said to serve.
        open_model: Opens them for reading.
        config: Where it is.
        limits: Bounds on what is taken from it.
        clock: Dates the look at its model.

    """

    def __init__(
        self,
        *,
        model: ModelFile,
        open_model: Callable[[], BinaryIO],
        config: RemoteConfig,
        limits: EngineLimits,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing is connected yet."""
        super().__init__()
        self._model = model
        self._open_model = open_model
        self._config = config
        self._limits = limits
        self._clock = clock
        self._watcher: asyncio.Task[None] | None = None

    @property
    def restarts(self) -> int:
        """Return none: whoever runs the server starts it again."""
        return 0

    async def start(self) -> None:
        """Hash the admitted model, look at the server, and go on looking.

        A server that is away makes no error: it gets requests once it answers.

        Raises:
            ModelMismatchError: The admitted bytes are altered.
            RemoteModelError: The server passes the model's requests on to another machine.

        """
        if self._client is not None:
            return
        await asyncio.to_thread(self._hash)
        config = self._config
        self._client = ChatClient(
            config.url, config.model, secret=config.secret, limits=self._limits, wire=_WIRES[config.kind]
        )
        try:
            await self._look(self._client)
        except RemoteModelError:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(self._client))

    def _hash(self) -> None:
        with self._open_model() as stream:
            hashed(stream, self._model.sha256, self._model.size)

    async def stop(self) -> None:
        """Leave the server alone."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        self._loaded, self._state, self._detail = None, EngineState.STOPPED, ""

    async def _watch(self, client: ChatClient) -> None:
        while True:
            await asyncio.sleep(self._config.probe_seconds)
            with contextlib.suppress(RemoteModelError):  # the state says so, and nothing is served
                await self._look(client)

    async def _look(self, client: ChatClient) -> None:
        """Ask the server what it has; it serves only while the answer is right.

        Raises:
            RemoteModelError: The model runs elsewhere.

        """
        try:
            await self._same_model(client)
        except LockgateError as error:
            if self._detail != str(error)[:SHOWN]:
                _logger.warning("engine does not serve", url=self._config.url, error=str(error)[:SHOWN])
            self._loaded, self._state, self._detail = None, EngineState.FAILED, str(error)[:SHOWN]
            if isinstance(error, RemoteModelError):
                raise
            return
        if self._loaded is None:
            self._loaded = LoadedModel(
                sha256=self._model.sha256,
                size=self._model.size,
                enforcement=Enforcement.DECLARED,
                loaded=whole_second(self._clock()),
                engine=f"{self._config.kind} at {self._config.url}",
                engine_sha256=UNKNOWN_PROGRAM,
                engine_enforcement=Enforcement.DECLARED,
            )
        self._state, self._detail = EngineState.READY, ""

    async def _same_model(self, client: ChatClient) -> None:
        """Demand that the server answers and has the model itself."""
        config = self._config
        if config.kind is RemoteKind.OLLAMA:
            where = elsewhere(await client.get(TAGS), config.model)
            if where is not None:
                what = f"The server passes {config.model!r} on to {where[:80]!r}."
                raise RemoteModelError(what)
        elif config.kind is RemoteKind.TGI:
            has = model_of(await client.get(INFO))
            if has != config.model:
                what = f"The server has the model {has[:80]!r}, not {config.model!r}."
                raise EngineUnavailableError(what)
        elif not await client.ready():
            raise EngineUnavailableError("The engine cannot be reached.")
