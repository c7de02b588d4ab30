"""Unsigned integers in as few bytes as they need (LEB128: seven bits each, lowest first)."""

from collections.abc import Iterable

from lockgate.crossing.delta.bounds import demand
from lockgate.crossing.delta.errors import PatchError

MOST = 1 << 53
"""Largest integer of a patch."""

_BYTES = 8


def pack(values: Iterable[int]) -> bytes:
    """Return integers one after the other."""
    out = bytearray()
    for value in values:
        left = value
        while left > 0x7F:  # noqa: PLR2004  # the format's seven bits
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def zigzag(value: int) -> int:
    """Return a signed integer as an unsigned one: 0, -1, 1, -2 … become 0, 1, 2, 3 …."""
    return -2 * value - 1 if value < 0 else 2 * value


def unzigzag(value: int) -> int:
    """Undo `zigzag`."""
    return -(value >> 1) - 1 if value & 1 else value >> 1


class Numbers:
    """Reads integers from bytes."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0

    def next(self, most: int = MOST, name: str = "number") -> int:
        """Return the next integer.

        Raises:
            PatchError: The bytes end, or the integer is longer than it may be.
            PatchLimitError: It is over `most`.

        """
        value = 0
        for place in range(_BYTES):
            if self._at >= len(self._data):
                raise PatchError("A patch ends in the middle of a number.")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004  # the format's mark of the last byte
                return demand(value, most, name)
        raise PatchError("A patch has a number of too many bytes.")

    def column(self, count: int) -> list[int]:
        """Return that many integers."""
        return [self.next() for _ in range(count)]

    def bytes(self, count: int) -> bytes:
        """Return that many bytes as they are."""
        data = self._data[self._at : self._at + count]
        if len(data) < count:
            raise PatchError("A patch ends before its control block says.")
        self._at += count
        return data

    def end(self) -> None:
        """Demand that nothing is left."""
        if self._at != len(self._data):
            raise PatchError("A patch's control block goes on after its end.")
