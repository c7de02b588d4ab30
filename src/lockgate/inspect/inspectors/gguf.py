"""GGUF versions 2 and 3: counts, bounds, alignment and tensor arithmetic; the chat template is read.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; block sizes of the quantised
types after the block structures in ``ggml-common.h``.
"""

import hashlib
import struct
from dataclasses import dataclass
from math import prod
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import data_signs
from lockgate.inspect.inspectors.chat_template import lint
from lockgate.inspect.inspectors.hidden_programs import look_inside
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

VERSIONS = frozenset({2, 3})
DEFAULT_ALIGNMENT = 32
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""``ggml_type`` → (values in a block, bytes of a block)."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_DIMS = 4
_NAME_BYTES = 64
_KEY_BYTES = 65_535
_TEMPLATE = "tokenizer.chat_template"
_SHORTEST_ENTRY = 12


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One entry of the table: `offset` counts from where the data begins, `dims` begin with a row."""

    name: str
    at: int
    offset: int
    size: int
    kind: int
    dims: tuple[int, ...]


class GgufInspector(Inspector):
    """Reads header, metadata and tensor table; the weights are opaque."""

    name = "gguf"
    version = 4
    detects = frozenset({"gguf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header, tensors and zero padding; anything between stays unclaimed."""
        tally.opaque.add("gguf")
        header = read_header(data, context.limits)
        tally.claim(0, header.end)
        _place(data, tally, header.tensors, header.end, header.alignment)
        for tensor in header.tensors:
            start = header.data + tensor.offset
            look_inside(tally, data[start : start + tensor.size], tensor.name, start)
        for key, template in header.values.items():
            if key.startswith(_TEMPLATE):
                _template(tally, key, template)
        said = [
            value
            for key, value in header.values.items()
            if isinstance(value, bytes) and not key.startswith(_TEMPLATE)
        ]
        data_signs.search(tally, "\n".join(value.decode("utf-8", "replace") for value in said))


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the data: metadata, tensors, the alignment, and where it ends."""

    values: dict[str, Any]
    tensors: list[GgufTensor]
    alignment: int
    end: int

    @property
    def data(self) -> int:
        """Return where the data begins."""
        return -(-self.end // self.alignment) * self.alignment


def read_header(data: memoryview, limits: Limits) -> GgufHeader:
    """Read everything before the data.

    Raises:
        BrokenContentError, OverLimitError: It is malformed, or past a bound.

    """
    reader = _Reader(data, limits)
    version = reader.scalar("I")
    if version not in VERSIONS:
        what = f"GGUF version {version} is not known."
        raise BrokenContentError(what, at=4)
    tensors = demand(reader.scalar("Q"), limits.tensors, "tensors")
    values = reader.metadata(reader.scalar("Q"))
    table = reader.tensors(tensors)
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        what = f"The alignment {alignment!r} is no power of two."
        raise BrokenContentError(what)
    return GgufHeader(values, table, alignment, reader.at)


class _Reader:
    def __init__(self, data: memoryview, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.at = 4
        self.elements = 0

    def scalar(self, code: str) -> Any:
        form = struct.Struct("<" + code)
        if self.at + form.size > len(self.data):
            what = "The file ends inside its header."
            raise BrokenContentError(what, at=self.at)
        (value,) = form.unpack_from(self.data, self.at)
        if code == "?" and self.data[self.at] > 1:
            what = "A truth value is neither 0 nor 1."
            raise BrokenContentError(what, at=self.at)
        self.at += form.size
        return value

    def count(self, each: int) -> int:
        """Return a count of things of at least `each` bytes that still fit into the file."""
        number: int = self.scalar("Q")
        if number * each > len(self.data) - self.at:
            what = f"{number} values do not fit into the file."
            raise BrokenContentError(what, at=self.at)
        return number

    def raw(self) -> bytes:
        length = self.count(1)
        start, self.at = self.at, self.at + length
        return bytes(self.data[start : self.at])

    def text(self, bound: int, what: str) -> str:
        raw = self.raw()
        demand(len(raw), bound, what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            message = "A name is not UTF-8."
            raise BrokenContentError(message, at=self.at - len(raw)) from error

    def metadata(self, count: int) -> dict[str, Any]:
        demand(count, self.limits.entries, "entries")
        values: dict[str, Any] = {}
        for _ in range(count):
            at = self.at
            key = self.text(_KEY_BYTES, "gguf key bytes")
            if key in values:
                what = f"The key {key[:80]!r} stands twice in the metadata."
                raise BrokenContentError(what, at=at)
            values[key] = self.value(self.scalar("I"), 0)
        return values

    def value(self, kind: int, depth: int) -> Any:
        self.elements += 1
        demand(self.elements, self.limits.elements, "elements")
        if kind == _STRING:
            # Token texts of byte-level vocabularies need not be UTF-8.
            return self.raw()
        if kind == _ARRAY:
            return self.array(depth)
        if kind not in _SCALARS:
            what = f"Metadata type {kind} is not known."
            raise BrokenContentError(what, at=self.at)
        return self.scalar(_SCALARS[kind])

    def array(self, depth: int) -> None:
        demand(depth, 2, "gguf array depth")
        kind = self.scalar("I")
        if kind in _SCALARS:
            size = struct.calcsize("<" + _SCALARS[kind])
            length = self.count(size) * size
            self.at += length
            return
        for _ in range(self.count(8)):
            self.value(kind, depth + 1)

    def tensors(self, count: int) -> list[GgufTensor]:
        out: list[GgufTensor] = []
        names: set[str] = set()
        for _ in range(count):
            at = self.at
            name = self.text(_NAME_BYTES, "gguf tensor name bytes")
            dims = [
                self.scalar("Q")
                for _ in range(demand(self.scalar("I"), _MOST_DIMS, "gguf tensor dimensions"))
            ]
            kind, offset = self.scalar("I"), self.scalar("Q")
            if name in names:
                what = f"The tensor {name!r} stands twice in the table."
                raise BrokenContentError(what, at=at)
            names.add(name)
            size = _size(name, kind, dims, at)
            out.append(GgufTensor(name, at, offset, size, kind, tuple(dims)))
        return out


def _size(name: str, kind: int, dims: list[int], at: int) -> int:
    if kind not in BLOCKS:
        what = f"The tensor {name!r} has the type {kind}, which is not known."
        raise BrokenContentError(what, at=at)
    block, size = BLOCKS[kind]
    row = dims[0] if dims else 1
    if row % block or not all(dims):
        what = f"The tensor {name!r} has rows of {row} values, no multiple of {block}."
        raise BrokenContentError(what, at=at)
    return prod(dims) // block * size


def _place(data: memoryview, tally: Tally, tensors: list[GgufTensor], header: int, alignment: int) -> None:
    base = -(-header // alignment) * alignment
    end = header
    for tensor in sorted(tensors, key=lambda item: item.offset):
        start = base + tensor.offset
        if tensor.offset % alignment or start + tensor.size > len(data):
            what = f"The tensor {tensor.name!r} is misplaced: bytes {start} to {start + tensor.size}."
            raise BrokenContentError(what, at=tensor.at)
        if start < end:
            tally.note(
                "gguf-overlap",
                Severity.HIGH,
                f"The tensor {tensor.name!r} overlaps what is before it.",
                tensor.at,
            )
        _padding(data, tally, end, start, alignment)
        tally.claim(start, start + tensor.size)
        end = max(end, start + tensor.size)
    _padding(data, tally, end, len(data), alignment)


def _padding(data: memoryview, tally: Tally, start: int, end: int, alignment: int) -> None:
    """Claim alignment padding; report bytes that belong to no tensor."""
    if end <= start:
        return
    if end - start < alignment and not any(data[start:end]):
        tally.claim(start, end)
    else:
        tally.note("gguf-gap", Severity.HIGH, f"{end - start} bytes belong to no tensor.", start)


def _template(tally: Tally, key: str, template: Any) -> None:
    if not isinstance(template, bytes):
        tally.unfinished("gguf-template", f"{key} is no text.")
        return
    digest = hashlib.sha256(template).hexdigest()
    tally.note("chat-template", Severity.INFO, f"{key}: {len(template)} bytes, SHA-256 {digest}.")
    lint(tally, key, template.decode("utf-8"))
