"""A sentence embedder of a few hundred bytes: an ONNX graph that looks words up in a table.

The protocol buffer is written by hand after onnx.proto3 (ONNX IR version 8, opset 13).
"""

import json

import numpy as np

WORDS = ("[UNK]", "pump", "water", "valve", "night", "runs", "at", "the")
DIMENSION = 8


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(name: str, element: int, dimensions: tuple[str | int, ...]) -> bytes:
    shape = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _bytes(2, size)) for size in dimensions
    )
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, element) + _bytes(2, shape)))


def model(taken: str = "input_ids") -> bytes:
    """Return a model whose hidden state of a token is its row of a diagonal table."""
    table = np.eye(len(WORDS), DIMENSION, dtype="<f4").tobytes()
    weights = (
        _number(1, len(WORDS)) + _number(1, DIMENSION) + _number(2, 1) + _bytes(8, "table") + _bytes(9, table)
    )
    node = _bytes(1, "table") + _bytes(1, taken) + _bytes(2, "last_hidden_state") + _bytes(4, "Gather")
    graph = (
        _bytes(1, node)
        + _bytes(2, "tiny")
        + _bytes(5, weights)
        + _bytes(11, _value(taken, 7, ("batch", "sequence")))
        + _bytes(12, _value("last_hidden_state", 1, ("batch", "sequence", DIMENSION)))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def tokenizer() -> bytes:
    """Return a tokenizer that splits at white space."""
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordLevel",
                "vocab": {word: number for number, word in enumerate(WORDS)},
                "unk_token": "[UNK]",
            },
        }
    ).encode()


def classifier(outputs: int = DIMENSION) -> bytes:
    """Return a model with a label for each word: its logit is 4 where the word stands in the text.

    Args:
        outputs: How many columns the table has; fewer than words leave some without a label.

    """
    table = (4 * np.eye(len(WORDS), outputs, dtype="<f4")).tobytes()
    weights = (
        _number(1, len(WORDS)) + _number(1, outputs) + _number(2, 1) + _bytes(8, "table") + _bytes(9, table)
    )
    axes = _bytes(5, _bytes(1, "axes") + _number(8, 1) + _number(20, 7))
    flat = _bytes(5, _bytes(1, "keepdims") + _number(3, 0) + _number(20, 2))
    look = _bytes(1, "table") + _bytes(1, "input_ids") + _bytes(2, "hidden") + _bytes(4, "Gather")
    most = _bytes(1, "hidden") + _bytes(2, "logits") + _bytes(4, "ReduceMax") + axes + flat
    graph = (
        _bytes(1, look)
        + _bytes(1, most)
        + _bytes(2, "tiny")
        + _bytes(5, weights)
        + _bytes(11, _value("input_ids", 7, ("batch", "sequence")))
        + _bytes(12, _value("logits", 1, ("batch", outputs)))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))
