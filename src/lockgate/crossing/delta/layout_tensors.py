"""Tensors of safetensors files (huggingface/safetensors, README "Format") and GGUF files (ggml, gguf.md)."""

import json
import struct
from collections.abc import Callable
from math import prod

from lockgate.crossing.delta.bounds import MIB, Readable
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.spans import MEMBERS_LIMIT, NoLayoutError, Span, around

_HEAD_LIMIT = 100 * MIB
_WIDTHS = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}

# ggml type → elements of a block, bytes of a block (ggml-quants.h).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip


def safetensors(file: Readable, offset: int, length: int, _name: str) -> list[Span]:
    """Return header and tensors of a safetensors file."""
    size = int.from_bytes(file.at(offset, 8), "little")
    if not 2 <= size <= min(_HEAD_LIMIT, length - 8):  # noqa: PLR2004  # an empty object
        raise NoLayoutError
    begin = offset + 8 + size
    try:
        header = json.loads(file.at(offset + 8, size))
        tensors = sorted(
            (*map(int, entry["data_offsets"]), name, str(entry["dtype"]))
            for name, entry in header.items()
            if name != "__metadata__"
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoLayoutError from error
    if len(tensors) > MEMBERS_LIMIT:
        raise NoLayoutError
    spans, at = list[Span](), offset
    for first, last, name, kind in tensors:
        if last < first or begin + last > offset + length:
            raise NoLayoutError
        if last > first:
            spans += around(at, begin + first)
            spans.append(_tensor(begin + first, last - first, name, _WIDTHS.get(kind, 1)))
            at = begin + last
    return spans + around(at, offset + length)


def _tensor(offset: int, length: int, name: str, width: int) -> Span:
    return Span(offset, length, Codec.RAW, 0, length, name, width)


class _Reader:
    """Reads little-endian values of a GGUF header."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, form: str) -> int:
        try:
            (value,) = struct.unpack_from("<" + form, self.data, self.at)
        except struct.error as error:
            raise NoLayoutError from error
        self.at += struct.calcsize("<" + form)
        return int(value)

    def text(self) -> bytes:
        length = self.number("Q")
        if self.at + length > len(self.data):
            raise NoLayoutError
        self.at += length
        return self.data[self.at - length : self.at]

    def skip(self, kind: int, depth: int = 0) -> int:
        """Step over a value; return it where it is a small integer."""
        widths = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 7: "B", 10: "Q", 11: "q"}
        if kind in widths:
            return self.number(widths[kind])
        if kind == 8:  # noqa: PLR2004  # string
            self.text()
        elif kind in {6, 12}:
            self.at += 4 if kind == 6 else 8  # noqa: PLR2004  # float32, float64
        elif kind == 9 and depth == 0:  # noqa: PLR2004  # array
            inner, count = self.number("I"), self.number("Q")
            if count > len(self.data):
                raise NoLayoutError
            for _ in range(count):
                self.skip(inner, 1)
        else:
            raise NoLayoutError
        return 0


def gguf(file: Readable, offset: int, length: int, _name: str) -> list[Span]:
    """Return header and tensors of a GGUF file, version 2 or 3."""
    reader = _Reader(file.at(offset, min(length, _HEAD_LIMIT)))
    reader.at = 4
    version, count, pairs = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in {2, 3} or count > MEMBERS_LIMIT or pairs > MEMBERS_LIMIT:
        raise NoLayoutError
    alignment = 32
    for _ in range(pairs):
        key = reader.text()
        value = reader.skip(reader.number("I"))
        alignment = value if key == b"general.alignment" else alignment
    tensors = sorted(_gguf_tensor(reader.text, reader.number) for _ in range(count))
    if not 0 < alignment <= MIB:
        raise NoLayoutError
    begin = offset + reader.at + -reader.at % alignment
    spans, at = list[Span](), offset
    for first, size, name, width in tensors:
        if begin + first + size > offset + length:
            raise NoLayoutError
        if size:
            spans += around(at, begin + first)
            spans.append(_tensor(begin + first, size, name, width))
            at = begin + first + size
    return spans + around(at, offset + length)


def _gguf_tensor(text: Callable[[], bytes], number: Callable[[str], int]) -> tuple[int, int, str, int]:
    name, dimensions = text().decode("utf-8", "replace"), number("I")
    if dimensions > 8:  # noqa: PLR2004  # ggml has four
        raise NoLayoutError
    elements = prod(number("Q") for _ in range(dimensions))
    kind, place = number("I"), number("Q")
    if kind not in _BLOCKS:
        raise NoLayoutError
    block, width = _BLOCKS[kind]
    return place, elements // block * width, name, width
