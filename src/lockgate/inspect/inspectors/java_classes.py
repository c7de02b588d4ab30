"""Classes of Java: each constant, member and attribute, up to the last byte; code is opaque.

Format: The Java Virtual Machine Specification, Java SE 24, chapter 4. Every count is of two bytes and each
step goes on by at least one byte, so that the size of the file bounds the walk.
"""

import struct

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD = struct.Struct(">4x3H")
_OLDEST, _NEWEST = 45, 80
"""Major versions: of Java 1.0.2, and some years ahead."""
_TEXT, _WIDE = 1, frozenset({5, 6})
"""Tags of texts, and of numbers that take two places."""
_SIZES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}
"""Tag → bytes behind it (table 4.4-A)."""


class JavaClassInspector(Inspector):
    """Walks a class; what its code does is not understood."""

    name = "java-class"
    version = 1
    detects = frozenset({"java-class"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the class; bytes behind it are a finding and stay unclaimed."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("java-class")
        _, major, count = _HEAD.unpack_from(data)
        if not _OLDEST <= major <= _NEWEST:
            what = f"Version {major} of the class is not known."
            raise BrokenContentError(what, at=6)
        at = _constants(data, count) + 6
        (interfaces,) = struct.unpack_from(">H", data, at)
        at += 2 + 2 * interfaces
        for _ in ("fields", "methods"):
            (members,) = struct.unpack_from(">H", data, at)
            at += 2
            for _ in range(members):
                at = _attributes(data, at + 6)
        at = _attributes(data, at)
        if at > len(data):
            raise _past(at)
        tally.claim(0, at)
        if at < len(data):
            tally.note("java-class-tail", Severity.HIGH, f"{len(data) - at} bytes follow the class.", at)


def _constants(data: memoryview, count: int) -> int:
    """Return where the constant pool ends."""
    at, place = _HEAD.size, 1
    while place < count:
        tag = data[at] if at < len(data) else 0
        if tag == _TEXT:
            (size,) = struct.unpack_from(">H", data, at + 1)
            size += 2
        elif tag in _SIZES:
            size = _SIZES[tag]
        else:
            what = f"A constant of the class has the tag {tag}, which is not known."
            raise BrokenContentError(what, at=at)
        at += 1 + size
        place += 2 if tag in _WIDE else 1
    return at


def _attributes(data: memoryview, at: int) -> int:
    """Return where a table of attributes ends."""
    (count,) = struct.unpack_from(">H", data, at)
    at += 2
    for _ in range(count):
        (size,) = struct.unpack_from(">2xL", data, at)
        at += 6 + size
        if at > len(data):
            raise _past(at)
    return at


def _past(at: int) -> BrokenContentError:
    return BrokenContentError("A part of the class ends past the file.", at=at)
