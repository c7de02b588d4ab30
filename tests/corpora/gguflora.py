"""A low-rank adapter as a GGUF file, with random weights: the shape that ``convert_lora_to_gguf.py`` writes.

Format: docs/gguf.md of ggml, version 3; an adapter has `general.type`, `adapter.type`, `adapter.lora.alpha`.
"""

import struct

import numpy as np

_ALIGNMENT, _UINT32, _FLOAT32, _STRING = 32, 4, 6, 8


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def adapter(architecture: str, layers: int, width: int, *, rank: int = 4, alpha: float = 64.0) -> bytes:
    """Return an adapter of the queries of every layer; a square matrix of that width each."""
    random = np.random.default_rng(5)
    tensors: dict[str, np.ndarray] = {}
    for layer in range(layers):
        name = f"blk.{layer}.attn_q.weight"
        tensors[f"{name}.lora_a"] = random.standard_normal((rank, width)).astype("<f4")
        tensors[f"{name}.lora_b"] = random.standard_normal((width, rank)).astype("<f4")
    keys = {"general.architecture": architecture, "general.type": "adapter", "adapter.type": "lora"}
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys) + 1)
    for key, value in keys.items():
        out += _text(key) + struct.pack("<I", _STRING) + _text(value)
    out += _text("adapter.lora.alpha") + struct.pack("<If", _FLOAT32, alpha)
    at = 0
    for name, tensor in tensors.items():
        rows, columns = tensor.shape
        out += _text(name) + struct.pack("<IQQIQ", 2, columns, rows, 0, at)
        at += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    out += b"\0" * (-len(out) % _ALIGNMENT)
    for tensor in tensors.values():
        data = tensor.tobytes()
        out += data + b"\0" * (-len(data) % _ALIGNMENT)
    return out
