"""Rebuilding content that lies in the base almost as it is: copy, add small differences, insert.

After bsdiff (C. Percival, "Naive differences of executable code", 2003): control triples (how many
bytes are copied with differences added, how many are inserted, how far the place in the base moves
then), the differences modulo 256, and the inserted bytes.
"""

from lockgate.crossing.delta.bounds import SEGMENT_LIMIT
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.packing import packed, unpacked
from lockgate.crossing.delta.varints import Numbers, pack, unzigzag, zigzag

_CONTROL_LIMIT = 4 * SEGMENT_LIMIT


def add(left: bytes, right: bytes) -> bytes:
    """Return the sums of bytes modulo 256, all at once: in one long integer without carries between them."""
    if not any(right):
        return left
    size = len(left)
    low, high = b"\x7f" * size, b"\x80" * size
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    seven, eighth = int.from_bytes(low, "little"), int.from_bytes(high, "little")
    return (((a & seven) + (b & seven)) ^ ((a ^ b) & eighth)).to_bytes(size, "little")


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
    return _weave(add(bytes(base), differences), copied, inserted, added)


def _weave(sums: bytes, copied: list[int], inserted: bytes, added: list[int]) -> bytes:
    out, at, extra = [], 0, 0
    for length, more in zip(copied, added, strict=True):
        out += [sums[at : at + length], inserted[extra : extra + more]]
        at += length
        extra += more
    return b"".join(out)
