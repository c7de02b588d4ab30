"""Rebuilding content that lies in the base almost as it is: copy, add small differences, insert.

After bsdiff (C. Percival, "Naive differences of executable code", 2003): control triples (how many
bytes are copied with differences added, how many are inserted, how far the place in the base moves
then), the differences modulo 256, and the inserted bytes.
"""

from collections.abc import Iterator
from functools import lru_cache

from lockgate.crossing.delta.bounds import SEGMENT_LIMIT
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.packing import packed, unpacked
from lockgate.crossing.delta.varints import Numbers, pack, unzigzag, zigzag

_ADDED = 64 * 1024
"""Bytes that are added at once: most of them are nothing to add at all."""

_ZEROS = bytes(_ADDED)
_CONTROL_LIMIT = 4 * SEGMENT_LIMIT


def add(left: bytes | bytearray, right: bytes) -> Iterator[bytes]:
    """Yield sums of bytes modulo 256, block by block: in one long integer without carries between bytes."""
    for at in range(0, len(left), _ADDED):
        first, second = left[at : at + _ADDED], right[at : at + _ADDED]
        size = len(first)
        if second != _ZEROS[:size]:
            a, b = int.from_bytes(first, "little"), int.from_bytes(second, "little")
            seven, eighth = _masks(size)
            first = (((a & seven) + (b & seven)) ^ ((a ^ b) & eighth)).to_bytes(size, "little")
        yield bytes(first)


@lru_cache(maxsize=1)
def _masks(size: int) -> tuple[int, int]:
    return int.from_bytes(b"\x7f" * size, "little"), int.from_bytes(b"\x80" * size, "little")


def write_aligned(
    triples: list[tuple[int, int, int]], differences: bytes, inserted: bytes, reference: bytes = b""
) -> bytes:
    """Return an aligned segment's data; what is inserted is packed after the reference."""
    columns = [pack(t[0] for t in triples), pack(t[1] for t in triples), pack(zigzag(t[2]) for t in triples)]
    parts = [
        packed(pack([len(triples)]) + b"".join(columns)),
        packed(differences),
        packed(inserted, reference),
    ]
    return pack(len(part) for part in parts[:2]) + b"".join(parts)


def read_aligned(data: bytes, size: int, reference: bytes) -> bytes:
    """Return the content of an aligned segment.

    Raises:
        PatchError: It asks for bytes outside of the reference, or gives another length.

    """
    head = Numbers(data)
    lengths = [head.next(len(data)), head.next(len(data))]
    at = len(pack(lengths))
    first, second = at + lengths[0], at + sum(lengths)
    if second >= len(data) or not all(lengths):
        raise PatchError("An aligned segment ends before it says.")
    numbers = Numbers(unpacked(data[at:first], _CONTROL_LIMIT))
    differences = unpacked(data[first:second], size)
    inserted = unpacked(data[second:], size, reference)
    return _put_together(numbers, size, reference, differences, inserted)


def _put_together(
    numbers: Numbers, size: int, reference: bytes, differences: bytes, inserted: bytes
) -> bytes:
    count = numbers.next(size + 1)
    copied, added, moves = (numbers.column(count) for _ in range(3))
    numbers.end()
    if sum(copied) != len(differences) or sum(added) != len(inserted) or sum(copied) + sum(added) != size:
        raise PatchError("An aligned segment gives another length than it says.")
    base = bytearray(len(differences))
    place = at = 0
    for length, move in zip(copied, moves, strict=True):
        if not 0 <= place <= place + length <= len(reference):
            raise PatchError("An aligned segment takes bytes from outside of its reference.")
        base[at : at + length] = reference[place : place + length]
        place += length + unzigzag(move)
        at += length
    return _weave(b"".join(add(base, differences)), copied, inserted, added)


def _weave(sums: bytes, copied: list[int], inserted: bytes, added: list[int]) -> bytes:
    out, at, extra = [], 0, 0
    for length, more in zip(copied, added, strict=True):
        out += [sums[at : at + length], inserted[extra : extra + more]]
        at += length
        extra += more
    return b"".join(out)
