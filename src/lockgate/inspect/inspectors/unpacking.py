"""Unpacks one member of a ZIP archive within bounds, checked against size and CRC-32."""

import zlib

from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.zip_walk import DEFLATED, STORED, Entry
from lockgate.inspect.tally import Context

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000


def unpack(data: memoryview, entry: Entry, context: Context) -> memoryview:
    """Return a member's content, checked against size and CRC-32.

    Raises:
        OverLimitError: It is over a bound, among them the ratio of a bomb.
        BrokenContentError: It is encrypted, uses another method, or does not match its header.

    """
    if entry.flags & _ENCRYPTED or entry.method not in {STORED, DEFLATED}:
        what = f"It is encrypted or packed by method {entry.method}, which is not read."
        raise BrokenContentError(what)
    limits = context.limits
    if entry.size > limits.ratio_floor and entry.size > limits.ratio * max(1, entry.stored):
        what = f"It unpacks to more than {limits.ratio} times its size (limit ratio)."
        raise OverLimitError(what, limit="ratio")
    context.budget.member(entry.size)
    raw = data[entry.data : entry.end]
    content = raw
    if entry.method == DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = memoryview(inflater.decompress(raw, entry.size + 1))
        except zlib.error as error:
            what = "Its compressed data is broken."
            raise BrokenContentError(what) from error
        if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
            what = "Its compressed data does not end where the header says."
            raise BrokenContentError(what)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        what = "It does not match the size or CRC-32 in its header."
        raise BrokenContentError(what)
    return content
