"""Unpacks one member of a ZIP archive within bounds, checked against size and CRC-32.

Methods: PKWARE APPNOTE.TXT 6.3.10, 4.4.5; of LZMA, what stands before the data, 5.8.8.
"""

import bz2
import lzma
import struct
import zlib

from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.zip_walk import BZIPPED, DEFLATED, LZMA, STORED, Entry
from lockgate.inspect.tally import Context

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_MARKED = 0x0002
"""Of a member in LZMA: a mark stands where its data ends."""
_PROPERTIES = struct.Struct("<2xHBL")
"""The version of a writer, how long the properties are, and these: three numbers in one, and how far data
refers back."""
_PROPERTY_BYTES, _MOST_PROPERTIES, _LEAST_BACK = 5, 9 * 5 * 5, 4096


def unpack(data: memoryview, entry: Entry, context: Context) -> memoryview:
    """Return a member's content, checked against size and CRC-32.

    Raises:
        OverLimitError: It is over a bound, among them the ratio of a bomb.
        BrokenContentError: It is encrypted, uses another method, or does not match its header.

    """
    if entry.flags & _ENCRYPTED or entry.method not in {STORED, DEFLATED, BZIPPED, LZMA}:
        what = f"It is encrypted or packed by method {entry.method}, which is not read."
        raise BrokenContentError(what)
    limits = context.limits
    if entry.size > limits.ratio_floor and entry.size > limits.ratio * max(1, entry.stored):
        what = f"It unpacks to more than {limits.ratio} times its size (limit ratio)."
        raise OverLimitError(what, limit="ratio")
    context.budget.member(entry.size)
    raw = data[entry.data : entry.end]
    content = raw if entry.method == STORED else _unpacked(raw, entry)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        what = "It does not match the size or CRC-32 in its header."
        raise BrokenContentError(what)
    return content


def _unpacked(raw: memoryview, entry: Entry) -> memoryview:
    try:
        if entry.method == DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            content = inflater.decompress(raw, entry.size + 1)
            ended = inflater.eof and not inflater.unused_data and not inflater.unconsumed_tail
        elif entry.method == BZIPPED:
            bunzipper = bz2.BZ2Decompressor()
            content = bunzipper.decompress(raw, entry.size + 1)
            ended = bunzipper.eof and not bunzipper.unused_data
        else:
            content, ended = _from_lzma(raw, entry)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        what = "Its compressed data is broken."
        raise BrokenContentError(what) from error
    if not ended:
        what = "Its compressed data does not end where the header says."
        raise BrokenContentError(what)
    return memoryview(content)


def _from_lzma(raw: memoryview, entry: Entry) -> tuple[bytes, bool]:
    """Return what a member in LZMA holds, and whether its data ends where the header says.

    Nothing can refer further back than to the beginning of the content, so that no more memory is taken than
    the content is long, whatever the properties say.
    """
    length, packed, back = _PROPERTIES.unpack_from(raw) if len(raw) > _PROPERTIES.size else (0, 0, 0)
    if length != _PROPERTY_BYTES or packed >= _MOST_PROPERTIES:
        what = "What stands before its data is not what LZMA has there."
        raise BrokenContentError(what)
    bits, position = packed % 9, packed // 9
    back = max(_LEAST_BACK, min(back, entry.size))
    unpacker = lzma.LZMADecompressor(
        lzma.FORMAT_RAW,
        filters=[
            {"id": lzma.FILTER_LZMA1, "dict_size": back, "lc": bits, "lp": position % 5, "pb": position // 5}
        ],
    )
    content = unpacker.decompress(raw[_PROPERTIES.size :], entry.size + 1)
    if entry.flags & _MARKED:
        return content, unpacker.eof and not unpacker.unused_data
    return content, unpacker.needs_input and not unpacker.eof
