"""Protocol Buffers: their wire format, and a walk over messages whose fields are known.

The wire format is that of the protobuf encoding guide: a varint key of field number and wire type, then a
varint, 8 bytes, a counted string, or 4 bytes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Context, Tally

VARINT: Final = "varint"
TEXT: Final = "text"
BYTES: Final = "bytes"
FIXED32: Final = "fixed32"
FIXED64: Final = "fixed64"
PACKED_VARINT: Final = "packed-varint"
PACKED32: Final = "packed-fixed32"
PACKED64: Final = "packed-fixed64"

WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 0, 1, 2, 5

Fields = dict[int, str]
"""Field number → how it is read: one of the words above, or the name of another message."""

_WIRES = {
    VARINT: {WIRE_VARINT},
    TEXT: {WIRE_BYTES},
    BYTES: {WIRE_BYTES},
    FIXED32: {WIRE_32},
    FIXED64: {WIRE_64},
    PACKED_VARINT: {WIRE_VARINT, WIRE_BYTES},
    PACKED32: {WIRE_32, WIRE_BYTES},
    PACKED64: {WIRE_64, WIRE_BYTES},
}
"""How a value may be written; another message is a counted string."""
_PACKED = {PACKED32: 4, PACKED64: 8}
MOST_VARINT = 10
"""Bytes of the longest varint."""
_MORE = 0x80


def varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return an unsigned varint and the offset after it.

    Raises:
        BrokenContentError: It does not end in time.

    """
    value = shift = 0
    for index in range(at, min(end, at + MOST_VARINT)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, index + 1
        shift += 7
    what = "A varint has no end."
    raise BrokenContentError(what, at=at)


def fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, start, end of the value) of one message.

    Raises:
        BrokenContentError: The bytes are no protobuf message.

    """
    at = start
    while at < end:
        key, value_at = varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == WIRE_VARINT:
            _, stop = varint(data, value_at, end)
        elif wire == WIRE_BYTES:
            length, value_at = varint(data, value_at, end)
            stop = value_at + length
        elif wire in {WIRE_64, WIRE_32}:
            stop = value_at + (8 if wire == WIRE_64 else 4)
        else:
            what = f"Wire type {wire} does not exist."
            raise BrokenContentError(what, at=at)
        if stop > end or number == 0:
            what = "A field runs past the end of its message."
            raise BrokenContentError(what, at=at)
        yield number, wire, value_at, stop
        at = stop


class Walk(ABC):
    """Reads a message and all within it, field by field. `unknown` is set where one could not be read.

    Findings of the structure are named after `format`; what a format looks for comes in `found` and `ended`.
    """

    format: ClassVar[str]
    messages: ClassVar[dict[str, Fields]]
    deepest: ClassVar[int]
    """Most messages within one another."""

    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Take the bytes, and where findings go."""
        self.data, self.tally, self.limits = data, tally, context.limits
        self.entries = 0
        self.unknown = False

    def message(self, name: str, start: int, end: int, depth: int = 0) -> None:
        """Read the message of that name between two offsets.

        Raises:
            BrokenContentError: The bytes are no protobuf message.
            LimitExceededError: There is more of something than inspection reads.

        """
        demand(depth, self.deepest, f"{self.format} message depth")
        known = self.messages[name]
        for number, wire, at, stop in fields(self.data, start, end):
            self.entries = demand(self.entries + 1, self.limits.elements, "elements")
            kind = known.get(number)
            if kind is None or wire not in _WIRES.get(kind, {WIRE_BYTES}):
                self._unread(f"{self.format}-field", f"Field {number} of {name} is not known.", at)
                continue
            if kind in self.messages:
                self.message(kind, at, stop, depth + 1)
            else:
                self._value(kind, wire, at, stop)
            self.found(name, number, wire, at, stop)
        self.ended(name, start, end)

    def _value(self, kind: str, wire: int, at: int, stop: int) -> None:
        if kind == TEXT:
            self.text(bytes(self.data[at:stop]).decode("utf-8"))
        elif kind == BYTES:
            self.raw(at, stop)
        elif kind == PACKED_VARINT and wire == WIRE_BYTES:
            while at < stop:
                _, at = varint(self.data, at, stop)
                self.entries += 1
            demand(self.entries, self.limits.elements, "elements")
        elif wire == WIRE_BYTES and (stop - at) % _PACKED.get(kind, 1):
            self._unread(f"{self.format}-packed", "A packed field is no whole number of values.", at)

    def _unread(self, code: str, why: str, at: int) -> None:
        self.unknown = True
        self.tally.unfinished(code, why, at)

    @abstractmethod
    def found(self, name: str, number: int, wire: int, at: int, stop: int) -> None:
        """Look at a field of a message, which was read already."""

    @abstractmethod
    def ended(self, name: str, start: int, end: int) -> None:
        """Look at a message of which all fields were read."""

    @abstractmethod
    def text(self, said: str) -> None:
        """Look at a text."""

    @abstractmethod
    def raw(self, at: int, stop: int) -> None:
        """Look at bytes that no field explains."""
