"""Gzip: every header field, every compressed byte and both check sums (RFC 1952).

Of files of several members those are read whose members say how long they are: BGZF (Sequence Alignment/Map
Format Specification, 4.1), by which sequences are kept.
"""

import struct
import zlib
from collections.abc import Sequence

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.member_names import leads_up
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_FIXED = 10
_TRAILER = struct.Struct("<LL")
_DEFLATE = 8
_HCRC, _EXTRA, _NAME, _COMMENT = 0x02, 0x04, 0x08, 0x10
_KNOWN = 0x1F
_STEP = 1 << 20
_BLOCK_EXTRA = b"\x06\x00BC\x02\x00"
"""What stands behind the fixed header of a block: one extra field, which says how long the block is."""
_BLOCK_HEADER, _BLOCK_BYTES = 18, 1 << 16


class GzipInspector(Inspector):
    """Unpacks one gzip member within bounds and inspects what is inside."""

    name = "gzip"
    version = 3
    detects = frozenset({"gzip"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header, data and trailer; a second member that is no block, or a tail, stays unclaimed."""
        if blocks := _blocks(data):
            content, stop = _joined(data, blocks, context.limits), len(data)
        else:
            start, stored = _header(data)
            if leads_up(stored):
                what = f"The name that it had, {stored[:200]!r}, leads elsewhere."
                tally.note("gzip-slip", Severity.HIGH, what, _FIXED)
            content, end = _inflate(data, start, context.limits)
            stop = _checked(data, end, content)
        context.budget.member(len(content))
        name = context.name.rsplit("/", 1)[-1]
        inner = f"{name[:-4]}.tar" if name.lower().endswith(".tgz") else name.removesuffix(".gz")
        member = context.member(inner)
        if tally.absorb(context.inspect(memoryview(content), member)):
            tally.claim(0, stop)
        if stop < len(data):
            tally.note("gzip-tail", Severity.HIGH, f"{len(data) - stop} bytes follow the archive.", stop)


def _checked(data: memoryview, end: int, content: bytes | bytearray) -> int:
    """Return where the trailer ends that stands behind the compressed data and says what is so."""
    if end + _TRAILER.size > len(data):
        what = "The file ends before its check sums."
        raise BrokenContentError(what, at=end)
    crc, size = _TRAILER.unpack_from(data, end)
    if crc != zlib.crc32(content) or size != len(content) & 0xFFFFFFFF:
        what = "The content does not match its check sums."
        raise BrokenContentError(what, at=end)
    return end + _TRAILER.size


def _blocks(data: memoryview) -> list[tuple[int, int]]:
    """Return where each block of BGZF begins and ends, when they are all that the file is; else nothing."""
    out: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        head = bytes(data[at : at + _BLOCK_HEADER])
        stop = at + int.from_bytes(head[16:], "little") + 1
        if head[:4] != b"\x1f\x8b\x08\x04" or head[10:16] != _BLOCK_EXTRA or stop > len(data):
            return []
        if stop - at < _BLOCK_HEADER + _TRAILER.size:
            return []
        out.append((at, stop))
        at = stop
    return out


def _joined(data: memoryview, blocks: Sequence[tuple[int, int]], limits: Limits) -> bytearray:
    """Return the content of all blocks, each after its check sums."""
    out = bytearray()
    for start, stop in blocks:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        end = stop - _TRAILER.size
        try:
            part = inflater.decompress(data[start + _BLOCK_HEADER : end], _BLOCK_BYTES)
        except zlib.error as error:
            what = "The compressed data is broken."
            raise BrokenContentError(what, at=start) from error
        if not inflater.eof or inflater.unused_data:
            what = "The compressed data of a block does not end where the block does."
            raise BrokenContentError(what, at=start)
        _checked(data, end, part)
        out += part
        _bounded(len(out), len(data), limits)
    return out


def _bounded(unpacked: int, packed: int, limits: Limits) -> None:
    bound = min(limits.member_bytes, max(limits.ratio_floor, limits.ratio * packed))
    if unpacked > bound:
        name = "member_bytes" if bound == limits.member_bytes else "ratio"
        what = f"It unpacks to more than {bound} bytes (limit {name})."
        raise OverLimitError(what, limit=name)


def _header(data: memoryview) -> tuple[int, str]:
    """Return where the compressed data begins, and the name that a program may give what it unpacks."""
    flags = data[3] if len(data) > _FIXED else 0xFF
    if flags & ~_KNOWN or data[2] != _DEFLATE:
        what = "The gzip header has fields that are not known."
        raise BrokenContentError(what, at=2)
    at = _FIXED
    if flags & _EXTRA:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    name = ""
    for bit in (_NAME, _COMMENT):
        if flags & bit:
            window = bytes(data[at : at + 4096])
            if b"\x00" not in window:
                what = "A text in the gzip header has no end."
                raise BrokenContentError(what, at=at)
            size = window.index(b"\x00")
            name = window[:size].decode("latin-1") if bit == _NAME else name
            at += size + 1
    if flags & _HCRC:
        at += 2
    return at, name


def _inflate(data: memoryview, start: int, limits: Limits) -> tuple[bytearray, int]:
    """Return the unpacked content and where the compressed data ends."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    source: memoryview | bytes = data[start:]
    while not inflater.eof:
        before = len(out)
        try:
            out += inflater.decompress(source, _STEP)
        except zlib.error as error:
            what = "The compressed data is broken."
            raise BrokenContentError(what, at=start) from error
        source = inflater.unconsumed_tail
        _bounded(len(out), len(data), limits)
        if not source and len(out) == before and not inflater.eof:
            what = "The compressed data breaks off."
            raise BrokenContentError(what, at=len(data))
    return out, len(data) - len(inflater.unused_data)
