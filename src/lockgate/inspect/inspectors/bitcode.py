"""LLVM bitcode: machine-independent code as compilers keep it, block by block; the code is opaque.

Format: "LLVM Bitcode File Format", sections on the bitstream container and the wrapper.
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MAGIC, _WRAPPER = b"BC\xc0\xde", struct.Struct("<5I")
_BLOCKS = frozenset({8, 13, 23, 25})
"""Blocks that stand alone in a file: module, identification, texts, symbols."""
_ENTER = 1
_MOST = 1000


class BitcodeInspector(Inspector):
    """Walks the blocks of the outermost level, each of which has its length."""

    name = "bitcode"
    version = 1
    detects = frozenset({"bitcode"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head and blocks up to the end of the file."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("bitcode")
        start, end = 0, len(data)
        if bytes(data[:4]) != _MAGIC:
            _, _, start, size, _ = _WRAPPER.unpack_from(data)
            end = start + size
            if start != _WRAPPER.size or end > len(data) or any(data[end:]) or len(data) - end > 16:  # noqa: PLR2004  # alignment
                raise _broken("The wrapper does not say where the code lies.", 4)
        if bytes(data[start : start + 4]) != _MAGIC:
            raise _broken("The code does not begin where the wrapper says.", start)
        at, blocks = start + 4, 0
        while at < end:
            blocks = demand(blocks + 1, _MOST, "blocks")
            at = _block(data, at, end)
        if not blocks:
            raise _broken("There is no code.", at)
        tally.claim_all()
        look(tally, [texts_of(data)], context)


def _block(data: memoryview, at: int, end: int) -> int:
    """Return where a block of the outermost level ends."""
    bits = int.from_bytes(data[at : at + 8], "little")
    if at + 8 > end or bits & 3 != _ENTER:
        raise _broken("A block does not begin.", at)
    kind, used = _number(bits, 2, 8)
    width, used = _number(bits, used, 4)
    place = at + 4 * -(-used // 32)
    stop = place + 4 + 4 * int.from_bytes(data[place : place + 4], "little")
    if kind not in _BLOCKS or not 2 <= width <= 32 or stop > end:  # noqa: PLR2004  # bits of a record's kind
        raise _broken("A block is not known or ends past the file.", at)
    return stop


def _number(bits: int, at: int, width: int) -> tuple[int, int]:
    """Return a number of variable width (section "Variable Width Integers") and where it ends, in bits."""
    value = shift = 0
    for _ in range(4):
        chunk = bits >> at & (1 << width) - 1
        at += width
        value |= (chunk & (1 << width - 1) - 1) << shift
        shift += width - 1
        if not chunk >> width - 1:
            break
    return value, at


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
