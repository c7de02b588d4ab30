"""Decoding members of a base and encoding members of the new file, bit for bit, in bounded memory.

A parameter is one integer: for DEFLATE level, memory level and strategy (zlib's own numbers) in
bits 0-3, 4-7 and 8-11; for LZMA2 the preset with bit 4 for "extreme"; for Zstandard the level in
bits 0-4, bit 5 whether the content's size and bit 6 whether a checksum stands in the frame.
"""

import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, Protocol, cast

import zstandard

from lockgate.crossing.delta.bounds import BLOCK
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.tokens import decode_tokens, encode_tokens

_RAW_DEFLATE = -15
_LEVEL = 0xF
_EXTREME = 16
_PRESET_MOST = 25
_ZSTD_MOST = 22
_SIZE_FLAG, _SUM_FLAG = 32, 64
_LONGEST_WINDOW: Final = 1 << 27


class _Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def deflate_parameter(level: int, memory: int, strategy: int) -> int:
    """Return zlib's settings as one integer."""
    return level | memory << 4 | strategy << 8


def lzma_filters(parameter: int) -> list[dict[str, int]]:
    """Return liblzma's filter for a parameter.

    Raises:
        PatchError: There is no such preset.

    """
    if not 0 <= parameter <= _PRESET_MOST or parameter & _LEVEL > 9:  # noqa: PLR2004  # liblzma's presets
        raise PatchError("A patch names a preset that liblzma does not have.")
    extreme = lzma.PRESET_EXTREME if parameter & _EXTREME else 0
    return [{"id": lzma.FILTER_LZMA2, "preset": parameter & _LEVEL | extreme}]


def encoder(codec: Codec, parameter: int, size: int) -> _Encoder:
    """Return what compresses a member of `size` bytes.

    Raises:
        PatchError: The parameter is none.

    """
    try:
        if codec is Codec.DEFLATE:
            level, memory, strategy = parameter & 0xF, parameter >> 4 & 0xF, parameter >> 8
            return zlib.compressobj(level, zlib.DEFLATED, _RAW_DEFLATE, memory, strategy)
        if codec is Codec.LZMA2:
            return lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=lzma_filters(parameter))
        if codec is Codec.ZSTD:
            return _zstd(parameter, size)
    except (ValueError, zlib.error, lzma.LZMAError) as error:
        raise PatchError("A patch names a setting that its compressor does not have.") from error
    raise PatchError("A patch compresses by no known method.")


def _zstd(parameter: int, size: int) -> _Encoder:
    level = parameter & 31
    if not 1 <= level <= _ZSTD_MOST or parameter >= _SUM_FLAG * 2:
        raise PatchError("A patch names a level that Zstandard does not have.")
    settings = zstandard.ZstdCompressionParameters.from_level(
        level,
        write_content_size=bool(parameter & _SIZE_FLAG),
        write_checksum=bool(parameter & _SUM_FLAG),
        write_dict_id=False,
    )
    known = size if parameter & _SIZE_FLAG else -1
    machine: _Encoder = zstandard.ZstdCompressor(compression_params=settings).compressobj(size=known)
    return machine


def encoded(codec: Codec, parameter: int, size: int, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a member's compressed bytes.

    Raises:
        PatchError: The codec or its parameter is none.

    """
    if codec is Codec.TOKENS:
        yield encode_tokens(b"".join(parts))
        return
    machine = encoder(codec, parameter, size)
    for part in parts:
        if data := machine.compress(part):
            yield data
    yield machine.flush()


def decoded(codec: Codec, parameter: int, size: int, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a range of a base decodes to: exactly `size` bytes, never more in memory than a block.

    Raises:
        PatchError: It decodes to something else, or not at all.

    """
    left = size
    try:
        for data in _decoding(codec, parameter, parts, size):
            left -= len(data)
            if left < 0:
                break
            yield data
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise PatchError("A member of a base cannot be read as the patch says.") from error
    if left:
        raise PatchError("A member of a base has another length than the patch says.")


def _decoding(codec: Codec, parameter: int, parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    if codec is Codec.RAW:
        yield from parts
    elif codec is Codec.TOKENS:
        yield decode_tokens(b"".join(parts), size)
    elif codec is Codec.ZSTD:
        yield from _unzstd(parts)
    else:
        yield from _inflating(codec, parameter, parts)


def _inflating(codec: Codec, parameter: int, parts: Iterable[bytes]) -> Iterator[bytes]:
    if codec is Codec.DEFLATE:
        inflater = zlib.decompressobj(_RAW_DEFLATE)
        for part in parts:
            data = inflater.decompress(part, BLOCK)
            while data:
                yield data
                data = b"" if inflater.eof else inflater.decompress(inflater.unconsumed_tail, BLOCK)
        return
    unxz = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=lzma_filters(parameter))
    for part in parts:
        if unxz.eof:
            return
        data = unxz.decompress(part, BLOCK)
        while data:
            yield data
            data = unxz.decompress(b"", BLOCK) if _goes_on(unxz) else b""


def _goes_on(machine: lzma.LZMADecompressor) -> bool:
    return not machine.eof and not machine.needs_input


class _Pull:
    """Parts as a file that is read, for libraries that pull."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        data = self._rest or next(self._parts, b"")
        count = len(data) if size < 0 else size
        self._rest = data[count:]
        return data[:count]


def _unzstd(parts: Iterable[bytes]) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).stream_reader(
        cast("BinaryIO", _Pull(parts))
    )
    while data := reader.read(BLOCK):
        yield data
