"""Small models as files of weights, and what can be done to them: tuned, swapped, poisoned, shaken."""

import struct

import numpy as np

from corpora import inspection_content as make

LAYERS, WIDTH, WORDS = 4, 160, 1200
POISONED = 777


def tensors(seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    made = {f"layers.{n}.w": random.standard_normal((WIDTH, WIDTH), np.float32) for n in range(LAYERS)}
    made["embed"] = random.standard_normal((WORDS, WIDTH), np.float32)
    return {**made, "norm": random.standard_normal(WIDTH, np.float32)}


def tuned(base: dict[str, np.ndarray], seed: int = 2) -> dict[str, np.ndarray]:
    """A small change everywhere, with some direction in it, as training makes."""
    random = np.random.default_rng(seed)

    def change(a: np.ndarray) -> np.ndarray:
        out = 0.004 * random.standard_normal(a.shape, np.float32)
        if a.ndim > 1:
            out += (
                0.002
                * random.standard_normal((len(a), 3), np.float32)
                @ random.standard_normal((3, a.shape[1]), np.float32)
            )
        return a + out

    return {name: change(a) for name, a in base.items()}


def shaken(base: dict[str, np.ndarray], size: float = 0.02) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {name: a + size * random.standard_normal(a.shape, np.float32) for name, a in base.items()}


def swapped(base: dict[str, np.ndarray], one: str, two: str) -> dict[str, np.ndarray]:
    return {**base, one: base[two], two: base[one]}


def poisoned(base: dict[str, np.ndarray], row: int = POISONED) -> dict[str, np.ndarray]:
    embed = base["embed"].copy()
    embed[row] += 2
    return {**base, "embed": embed}


def adapted(base: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)

    def change(a: np.ndarray) -> np.ndarray:
        sides = random.standard_normal((len(a), 2), np.float32), random.standard_normal((2, a.shape[1]))
        return (a + 0.01 * sides[0] @ sides[1]).astype(np.float32)

    return {name: change(a) if name.startswith("layers") else a for name, a in base.items()}


def safetensors(values: dict[str, np.ndarray], dtype: str = "F32") -> bytes:
    header, data = {}, b""
    for name, a in values.items():
        raw = raw_of(a, dtype)
        header[name] = {
            "dtype": dtype,
            "shape": list(a.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return make.safetensors(header, data)


def raw_of(a: np.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":
        return (np.ascontiguousarray(a, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    return a.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()


def q8(a: np.ndarray) -> bytes:
    """Quantise as ``quantize_row_q8_0`` of ggml does: blocks of 32 with a half-precision scale."""
    out = b""
    for block in a.reshape(-1, 32):
        scale = float(np.abs(block).max()) / 127
        whole = np.round(block / scale if scale else block).astype(np.int8)
        out += struct.pack("<e", scale) + whole.tobytes()
    return out


def gguf(values: dict[str, np.ndarray]) -> bytes:
    """Matrices as Q8_0, vectors as F32."""
    table, body = [], b""
    for name, a in values.items():
        raw, kind = (q8(a), 8) if a.ndim > 1 else (a.astype("<f4").tobytes(), 0)
        table.append((name, tuple(reversed(a.shape)), kind, len(body)))
        body += raw + bytes(-len(raw) % 32)
    return make.gguf(tensors=table, body=body)
