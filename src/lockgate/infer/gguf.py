"""Reads what a GGUF file says of itself: chosen keys and the number of weights, within bounds.

Format: "GGUF" of ggml (docs/gguf.md), versions 2 and 3, little-endian. The file was inspected when it was
admitted; what is read here is bounded all the same, since it is read whenever somebody asks.
"""

import struct
from collections.abc import Callable
from math import prod
from typing import Any, BinaryIO

from lockgate.infer.errors import ModelFactsError

HEADER_LIMIT = 64 << 20
"""Most bytes of a file that are read for its header."""

ENTRIES_LIMIT = 100_000
"""Most keys, and most tensors, of a file."""

TEXT_LIMIT = 1 << 20
"""Longest value that is kept, in bytes."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _DEPTH = 8, 9, 2
_DIMENSIONS = 8


def read_gguf(stream: BinaryIO, wanted: Callable[[str], bool]) -> tuple[dict[str, Any], int]:
    """Return the scalar and text values of the wanted keys, and how many weights there are.

    Raises:
        ModelFactsError: It is no GGUF file, or over a bound.

    """
    reader = _Reader(stream)
    if reader.take(4) != b"GGUF" or reader.number("I") not in {2, 3}:
        raise ModelFactsError("The file does not begin as GGUF does.")
    tensors, keys = reader.count(), reader.count()
    found: dict[str, Any] = {}
    for _ in range(keys):
        key = reader.text()
        value = reader.value(reader.number("I"), 0)
        if value is not None and wanted(key):
            found[key] = value
    weights = 0
    for _ in range(tensors):
        reader.text()
        dimensions = reader.number("I")
        if dimensions > _DIMENSIONS:
            raise ModelFactsError("A tensor has too many dimensions.")
        weights += prod(reader.number("Q") for _ in range(dimensions))
        reader.take(12)
    return found, weights


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = HEADER_LIMIT

    def take(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            what = f"The header has more than {HEADER_LIMIT} bytes."
            raise ModelFactsError(what, limit="HEADER_LIMIT")
        data = self._stream.read(size)
        if len(data) != size:
            raise ModelFactsError("The file ends within its header.")
        return data

    def number(self, code: str) -> Any:
        form = "<" + code
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self) -> int:
        found: int = self.number("Q")
        if found > ENTRIES_LIMIT:
            what = f"The header lists {found} entries."
            raise ModelFactsError(what, limit="ENTRIES_LIMIT")
        return found

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int) -> Any:
        """Return a scalar or a text that is not too long; arrays are passed over."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            text = self.text()
            return text if len(text) <= TEXT_LIMIT else None
        if kind != _ARRAY or depth >= _DEPTH:
            what = f"The header has a value of kind {kind}."
            raise ModelFactsError(what)
        inner, length = self.number("I"), self.number("Q")
        if inner in _SCALARS:
            self.take(struct.calcsize("<" + _SCALARS[inner]) * length)
            return None
        if length > HEADER_LIMIT:
            raise ModelFactsError("An array is longer than the header may be.")
        for _ in range(length):
            self.value(inner, depth + 1)
        return None
