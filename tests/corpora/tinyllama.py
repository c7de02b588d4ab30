"""A language model of half a megabyte: the shape of Llama, random weights, a tokenizer of bytes.

The checkpoint is written after the format of safetensors (length of the header, header, tensors) and of the
files that transformers reads beside it; it says nothing of sense, and the same for the same prompt.
"""

import json
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, INNER, VOCABULARY, HEADS, GROUPS = 64, 2, 128, 512, 2, 1  # heads of 32: vLLM has no less
CONTEXT = 512


def _tensors(layers: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def weight(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.05).astype("<f4")

    head = HIDDEN // HEADS
    found = {"model.embed_tokens.weight": weight(VOCABULARY, HIDDEN)}
    for layer in range(layers):
        name = f"model.layers.{layer}"
        found[f"{name}.self_attn.q_proj.weight"] = weight(HEADS * head, HIDDEN)
        found[f"{name}.self_attn.k_proj.weight"] = weight(GROUPS * head, HIDDEN)
        found[f"{name}.self_attn.v_proj.weight"] = weight(GROUPS * head, HIDDEN)
        found[f"{name}.self_attn.o_proj.weight"] = weight(HIDDEN, HEADS * head)
        found[f"{name}.mlp.gate_proj.weight"] = weight(INNER, HIDDEN)
        found[f"{name}.mlp.up_proj.weight"] = weight(INNER, HIDDEN)
        found[f"{name}.mlp.down_proj.weight"] = weight(HIDDEN, INNER)
        found[f"{name}.input_layernorm.weight"] = np.ones(HIDDEN, "<f4")
        found[f"{name}.post_attention_layernorm.weight"] = np.ones(HIDDEN, "<f4")
    found["model.norm.weight"] = np.ones(HIDDEN, "<f4")
    found["lm_head.weight"] = weight(VOCABULARY, HIDDEN)
    found["lm_head.weight"][[*range(33), *range(127, VOCABULARY)]] = 0.0  # so that it says letters
    return found


def safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """Return tensors as a file of safetensors."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(t.tobytes() for t in tensors.values())


def config() -> dict[str, object]:
    """Return the model's configuration."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "intermediate_size": INNER,
        "vocab_size": VOCABULARY,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "head_dim": HIDDEN // HEADS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "torch_dtype": "float32",
        "bos_token_id": 256,
        "eos_token_id": 257,
        "tie_word_embeddings": False,
    }


def _alphabet() -> dict[str, int]:
    """Return the printable character that stands for each byte in byte-level vocabularies (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(rest)}


def tokenizer() -> dict[str, object]:
    """Return a tokenizer whose tokens are bytes."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    names = ["<s>", "</s>", *(f"<x{at}>" for at in range(VOCABULARY - 258))]
    added = [
        {
            "id": 256 + at,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for at, name in enumerate(names)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": _alphabet(),
            "merges": [],
        },
    }


TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def write(folder: Path) -> None:
    """Write the model's files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(_tensors(LAYERS), {"format": "pt"}))
    (folder / "config.json").write_text(json.dumps(config()))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "model_max_length": CONTEXT,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def write_adapter(folder: Path, base: str = "base") -> None:
    """Write a low-rank adapter of the model into a folder (PEFT's format), rank 4, on q_proj and v_proj."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(11)
    head = HIDDEN // HEADS
    tensors = {}
    for layer in range(LAYERS):
        for part, out in (("q_proj", HEADS * head), ("v_proj", GROUPS * head)):
            name = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            tensors[f"{name}.lora_A.weight"] = random.standard_normal((4, HIDDEN)).astype("<f4")
            tensors[f"{name}.lora_B.weight"] = random.standard_normal((out, 4)).astype("<f4")
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    said = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": 4,
        "lora_alpha": 64,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(said))
