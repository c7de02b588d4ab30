"""Compressed streams: gzip (RFC 1952), xz (tukaani.org/xz/xz-file-format.txt), Zstandard (RFC 8878)."""

import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import zstandard

from lockgate.crossing.delta.bounds import BLOCK, Readable, blocks
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.spans import MEMBERS_LIMIT, NoLayoutError, Span, around

_FEXTRA, _FNAME, _FCOMMENT, _FHCRC = 4, 8, 16, 2
_HEAD_LIMIT = 1 << 16
_TRAILER = 8
_XZ_HEAD = 12
_CHECKS: Final = {0: 0, 1: 4, 4: 8, 10: 32}
_LZMA2_ID = 0x21


def _inner(name: str) -> str:
    """Return the name without the compression's ending, so that it matches across compressions."""
    path = PurePosixPath(name)
    return path.stem if path.suffix in {".gz", ".xz", ".zst", ".tgz"} else name


def gzipped(file: Readable, offset: int, length: int, name: str) -> list[Span]:
    """Return the spans of a gzip file of one or several members."""
    spans, at, end = list[Span](), offset, offset + length
    while at < end:
        body = at + _gzip_head(file.at(at, min(_HEAD_LIMIT, end - at)))
        packed, size = _inflated(file, body, end - body)
        if body + packed + _TRAILER > end or len(spans) > MEMBERS_LIMIT:
            raise NoLayoutError
        spans += around(at, body)
        spans.append(Span(body, packed, Codec.DEFLATE, 0, size, f"{_inner(name)}#{len(spans)}"))
        at = body + packed + _TRAILER
        spans += around(body + packed, at)
    return spans


def _gzip_head(head: bytes) -> int:
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":  # noqa: PLR2004  # RFC 1952, 2.3
        raise NoLayoutError
    flags, at = head[3], 10
    if flags & _FEXTRA:
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            found = head.find(b"\0", at)
            if found < 0:
                raise NoLayoutError
            at = found + 1
    return at + (2 if flags & _FHCRC else 0)


def _inflated(file: Readable, offset: int, length: int) -> tuple[int, int]:
    """Return how long a DEFLATE stream is, and its content."""
    machine, consumed, size = zlib.decompressobj(-15), 0, 0
    try:
        for part in blocks(file, offset, length):
            data = machine.decompress(part, BLOCK)
            while data:
                size += len(data)
                data = b"" if machine.eof else machine.decompress(machine.unconsumed_tail, BLOCK)
            consumed += len(part)
            if machine.eof:
                return consumed - len(machine.unused_data), size
    except zlib.error as error:
        raise NoLayoutError from error
    raise NoLayoutError


def zstd(file: Readable, offset: int, length: int, name: str) -> list[Span]:
    """Return the spans of a Zstandard file of one frame."""
    machine, consumed, size = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), 0, 0
    try:
        for part in blocks(file, offset, length):
            size += len(machine.decompress(part))
            consumed += len(part)
            if machine.eof:
                break
    except zstandard.ZstdError as error:
        raise NoLayoutError from error
    if not machine.eof or consumed != length or machine.unused_data:
        raise NoLayoutError
    return [Span(offset, length, Codec.ZSTD, 0, size, _inner(name) + "#1")]


def xz(file: Readable, offset: int, length: int, name: str) -> list[Span]:
    """Return the spans of an xz file of one stream: the LZMA2 data of each block is a member."""
    head = file.at(offset, _XZ_HEAD)
    check = _CHECKS.get(head[7] & 15) if len(head) == _XZ_HEAD else None
    foot = file.at(offset + length - _XZ_HEAD, _XZ_HEAD)
    if check is None or foot[10:] != b"YZ":
        raise NoLayoutError
    index_size = (int.from_bytes(foot[4:8], "little") + 1) * 4
    index = file.at(offset + length - _XZ_HEAD - index_size, index_size)
    spans, at, place = list[Span](), offset, offset + _XZ_HEAD
    for number, (unpadded, size) in enumerate(_index(index)):
        block = file.at(place, 1024)
        header = (block[0] + 1) * 4 if block else 0
        packed = unpadded - header - check
        preset = _preset(block[:header])
        if packed <= 0:
            raise NoLayoutError
        spans += around(at, place + header)
        spans.append(Span(place + header, packed, Codec.LZMA2, preset, size, f"{_inner(name)}#{number + 1}"))
        at = place + header + packed
        place += unpadded + -unpadded % 4
    return spans + around(at, offset + length)


def _index(index: bytes) -> Iterator[tuple[int, int]]:
    if not index or index[0]:
        raise NoLayoutError
    count, at = _vli(index, 1)
    if count > MEMBERS_LIMIT:
        raise NoLayoutError
    for _ in range(count):
        unpadded, at = _vli(index, at)
        size, at = _vli(index, at)
        yield unpadded, size


def _vli(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:  # noqa: PLR2004  # the format's mark of the last byte
            return value, at
        shift += 7
    raise NoLayoutError


def _preset(header: bytes) -> int:
    """Return the lowest preset of liblzma whose dictionary the block uses."""
    flags, at = header[1], 2
    for flag in (0x40, 0x80):
        if flags & flag:
            _, at = _vli(header, at)
    if flags & 3 or header[at : at + 2] != bytes((_LZMA2_ID, 1)):
        raise NoLayoutError
    bits = header[at + 2]
    dictionary = (2 | bits & 1) << (bits // 2 + 11)
    for preset, size in ((0, 18), (1, 20), (2, 21), (3, 22), (5, 23), (7, 24), (8, 25), (9, 26)):
        if dictionary <= 1 << size:
            return preset
    raise NoLayoutError
