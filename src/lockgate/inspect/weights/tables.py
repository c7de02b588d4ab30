"""Where the tensors of a file lie, the same for safetensors and GGUF."""

from dataclasses import dataclass
from math import prod

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import gguf, safetensors
from lockgate.inspect.limits import Limits

GGUF_MAGIC = b"GGUF"

GGUF_FLOATS = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
"""``ggml_type`` → the same type in the words of safetensors; every other type is quantised in blocks."""

GGUF_NAMES = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
    21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor: its type's name, its shape (rows first), and where its bytes lie.

    `block` is how many bytes one block of a quantised type has, 0 for every other type.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    block: int = 0

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    @property
    def rows(self) -> int:
        """Return how many rows it has: the first dimension, or each value of a vector; blocks are none."""
        return self.shape[0] if len(self.shape) > (1 if self.block else 0) else 1

    @property
    def shown(self) -> str:
        """Return the shape as people write it."""
        return "x".join(str(length) for length in self.shape) or "scalar"


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds."""

    format: str
    tensors: dict[str, Place]


def read_table(data: memoryview, limits: Limits) -> Table:
    """Return where each tensor lies.

    Raises:
        BrokenContentError, OverLimitError: The file is none of the two formats, or malformed.

    """
    table = _gguf(data, limits) if data[:4] == GGUF_MAGIC else _safetensors(data, limits)
    for name, place in table.tensors.items():
        if place.end > len(data):
            what = f"The tensor {name[:80]!r} ends past the file."
            raise BrokenContentError(what, at=place.start)
    return table


def _safetensors(data: memoryview, limits: Limits) -> Table:
    header, base = safetensors.read_header(data, limits)
    tensors = {}
    for name, entry in header.items():
        start, end, _ = safetensors.span(name, entry)
        tensors[name] = Place(entry["dtype"], tuple(entry["shape"]), base + start, base + end)
    return Table("safetensors", tensors)


def _gguf(data: memoryview, limits: Limits) -> Table:
    header = gguf.read_header(data, limits)
    tensors = {}
    for each in header.tensors:
        start = header.data + each.offset
        # A row of ggml is contiguous and stands first; rows first is how everybody else writes shapes.
        shape = tuple(reversed(each.dims))
        dtype = GGUF_FLOATS.get(each.kind)
        block = 0 if dtype else gguf.BLOCKS[each.kind][1]
        if block and len(shape) > 1:
            shape = (prod(shape[:-1]), shape[-1])
        name = dtype or GGUF_NAMES.get(each.kind, f"type-{each.kind}")
        tensors[each.name] = Place(name, shape, start, start + each.size, block)
    return Table("gguf", tensors)
