"""LZ4 frames, decoded here: no library of ours reads them.

Formats: ``lz4_Frame_format.md`` 1.6.4 and ``lz4_Block_format.md``. Check sums of header and content are
xxHash-32 (``xxhash_spec.md``); each that is there is verified.
"""

import struct

from lockgate.inspect.errors import BrokenContentError, OverLimitError

MAGIC = b"\x04\x22\x4d\x18"
_BLOCK_SIZES = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}
_STORED = 1 << 31
_APART, _BLOCKS_SUMMED, _SIZED, _SUMMED = 0x20, 0x10, 0x08, 0x04
_MINIMUM = 4
_MORE = 15
_P1, _P2, _P3, _P4, _P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
_MASK = 0xFFFFFFFF
_LANES = 16


def _turn(value: int, count: int) -> int:
    return ((value << count) | (value >> (32 - count))) & _MASK


def xxh32(data: bytes | bytearray | memoryview) -> int:
    """Return the xxHash-32 of some bytes, seed 0."""
    size = len(data)
    whole = size - size % _LANES
    if whole:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        words = struct.unpack_from(f"<{whole // 4}I", data)
        for lane in range(4):
            state = lanes[lane]
            for word in words[lane::4]:
                mixed = (state + word * _P2) & _MASK
                state = (((mixed << 13) | (mixed >> 19)) * _P1) & _MASK
            lanes[lane] = state
        digest = sum(_turn(state, count) for state, count in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        digest = _P5
    digest = (digest + size) & _MASK
    at = whole
    while at + 4 <= size:
        digest = (
            _turn((digest + int.from_bytes(data[at : at + 4], "little") * _P3) & _MASK, 17) * _P4
        ) & _MASK
        at += 4
    for byte in data[at:]:
        digest = (_turn((digest + byte * _P5) & _MASK, 11) * _P1) & _MASK
    for count, prime in ((15, _P2), (13, _P3)):
        digest = ((digest ^ digest >> count) * prime) & _MASK
    return digest ^ digest >> 16


def decode(data: memoryview, most: int) -> tuple[bytearray, int]:
    """Return the content of the frame at the first byte, and where the frame ends.

    Args:
        data: The frame, and what follows it.
        most: Longest content, in bytes.

    Raises:
        BrokenContentError: It is no LZ4 frame, or a check sum is wrong.
        OverLimitError: It unpacks to more than `most` bytes.

    """
    try:
        return _frame(data, most)
    except (IndexError, struct.error) as error:
        what = "The LZ4 frame breaks off."
        raise BrokenContentError(what, at=len(data)) from error


def _frame(data: memoryview, most: int) -> tuple[bytearray, int]:
    flags, sizes = data[4], data[5]
    at = 6 + (8 if flags & _SIZED else 0)
    if flags >> 6 != 1 or flags & 3 or sizes & 0x8F or sizes >> 4 not in _BLOCK_SIZES:
        what = "The LZ4 frame has fields that are not read."
        raise BrokenContentError(what, at=4)
    if data[at] != xxh32(data[4:at]) >> 8 & 0xFF:
        what = "The LZ4 frame's header does not match its check sum."
        raise BrokenContentError(what, at=4)
    out, at = _blocks(data, at + 1, flags, _BLOCK_SIZES[sizes >> 4], most)
    if flags & _SUMMED:
        _demand_sum(data, at, out)
        at += 4
    if flags & _SIZED and int.from_bytes(data[6:14], "little") != len(out):
        what = "The LZ4 content is not as long as the frame says."
        raise BrokenContentError(what, at=6)
    return out, at


def _blocks(data: memoryview, at: int, flags: int, size: int, most: int) -> tuple[bytearray, int]:
    """Return the content of a frame's blocks, and where their end mark ends."""
    out = bytearray()
    while head := struct.unpack_from("<I", data, at)[0]:
        start, at = at + 4, at + 4 + (head & ~_STORED)
        block, before = data[start:at], len(out)
        if head & _STORED:
            out += block
        else:
            _block(bytes(block), out, before if flags & _APART else 0)
        if at > len(data) or at - start > size or len(out) - before > size:
            what = "An LZ4 block is longer than its frame allows."
            raise BrokenContentError(what, at=start)
        if flags & _BLOCKS_SUMMED:
            _demand_sum(data, at, block)
            at += 4
        if len(out) > most:
            what = f"It unpacks to more than {most} bytes (limit ratio or member_bytes)."
            raise OverLimitError(what, limit="ratio")
    return out, at + 4


def _demand_sum(data: memoryview, at: int, content: bytearray | memoryview) -> None:
    if struct.unpack_from("<I", data, at)[0] != xxh32(content):
        what = "LZ4 content does not match its check sum."
        raise BrokenContentError(what, at=at)


def _block(block: bytes, out: bytearray, floor: int) -> None:
    """Unpack one block behind `out`; matches reach back to `floor` at most."""
    at, end = 0, len(block)
    while True:
        token = block[at]
        literals, at = _length(block, at + 1, token >> 4)
        if at + literals > end:
            what = "An LZ4 literal runs past its block."
            raise BrokenContentError(what)
        out += block[at : at + literals]
        at += literals
        if at == end:
            return
        offset = block[at] | block[at + 1] << 8
        length, at = _length(block, at + 2, token & _MORE)
        length += _MINIMUM
        start = len(out) - offset
        if not offset or start < floor:
            what = "An LZ4 match reaches before its block."
            raise BrokenContentError(what)
        if offset >= length:
            out += out[start : start + length]
        else:
            pattern = bytes(out[start:])
            out += (pattern * (length // offset + 1))[:length]


def _length(block: bytes, at: int, short: int) -> tuple[int, int]:
    length = short
    while short == _MORE:
        byte = block[at]
        at += 1
        length += byte
        if byte != 0xFF:  # noqa: PLR2004  # 255 says that another byte follows
            break
    return length, at
