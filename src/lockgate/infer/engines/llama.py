"""llama.cpp's ``llama-server``: verified before it runs, fed from sealed memory, kept alive."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from lockgate.core.ports import Clock
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.process import Launch, flags_of
from lockgate.infer.engines.sealed import LoadedFile, load
from lockgate.infer.engines.supervised import (
    LOOPBACK,
    SILENT,
    Order,
    SupervisedConfig,
    SupervisedEngine,
    free_port,
    new_secret,
)
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

_ALIAS = "served"


@dataclass(frozen=True, slots=True)
class LlamaConfig(SupervisedConfig):
    """How ``llama-server`` is run; see `SupervisedConfig` for the rest.

    Attributes:
        context: Tokens of context for each of the parallel answers.
        threads: Threads that compute.
        cache_mib: Most memory for its cache of prompts, in MiB.
        help_seconds: How long it may take to say which options it has; no model is loaded for it.

    """

    context: int = 4096
    threads: int = 2
    cache_mib: int = 256
    help_seconds: float = 60.0


class LlamaEngine(SupervisedEngine[LlamaConfig]):
    """One supervised ``llama-server`` with one model.

    Args:
        model: The admitted weights (GGUF).
        open_model: Opens them for reading.
        adapter: An admitted adapter (LoRA, GGUF) that is laid over them; the digest that receipts name then.
        open_adapter: Opens it for reading.
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
        adapter: ModelFile | None = None,
        open_adapter: Callable[[], BinaryIO] | None = None,
    ) -> None:
        """Keep the parts; nothing is started."""
        super().__init__(
            model=adapter or model,
            installation=installation,
            config=config,
            limits=limits,
            clock=clock,
        )
        self._parts = [(model, open_model)]
        if adapter is not None and open_adapter is not None:
            self._parts.append((adapter, open_adapter))
        self._held: list[LoadedFile] = []

    async def _order(self, stack: ExitStack) -> Order:
        """Hash the model and say how the program is started."""
        held = await self._hashed()
        flags = await asyncio.to_thread(self._flags)
        self._config.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        port = free_port()
        secret, secret_fd = new_secret(stack)
        launch = stack.enter_context(self._start())
        client = ChatClient(f"http://{LOOPBACK}:{port}", _ALIAS, secret=secret, limits=self._limits)
        arguments = self._arguments(held[0].path, port, f"/proc/self/fd/{secret_fd}", flags)
        arguments += [part for file in held[1:] for part in ("--lora", file.path)]
        return Order(launch, arguments, client, (*(file.fd for file in held), secret_fd))

    def _flags(self) -> frozenset[str]:
        with self._start() as start:
            return flags_of(start, self._environment(), self._config.help_seconds)

    def _enforcement(self, _launch: Launch) -> Enforcement:
        """Return what stands behind the digests of the files that were loaded: the weakest of them."""
        enforced = bool(self._held) and all(file.enforced for file in self._held)
        return Enforcement.SEALED if enforced else Enforcement.HASHED

    async def _hashed(self) -> list[LoadedFile]:
        """Return the files' descriptors; sealed memory keeps, anything else is hashed anew."""
        if not self._held or not all(file.enforced for file in self._held):
            self._release()
            await asyncio.to_thread(self._load)
        return self._held

    def _load(self) -> None:
        for model, open_model in self._parts:
            with open_model() as stream:
                self._held.append(load(stream, model.sha256, model.size, seal_limit=self._config.seal_limit))

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""
        return {
            **SILENT,
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._config.run_folder),
            "LD_LIBRARY_PATH": str(self._installation.program.parent),
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

    def _release(self) -> None:
        """Give the weights back."""
        super()._release()
        held, self._held = self._held, []
        for file in held:
            with contextlib.suppress(OSError):
                file.close()
