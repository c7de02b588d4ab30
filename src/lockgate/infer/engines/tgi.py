"""Text Generation Inference: started by its launcher over a model's folder.

Command line: docs/source/reference/launcher.md of its repository (3.x), which its makers archived in March
2026. The secret comes in the environment, since the launcher takes it from nowhere else but the command line,
which every account can read.
"""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass

from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.folder import FolderEngine
from lockgate.infer.engines.process import Launch
from lockgate.infer.engines.supervised import LOOPBACK, Order, SupervisedConfig, free_port
from lockgate.infer.engines.wire_tgi import INFO, TgiWire, model_of
from lockgate.infer.errors import EngineStartError

_ALIAS = "tgi"


@dataclass(frozen=True, slots=True)
class TgiConfig(SupervisedConfig):
    """How TGI is run; see `SupervisedConfig` for the rest.

    Attributes:
        start_seconds: It starts a process for each shard, hence longer.
        context: Tokens of context for each answer.
        shards: Processes that the model is spread over, one for each GPU.

    """

    start_seconds: float = 600.0
    context: int = 4096
    shards: int = 1


class TgiEngine(FolderEngine[TgiConfig]):
    """One supervised TGI with one model; see `FolderEngine` for its parts."""

    _secret = ""

    def _ordered(self, launch: Launch, _stack: ExitStack) -> Order:
        """Return how the program is started by a launch."""
        port, self._secret = free_port(), secrets.token_hex(32)
        url = f"http://{LOOPBACK}:{port}"
        client = ChatClient(url, _ALIAS, secret=self._secret, limits=self._limits, wire=TgiWire)
        return Order(launch, self._arguments(port), client)

    def _arguments(self, port: int) -> list[str]:
        config = self._config
        wanted = {
            "--model-id": str(self._place),
            "--hostname": LOOPBACK,
            "--port": str(port),
            "--num-shard": str(config.shards),
            "--max-total-tokens": str(config.context),
            "--max-concurrent-requests": str(self._limits.running + self._limits.waiting),
            "--usage-stats": "off",
        }
        return [part for pair in wanted.items() for part in pair]

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""
        found = super()._environment()
        return {
            **found,
            "API_KEY": self._secret,
            "PATH": f"{self._installation.program.parent}:{found['PATH']}",  # it starts its own parts by name
            "USAGE_STATS": "off",
        }

    async def _demand_model(self, client: ChatClient) -> None:
        """Demand that the server has the model of its folder.

        Raises:
            EngineStartError: It has another one.

        """
        has = model_of(await client.get(INFO))
        if has != str(self._place):
            what = f"The engine has the model {has[:80]!r}, not the one that it was given."
            raise EngineStartError(what)
