"""FlatBuffers: tables, vectors and texts found by the offsets in them, each inside the file, and claimed.

Format: "FlatBuffers Internals" (wire format of 24.3). A table begins with the signed distance back to its
vtable, which says how long vtable and table are and where in the table each field lies. Tables may share a
vtable, a text or a vector.
"""

import struct
from collections.abc import Iterator

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Tally

_U16, _I32, _U32, _U64 = (struct.Struct(form) for form in ("<H", "<i", "<I", "<Q"))


class Buffer:
    """Reads one FlatBuffer and claims what it reads."""

    def __init__(self, data: memoryview, tally: Tally, most: int, base: int = 0) -> None:
        """Read data whose first byte is at `base` of the file, following no more than `most` offsets."""
        self.data, self.tally, self.base = data, tally, base
        self.most, self.count = most, 0
        self.read: dict[int, str] = {}

    def claim(self, at: int, size: int) -> None:
        """Claim bytes of the buffer.

        Raises:
            BrokenContentError: They do not lie inside it.

        """
        if at < 0 or size < 0 or at + size > len(self.data):
            what = "A part of the buffer ends past it."
            raise BrokenContentError(what, at=max(0, at) + self.base)
        self.tally.claim(self.base + at, self.base + at + size)

    def number(self, form: struct.Struct, at: int) -> int:
        """Return a number."""
        if at < 0 or at + form.size > len(self.data):
            what = "A number of the buffer ends past it."
            raise BrokenContentError(what, at=max(0, at) + self.base)
        return int(form.unpack_from(self.data, at)[0])

    def follow(self, at: int) -> int:
        """Return the place that an offset names."""
        self.count = demand(self.count + 1, self.most, "entries")
        return at + self.number(_U32, at)

    def root(self) -> "Table":
        """Return the table that the buffer begins with; its offset is the first number."""
        return Table(self, self.follow(0))

    def text(self, at: int) -> str:
        """Return a text: a length, letters, and a zero. One that many tables share is read once."""
        if at in self.read:
            return self.read[at]
        size = self.number(_U32, at)
        self.claim(at, 4 + size + 1)
        if self.data[at + 4 + size]:
            what = "A text of the buffer has no end."
            raise BrokenContentError(what, at=at + self.base)
        self.read[at] = bytes(self.data[at + 4 : at + 4 + size]).decode("utf-8", "replace")
        return self.read[at]

    def vector(self, at: int, width: int) -> memoryview:
        """Return a vector of values of `width` bytes."""
        size = self.number(_U32, at) * width
        self.claim(at, 4 + size)
        return self.data[at + 4 : at + 4 + size]

    def places(self, at: int) -> Iterator[int]:
        """Yield the places that a vector of offsets names."""
        size = self.number(_U32, at)
        self.claim(at, 4 + 4 * size)
        for place in range(at + 4, at + 4 + 4 * size, 4):
            yield self.follow(place)


class Table:
    """One table; fields that are left out have the value that the schema gives them."""

    def __init__(self, buffer: Buffer, at: int) -> None:
        """Claim the table and its vtable."""
        self.buffer, self.at = buffer, at
        table = at - buffer.number(_I32, at)
        size, inline = buffer.number(_U16, table), buffer.number(_U16, table + 2)
        if size < 4 or size % 2 or inline < 4:  # noqa: PLR2004  # both lengths
            what = "A table of the buffer is not as the format has it."
            raise BrokenContentError(what, at=max(0, at) + buffer.base)
        buffer.claim(table, size)
        buffer.claim(at, inline)
        self.fields = [buffer.number(_U16, table + 4 + 2 * field) for field in range((size - 4) // 2)]
        if any(place >= inline for place in self.fields):
            what = "A field of a table lies outside of it."
            raise BrokenContentError(what, at=at + buffer.base)

    def place(self, field: int) -> int:
        """Return where a field lies, nowhere (0) when it is left out."""
        place = self.fields[field] if field < len(self.fields) else 0
        return self.at + place if place else 0

    def scalar(self, field: int, form: struct.Struct = _I32, default: int = 0) -> int:
        """Return a number."""
        place = self.place(field)
        return self.buffer.number(form, place) if place else default

    def text(self, field: int) -> str:
        """Return a text, an empty one when it is left out."""
        place = self.place(field)
        return self.buffer.text(self.buffer.follow(place)) if place else ""

    def vector(self, field: int, width: int) -> memoryview:
        """Return a vector of plain values, an empty one when it is left out."""
        place = self.place(field)
        return self.buffer.vector(self.buffer.follow(place), width) if place else memoryview(b"")

    def table(self, field: int) -> "Table | None":
        """Return a table inside this one."""
        place = self.place(field)
        return Table(self.buffer, self.buffer.follow(place)) if place else None

    def tables(self, field: int) -> Iterator["Table"]:
        """Yield the tables of a vector."""
        place = self.place(field)
        for at in self.buffer.places(self.buffer.follow(place)) if place else ():
            yield Table(self.buffer, at)

    def texts(self, field: int) -> list[str]:
        """Return the texts of a vector."""
        place = self.place(field)
        return [
            self.buffer.text(at) for at in (self.buffer.places(self.buffer.follow(place)) if place else ())
        ]


BYTE, WORD, LONG = struct.Struct("<b"), _U32, _U64
"""Numbers of a field: one signed byte, four bytes, eight."""
