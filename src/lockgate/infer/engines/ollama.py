"""Ollama: started by its program over a model folder of its own, which it can neither change nor add to.

Environment: envconfig/config.go of its repository. Its server listens on loopback and knows no secret:
whoever has an account on the machine can ask it past the gateway, as docs/gateway.md says.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.folder import FolderEngine
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.process import Launch
from lockgate.infer.engines.supervised import LOOPBACK, Order, SupervisedConfig, free_port
from lockgate.infer.engines.wire_ollama import TAGS, OllamaWire, elsewhere
from lockgate.infer.errors import EngineStartError, RemoteModelError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

_ALIAS = "lockgate.invalid/library/served"
"""A full name, so that no registry's own is assumed; RFC 2606 sees to it that this host is none."""

_MANIFEST = f"manifests/{_ALIAS}/latest"


@dataclass(frozen=True, slots=True)
class OllamaConfig(SupervisedConfig):
    """How Ollama is run; see `SupervisedConfig` for the rest.

    Attributes:
        context: Tokens of context for each of the parallel answers.

    """

    context: int = 4096


class OllamaEngine(FolderEngine[OllamaConfig]):
    """One supervised Ollama with one model; see `FolderEngine` for its parts.

    Args:
        manifest: The model's manifest, one of its files: it names the others by their digests.

    """

    def __init__(
        self,
        *,
        model: ModelFile,
        manifest: ModelFile,
        files: Sequence[ModelFile],
        open_file: Callable[[str], BinaryIO],
        installation: Installation,
        config: OllamaConfig,
        limits: EngineLimits,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing is started."""
        super().__init__(
            model=model,
            files=files,
            open_file=open_file,
            installation=installation,
            config=config,
            limits=limits,
            clock=clock,
        )
        self._manifest = manifest
        self._port = 0

    def _wanted(self) -> Mapping[str, ModelFile]:
        """Return the manifest under the name that is asked for, and the blobs by their digests."""
        blobs = {f"blobs/sha256-{file.sha256}": file for file in self._files}
        return {_MANIFEST: self._manifest, **blobs}

    def _ordered(self, launch: Launch, _stack: ExitStack) -> Order:
        """Return how the program is started by a launch."""
        self._port = free_port()
        url = f"http://{LOOPBACK}:{self._port}"
        return Order(launch, ["serve"], ChatClient(url, _ALIAS, limits=self._limits, wire=OllamaWire))

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""
        return {
            **super()._environment(),
            "OLLAMA_CONTEXT_LENGTH": str(self._config.context),
            "OLLAMA_HOST": f"{LOOPBACK}:{self._port}",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_MAX_LOADED_MODELS": "1",
            "OLLAMA_MODELS": str(self._place),
            "OLLAMA_NOHISTORY": "1",
            "OLLAMA_NOPRUNE": "1",
            "OLLAMA_NUM_PARALLEL": str(self._limits.running),
        }

    async def _demand_model(self, client: ChatClient) -> None:
        """Demand that the server lists the model, and as its own.

        Raises:
            EngineStartError: It does not.

        """
        try:
            where = elsewhere(await client.get(TAGS), _ALIAS)
        except LockgateError as error:
            what = "The engine does not list the model that it was given."
            raise EngineStartError(what, reason=str(error)[:200]) from error
        if where is not None:
            what = f"The engine would pass the model's requests on to {where[:80]!r}."
            raise RemoteModelError(what)
