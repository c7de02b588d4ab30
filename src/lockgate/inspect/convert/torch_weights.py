"""A torch archive, whole modules included, as safetensors: the function that runs inside the sandbox.

The answer is the file itself, tensor after tensor; only what is a view on a storage of a plain type gets in.
"""

import json
from collections.abc import Iterator

import msgspec

from lockgate.core.artifact import Kind
from lockgate.inspect.convert.tree import Tensor, tensors_of, tree_of
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.torch_archives import root
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import Entry, entries
from lockgate.inspect.limits import Budget, Limits
from lockgate.inspect.tally import Context, Tally

ENTRY = "lockgate.inspect.convert.entry:torch_entry"
METHOD = "torch-to-safetensors/1"

DTYPES = {
    "DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}  # fmt: skip
"""Torch's storage class → type of safetensors and bytes of an element."""

GROWTH = 4
GROWTH_FLOOR = 1 << 20
"""How many times as long as the archive the converted file may be, above this many bytes: tensors may share
storages, and each gets its own copy."""


class ConvertArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bounds."""

    limits: Limits


def convert(data: memoryview, limits: Limits) -> Iterator[bytes]:
    """Yield the converted file, part by part.

    Raises:
        BrokenContentError, OverLimitError: The archive is none, malformed, or past a bound.

    """
    archive = _Archive(data, limits)
    tensors = tensors_of(tree_of(archive.member("data.pkl")), limits)
    if not tensors:
        raise BrokenContentError("The archive holds no tensor.")
    yield _header(tensors, GROWTH * len(data) + GROWTH_FLOOR)
    for name, tensor in tensors.items():
        yield _bytes(archive, name, tensor)


class _Archive:
    """A torch archive's members, each checked as inspection checks it."""

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self._data, self._limits = data, limits
        found = entries(data, Tally(len(data), "", limits.findings), limits)
        self._base = root(entry.name for entry in found)
        if self._base is None:
            raise BrokenContentError("It is no archive of torch.")
        self._members: dict[str, Entry] = {}
        for entry in found:
            if self._members.setdefault(entry.name, entry) is not entry:
                what = f"The member {entry.name[:80]!r} stands twice in the archive."
                raise BrokenContentError(what)
        order = self._members.get(f"{self._base}byteorder")
        if order is not None and bytes(self._unpacked(order)) != b"little":
            raise BrokenContentError("The archive's numbers are not little-endian.")

    def _unpacked(self, entry: Entry) -> memoryview:
        context = Context(
            entry.name, Kind.MODEL, self._limits, Budget(self._limits), lambda *_: Tally(0, "", 0)
        )
        return unpack(self._data, entry, context)

    def member(self, name: str) -> memoryview:
        entry = self._members.get(f"{self._base}{name}")
        if entry is None:
            what = f"The archive has no member {name[:80]!r}."
            raise BrokenContentError(what)
        return self._unpacked(entry)


def _header(tensors: dict[str, Tensor], most: int) -> bytes:
    """Return the header of the converted file (safetensors, README, "Format"), padded to eight bytes."""
    table, at = {}, 0
    for name, tensor in tensors.items():
        if tensor.kind not in DTYPES:
            what = f"The tensor {name[:80]!r} is of {tensor.kind}, which safetensors does not know."
            raise BrokenContentError(what)
        dtype, width = DTYPES[tensor.kind]
        length = width
        for side in tensor.shape:
            length *= side
        if at + length > most:
            what = f"The tensors would take more than {most} bytes (limit growth)."
            raise OverLimitError(what, limit="growth")
        table[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, at + length]}
        at += length
    raw = json.dumps(table, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _bytes(archive: _Archive, name: str, tensor: Tensor) -> bytes:
    """Return one tensor's elements, row by row."""
    import numpy as np  # noqa: PLC0415  # the sandbox sees it for this alone

    width = DTYPES[tensor.kind][1]
    content = archive.member(f"data/{tensor.key}")
    if len(content) != tensor.count * width:
        what = f"The storage of {name[:80]!r} has {len(content)} bytes where {tensor.count * width} belong."
        raise BrokenContentError(what)
    if 0 in tensor.shape:
        return b""
    last = tensor.offset + sum(
        (side - 1) * step for side, step in zip(tensor.shape, tensor.stride, strict=True)
    )
    if last >= tensor.count:
        what = f"The tensor {name[:80]!r} reaches past its storage."
        raise BrokenContentError(what)
    flat = np.frombuffer(content, dtype=np.dtype((np.void, width)))[tensor.offset :]
    steps = tuple(step * width for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False).tobytes()
