"""Inference: one gateway in front of supervised engines, and a receipt for every answer."""

from typing import TYPE_CHECKING, Any

from lockgate.infer.cards import ModelCard, card_of
from lockgate.infer.digestkeys import DigestRings, FileRings, MemoryRings
from lockgate.infer.engines.installation import Installation, wheel_files
from lockgate.infer.engines.pool import Pool, PoolConfig
from lockgate.infer.engines.ports import (
    Engine,
    EngineHealth,
    EngineRequest,
    EngineState,
    LoadedModel,
    Message,
    Piece,
    Usage,
)
from lockgate.infer.keys import FileKeys, MemoryKeys, new_key
from lockgate.infer.limits import EngineLimits, GatewayLimits
from lockgate.infer.ports import (
    AdmittedModel,
    ApiKey,
    ChannelModels,
    Citation,
    CitedSentence,
    Citer,
    Evidence,
    Knowledge,
    Ledger,
    ModelFile,
    ModelSource,
    ReceiptStore,
)
from lockgate.infer.queue import Priority
from lockgate.infer.quotafile import FileQuotas, MemoryQuotas
from lockgate.infer.quotas import Quota, Quotas, Spent
from lockgate.infer.receipts import Receipt, StoredReceipt
from lockgate.infer.receiptstore import FileReceipts, MemoryReceipts, RecordReceipts
from lockgate.infer.service import GatewayConfig, run_gateway, serve_until, serving
from lockgate.infer.shares import Arm, By, MemoryShares, PromotionCheck, Share, ShareSource, parse_arms

if TYPE_CHECKING:
    from lockgate.infer.engines.llama import LlamaConfig, LlamaEngine
    from lockgate.infer.engines.ollama import OllamaConfig, OllamaEngine
    from lockgate.infer.engines.remote import RemoteConfig, RemoteEngine, RemoteKind
    from lockgate.infer.engines.tgi import TgiConfig, TgiEngine
    from lockgate.infer.engines.vllm import VllmConfig, VllmEngine
    from lockgate.infer.gateway import Gateway
    from lockgate.infer.parts import Parts

_HEAVY = {
    "Gateway": "gateway",
    "LlamaConfig": "engines.llama",
    "LlamaEngine": "engines.llama",
    "OllamaConfig": "engines.ollama",
    "OllamaEngine": "engines.ollama",
    "Parts": "parts",
    "RemoteConfig": "engines.remote",
    "RemoteEngine": "engines.remote",
    "RemoteKind": "engines.remote",
    "TgiConfig": "engines.tgi",
    "TgiEngine": "engines.tgi",
    "VllmConfig": "engines.vllm",
    "VllmEngine": "engines.vllm",
}


def __getattr__(name: str) -> Any:
    """Load what needs the HTTP library when it is first asked for (PEP 562)."""
    if name not in _HEAVY:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  # used here alone

    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)


__all__ = [
    "AdmittedModel",
    "ApiKey",
    "Arm",
    "By",
    "ChannelModels",
    "Citation",
    "CitedSentence",
    "Citer",
    "DigestRings",
    "Engine",
    "EngineHealth",
    "EngineLimits",
    "EngineRequest",
    "EngineState",
    "Evidence",
    "FileKeys",
    "FileQuotas",
    "FileReceipts",
    "FileRings",
    "Gateway",
    "GatewayConfig",
    "GatewayLimits",
    "Installation",
    "Knowledge",
    "Ledger",
    "LlamaConfig",
    "LlamaEngine",
    "LoadedModel",
    "MemoryKeys",
    "MemoryQuotas",
    "MemoryReceipts",
    "MemoryRings",
    "MemoryShares",
    "Message",
    "ModelCard",
    "ModelFile",
    "ModelSource",
    "OllamaConfig",
    "OllamaEngine",
    "Parts",
    "Piece",
    "Pool",
    "PoolConfig",
    "Priority",
    "PromotionCheck",
    "Quota",
    "Quotas",
    "Receipt",
    "ReceiptStore",
    "RecordReceipts",
    "RemoteConfig",
    "RemoteEngine",
    "RemoteKind",
    "Share",
    "ShareSource",
    "Spent",
    "StoredReceipt",
    "TgiConfig",
    "TgiEngine",
    "Usage",
    "VllmConfig",
    "VllmEngine",
    "card_of",
    "new_key",
    "parse_arms",
    "run_gateway",
    "serve_until",
    "serving",
    "wheel_files",
]
