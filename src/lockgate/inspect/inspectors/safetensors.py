"""Safetensors: header and data, with every byte belonging to exactly one tensor.

Format: https://github.com/huggingface/safetensors (README, "Format").
"""

import re
from math import prod
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import data_signs
from lockgate.inspect.inspectors.hidden_programs import look_inside
from lockgate.inspect.inspectors.strict_json import DuplicateKeyError, loads
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

HEADER = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16,
    "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_KEYS = {"dtype", "shape", "data_offsets"}
_MOST_DIMS = 64
_OUTSIDE = re.compile(r"(?:^|[/\\])\.\.[/\\]|^/(?:etc|root|home|usr|tmp|var|proc)/|^[A-Za-z]:\\")


class SafetensorsInspector(Inspector):
    """Checks the header strictly; the weights are opaque."""

    name = "safetensors"
    version = 3
    detects = frozenset({"safetensors"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header and tensors; holes, overlaps and trailing bytes stay unclaimed."""
        tally.opaque.add("safetensors")
        try:
            header, base = read_header(data, context.limits)
        except DuplicateKeyError as error:
            tally.note("safetensors-duplicate-key", Severity.HIGH, error.what)
            tally.complete = False
            return
        tally.claim(0, base)
        if said := _said(data, base):
            data_signs.search(tally, said)
            data_signs.settings(tally, said)
        at = 0
        for start, end, name in sorted(span(name, entry) for name, entry in header.items()):
            if start < at:
                tally.note(
                    "safetensors-overlap",
                    Severity.HIGH,
                    f"The tensor {name!r} overlaps another.",
                    base + start,
                )
            if end > len(data) - base:
                what = f"The tensor {name!r} ends past the file."
                raise BrokenContentError(what, at=base + start)
            tally.claim(base + start, base + end)
            look_inside(tally, data[base + start : base + end], name, base + start)
            if _OUTSIDE.search(name):
                why = f"The tensor {name!r} is named like a file elsewhere."
                tally.note("tensor-name", Severity.HIGH, why, base + start)
            at = max(at, end)
        for start, end in tally.gaps():
            tally.note("safetensors-gap", Severity.HIGH, f"{end - start} bytes belong to no tensor.", start)


def read_header(data: memoryview, limits: Limits) -> tuple[dict[str, Any], int]:
    """Return the table of tensors, and where the data begins.

    Raises:
        BrokenContentError, DuplicateKeyError, OverLimitError: It is malformed, or past a bound.

    """
    length = int.from_bytes(data[:HEADER], "little")
    demand(length, limits.header_bytes, "header_bytes")
    base = HEADER + length
    try:
        text = bytes(data[HEADER:base]).decode("utf-8")
    except UnicodeDecodeError as error:
        what = "The table of tensors is not UTF-8."
        raise BrokenContentError(what, at=HEADER + error.start) from error
    header = loads(text)
    demand(len(header), limits.tensors, "tensors")
    _metadata(header.pop("__metadata__", {}))
    return header, base


def _metadata(value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        what = "__metadata__ is no map of texts."
        raise BrokenContentError(what)


def _said(data: memoryview, base: int) -> str:
    """Return what the free texts of a header say that was read before."""
    raw = bytes(data[HEADER:base])
    if b"__metadata__" not in raw and b"\\" not in raw:
        return ""
    return data_signs.strings(loads(raw.decode("utf-8")).get("__metadata__"))


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(item) is int and 0 <= item < 1 << 62 for item in values)


def span(name: str, entry: Any) -> tuple[int, int, str]:
    """Return where a tensor's bytes begin and end, counted from the data, and its name cut short.

    Raises:
        BrokenContentError: The entry is malformed, or its length is not what type and shape make.

    """
    right = isinstance(entry, dict) and set(entry) == _KEYS and entry["dtype"] in BITS
    if not right or not _whole(entry["shape"]) or not _whole(entry["data_offsets"]):
        what = f"The header entry of {name[:80]!r} is malformed."
        raise BrokenContentError(what)
    if len(entry["shape"]) > _MOST_DIMS or len(entry["data_offsets"]) != 2:  # noqa: PLR2004  # begin and end
        what = f"The header entry of {name[:80]!r} is malformed."
        raise BrokenContentError(what)
    start, end = entry["data_offsets"]
    bits = prod(entry["shape"]) * BITS[entry["dtype"]]
    if end < start or bits % 8 or bits // 8 != end - start:
        what = f"The tensor {name[:80]!r} has {end - start} bytes where shape and type make {bits // 8}."
        raise BrokenContentError(what)
    return start, end, name[:80]
