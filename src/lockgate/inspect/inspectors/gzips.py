"""Gzip: every header field, every compressed byte and both check sums (RFC 1952).

Files of several members are the content of all of them, one behind the other (RFC 1952, 2.2); a reader
that stops behind the first sees the beginning of the same. Blocks say how long they are: BGZF (Sequence
Alignment/Map Format Specification, 4.1), by which sequences are kept.
"""

import struct
import zlib
from collections.abc import Sequence

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.member_names import leads_up
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_FIXED = 10
_TRAILER = struct.Struct("<LL")
_DEFLATE = 8
_HCRC, _EXTRA, _NAME, _COMMENT = 0x02, 0x04, 0x08, 0x10
_KNOWN = 0x1F
_STEP = 1 << 20
_LEAST_READ, _MOST_READ = 1 << 8, 1 << 16
"""How much of a member is read at first and at most at a time, in bytes: what is past its end is copied."""
_MEMBER = b"\x1f\x8b\x08"
_BLOCK_EXTRA = b"\x06\x00BC\x02\x00"
"""What stands behind the fixed header of a block: one extra field, which says how long the block is."""
_BLOCK_HEADER, _BLOCK_BYTES = 18, 1 << 16


class GzipInspector(Inspector):
    """Unpacks all members within bounds and inspects what is inside."""

    name = "gzip"
    version = 4
    detects = frozenset({"gzip"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, data and trailers; a tail, or a further member that is broken, stays unclaimed."""
        if blocks := _blocks(data):
            content, stop = _joined(data, blocks, context.limits), len(data)
        else:
            content, stop = _members(data, tally, context.limits)
        context.budget.member(len(content))
        name = context.name.rsplit("/", 1)[-1]
        inner = f"{name[:-4]}.tar" if name.lower().endswith(".tgz") else name.removesuffix(".gz")
        member = context.member(inner)
        if tally.absorb(context.inspect(memoryview(content), member)):
            tally.claim(0, stop)
        if stop < len(data):
            tally.note("gzip-tail", Severity.HIGH, f"{len(data) - stop} bytes follow the archive.", stop)


def _members(data: memoryview, tally: Tally, limits: Limits) -> tuple[bytearray, int]:
    """Return the content of the members, and where the last one ends that is whole."""
    content = bytearray()
    stop = count = 0
    while not stop or bytes(data[stop : stop + 3]) == _MEMBER:
        count = demand(count + 1, limits.members, "members")
        try:
            start, stored = _header(data, stop)
            part, end = _inflate(data, start, len(content), limits)
            end = _checked(data, end, part)
        except BrokenContentError:
            if not stop:
                raise
            break
        if leads_up(stored):
            what = f"The name that it had, {stored[:200]!r}, leads elsewhere."
            tally.note("gzip-slip", Severity.HIGH, what, stop + _FIXED)
        content += part
        stop = end
    return content, stop


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


def _header(data: memoryview, begin: int) -> tuple[int, str]:
    """Return where the compressed data begins, and the name that a program may give what it unpacks."""
    flags = data[begin + 3] if len(data) > begin + _FIXED else 0xFF
    if flags & ~_KNOWN or data[begin + 2] != _DEFLATE:
        what = "The gzip header has fields that are not known."
        raise BrokenContentError(what, at=begin + 2)
    at = begin + _FIXED
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


def _inflate(data: memoryview, start: int, before: int, limits: Limits) -> tuple[bytearray, int]:
    """Return the unpacked content of a member and where its compressed data ends.

    Args:
        data: The file.
        start: Where the compressed data begins.
        before: How much the members before unpacked to, in bytes.
        limits: All bounds.

    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    at, size = start, _LEAST_READ
    source: memoryview | bytes = b""
    while not inflater.eof:
        if not source:
            source = data[at : at + size]
            at, size = at + len(source), min(2 * size, _MOST_READ)
        last = not source
        try:
            part = inflater.decompress(source, _STEP)
        except zlib.error as error:
            what = "The compressed data is broken."
            raise BrokenContentError(what, at=start) from error
        out += part
        source = inflater.unconsumed_tail
        _bounded(before + len(out), len(data), limits)
        if last and not part and not inflater.eof:
            what = "The compressed data breaks off."
            raise BrokenContentError(what, at=len(data))
    return out, at - len(inflater.unused_data)
