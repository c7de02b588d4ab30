"""One compressed file: zlib, bzip2, xz, LZMA, Zstandard and LZ4, each to its last byte and check sum.

Formats: RFC 1950 (zlib), RFC 8878 (Zstandard), ``xz-file-format.txt`` 1.2, ``lzma-file-format.txt``.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors import lz4
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_STEP = 1 << 20
_LEAST_READ = 1 << 8
"""How much of a stream is read at first, in bytes: what is read past its end is copied."""
_MEMORY = 512 << 20
_XZ_PADDING = 4
_SUFFIXES = {
    "bzip2": (".bz2", ".tbz2", ".tbz"),
    "xz": (".xz", ".txz"),
    "lzma": (".lzma",),
    "zlib": (".z", ".zlib"),
    "zstd": (".zst", ".zstd", ".tzst"),
    "lz4": (".lz4",),
}
_ENDINGS = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


class CompressedInspector(Inspector):
    """Unpacks all streams of a file within bounds and inspects what is inside."""

    name = "compressed"
    version = 2
    detects = frozenset(_SUFFIXES)

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the file when it unpacks to its last byte and the content is wholly understood."""
        bound = min(
            context.limits.member_bytes,
            max(context.limits.ratio_floor, context.limits.ratio * len(data)),
        )
        content, end = _unpack(tally.detected, data, bound, context.limits)
        context.budget.member(len(content))
        member = context.member(inner_name(context.name, tally.detected))
        if tally.absorb(context.inspect(memoryview(content), member)):
            tally.claim(0, end)
        if end < len(data):
            tally.note(
                "compressed-tail", Severity.HIGH, f"{len(data) - end} bytes follow the compressed data.", end
            )


def inner_name(name: str, kind: str) -> str:
    """Return the name that the content of a compressed file has."""
    file = name.rsplit("/", 1)[-1]
    for suffix in _SUFFIXES[kind]:
        if file.lower().endswith(suffix):
            stem = file[: -len(suffix)]
            return f"{stem}.tar" if suffix in {".tbz2", ".tbz", ".txz", ".tzst"} else stem
    # Named after another compression: that ending is no claim about the content either.
    return file.rsplit(".", 1)[0] if file.lower().endswith((".gz", *_ENDINGS)) else file


def _unpack(kind: str, data: memoryview, bound: int, limits: Limits) -> tuple[bytearray, int]:
    if kind == "lz4":
        return lz4.decode(data, bound)
    if kind == "zstd":
        return _zstd(data, bound)
    try:
        if kind == "zlib":
            return _zlib(data, bound)
        makers: dict[str, Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]] = {
            "bzip2": bz2.BZ2Decompressor,
            "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY),
            "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY),
        }
        return _streams(kind, makers[kind], data, bound, limits)
    except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        what = f"The compressed data is broken: {error}."
        raise BrokenContentError(what, at=0) from error


def _zlib(data: memoryview, bound: int) -> tuple[bytearray, int]:
    unpacker = zlib.decompressobj()
    out = bytearray(unpacker.decompress(data, bound + 1))
    _demand(len(out), bound)
    if not unpacker.eof:
        raise _broken(len(data))
    return out, len(data) - len(unpacker.unused_data)


def _streams(
    kind: str,
    make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    data: memoryview,
    bound: int,
    limits: Limits,
) -> tuple[bytearray, int]:
    """Unpack streams that follow one another."""
    out = bytearray()
    at = 0
    for _ in range(limits.members):
        unpacker = make()
        size = _LEAST_READ
        while not unpacker.eof:
            source = data[at : at + size] if unpacker.needs_input else data[:0]
            if unpacker.needs_input and not source:
                raise _broken(len(data))
            at, size = at + len(source), min(2 * size, _STEP)
            out += unpacker.decompress(source, _STEP)
            _demand(len(out), bound)
        at -= len(unpacker.unused_data)
        if kind == "xz":
            at = _padding(data, at)
        if at == len(data) or kind == "lzma" or bytes(data[at : at + 3]) not in {b"BZh", b"\xfd7z"}:
            return out, at
    raise _broken(at)


def _padding(data: memoryview, at: int) -> int:
    """Return where the zero padding ends that may follow an xz stream."""
    while at < len(data) and bytes(data[at : at + _XZ_PADDING]) == bytes(_XZ_PADDING):
        at += _XZ_PADDING
    return at


def _zstd(data: memoryview, bound: int) -> tuple[bytearray, int]:
    import zstandard  # noqa: PLC0415  # only such files pay for it

    out = bytearray()
    at = 0
    while at < len(data) and bytes(data[at : at + 4]) == b"\x28\xb5\x2f\xfd":
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj(write_size=_STEP)
        try:
            parameters = zstandard.get_frame_parameters(data[at : at + 32])
            if parameters.content_size not in {zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR}:
                _demand(len(out) + parameters.content_size, bound)
            step = at
            while not unpacker.eof:
                if step >= len(data):
                    raise _broken(len(data))
                out += unpacker.decompress(data[step : step + (_STEP >> 6)])
                _demand(len(out), bound)
                step += _STEP >> 6
        except zstandard.ZstdError as error:
            what = f"The compressed data is broken: {error}."
            raise BrokenContentError(what, at=at) from error
        at = min(step, len(data)) - len(unpacker.unused_data)
    return out, at


def _demand(size: int, bound: int) -> None:
    if size > bound:
        what = f"It unpacks to more than {bound} bytes (limit ratio or member_bytes)."
        raise OverLimitError(what, limit="ratio")


def _broken(at: int) -> BrokenContentError:
    what = "The compressed data breaks off."
    return BrokenContentError(what, at=at)
