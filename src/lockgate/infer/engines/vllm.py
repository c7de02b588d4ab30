"""vLLM: started by its module, over a socket in a folder of its own, without any network.

Command line: vLLM's documentation, "vllm serve" (0.32). Its parts talk to each other over loopback, which the
network that it is given has; nothing else is reached from there. Nobody but the owner of its folder reaches
its socket, so that it needs no secret.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from lockgate.core.ports import Clock
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.folder import FolderEngine, below
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.process import Launch
from lockgate.infer.engines.supervised import Order, SupervisedConfig
from lockgate.infer.engines.wire_openai import VllmWire
from lockgate.infer.errors import EngineOptionError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

MODULE = "vllm.entrypoints.openai.api_server"
EXECUTABLE = "vllm/entrypoints/openai/api_server.py"
"""The module's file below the environment's root."""

OPTIONS = frozenset(
    {
        "--cpu-offload-gb",
        "--dtype",
        "--enable-auto-tool-choice",
        "--enable-chunked-prefill",
        "--enable-prefix-caching",
        "--enforce-eager",
        "--gpu-memory-utilization",
        "--kv-cache-dtype",
        "--max-num-batched-tokens",
        "--pipeline-parallel-size",
        "--quantization",
        "--reasoning-parser",
        "--seed",
        "--tensor-parallel-size",
        "--tool-call-parser",
    }
)
"""What a site may add to the command line: how it computes, never what it loads, runs or listens on."""

_ALIAS = "served"
_SOCKET = "engine.sock"
_ADAPTER, _BASE = "adapter", "base"


@dataclass(frozen=True, slots=True)
class VllmConfig(SupervisedConfig):
    """How vLLM is run; see `SupervisedConfig` for the rest.

    Attributes:
        start_seconds: It compiles before it loads, hence longer.
        context: Tokens of context for each of the parallel answers.
        cache_gib: Memory for its cache of prompts on a processor, in GiB; a GPU has its own measure.
        adapter_rank: Highest rank of an adapter.
        options: Further options, each of `OPTIONS`; an empty value for a switch.

    """

    start_seconds: float = 600.0
    context: int = 4096
    cache_gib: int = 4
    adapter_rank: int = 64
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse options that are not for a site to set.

        Raises:
            EngineOptionError: One is not of `OPTIONS`, or its value could be read as another option.

        """
        for name, value in self.options.items():
            if name not in OPTIONS or value.startswith("-"):
                what = f"The option {name[:60]!r} with {value[:60]!r} is not one that a site may set."
                raise EngineOptionError(what, option=name[:60])


class VllmEngine(FolderEngine[VllmConfig]):
    """One supervised vLLM with one model; see `FolderEngine` for its other parts.

    Args:
        base: The weights that the model is an adapter (LoRA, PEFT's format) of, if it is one; its files are
            among the model's.

    """

    alone = True

    def __init__(
        self,
        *,
        model: ModelFile,
        base: ModelFile | None = None,
        files: Sequence[ModelFile],
        open_file: Callable[[str], BinaryIO],
        installation: Installation,
        config: VllmConfig,
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
        self._base = base

    def _wanted(self) -> Mapping[str, ModelFile]:
        """Return the model's files; of an adapter the base's, with its own in a folder among them."""
        if self._base is None:
            return super()._wanted()
        return {
            **below(PurePosixPath(self._base.path).parent, self._files),
            **{f"{_ADAPTER}/{p}": f for p, f in super()._wanted().items()},
        }

    def _ordered(self, launch: Launch, _stack: ExitStack) -> Order:
        """Return how the program is started by a launch."""
        (self._run / _SOCKET).unlink(missing_ok=True)
        client = ChatClient(
            "http://engine", _ALIAS, limits=self._limits, wire=VllmWire, socket=self._run / _SOCKET
        )
        return Order(launch, self._arguments(), client)

    def _arguments(self) -> list[str]:
        config = self._config
        wanted = {
            "--model": str(self._place),
            "--served-model-name": _ALIAS if self._base is None else _BASE,
            "--uds": _SOCKET,
            "--max-model-len": str(config.context),
            "--max-num-seqs": str(self._limits.running),
            "--disable-uvicorn-access-log": "",
            **config.options,
        }
        if self._base is not None:
            wanted |= {
                "--enable-lora": "",
                "--lora-modules": f"{_ALIAS}={self._place / _ADAPTER}",
                "--max-lora-rank": str(config.adapter_rank),
            }
        return [part for pair in wanted.items() for part in pair if part]

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment."""
        return {
            **super()._environment(),
            "VLLM_CPU_KVCACHE_SPACE": str(self._config.cache_gib),
            "VLLM_CACHE_ROOT": str(self._run / "cache"),
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        }
